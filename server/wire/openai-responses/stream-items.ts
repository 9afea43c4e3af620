import type { Citation, Delta, Part, Proof, ToolCall } from '../model.ts'
import { sealProof } from '../proof.ts'
import { logprobsIn } from './items.ts'
import {
  callHead,
  callJson,
  callKind,
  callWords,
  goesOn,
  isSummary,
  itemId,
  type Kind,
  logprobsJson,
  messageJson,
  type Naming,
  type Status,
  type Thought,
  textJson,
  thoughtJson,
  thoughtPart,
} from './output.ts'
import { writeAnnotation } from './parts.ts'

const WIRE = 'openai-responses'

/** An output item while it is being written. Events are given as members of a JSON object, their type first. */
export interface OpenItem {
  /** The part can be one more of this item. */
  takes(part: Part): boolean
  added(): string[]
  begin(part: Part): string[]
  /** The event that adds text; empty when the delta has none, or it is kept for the end. */
  say(delta: Delta): string
  /** Further events of a delta. */
  more(delta: Delta): string[]
  endPart(): string[]
  /** The whole item, once its last part has ended. */
  json(status: Status): string
}

interface Place {
  readonly index: number
  readonly naming: Naming
}

/** Null for a part that the wire has no item for, such as spoken sound. */
export function openItem(part: Part, place: Place): OpenItem | null {
  if (part.type === 'text' || part.type === 'refusal') return new MessageItem(place)
  if (part.type === 'reasoning') return new ThoughtItem(place)
  return part.type === 'tool-call' ? new CallItem(part, place) : null
}

function addedEvent(index: number, item: string): string {
  return `"type":"response.output_item.added","output_index":${index},"item":${item}`
}

/** Texts and refusals that follow each other share one message. */
class MessageItem implements OpenItem {
  readonly #id: string
  readonly #index: number
  readonly #content: string[] = []
  #kind: 'output_text' | 'refusal' | null = null
  #where = ''
  #delta = ''
  #text = ''
  #annotations: string[] = []
  #logprobs: unknown[] = []

  constructor({ index, naming }: Place) {
    this.#id = itemId('msg', naming, index)
    this.#index = index
  }

  takes(part: Part): boolean {
    return part.type === 'text' || part.type === 'refusal'
  }

  added(): string[] {
    return [addedEvent(this.#index, messageJson(this.#id, 'in_progress', ''))]
  }

  begin(part: Part): string[] {
    this.#kind = part.type === 'refusal' ? 'refusal' : 'output_text'
    this.#where = `"item_id":"${this.#id}","output_index":${this.#index},"content_index":${this.#content.length}`
    this.#delta = `"type":"response.${this.#kind}.delta",${this.#where},"delta":`
    this.#text = ''
    this.#annotations = []
    this.#logprobs = []
    const added = `"type":"response.content_part.added",${this.#where},"part":${this.#part()}`
    if (part.type !== 'text' && part.type !== 'refusal') return [added]
    const said = this.say({ text: part.text })
    const more = part.type === 'text' ? this.more({ citations: part.citations ?? [] }) : []
    return said === '' ? [added, ...more] : [added, said, ...more]
  }

  say({ text, logprobs }: Delta): string {
    if (text === undefined || text === '') return ''
    this.#text += text
    if (this.#kind === 'refusal') return this.#delta + JSON.stringify(text)
    if (logprobs === undefined) return `${this.#delta + JSON.stringify(text)},"logprobs":[]`
    this.#logprobs.push(...logprobsIn(logprobs))
    return `${this.#delta + JSON.stringify(text)},"logprobs":${logprobsJson(logprobs)}`
  }

  more({ citations }: Delta): string[] {
    if (citations === undefined || this.#kind === 'refusal') return []
    return citations.map((one) => this.#annotate(one)).filter((one) => one !== '')
  }

  #annotate(citation: Citation): string {
    const annotation = writeAnnotation(citation, this.#text.length)
    if (annotation === null) return ''
    const json = JSON.stringify(annotation)
    const at = this.#annotations.push(json) - 1
    return `"type":"response.output_text.annotation.added",${this.#where},"annotation_index":${at},"annotation":${json}`
  }

  endPart(): string[] {
    if (this.#kind === null) return []
    const quoted = JSON.stringify(this.#text)
    const part = this.#part(quoted)
    const words =
      this.#kind === 'refusal' ? `"refusal":${quoted}` : `"text":${quoted},"logprobs":${this.#allLogprobs()}`
    const done = `"type":"response.${this.#kind}.done",${this.#where},${words}`
    this.#content.push(part)
    this.#kind = null
    return [done, `"type":"response.content_part.done",${this.#where},"part":${part}`]
  }

  json(status: Status): string {
    return messageJson(this.#id, status, this.#content.join(','))
  }

  #part(quoted = '""'): string {
    if (this.#kind === 'refusal') return `{"type":"refusal","refusal":${quoted}}`
    return textJson(quoted, `[${this.#annotations.join(',')}]`, this.#allLogprobs())
  }

  #allLogprobs(): string {
    return logprobsJson(this.#logprobs)
  }
}

/** Thoughts that follow each other share one item, up to the one that has the proof. */
class ThoughtItem implements OpenItem {
  readonly #id: string
  readonly #index: number
  readonly #naming: Naming
  readonly #summaries: string[] = []
  readonly #contents: string[] = []
  #isOpen = false
  #isSummary = false
  /** The part is shown from its first word on: one that is all proof has none. */
  #isShown = false
  #where = ''
  #text = ''
  #proof: Proof | null = null
  #last: Thought | null = null

  constructor({ index, naming }: Place) {
    this.#id = itemId('rs', naming, index)
    this.#index = index
    this.#naming = naming
  }

  takes(part: Part): boolean {
    return this.#last !== null && goesOn({ ...this.#last, proof: this.#proof }, part, this.#naming)
  }

  added(): string[] {
    return [addedEvent(this.#index, thoughtJson(this.#id, { summary: '', content: '' }, null))]
  }

  begin(part: Part): string[] {
    if (part.type !== 'reasoning') return []
    this.#last = part
    this.#isOpen = true
    this.#isShown = false
    this.#isSummary = isSummary(part, this.#naming.wantsSummary)
    const at = this.#isSummary
      ? `"summary_index":${this.#summaries.length}`
      : `"content_index":${this.#contents.length}`
    this.#where = `"item_id":"${this.#id}","output_index":${this.#index},${at}`
    this.#text = ''
    this.#proof = part.proof
    return part.text === '' ? [] : this.#words(part.text)
  }

  say(): string {
    return ''
  }

  more({ text = '', proof }: Delta): string[] {
    if (proof !== undefined) this.#proof = proof
    return text === '' ? [] : this.#words(text)
  }

  #words(text: string): string[] {
    this.#text += text
    const delta = `"type":"response.${this.#name('text')}.delta",${this.#where},"delta":${JSON.stringify(text)}`
    if (this.#isShown) return [delta]
    this.#isShown = true
    const added = `"type":"response.${this.#part()}.added",${this.#where},"part":${thoughtPart(this.#isSummary, '""')}`
    return [added, delta]
  }

  endPart(): string[] {
    if (!this.#isOpen) return []
    this.#isOpen = false
    if (!this.#isShown) return []
    const quoted = JSON.stringify(this.#text)
    const part = thoughtPart(this.#isSummary, quoted)
    ;(this.#isSummary ? this.#summaries : this.#contents).push(part)
    return [
      `"type":"response.${this.#name('text')}.done",${this.#where},"text":${quoted}`,
      `"type":"response.${this.#part()}.done",${this.#where},"part":${part}`,
    ]
  }

  json(): string {
    const texts = { summary: this.#summaries.join(','), content: this.#contents.join(',') }
    return thoughtJson(this.#id, texts, this.#proof && sealProof(this.#proof, WIRE))
  }

  #name(what: 'text'): string {
    return this.#isSummary ? `reasoning_summary_${what}` : `reasoning_${what}`
  }

  #part(): string {
    return this.#isSummary ? 'reasoning_summary_part' : 'content_part'
  }
}

/** A call. One whose text travels inside a function's argument is unwrapped when it is complete. */
class CallItem implements OpenItem {
  readonly #id: string
  readonly #index: number
  readonly #call: ToolCall
  readonly #kind: Kind & ('fc' | 'ctc')
  readonly #head: string
  readonly #isWrapped: boolean
  readonly #name: string
  readonly #where: string
  #written = ''
  #quoted = '""'
  #isOpen = true

  constructor(call: ToolCall, { index, naming }: Place) {
    this.#call = call
    this.#kind = callKind(call, naming.names)
    this.#head = callHead(call, naming.names)
    this.#isWrapped = this.#kind === 'ctc' && call.kind === 'function'
    this.#id = itemId(this.#kind, naming, index)
    this.#index = index
    this.#name = this.#kind === 'fc' ? 'function_call_arguments' : 'custom_tool_call_input'
    this.#where = `"item_id":"${this.#id}","output_index":${index}`
  }

  takes(): boolean {
    return false
  }

  added(): string[] {
    return [addedEvent(this.#index, this.#item('in_progress'))]
  }

  begin(part: Part): string[] {
    const first = part.type === 'tool-call' ? this.say({ text: part.arguments }) : ''
    return first === '' ? [] : [first]
  }

  say({ text = '' }: Delta): string {
    if (text === '') return ''
    this.#written += text
    return this.#isWrapped ? '' : this.#delta(text)
  }

  more(): string[] {
    return []
  }

  endPart(): string[] {
    if (!this.#isOpen) return []
    this.#isOpen = false
    const isSilent = this.#written === '' && this.#kind === 'fc'
    const words = isSilent ? '{}' : callWords({ ...this.#call, arguments: this.#written }, this.#kind)
    this.#quoted = JSON.stringify(words)
    const name = this.#kind === 'fc' ? `"name":${JSON.stringify(this.#call.name)},` : ''
    const member = this.#kind === 'fc' ? 'arguments' : 'input'
    const done = `"type":"response.${this.#name}.done",${this.#where},${name}"${member}":${this.#quoted}`
    const isOwed = (this.#isWrapped || isSilent) && words !== ''
    return isOwed ? [this.#delta(words), done] : [done]
  }

  json(status: Status): string {
    return this.#item(status)
  }

  #delta(text: string): string {
    return `"type":"response.${this.#name}.delta",${this.#where},"delta":${JSON.stringify(text)}`
  }

  #item(status: Status): string {
    return callJson(this.#id, status, { kind: this.#kind, head: this.#head, quoted: this.#quoted })
  }
}
