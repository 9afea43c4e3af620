import { inputTotal } from '../../../db/model/usage.ts'
import { concat, fromLatin1, fromText, latin1 } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { decodeLatin1, parseData } from '../openai/chunk.ts'
import { estimated } from '../openai/usage.ts'
import { dataOf, frameEnd, SseFramer } from '../sse.ts'
import type { Additions, Ask, ByteText, Metered, StreamTap } from '../wire.ts'
import { countWritten, endOfString } from '../written.ts'
import { estimateMessages } from './estimate.ts'
import { lateComment } from './late.ts'
import { mergeUsage, readAnthropicUsage, writeDeltaUsage } from './usage.ts'
import { type Json, record, records, textOr } from './values.ts'

const TERMINATOR = 'event: message_stop\ndata: {"type":"message_stop"}\n\n'
const DELTA = '"content_block_delta"'
/** How the text of a delta begins, in the form that the API writes. */
const TEXT_KEYS = ['"text":"', '"thinking":"', '"partial_json":"'] as const
const MAX_FAILURE = 1000
const ERROR_EVENT = /^event: ?error\r?$/m

/**
 * Follows a Messages stream: every frame goes through as it came, `message_stop` at the very end. Deltas are only searched
 * for their text; the few other events are parsed.
 */
export function tapAnthropic(ask: Ask): StreamTap {
  return new AnthropicTap(ask)
}

class AnthropicTap implements StreamTap {
  begun = false
  done = false
  failure: string | null = null
  readonly #ask: Ask
  readonly #framer = new SseFramer()
  readonly #output = new TokenEstimator()
  /** What the provider has said of usage so far. */
  #usage: Json | null = null
  /** The counters are complete: those of `message_start` know nothing of the answer. */
  #usageComplete = false
  #reasonGiven = false
  #terminator: ByteText = TERMINATOR
  /** The block that is being written. */
  #open: number | null = null

  constructor(ask: Ask) {
    this.#ask = ask
  }

  get finished(): boolean {
    return this.done || this.#reasonGiven
  }

  get written(): number {
    return this.#output.tokens
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
    const said = readAnthropicUsage(this.#usage)
    if (said !== null && this.#usageComplete) return { usage: said, source: 'provider' }
    const output = this.#output.tokens
    // Some who copy the API begin with zeros.
    const knowsInput = said !== null && inputTotal(said) > 0
    const usage = knowsInput ? { ...said, output, reasoning: 0 } : estimated(estimateMessages(this.#ask), output)
    return { usage, source: 'estimated' }
  }

  cut(): Uint8Array {
    const stop = this.#open === null ? '' : frameOf('content_block_stop', { index: this.#open })
    const delta = { stop_reason: 'max_tokens', stop_sequence: null }
    const usage = writeDeltaUsage(this.metered().usage)
    return fromText(stop + frameOf('message_delta', { delta, usage }))
  }

  fail(face: object): Uint8Array {
    return fromText(`event: error\ndata: ${JSON.stringify(face)}\n\n`)
  }

  finish(additions: Additions | null): Uint8Array {
    return concat([fromText(lateComment(additions)), fromLatin1(this.#terminator)])
  }

  #frames(frames: Uint8Array): Uint8Array | null {
    const text = latin1(frames)
    for (let from = 0; from < text.length; ) {
      const end = frameEnd(text, from)
      if (!this.#countDelta(frames, text, { from, end })) this.#read(text.slice(from, end))
      if (this.done || this.failure !== null) return from === 0 ? null : frames.subarray(0, from)
      from = end
    }
    return frames
  }

  /** Counts the text of an ordinary delta where it stands. @returns false for any other event */
  #countDelta(frames: Uint8Array, text: ByteText, { from, end }: { from: number; end: number }): boolean {
    const frame = text.slice(from, end)
    const found = frame.indexOf(DELTA)
    if (found < 0) return false
    for (const key of TEXT_KEYS) {
      const at = frame.indexOf(key, found)
      if (at < 0) continue
      const start = at + key.length
      const stop = endOfString(frame, start, frame.length)
      if (stop > start) this.#countString(frames, text, { start: from + start, stop: from + stop })
      return stop < frame.length
    }
    return false
  }

  #countString(bytes: Uint8Array, text: ByteText, { start, stop }: { start: number; stop: number }): void {
    this.begun = true
    countWritten(this.#output, bytes, { text, start, stop })
  }

  #read(frame: ByteText): void {
    const data = dataOf(frame)
    const event = parseData(data)
    if (event === null || typeof event.type !== 'string') return this.#readNameless(frame, data)
    switch (event.type) {
      case 'message_start':
        return this.#readStart(record(event.message))
      case 'content_block_stop':
        this.#open = null
        return
      case 'content_block_start':
        this.#open = typeof event.index === 'number' ? event.index : null
        return this.#countBlock(record(event.content_block))
      case 'content_block_delta':
        return this.#countText(record(event.delta))
      case 'message_delta':
        return this.#readEnd(event)
      case 'message_stop':
        this.done = true
        this.#terminator = frame
        return
      case 'error':
        this.failure = decodeLatin1(data!).slice(0, MAX_FAILURE)
    }
  }

  /** Servers that say an event's kind only in its name, and errors in other clothes. */
  #readNameless(frame: ByteText, data: string | null): void {
    const isError = ERROR_EVENT.test(frame) || typeof parseData(data)?.error === 'object'
    if (data !== null && isError) this.failure = decodeLatin1(data).slice(0, MAX_FAILURE)
  }

  /** Mostly empty; a turn that only resumes a program of the provider's comes whole in its beginning. */
  #readStart(message: Json): void {
    this.#usage = mergeUsage(this.#usage, message.usage)
    for (const block of records(message.content)) this.#countBlock(block)
    if (textOr(message.stop_reason) !== null) this.#readEnd({ delta: message, usage: message.usage })
  }

  #readEnd(event: Json): void {
    this.#reasonGiven ||= textOr(record(event.delta).stop_reason) !== null
    if (readAnthropicUsage(event.usage) === null) return
    this.#usage = mergeUsage(this.#usage, event.usage)
    this.#usageComplete = true
  }

  #countBlock(block: Json): void {
    this.#countText(block)
    if (block.type !== 'text' && block.type !== 'thinking') this.begun = true
    const name = textOr(block.name)
    if (name !== null) this.#output.add(fromText(name))
  }

  #countText({ text, thinking, partial_json }: Json): void {
    for (const piece of [text, thinking, partial_json]) {
      if (typeof piece !== 'string' || piece === '') continue
      this.begun = true
      this.#output.add(fromText(piece))
    }
  }
}

function frameOf(type: string, members: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`
}
