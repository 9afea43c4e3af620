import type { StreamReader } from '../dialect.ts'
import type { Delta, Part, Proof, StreamEvent } from '../model.ts'
import { isRecord, type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'
import { PartOrder } from '../part-order.ts'
import { AnswerError } from '../wire.ts'
import { excerpt, readFinish } from './answer.ts'
import { logprobsIn, proofIn, readCall, readItem } from './items.ts'
import { readAnnotation } from './parts.ts'
import { readResponsesUsage } from './usage.ts'

/** A provider's events -> canonical ones. */
export function readStream(callId: string): StreamReader {
  return new Reader(callId)
}

/** What has come of one output item. Items are known by their place: some providers change ids as they go. */
interface Item {
  /** Keys of the parts that have begun. Whole items repeat them at their end: what is here is not read again. */
  readonly heard: Set<string>
  /** How many citations have come for each. */
  readonly cited: Map<string, number>
  /** A call's arguments have come. */
  isSpoken: boolean
  isDone: boolean
}

type Kind = 'text' | 'refusal' | 'summary' | 'thought' | 'call'

const KIND_OF: Readonly<Record<string, Kind>> = {
  output_text: 'text',
  refusal: 'refusal',
  summary_text: 'summary',
  reasoning_text: 'thought',
}

const EMPTY = ''

class Reader implements StreamReader {
  finished = false
  readonly #callId: string
  readonly #items = new Map<number, Item>()
  readonly #seen: Part[] = []
  readonly #order = new PartOrder(0, (event) => this.#out.push(event))
  #out: StreamEvent[] = []
  #started = false

  constructor(callId: string) {
    this.#callId = callId
  }

  read(event: string | null, data: string): StreamEvent[] {
    if (data === '[DONE]') return []
    const value = parse(data)
    this.#out = []
    this.#event(textOr(value.type, event ?? EMPTY), value)
    return this.#out
  }

  close(): StreamEvent[] {
    this.#out = []
    if (!this.finished) this.#order.closeAll()
    return this.#out
  }

  #event(type: string, event: Json): void {
    switch (type) {
      case 'response.output_text.delta':
        return this.#say(event, 'text', textDelta(event))
      case 'response.reasoning_summary_text.delta':
        return this.#say(event, 'summary', { text: textOr(event.delta, EMPTY) })
      case 'response.reasoning_text.delta':
      case 'response.reasoning.delta':
        return this.#say(event, 'thought', { text: textOr(event.delta, EMPTY) })
      case 'response.refusal.delta':
        return this.#say(event, 'refusal', { text: textOr(event.delta, EMPTY) })
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        return this.#say(event, 'call', { text: textOr(event.delta, EMPTY) })
      case 'response.function_call_arguments.done':
        return this.#callDone(placeOf(event), textOr(event.arguments, EMPTY))
      case 'response.custom_tool_call_input.done':
        return this.#callDone(placeOf(event), textOr(event.input, EMPTY))
      case 'response.output_text.annotation.added':
        return this.#say(event, 'text', { citations: [readAnnotation(record(event.annotation))] })
      case 'response.content_part.done':
        return this.#partDone(placeOf(event), numberOr(event.content_index, 0), record(event.part))
      case 'response.reasoning_summary_part.done':
        return this.#partDone(placeOf(event), numberOr(event.summary_index, 0), record(event.part))
      case 'response.output_item.added':
        return this.#added(placeOf(event), record(event.item))
      case 'response.output_item.done':
        return this.#done(placeOf(event), record(event.item))
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return this.#start(record(event.response))
      case 'response.completed':
      case 'response.incomplete':
        return this.#complete(record(event.response))
      case 'response.failed':
        return this.#failed(record(event.response))
      case 'error':
        return this.#error(record(event.error ?? event))
      default:
        // Progress of the provider's own tools, pings, ends of texts that have been read.
        if (type === EMPTY && event.error !== undefined) this.#error(record(event.error))
    }
  }

  #start(response: Json): void {
    if (this.#started) return
    this.#started = true
    const id = textOr(response.id, null)
    const createdAtS = numberOr(response.created_at, null)
    this.#out.push({ type: 'start', id, model: textOr(response.model, null), createdAtS })
  }

  #itemAt(place: number): Item {
    const known = this.#items.get(place)
    if (known !== undefined) return known
    this.#start({})
    const item: Item = { heard: new Set(), cited: new Map(), isSpoken: false, isDone: false }
    this.#items.set(place, item)
    return item
  }

  #added(place: number, value: Json): void {
    const item = this.#itemAt(place)
    if (!isCall(value) || item.heard.size > 0) return
    // Arguments that stand here already come again whole at the end.
    this.#open(item, callKey(place), { ...readCall(value, this.#spareId(place)), arguments: EMPTY })
  }

  /** A delta for a part, which begins with it unless it has. */
  #say(event: Json, kind: Kind, delta: Delta): void {
    const place = placeOf(event)
    const item = this.#itemAt(place)
    const key =
      kind === 'call' ? callKey(place) : keyOf(place, kind, numberOr(event.content_index ?? event.summary_index, 0))
    if (kind === 'call') item.isSpoken = true
    if (delta.citations !== undefined) item.cited.set(key, (item.cited.get(key) ?? 0) + 1)
    if (!this.#order.has(key)) this.#open(item, key, newPart(kind))
    this.#order.delta(key, delta)
  }

  /** A thought that is still open when the next part begins has said all but its proof: nothing waits for that. */
  #open(item: Item, key: string, part: Part): void {
    const { current } = this.#order
    if (current !== null && THOUGHT.test(current)) this.#order.close(current)
    item.heard.add(key)
    this.#seen.push(part)
    this.#order.open(key, part)
  }

  /** What is said again whole, where it has not been said before. A thought stays open for the proof of its item. */
  #partDone(place: number, index: number, part: Json): void {
    const kind = KIND_OF[textOr(part.type, EMPTY)]
    if (kind === undefined) return
    const item = this.#itemAt(place)
    const key = keyOf(place, kind, index)
    const text = textOr(part.text ?? part.refusal, EMPTY)
    if (!item.heard.has(key)) {
      if (text === EMPTY) return
      this.#open(item, key, newPart(kind))
      this.#order.delta(key, { text, ...logprobsOf(part) })
    }
    const citations = records(part.annotations)
      .slice(item.cited.get(key) ?? 0)
      .map(readAnnotation)
    if (citations.length > 0 && this.#order.has(key)) this.#order.delta(key, { citations })
    if (kind === 'text' || kind === 'refusal') this.#order.close(key)
  }

  #done(place: number, value: Json): void {
    const item = this.#itemAt(place)
    if (item.isDone) return
    item.isDone = true
    if (item.heard.size === 0) return this.#whole(place, value, item)
    for (const [index, part] of records(value.summary).entries()) this.#partDone(place, index, part)
    for (const [index, part] of records(value.content).entries()) this.#partDone(place, index, part)
    if (isCall(value)) this.#callDone(place, readCall(value, EMPTY).arguments)
    const proof = value.type === 'reasoning' ? proofIn(value) : null
    const keys = [...item.heard]
    if (proof !== null) this.#prove(keys.at(-1)!, proof)
    for (const key of keys) this.#order.close(key)
  }

  #prove(key: string, proof: Proof): void {
    if (this.#order.has(key)) return this.#order.delta(key, { proof })
    this.#order.whole(`${key}!`, { type: 'reasoning', text: EMPTY, summary: false, proof })
  }

  /** Servers that stream no arguments give them at the end. */
  #callDone(place: number, written: string): void {
    const item = this.#items.get(place)
    if (item === undefined || item.isSpoken || !item.heard.has(callKey(place))) return
    item.isSpoken = true
    if (written !== EMPTY) this.#order.delta(callKey(place), { text: written })
  }

  #whole(place: number, value: Json, item: Item): void {
    readItem(value, this.#spareId(place)).forEach((part, index) => {
      const key = `${place}.whole.${index}`
      this.#open(item, key, part)
      this.#order.close(key)
    })
  }

  #spareId(place: number): string {
    return `call_${this.#callId}_${place}`
  }

  #complete(response: Json): void {
    this.#start(response)
    records(response.output).forEach((item, place) => {
      if (!this.#items.has(place)) this.#done(place, item)
    })
    this.#order.closeAll()
    const usage = readResponsesUsage(response.usage)
    if (usage !== null) this.#out.push({ type: 'usage', usage })
    this.#out.push({ type: 'finish', choice: 0, finish: readFinish(response, this.#seen) }, { type: 'end' })
    this.finished = true
  }

  #failed(response: Json): void {
    this.#start(response)
    const usage = readResponsesUsage(response.usage)
    if (usage !== null) this.#out.push({ type: 'usage', usage })
    this.#error(record(response.error))
  }

  #error(error: Json): void {
    this.#start({})
    this.#order.closeAll()
    const message = textOr(error.message, EMPTY) || excerpt(error)
    const code = textOr(error.code ?? error.type, null)
    this.#out.push({ type: 'error', error: { message, code } })
  }
}

const THOUGHT = /\.(?:summary|thought)\./

function isCall(item: Json): boolean {
  return item.type === 'function_call' || item.type === 'custom_tool_call'
}

function placeOf(event: Json): number {
  return numberOr(event.output_index, 0)
}

function keyOf(place: number, kind: Kind, index: number): string {
  return `${place}.${kind}.${index}`
}

function callKey(place: number): string {
  return `${place}.call`
}

function newPart(kind: Kind): Part {
  if (kind === 'call') throw new AnswerError('The stream has arguments for a call that has not begun')
  if (kind === 'text' || kind === 'refusal') return { type: kind, text: EMPTY }
  return { type: 'reasoning', text: EMPTY, summary: kind === 'summary', proof: null }
}

function textDelta(event: Json): Delta {
  return { text: textOr(event.delta, EMPTY), ...logprobsOf(event) }
}

/** As OpenAI's chat says them. */
function logprobsOf(value: Json): { logprobs?: unknown } {
  const content = logprobsIn(value.logprobs)
  return content.length === 0 ? {} : { logprobs: { content } }
}

function parse(data: string): Json {
  try {
    const value: unknown = JSON.parse(data)
    if (isRecord(value)) return value
  } catch {
    // Said below.
  }
  throw new AnswerError(`An event of the stream is no JSON object: ${data.slice(0, 200)}`)
}
