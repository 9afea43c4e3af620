import type { Usage } from '../../../db/model/usage.ts'
import { concat, fromLatin1, fromText, latin1, toByteText } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { bodyAdditions } from '../openai/additions.ts'
import { decodeLatin1, parseData } from '../openai/chunk.ts'
import { estimated } from '../openai/usage.ts'
import { isRecord, type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'
import { dataOf, eventOf, frameEnd, SseFramer, splitFrames } from '../sse.ts'
import type { Additions, Ask, ByteText, Metered, StreamTap } from '../wire.ts'
import { countWritten, endOfString } from '../written.ts'
import { cutResponse } from './cut.ts'
import { errorFrames } from './errors.ts'
import { readItem } from './items.ts'
import { readResponsesUsage } from './usage.ts'

const TERMINAL: ReadonlySet<string> = new Set(['response.completed', 'response.incomplete', 'response.failed'])
/** Events before anything is answered. */
const PRELUDE: ReadonlySet<string> = new Set([
  'response.created',
  'response.queued',
  'response.in_progress',
  'keepalive',
])
const DELTA = '"delta":"'
const DELTA_NAME = '"delta"'
const ITEM_DONE = 'response.output_item.done'
const SEQUENCE = /"sequence_number"\s*:\s*(\d+)/g
const MAX_FAILURE = 1000

/**
 * Follows a stream of Responses: every frame goes through as it came; the terminal event waits for `finish`. All
 * searching is done on one byte-for-character string a chunk.
 */
export function tapResponses(ask: Ask, promptTokens: (ask: Ask) => number): StreamTap {
  return new ResponsesTap(ask, promptTokens)
}

class ResponsesTap implements StreamTap {
  begun = false
  done = false
  failure: string | null = null
  readonly #ask: Ask
  readonly #promptTokens: (ask: Ask) => number
  readonly #framer = new SseFramer()
  readonly #output = new TokenEstimator()
  #usage: Usage | null = null
  /** The response as it was when it began: what failed is shown by it. */
  #created: Json | null = null
  #terminal: ByteText = ''
  /** The frames that were passed on last. */
  #last: ByteText = ''
  /** All of them, where the answer may be cut. */
  #passed: ByteText[] | null = null
  /** Places of items whose words have been counted as they came: they aren't counted again when the item is done. */
  readonly #counted = new Set<number>()

  constructor(ask: Ask, promptTokens: (ask: Ask) => number) {
    this.#ask = ask
    this.#promptTokens = promptTokens
  }

  get finished(): boolean {
    return this.done
  }

  get written(): number {
    return this.#output.tokens
  }

  mayCut(): void {
    this.#passed = []
  }

  cut(): Uint8Array {
    const { frames, terminal } = cutResponse((this.#passed ?? []).join(''), this.#created ?? {}, this.metered().usage)
    let sequence = this.#nextSequence()
    const write = (event: object): string => {
      const { type, ...members } = event as { readonly type: string }
      return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...members })}\n\n`
    }
    const closed = frames.map(write).join('')
    this.#terminal = toByteText(write(terminal))
    return fromText(closed)
  }

  push(chunk: Uint8Array): Uint8Array | null {
    if (this.done || this.failure !== null) return null
    const frames = this.#framer.push(chunk)
    return frames === null ? null : this.#frames(frames)
  }

  end(): Uint8Array | null {
    const frame = this.#framer.lastFrame()
    if (frame === null || this.done || this.failure !== null) return null
    // Half a frame helps nobody; a whole one that only lacks its empty line does.
    return parseData(dataOf(frame)) === null ? null : this.#frames(fromLatin1(frame))
  }

  metered(): Metered {
    if (this.#usage !== null) return { usage: this.#usage, source: 'provider' }
    return { usage: estimated(this.#promptTokens(this.#ask), this.#output.tokens), source: 'estimated' }
  }

  fail(face: object): Uint8Array {
    const created = this.#created
    const write = created && ((error: object) => JSON.stringify({ ...created, status: 'failed', error }))
    return fromText(errorFrames(face, { sequence: this.#nextSequence(), write }))
  }

  finish(additions: Additions | null): Uint8Array {
    const late = additions === null ? '' : `: watchllm {${bodyAdditions(additions)}}\n\n`
    return fromLatin1(late + this.#terminal)
  }

  #nextSequence(): number {
    const numbers = Array.from(this.#last.matchAll(SEQUENCE), ([, number]) => Number(number))
    return numbers.length === 0 ? 0 : Math.max(...numbers) + 1
  }

  #frames(frames: Uint8Array): Uint8Array | null {
    const text = latin1(frames)
    if (isOrdinary(text)) return this.#pass(frames, text)
    const out: Uint8Array[] = []
    for (const frame of splitFrames(text)) {
      const bytes = isOrdinary(frame) ? this.#pass(fromLatin1(frame), frame) : this.#special(frame)
      if (bytes !== null) out.push(bytes)
      if (this.done || this.failure !== null) break
    }
    return out.length === 0 ? null : concat(out)
  }

  #pass(frames: Uint8Array, text: ByteText): Uint8Array {
    this.#count(frames, text)
    if (text.includes(SEQUENCE_NAME)) this.#last = text
    this.#passed?.push(text)
    return frames
  }

  /** A frame that may begin the response, end it or fail it; null when nothing of it goes on now. */
  #special(frame: ByteText): Uint8Array | null {
    const event = parseData(dataOf(frame))
    if (event === null) return this.#pass(fromLatin1(frame), frame)
    const type = textOr(event.type, eventOf(frame) ?? '')
    if (type === 'error' || (type === '' && isRecord(event.error))) {
      this.failure = decodeLatin1(dataOf(frame)!).slice(0, MAX_FAILURE)
      return null
    }
    if (PRELUDE.has(type)) this.#created ??= record(event.response)
    if (!TERMINAL.has(type)) return this.#pass(fromLatin1(frame), frame)
    return this.#end(frame, type, record(event.response))
  }

  #end(frame: ByteText, type: string, response: Json): null {
    this.#usage = readResponsesUsage(response.usage) ?? this.#usage
    // A failure before the first word may still become another provider's answer.
    if (type === 'response.failed' && !this.begun && records(response.output).length === 0) {
      this.failure = JSON.stringify(response.error ?? null).slice(0, MAX_FAILURE)
      return null
    }
    this.#terminal = frame
    this.done = true
    return null
  }

  /**
   * Adds the text of all frames to the estimate. A frame with one delta is counted where it stands; any other that may
   * hold text is parsed: the count depends on each frame alone, not on how they come.
   */
  #count(bytes: Uint8Array, text: ByteText): void {
    let hit = text.indexOf(DELTA)
    for (let from = 0; from < text.length; ) {
      const end = frameEnd(text, from)
      if (hit >= 0 && hit < end) {
        this.#counted.add(placeIn(text, from, end))
        this.#countDelta(bytes, text, { start: hit + DELTA.length, end })
        hit = text.indexOf(DELTA, end)
      } else this.#countOther(text.slice(from, end))
      from = end
    }
  }

  #countDelta(bytes: Uint8Array, text: ByteText, { start, end }: { start: number; end: number }): void {
    const stop = endOfString(text, start, end)
    this.begun = true
    countWritten(this.#output, bytes, { text, start, stop })
  }

  #countOther(frame: ByteText): void {
    if (!frame.includes(DELTA_NAME) && !frame.includes(ITEM_DONE)) {
      this.begun ||= BEGINNING.test(frame)
      return
    }
    const event = parseData(dataOf(frame))
    if (event === null) return
    const place = numberOr(event.output_index, 0)
    if (typeof event.delta === 'string') {
      this.begun = true
      this.#counted.add(place)
      return this.#output.add(fromText(event.delta))
    }
    if (event.type !== ITEM_DONE) return
    this.begun = true
    if (!this.#counted.has(place)) this.#countItem(record(event.item))
  }

  /** An item that came whole. */
  #countItem(item: Json): void {
    for (const part of readItem(item, '')) {
      const { text, name, arguments: written } = part as { text?: unknown; name?: unknown; arguments?: unknown }
      for (const word of [text, name, written]) if (typeof word === 'string') this.#output.add(fromText(word))
    }
  }
}

const SEQUENCE_NAME = '"sequence_number"'
const PLACE = '"output_index":'
const BEGINNING = /"response\.(?:output_item|content_part)/

/** The item that a frame is about. */
function placeIn(text: ByteText, from: number, end: number): number {
  const at = text.indexOf(PLACE, from)
  return at < 0 || at >= end ? 0 : Number.parseInt(text.slice(at + PLACE.length, at + PLACE.length + 8), 10) || 0
}

/** True when none of the frames begins the response, ends it or fails it. */
function isOrdinary(text: ByteText): boolean {
  return !(
    text.includes('error') ||
    text.includes('response.created') ||
    text.includes('response.completed') ||
    text.includes('response.incomplete') ||
    text.includes('response.failed')
  )
}
