import { NO_USAGE } from '../../../db/model/usage.ts'
import type { AnswerContext } from '../dialect.ts'
import type { Citation, Completion, FilePart, ImagePart, Part, ReasoningPart } from '../model.ts'
import { sealProof } from '../proof.ts'
import { REDACTED } from './blocks.ts'
import { writeStopReason, writeTierUsed } from './finish.ts'
import { writeAnthropicUsage } from './usage.ts'
import { ANTHROPIC, isRecord, type Json, parsed } from './values.ts'

/** A completion -> a Messages answer, every member that the API's own description demands. */
export function writeMessagesAnswer(answer: Completion, context: AnswerContext): string {
  const { parts, finish } = answer.choices[0] ?? { parts: [], finish: { reason: 'stop', stopSequence: null } as const }
  const own = answer.extras.filter(({ wire, name }) => wire === ANTHROPIC && !/[.[]/.test(name))
  return JSON.stringify({
    id: writeMessageId(answer.id, context.callId),
    type: 'message',
    role: 'assistant',
    model: answer.model ?? context.model,
    content: parts.flatMap(writeAnswerPart),
    stop_reason: writeStopReason(finish),
    stop_sequence: finish.stopSequence,
    stop_details: writeStopDetails(parts),
    container: null,
    diagnostics: null,
    usage: writeAnthropicUsage(answer.usage ?? NO_USAGE, writeTierUsed(answer.serviceTier)),
    ...Object.fromEntries(own.map(({ name, value }) => [name, value])),
  })
}

/** Anthropic's own id, or one made from the call's. */
export function writeMessageId(id: string | null, callId: string): string {
  return id?.startsWith('msg_') ? id : `msg_${callId.replace(/^req_/, '')}`
}

function writeStopDetails(parts: readonly Part[]): Json | null {
  const refusal = parts.find((part) => part.type === 'refusal')
  return refusal === undefined ? null : stopDetails(refusal.text)
}

export function stopDetails(explanation: string): Json {
  return { type: 'refusal', category: null, explanation }
}

/** None for what has nothing in it: clients send blocks back as they came, and the API refuses empty ones. */
function writeAnswerPart(part: Part): Json[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [{ type: 'text', text: part.text, citations: writeCitations(part.citations) }]
    case 'reasoning':
      return writeThought(part)
    case 'tool-call':
      return [{ ...writeCallHead(part.id, part.name), input: inputOf(part.arguments) }]
    case 'opaque':
      return part.wire === ANTHROPIC && isRecord(part.value) ? [part.value] : []
    default: {
      const text = wordsFor(part)
      return text === '' ? [] : [{ type: 'text', text, citations: [] }]
    }
  }
}

/** A call without its input. */
export function writeCallHead(id: string, name: string): Json {
  return { type: 'tool_use', id, name, caller: { type: 'direct' } }
}

/** Of what an assistant can't say in Messages: its words, or a line that tells what there was. */
export function wordsFor(part: Part): string {
  if (part.type === 'refusal') return part.text
  if (part.type === 'audio') return part.transcript ?? '[audio]'
  if (part.type === 'image' || part.type === 'file') return mediaLine(part)
  return ''
}

function mediaLine({ type, source }: ImagePart | FilePart): string {
  if (source.kind === 'url') return `${type === 'image' ? '!' : ''}[${type}](${source.url})`
  return source.kind === 'base64' ? `[${type}: ${source.mediaType}]` : `[${type}: ${source.id}]`
}

/** Only an object can be said: what a model wrote otherwise is passed on as text in one. */
function inputOf(text: string): unknown {
  const input = text.trim() === '' ? {} : parsed(text)
  return isRecord(input) ? input : { arguments: text }
}

/** A thought that can be read, with its proof as signature; one that can't, as redacted; none when it is nothing. */
export function writeThought({ text, proof }: ReasoningPart): Json[] {
  if (proof === null) return text === '' ? [] : [{ type: 'thinking', thinking: text, signature: '' }]
  const sealed = sealProof(proof, ANTHROPIC)
  if (text !== '') return [{ type: 'thinking', thinking: text, signature: sealed }]
  if (proof.wire !== ANTHROPIC) return [{ type: 'redacted_thinking', data: sealed }]
  if (sealed.startsWith(REDACTED)) return [{ type: 'redacted_thinking', data: sealed.slice(REDACTED.length) }]
  return [{ type: 'thinking', thinking: '', signature: sealed }]
}

/** Never null, which the schema has and the API itself never sends: some clients fall over it. */
function writeCitations(citations: readonly Citation[] | undefined): Json[] {
  return (citations ?? []).flatMap(writeCitation)
}

export function writeCitation(citation: Citation): Json[] {
  if (citation.type === 'opaque') {
    return citation.wire === ANTHROPIC && isRecord(citation.value) ? [citation.value] : []
  }
  const { url, title, quote } = citation
  return [{ type: 'web_search_result_location', cited_text: quote ?? '', encrypted_index: '', title, url }]
}
