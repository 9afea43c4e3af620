import { outputTotal, type Usage } from '../../../db/model/usage.ts'
import { fromLatin1, fromText, latin1 } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { parseData } from '../openai/chunk.ts'
import { estimated } from '../openai/usage.ts'
import { dataOf, frameEnd, SseFramer } from '../sse.ts'
import type { Metered, StreamTap } from '../wire.ts'
import { failureOf, hasParts, isLast, textsOf } from './chunk.ts'
import { readGeminiUsage, writeGeminiUsage } from './usage.ts'

/** What makes a chunk worth reading at once. JSON of a caller's making, which may hold any name, is in calls only. */
const RARE = /"(?:error|finishReason|promptFeedback|functionCall|toolCall|toolResponse)"/
const COUNTED = '"promptTokenCount"'
const PARTS = '"parts"'
const NOTHING = new Uint8Array(0)

/**
 * Follows a stream of Gemini's chunks, as server-sent events, which every provider is asked for: every byte goes through
 * as it came, and the last usage counts. There is no terminator: a finish reason ends the answer.
 * @param promptTokens tokens of the prompt, for when nobody counted them
 */
export function tapGemini(promptTokens: () => number): StreamTap {
  return new GeminiTap(promptTokens)
}

class GeminiTap implements StreamTap {
  begun = false
  readonly done = false
  finished = false
  failure: string | null = null
  readonly #promptTokens: () => number
  readonly #output = new TokenEstimator()
  readonly #framer = new SseFramer()
  #usage: Usage | null = null
  /** The last chunk with counters in it, read when somebody asks. */
  #unread: string | null = null

  constructor(promptTokens: () => number) {
    this.#promptTokens = promptTokens
  }

  get written(): number {
    const usage = this.#lastUsage()
    return Math.max(this.#output.tokens, usage === null ? 0 : outputTotal(usage))
  }

  push(chunk: Uint8Array): Uint8Array | null {
    if (this.failure !== null) return null
    const frames = this.#framer.push(chunk)
    return frames === null ? null : this.#frames(frames)
  }

  end(): Uint8Array | null {
    const frame = this.#framer.lastFrame()
    if (frame === null || this.failure !== null) return null
    // Half a frame helps nobody; a whole one that only lacks its empty line does.
    return parseData(dataOf(frame)) === null ? null : this.#frames(fromLatin1(frame))
  }

  metered(): Metered {
    const usage = this.#lastUsage()
    if (usage !== null) return { usage, source: 'provider' }
    return { usage: estimated(this.#promptTokens(), this.#output.tokens), source: 'estimated' }
  }

  cut(): Uint8Array {
    const { usage } = this.metered()
    const candidate = { content: { role: 'model', parts: [{ text: '' }] }, finishReason: 'MAX_TOKENS', index: 0 }
    const chunk = { candidates: [candidate], usageMetadata: writeGeminiUsage(usage) }
    return fromText(`data: ${JSON.stringify(chunk)}\n\n`)
  }

  fail(face: object): Uint8Array {
    return fromText(`data: ${JSON.stringify(face)}\n\n`)
  }

  finish(): Uint8Array {
    return NOTHING
  }

  /** The frames up to the first that is an error; null when that is none. */
  #frames(frames: Uint8Array): Uint8Array | null {
    const text = latin1(frames)
    for (let from = 0; from < text.length; ) {
      const end = frameEnd(text, from)
      if (!this.#note(dataOf(text.slice(from, end)))) return from === 0 ? null : frames.subarray(0, from)
      from = end
    }
    return frames
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
