import type { Usage } from '../../../db/model/usage.ts'
import { concat, fromLatin1, fromText, latin1, toByteText } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { readMember } from '../json.ts'
import { dataOf, frameEnd, SseFramer, splitFrames, withData } from '../sse.ts'
import type { Additions, Ask, ByteText, Metered, StreamTap } from '../wire.ts'
import { countWritten, endOfString } from '../written.ts'
import { bodyAdditions, withAdditions } from './additions.ts'
import { type Chunk, choicesOf, failureOf, parseData, usageOf, withoutUsage } from './chunk.ts'
import { estimated, readOpenaiUsage, writeOpenaiUsage } from './usage.ts'

/** A usage member with something in it; `"usage":null` is on every chunk of a stream that was asked for usage. */
const USAGE = /"usage"\s*:\s*\{/
const NULL_USAGE = ',"usage":null}'
const NULL_USAGE_ELSEWHERE = /,\s*"usage"\s*:\s*null(?=\s*[,}])|"usage"\s*:\s*null\s*,/g
const USAGE_NAME = '"usage"'
const REASON = '"finish_reason"'
const QUOTE = 0x22
const TERMINATOR = 'data: [DONE]\n\n'

export interface StreamShape {
  /** How the text of an ordinary chunk begins, such as `"content":"`. */
  readonly textKey: string
  /** Every text in a chunk's choices, for chunks of another form than the ordinary. */
  texts(chunk: Chunk): string[]
  /** Tokens of the prompt, when nobody counted them. */
  promptTokens(ask: Ask): number
}

/**
 * Follows a stream of OpenAI's chunks, chat or completions: every frame goes through as it came, except that a caller
 * who didn't ask for usage sees none. All searching is done on one byte-for-character string a chunk.
 */
export function tapOpenai(ask: Ask, shape: StreamShape, mender: FrameMender | null = null): StreamTap {
  return new OpenaiTap(ask, shape, mender)
}

/** Brings frames into the shape that OpenAI's own have; the same string when nothing is to be done. */
export interface FrameMender {
  frames(text: ByteText): ByteText
}

class OpenaiTap implements StreamTap {
  begun = false
  done = false
  failure: string | null = null
  readonly #ask: Ask
  readonly #shape: StreamShape
  readonly #mender: FrameMender | null
  readonly #framer = new SseFramer()
  readonly #output = new TokenEstimator()
  #usage: Usage | null = null
  /** Some chunk with content had usage in it as well, and went on like that. */
  #usageShown = false
  /** The frame that carries usage and nothing else: it leaves at the end, or never. */
  #usageFrame: string | null = null
  #terminator = TERMINATOR
  #first: Chunk | null = null
  #reasonGiven = false

  constructor(ask: Ask, shape: StreamShape, mender: FrameMender | null) {
    this.#ask = ask
    this.#shape = shape
    this.#mender = mender
  }

  get finished(): boolean {
    return this.done || this.#usageFrame !== null || this.#reasonGiven
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
    const isWhole = dataOf(frame)?.trim() === '[DONE]' || parseData(dataOf(frame)) !== null
    return isWhole ? this.#frames(fromLatin1(frame)) : null
  }

  metered(): Metered {
    if (this.#usage !== null) return { usage: this.#usage, source: 'provider' }
    return { usage: estimated(this.#shape.promptTokens(this.#ask), this.#output.tokens), source: 'estimated' }
  }

  cut(): Uint8Array {
    const { id, object, created, model } = this.#first ?? {}
    const said = this.#shape.textKey.startsWith('"text"') ? { text: '', logprobs: null } : { delta: {}, logprobs: null }
    const choices = Array.from({ length: this.#answers() }, (_, index) => ({ index, ...said, finish_reason: 'length' }))
    return fromText(`data: ${JSON.stringify({ id, object, created, model, choices })}\n\n`)
  }

  #answers(): number {
    const n = readMember(this.#ask.body, this.#ask.members, 'n')
    return typeof n === 'number' && n > 1 && n <= 128 ? Math.floor(n) : 1
  }

  fail(face: object): Uint8Array {
    return fromText(`data: ${JSON.stringify(face)}\n\n`)
  }

  finish(additions: Additions | null): Uint8Array {
    const isAwaited = this.#ask.wantsUsage && (this.#usageFrame !== null || !this.#usageShown)
    return fromLatin1((isAwaited ? this.#lastChunk(additions) : comment(additions)) + this.#terminator)
  }

  #frames(given: Uint8Array): Uint8Array | null {
    const said = latin1(given)
    const text = this.#mender === null ? said : this.#mender.frames(said)
    const frames = text === said ? given : fromLatin1(text)
    if (this.#isOrdinary(text)) return this.#pass(frames, text)
    const out: Uint8Array[] = []
    for (const frame of splitFrames(text)) {
      const bytes = this.#isOrdinary(frame) ? this.#pass(fromLatin1(frame), frame) : this.#special(frame)
      if (bytes !== null) out.push(bytes)
      if (this.done || this.failure !== null) break
    }
    return out.length === 0 ? null : concat(out)
  }

  /** True when none of the frames ends the stream, fails it or carries usage. */
  #isOrdinary(text: string): boolean {
    if (text.includes('[DONE]') || text.includes('error')) return false
    return !text.includes(USAGE_NAME) || !USAGE.test(text)
  }

  #pass(frames: Uint8Array, text: string): Uint8Array {
    this.#count(frames, text)
    if (this.#first === null) this.#first = firstChunk(text)
    const reason = text.lastIndexOf(REASON)
    if (reason >= 0) this.#reasonGiven = beginsText(text, reason + REASON.length)
    return this.#ask.wantsUsage ? frames : withoutNull(frames, text)
  }

  /**
   * Adds the text of all frames to the estimate. A frame with one text is counted where it stands; any other is parsed:
   * the count depends on each frame alone, not on how they come.
   */
  #count(bytes: Uint8Array, text: string): void {
    const key = this.#shape.textKey
    let hit = text.indexOf(key)
    for (let from = 0; from < text.length; ) {
      const end = frameEnd(text, from)
      if (hit < 0 || hit >= end) this.#countParsed(text.slice(from, end))
      else {
        const start = hit + key.length
        const stop = endOfString(text, start, end)
        hit = text.indexOf(key, start)
        if (stop > start && (hit < 0 || hit >= end)) this.#countString(bytes, text, { start, stop })
        else this.#countParsed(text.slice(from, end))
        if (hit >= 0 && hit < end) hit = text.indexOf(key, end)
      }
      from = end
    }
  }

  #countString(bytes: Uint8Array, text: ByteText, { start, stop }: { start: number; stop: number }): void {
    this.begun = true
    countWritten(this.#output, bytes, { text, start, stop })
  }

  #countParsed(frame: string): void {
    const chunk = parseData(dataOf(frame))
    if (chunk === null) return
    for (const piece of this.#shape.texts(chunk)) this.#output.add(fromText(piece))
    this.begun ||= this.#output.tokens > 0 || choicesOf(chunk).some(hasParts)
  }

  /** A frame that may hold usage, an error or the terminator; null when nothing of it goes on now. */
  #special(frame: string): Uint8Array | null {
    const data = dataOf(frame)
    if (data?.trim() === '[DONE]') {
      this.done = true
      this.#terminator = frame
      return null
    }
    const chunk = parseData(data)
    // What a provider charges for an answer that fails comes with the failure.
    if (chunk !== null) this.#usage = usageOf(chunk) ?? this.#usage
    this.failure = failureOf(frame, data, chunk)
    if (this.failure !== null) return null
    if (chunk === null) return this.#pass(fromLatin1(frame), frame)
    if (typeof chunk.usage !== 'object' || chunk.usage === null) return this.#pass(fromLatin1(frame), frame)
    const isReadable = readOpenaiUsage(chunk.usage) !== null
    if (isReadable && choicesOf(chunk).length === 0) {
      // OpenAI's own client fails on a chunk without choices.
      this.#usageFrame = 'choices' in chunk ? frame : withData(frame, data!.replace('{', '{"choices":[],'))
      return null
    }
    this.#usageShown ||= isReadable
    const shown = this.#ask.wantsUsage ? frame : withData(frame, withoutUsage(data!.replaceAll('\n', ' ')))
    return this.#pass(fromLatin1(shown), shown)
  }

  /** The last chunk of a caller who asked for usage: the provider's own, or one made from what we counted. */
  #lastChunk(additions: Additions | null): ByteText {
    if (this.#usageFrame !== null) return additions === null ? this.#usageFrame : added(this.#usageFrame, additions)
    const made = writeOpenaiUsage(this.metered().usage)
    const { id, object, created, model } = this.#first ?? {}
    const value = { id, object, created, model, choices: [], ...(additions === null ? { usage: made } : {}) }
    const text = toByteText(JSON.stringify(value))
    if (additions === null) return `data: ${text}\n\n`
    const addition = { additions, made, isEstimated: this.#usage === null }
    return `data: ${withAdditions({ bytes: fromLatin1(text), text, value }, addition)}\n\n`
  }
}

function added(frame: ByteText, additions: Additions): ByteText {
  const text = dataOf(frame)!.replaceAll('\n', ' ')
  const body = { bytes: fromLatin1(text), text, value: parseData(text)! }
  return withData(frame, withAdditions(body, { additions, made: null, isEstimated: false }))
}

/** What is known late, where no chunk can carry it. */
function comment(additions: Additions | null): ByteText {
  return additions === null ? '' : `: watchllm {${bodyAdditions(additions)}}\n\n`
}

/** The frames without `"usage":null`, which only our request for usage brought about. */
function withoutNull(frames: Uint8Array, text: ByteText): Uint8Array {
  const at = text.indexOf(USAGE_NAME)
  if (at < 0) return frames
  const isUsual = text.startsWith(NULL_USAGE, at - 1) && text.indexOf(USAGE_NAME, at + 1) < 0
  if (isUsual) return fromLatin1(text.slice(0, at - 1) + text.slice(at - 2 + NULL_USAGE.length))
  return fromLatin1(text.replaceAll(NULL_USAGE, '}').replace(NULL_USAGE_ELSEWHERE, ''))
}

/** A colon and a string that is not empty stand there. */
function beginsText(text: ByteText, from: number): boolean {
  let at = from
  while (isSpaceOrColon(text.charCodeAt(at))) at++
  return text.charCodeAt(at) === QUOTE && text.charCodeAt(at + 1) !== QUOTE
}

function isSpaceOrColon(code: number): boolean {
  return code === 0x3a || code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function firstChunk(text: string): Chunk | null {
  for (const frame of splitFrames(text)) {
    const chunk = parseData(dataOf(frame))
    if (chunk !== null) return chunk
  }
  return null
}

/** Something other than text has come: calls of tools, sound, pictures. */
function hasParts(choice: unknown): boolean {
  const delta: unknown = (choice as { delta?: unknown } | null)?.delta
  if (typeof delta !== 'object' || delta === null) return false
  return Object.values(delta).some((part) => typeof part === 'object' && part !== null)
}
