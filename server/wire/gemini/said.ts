import type { Citation, FinishReason, Part, ToolCall } from '../model.ts'
import { type Json, record, records } from './json.ts'
import { typeOfAudio } from './media.ts'

/** Canonical answers in Gemini's words: single parts, and what stands beside them. */

/** Null for what Gemini can't say, and for thoughts, whose proofs need to be put to other parts. */
export function writePart(part: Part): object | null {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return { text: part.text }
    case 'image':
    case 'file': {
      const { source } = part
      if (source.kind === 'base64') return { inlineData: { mimeType: source.mediaType, data: source.data } }
      return { fileData: { fileUri: source.kind === 'url' ? source.url : source.id } }
    }
    case 'audio':
      return { inlineData: { mimeType: typeOfAudio(part.format), data: part.data } }
    case 'tool-call':
      return { functionCall: { id: part.id, name: part.name, args: argsOf(part) } }
    case 'opaque':
      return part.wire === 'gemini' ? (part.value as object) : null
    default:
      return null
  }
}

/** The arguments as an object, which is all that Gemini's callers take. */
function argsOf({ arguments: written, kind }: ToolCall): unknown {
  if (kind === 'custom') return { input: written }
  if (written.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(written)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : { arguments: value }
  } catch {
    return { arguments: written }
  }
}

export function reasonOf(reason: FinishReason): string {
  switch (reason) {
    case 'length':
      return 'MAX_TOKENS'
    case 'filter':
    case 'refusal':
      return 'SAFETY'
    case 'pause':
      return 'OTHER'
    default:
      return 'STOP'
  }
}

/** OpenAI's log probabilities as Gemini says them; null when there are none. */
export function writeLogprobs(logprobs: unknown): object | null {
  const tokens = records(record(logprobs).content)
  if (tokens.length === 0) return null
  return {
    chosenCandidates: tokens.map(candidateOf),
    topCandidates: tokens.map((token) => ({ candidates: records(token.top_logprobs).map(candidateOf) })),
  }
}

function candidateOf({ token, logprob }: Json): object {
  return { token, logProbability: logprob }
}

/** Puts citations together as `groundingMetadata`, with places in bytes of everything that was written. */
export class Grounding {
  readonly #chunks: object[] = []
  readonly #supports: object[] = []

  /** @param before everything that was written before the part that is cited in, whose text is `text` */
  add(citation: Citation, before: string, text: string): void {
    if (citation.type !== 'url') return
    const { url, title, quote, start, end } = citation
    const source = title === null ? { uri: url } : { uri: url, title }
    this.#chunks.push(quote === null ? { web: source } : { retrievedContext: { ...source, text: quote } })
    if (start === null || end === null) return
    const startIndex = bytesIn(before) + bytesIn(text.slice(0, start))
    const segment = text.slice(start, end)
    this.#supports.push({
      segment: { startIndex, endIndex: startIndex + bytesIn(segment), text: segment },
      groundingChunkIndices: [this.#chunks.length - 1],
    })
  }

  /** Null when nothing was cited. */
  get metadata(): object | null {
    return this.#chunks.length === 0 ? null : { groundingChunks: this.#chunks, groundingSupports: this.#supports }
  }
}

function bytesIn(text: string): number {
  return new TextEncoder().encode(text).length
}
