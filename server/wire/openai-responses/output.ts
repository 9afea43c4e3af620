import type { Part, ToolCall } from '../model.ts'
import { isRecord, numberOr, record, records, textOr } from '../openai-chat/values.ts'
import { sealProof } from '../proof.ts'
import { logprobsIn } from './items.ts'
import { isContent, writeAnnotation } from './parts.ts'
import { customInput, type ToolNames } from './tools.ts'

const WIRE = 'openai-responses'

/** Output items as JSON text, so that each is written once and stands in every event that shows it. */

export type Status = 'in_progress' | 'completed' | 'incomplete'
export type Kind = 'msg' | 'rs' | 'fc' | 'ctc' | 'item'

/** @param quoted the text as JSON */
export function textJson(quoted: string, annotations: string, logprobs: string): string {
  return `{"type":"output_text","annotations":${annotations},"logprobs":${logprobs},"text":${quoted}}`
}

export function messageJson(id: string, status: Status, content: string): string {
  return `{"id":"${id}","type":"message","status":"${status}","content":[${content}],"role":"assistant"}`
}

/** @param proof as the caller is to keep it, null when there is none */
export function thoughtJson(id: string, texts: { summary: string; content: string }, proof: string | null): string {
  const content = texts.content === '' ? '' : `,"content":[${texts.content}]`
  const encrypted = proof === null ? '' : `,"encrypted_content":${JSON.stringify(proof)}`
  return `{"id":"${id}","type":"reasoning","summary":[${texts.summary}]${content}${encrypted}}`
}

/** @param quoted arguments or input as JSON text in a JSON string */
export function callJson(
  id: string,
  status: Status,
  call: { kind: 'fc' | 'ctc'; head: string; quoted: string },
): string {
  const [type, member] = call.kind === 'fc' ? ['function_call', 'arguments'] : ['custom_tool_call', 'input']
  return `{"id":"${id}","type":"${type}","status":"${status}","${member}":${call.quoted},${call.head}}`
}

/** The members that a call has from its beginning. */
export function callHead(call: ToolCall, { inner }: ToolNames): string {
  const { namespace = null, name } = inner.get(call.name) ?? { name: call.name }
  const head = `"call_id":${JSON.stringify(call.id)},"name":${JSON.stringify(name)}`
  return namespace === null ? head : `${head},"namespace":${JSON.stringify(namespace)}`
}

export function callKind(call: ToolCall, { customs }: ToolNames): 'fc' | 'ctc' {
  return call.kind === 'custom' || customs.has(call.name) ? 'ctc' : 'fc'
}

/** What a call says: where a plain text had to travel as a function's argument, the text. */
export function callWords(call: ToolCall, kind: 'fc' | 'ctc'): string {
  return kind === 'ctc' && call.kind === 'function' ? customInput(call.arguments) : call.arguments
}

/** Log probabilities with every member that the schema asks for. */
export function logprobsJson(logprobs: unknown): string {
  const list = logprobsIn(logprobs)
  if (list.length === 0) return '[]'
  return JSON.stringify(
    list.map((one) => ({ ...tokenOf(one), top_logprobs: records(record(one).top_logprobs).map(tokenOf) })),
  )
}

function tokenOf(value: unknown): object {
  const { token, logprob, bytes } = record(value)
  return { token: textOr(token, ''), logprob: numberOr(logprob, 0), bytes: Array.isArray(bytes) ? bytes : [] }
}

/** How an answer's items are named and read. */
export interface Naming {
  readonly suffix: string
  readonly names: ToolNames
  readonly wantsSummary: boolean
}

export function itemId(kind: Kind, { suffix }: Naming, index: number): string {
  return `${kind}_${suffix}_${index}`
}

export interface Ending {
  /** Of all the answer's text: shown with the first. */
  readonly logprobs: unknown
  /** The status of its last item. */
  readonly last: Status
}

/** The items of a whole answer. */
export function outputJson(parts: readonly Part[], naming: Naming, ending: Ending): string[] {
  const items: string[] = []
  let shown = logprobsJson(ending.logprobs)
  for (let at = 0; at < parts.length; ) {
    const part = parts[at]!
    const id = (kind: Kind) => itemId(kind, naming, items.length)
    if (part.type === 'text' || part.type === 'refusal') {
      const content: string[] = []
      for (; isSpoken(parts[at]); at++) {
        content.push(contentJson(parts[at]!, shown))
        if (parts[at]!.type === 'text') shown = '[]'
      }
      items.push(messageJson(id('msg'), at === parts.length ? ending.last : 'completed', content.join(',')))
      continue
    }
    at++
    if (part.type === 'tool-call') {
      const kind = callKind(part, naming.names)
      const quoted = JSON.stringify(callWords(part, kind))
      const status = at === parts.length ? ending.last : 'completed'
      items.push(callJson(id(kind), status, { kind, head: callHead(part, naming.names), quoted }))
    } else if (part.type === 'reasoning') {
      const thought = [part]
      while (goesOn(thought.at(-1)!, parts[at], naming)) thought.push(parts[at++] as Thought)
      items.push(wholeThought(thought, id('rs'), naming.wantsSummary))
    } else {
      const item = opaqueJson(part, id('item'))
      if (item !== null) items.push(item)
    }
  }
  return items
}

/**
 * Thoughts share an item up to the one that has the proof. One that is all proof belongs to what follows it, and stands
 * alone; summaries and thoughts in the open don't mix, since an item has an order only among its own kind.
 */
export function goesOn(last: Thought, next: Part | undefined, { wantsSummary }: Naming): boolean {
  if (last.proof !== null || next?.type !== 'reasoning') return false
  if (next.text === '' && next.proof !== null) return false
  return isSummary(last, wantsSummary) === isSummary(next, wantsSummary)
}

function isSpoken(part: Part | undefined): boolean {
  return part?.type === 'text' || part?.type === 'refusal'
}

function contentJson(part: Part, logprobs: string): string {
  if (part.type === 'refusal') return `{"type":"refusal","refusal":${JSON.stringify(part.text)}}`
  if (part.type !== 'text') return ''
  const annotations = (part.citations ?? []).map((one) => writeAnnotation(one, part.text.length))
  return textJson(JSON.stringify(part.text), JSON.stringify(annotations.filter((one) => one !== null)), logprobs)
}

export type Thought = Part & { readonly type: 'reasoning' }

function wholeThought(thought: readonly Thought[], id: string, wantsSummary: boolean): string {
  const texts = (summary: boolean) =>
    thought
      .filter((part) => part.text !== '' && isSummary(part, wantsSummary) === summary)
      .map(({ text }) => thoughtPart(summary, JSON.stringify(text)))
      .join(',')
  const proof = thought.at(-1)!.proof
  return thoughtJson(id, { summary: texts(true), content: texts(false) }, proof && sealProof(proof, WIRE))
}

/** Who asks for summaries looks for thoughts nowhere else. */
export function isSummary(part: Thought, wantsSummary: boolean): boolean {
  return part.summary || wantsSummary
}

export function thoughtPart(summary: boolean, quoted: string): string {
  return `{"type":"${summary ? 'summary_text' : 'reasoning_text'}","text":${quoted}}`
}

/** An item of this wire's own, unchanged; null for what only other wires can say. */
export function opaqueJson(part: Part, id: string): string | null {
  if (part.type !== 'opaque' || part.wire !== WIRE || !isRecord(part.value) || isContent(part.value)) return null
  return JSON.stringify(typeof part.value.id === 'string' ? part.value : { id, ...part.value })
}
