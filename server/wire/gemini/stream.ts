import type { Usage } from '../../../db/model/usage.ts'
import { concat, fromText } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { parseData } from '../openai/chunk.ts'
import { estimated } from '../openai/usage.ts'
import type { Metered, StreamTap } from '../wire.ts'
import { failureOf, hasParts, isLast, textsOf } from './chunk.ts'
import { ArrayFrames, EventFrames, type Frames, frameOf, type See } from './frames.ts'
import { readGeminiUsage } from './usage.ts'

/** What makes a chunk worth reading at once. JSON of a caller's making, which may hold any name, is in calls only. */
const RARE = /"(?:error|finishReason|promptFeedback|functionCall|toolCall|toolResponse)"/
const COUNTED = '"promptTokenCount"'
const PARTS = '"parts"'
const NOTHING = new Uint8Array(0)
const OPEN_BRACKET = 0x5b

/**
 * Follows a stream of Gemini's chunks, as server-sent events (`alt=sse`) or as one JSON array: every byte goes through
 * as it came, and the last usage counts. There is no terminator among events: a finish reason ends the answer.
 * @param promptTokens tokens of the prompt, for when nobody counted them
 */
export function tapGemini(promptTokens: () => number): StreamTap {
  return new GeminiTap(promptTokens)
}

class GeminiTap implements StreamTap {
  begun = false
  finished = false
  failure: string | null = null
  readonly #promptTokens: () => number
  readonly #output = new TokenEstimator()
  #frames: Frames | null = null
  /** White space before the first chunk tells nothing of its form. */
  #lead: Uint8Array = NOTHING
  #usage: Usage | null = null
  /** The last chunk with counters in it, read when somebody asks. */
  #unread: string | null = null
  readonly #see: See = (json) => this.#note(json)

  constructor(promptTokens: () => number) {
    this.#promptTokens = promptTokens
  }

  get done(): boolean {
    return this.#frames?.done ?? false
  }

  push(chunk: Uint8Array): Uint8Array | null {
    if (this.done || this.failure !== null) return null
    if (this.#frames !== null) return this.#frames.push(chunk, this.#see)
    const begin = concat([this.#lead, chunk])
    const first = begin.find((byte) => byte > 0x20)
    if (first === undefined) {
      this.#lead = begin
      return null
    }
    this.#frames = first === OPEN_BRACKET ? new ArrayFrames() : new EventFrames()
    return this.#frames.push(begin, this.#see)
  }

  end(): Uint8Array | null {
    if (this.#frames === null || this.done || this.failure !== null) return null
    return this.#frames.end(this.#see)
  }

  metered(): Metered {
    const usage = this.#lastUsage()
    if (usage !== null) return { usage, source: 'provider' }
    return { usage: estimated(this.#promptTokens(), this.#output.tokens), source: 'estimated' }
  }

  fail(face: object): Uint8Array {
    return this.#frames === null ? frameOf(face) : this.#frames.fail(face)
  }

  finish(): Uint8Array {
    return this.#frames === null ? NOTHING : this.#frames.finish()
  }

  #lastUsage(): Usage | null {
    if (this.#unread !== null) {
      this.#usage = readGeminiUsage(parseData(this.#unread)?.usageMetadata) ?? this.#usage
      this.#unread = null
    }
    return this.#usage
  }

  /** Notes what a chunk says; false when it is an error, with which the stream ends. */
  #note(json: string | null): boolean {
    if (json === null) return true
    if (json.includes(COUNTED) && !RARE.test(json)) {
      this.#unread = json
      this.begun ||= json.includes(PARTS)
      return true
    }
    const chunk = parseData(json)
    if (chunk === null) return true
    // What a provider charges for an answer that fails comes with the failure.
    const usage = readGeminiUsage(chunk.usageMetadata)
    if (usage !== null) {
      this.#usage = usage
      this.#unread = null
    } else for (const piece of textsOf(chunk)) this.#output.add(fromText(piece))
    this.failure = failureOf(chunk)
    if (this.failure !== null) return false
    this.finished ||= isLast(chunk)
    this.begun ||= hasParts(chunk)
    return true
  }
}
