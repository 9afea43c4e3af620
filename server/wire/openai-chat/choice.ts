import type { Citation, Delta, StreamEvent } from '../model.ts'
import { PartOrder } from '../part-order.ts'
import { readFinish } from './finish.ts'
import { readUrl, thinkingText } from './messages.ts'
import { joinBase64, readAnnotations, readAudio } from './parts.ts'
import { type ChatProof, makeProof, readDetail } from './thoughts.ts'
import { isRecord, type Json, record, records, textOr } from './values.ts'

const TEXT = 'text'
const REFUSAL = 'refusal'
const THOUGHT = 'thought'

interface OpenCall {
  readonly key: string
  readonly id: string
  readonly kind: 'function' | 'custom'
  readonly pieces: string[]
}

/** One choice of a chat stream: its deltas become parts that follow each other. */
export class ChoiceReader {
  hasReason = false
  readonly #index: number
  readonly #from: { callId: string; model: string; emit: (event: StreamEvent) => void }
  readonly #order: PartOrder
  /** By the numbers or ids that deltas go on with. */
  readonly #calls = new Map<unknown, OpenCall>()
  /** By their keys in the order of parts. */
  readonly #begun = new Map<string, OpenCall>()
  #lastCall: OpenCall | null = null
  #reason: unknown = null
  #hasRefusal = false
  /** How the thought that is open goes back to its provider. */
  #thought: ChatProof | null = null
  #thoughtKey: unknown = null
  #audio: { pieces: string[]; transcript: string } | null = null

  constructor(index: number, from: { callId: string; model: string; emit: (event: StreamEvent) => void }) {
    this.#index = index
    this.#from = from
    this.#order = new PartOrder(index, from.emit)
  }

  read(choice: Json): void {
    const delta = record(choice.delta ?? choice.message)
    const details = Array.isArray(delta.reasoning_details) ? records(delta.reasoning_details) : []
    if (details.length > 0) for (const detail of details) this.#detail(detail)
    else this.#plainThought(delta)
    const logprobs = isRecord(choice.logprobs) ? choice.logprobs : null
    this.#content(delta.content, logprobs)
    if (typeof delta.refusal === 'string') this.#text(REFUSAL, delta.refusal, logprobs)
    if (delta.annotations) this.#citations(readAnnotations(delta.annotations))
    if (delta.audio) this.#sound(record(delta.audio))
    if (delta.images) for (const image of records(delta.images)) this.#image(image)
    if (delta.tool_calls) for (const call of records(delta.tool_calls)) this.#call(call)
    if (isRecord(delta.function_call)) this.#call({ index: 0, function: delta.function_call })
    if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') this.#close(choice.finish_reason)
  }

  /** A chunk's piece of text, when there is nothing else in the chunk. */
  readText(text: string): void {
    this.#text(TEXT, text, null)
  }

  closeParts(): void {
    this.#endThought()
    this.#order.closeAll()
    if (this.#audio === null) return
    this.#order.whole('audio', readAudio(joinBase64(this.#audio.pieces), this.#audio.transcript))
    this.#audio = null
  }

  finish(): void {
    this.closeParts()
    const has = { calls: this.#begun.size > 0, refusal: this.#hasRefusal }
    this.#from.emit({ type: 'finish', choice: this.#index, finish: readFinish(this.#reason, has) })
  }

  #close(reason: string): void {
    this.#reason = reason
    this.hasReason = true
    this.closeParts()
    this.#calls.clear()
  }

  #content(content: unknown, logprobs: unknown): void {
    if (typeof content === 'string') return this.#text(TEXT, content, logprobs)
    for (const item of records(content)) {
      if (item.type === 'thinking') this.#thinking(thinkingText(item.thinking), 'reasoning_content')
      else this.#text(TEXT, textOr(item.text, ''), null)
    }
  }

  #text(key: typeof TEXT | typeof REFUSAL, text: string, logprobs: unknown): void {
    if (text === '') return
    if (key === REFUSAL) this.#hasRefusal = true
    if (!this.#order.has(key)) this.#begin(key, { type: key, text: '' })
    this.#order.delta(key, logprobs === null ? { text } : { text, logprobs })
  }

  /** Text, refusal and thought end when another begins; calls may still go on, and hold the other back. */
  #begin(key: string, part: { type: typeof TEXT | typeof REFUSAL; text: string }): void {
    this.#endThought()
    for (const other of [TEXT, REFUSAL]) if (other !== key) this.#order.close(other)
    this.#endWholeCall()
    this.#order.open(key, part)
  }

  #plainThought(delta: Json): void {
    for (const name of ['reasoning_content', 'reasoning'] as const) {
      const text = delta[name]
      if (typeof text === 'string' && text !== '') return this.#thinking(text, name)
    }
  }

  #thinking(text: string, name: 'reasoning_content' | 'reasoning'): void {
    if (text === '') return
    if (this.#thoughtKey !== name) this.#beginThought(name, false)
    this.#thought = { model: this.#from.model, in: name }
    this.#order.delta(THOUGHT, { text })
  }

  /** One detail may come in many pieces: those of one kind and number are one thought. */
  #detail(detail: Json): void {
    const part = readDetail(detail, this.#from.model)
    const key = `${String(detail.type)} ${String(detail.index)}`
    if (this.#thoughtKey !== key) this.#beginThought(key, part.summary)
    const { text: _, summary: __, ...rest } = detail
    const before = this.#thought?.detail ?? {}
    const filled = Object.entries(rest).filter(([name, value]) => value !== null || before[name] === undefined)
    const kept = { ...before, ...Object.fromEntries(filled) }
    this.#thought = { model: this.#from.model, in: 'reasoning_details', detail: kept }
    if (part.text !== '') this.#order.delta(THOUGHT, { text: part.text })
  }

  #beginThought(key: string, summary: boolean): void {
    this.#endThought()
    this.#order.close(TEXT)
    this.#order.close(REFUSAL)
    this.#endWholeCall()
    this.#thoughtKey = key
    this.#order.open(THOUGHT, { type: 'reasoning', text: '', summary, proof: null })
  }

  #endThought(): void {
    if (this.#thoughtKey === null) return
    const detail = this.#thought?.detail
    const proof =
      detail === undefined ? this.#thought && makeProof(this.#thought) : readDetail(detail, this.#from.model).proof
    if (proof !== null) this.#order.delta(THOUGHT, { proof })
    this.#order.close(THOUGHT)
    this.#thoughtKey = null
    this.#thought = null
  }

  #citations(citations: readonly Citation[]): void {
    if (citations.length === 0) return
    if (!this.#order.has(TEXT)) this.#begin(TEXT, { type: TEXT, text: '' })
    this.#order.delta(TEXT, { citations })
  }

  #sound({ data, transcript }: Json): void {
    this.#audio ??= { pieces: [], transcript: '' }
    if (typeof data === 'string') this.#audio.pieces.push(data)
    if (typeof transcript === 'string') this.#audio.transcript += transcript
  }

  #image(image: Json): void {
    const { url } = record(image.image_url)
    if (typeof url !== 'string') return
    this.#endThought()
    this.#order.close(TEXT)
    this.#order.whole('image', { type: 'image', source: readUrl(url), detail: null })
  }

  #call(said: Json): void {
    const kind = said.type === 'custom' || (said.custom && !said.function) ? 'custom' : 'function'
    const body = record(said[kind])
    const call = this.#callOf(said, { kind, name: textOr(body.name, '') })
    if (call === null) return
    const text = kind === 'custom' ? body.input : body.arguments
    const written = isRecord(text) ? JSON.stringify(text) : textOr(text, '')
    if (written === '') return
    call.pieces.push(written)
    this.#order.delta(call.key, { text: written } satisfies Delta)
    if (this.#order.isHolding && this.#order.current === call.key) this.#endWholeCall()
  }

  /**
   * The call that a delta goes on with, or a new one: by its number, and where one number stands for several calls or
   * there is none, by its id.
   */
  #callOf(said: Json, { kind, name }: { kind: 'function' | 'custom'; name: string }): OpenCall | null {
    const id = textOr(said.id, '')
    const number = said.index ?? (id === '' ? null : id)
    const known = number === null ? this.#lastCall : this.#calls.get(number)
    const isKnown = known !== undefined && known !== null && (id === '' || id === known.id || name === '')
    if (isKnown) return known
    // Half a call of a provider that says more after its end.
    if (name === '') return null
    this.#endThought()
    this.#order.close(TEXT)
    this.#order.close(REFUSAL)
    this.#endWholeCall()
    const at = this.#begun.size
    const call: OpenCall = { key: `call ${at}`, id: id || `call_${this.#from.callId}_${at}`, kind, pieces: [] }
    this.#calls.set(number, call)
    this.#begun.set(call.key, call)
    this.#lastCall = call
    this.#order.open(call.key, { type: 'tool-call', id: call.id, name, arguments: '', kind })
    return call
  }

  /**
   * No provider says when the arguments of a call are complete; they are when they are one JSON object. Looked at only
   * when something else begins or waits.
   */
  #endWholeCall(): void {
    do {
      const call = this.#begun.get(this.#order.current ?? '')
      if (call === undefined || !isWhole(call)) return
      this.#order.close(call.key)
    } while (this.#order.isHolding)
  }
}

function isWhole({ kind, pieces }: OpenCall): boolean {
  if (kind === 'custom') return true
  if (!pieces.at(-1)?.trimEnd().endsWith('}')) return false
  try {
    JSON.parse(pieces.join(''))
    return true
  } catch {
    return false
  }
}
