import type { Usage } from '../../db/model/usage.ts'
import type { Adaptation, ModelFacts, PromptCache } from './dialect.ts'

/** A wire is one API dialect over HTTP. Wires are pure: bytes in, bytes out; no clock, no network, no state but their own. */
export type WireId =
  | 'openai-chat'
  | 'openai-completions'
  | 'openai-embeddings'
  | 'openai-responses'
  | 'openai-input-tokens'
  | 'anthropic-messages'
  | 'anthropic-count-tokens'
  | 'gemini'
  | PassId

/** The wires that are passed through as they are: see `pass.ts`. */
export type PassId =
  | 'openai-images'
  | 'openai-image-edits'
  | 'openai-image-variations'
  | 'openai-speech'
  | 'openai-transcriptions'
  | 'openai-translations'
  | 'openai-moderations'
  | 'openai-files'
  | 'openai-batches'
  | 'rerank'

/** What the line needs to know of a request; the rest of its bytes passes unread. */
export interface Ask {
  readonly body: Uint8Array
  readonly members: Members
  readonly model: string
  readonly stream: boolean
  /** The caller asked for the usage chunk of a stream itself. */
  readonly wantsUsage: boolean
  /** The caller's own name for its end user. */
  readonly endUser: string | null
}

/** Where each top-level member of a JSON object stands in its bytes. */
export type Members = ReadonlyMap<string, Span>

/** Byte offsets, end exclusive. `start` and `end` cut out the value, `keyStart` the member's name with its quote. */
export interface Span {
  readonly keyStart: number
  readonly start: number
  readonly end: number
}

export interface SaidInPath {
  readonly model: string
  readonly stream: boolean
}

/** A request as the provider gets it. */
export interface Edited {
  readonly body: Uint8Array
  /** What could not be said as the caller said it. */
  readonly adapted: readonly Adaptation[]
}

/** The named edits of a request that goes out on the wire it came in on. */
export interface Edits {
  /** The provider's own id of the model. */
  readonly model: string
  /** Ask the provider for a stream's usage. */
  readonly askUsage: boolean
  /** Leave `encoding_format` out: the provider only knows vectors of numbers, and the wire encodes its answer. */
  readonly plainVectors?: boolean
  /** The provider embeds texts only: arrays of tokens are refused. */
  readonly textsOnly?: boolean
  /** What the provider calls `dimensions`; null: it knows no such thing, and a request that asks for it is refused. */
  readonly dimensionsAs?: string | null | undefined
  /** What the catalogue knows of the model; null: nothing. */
  readonly facts?: ModelFacts | null
  readonly promptCache?: PromptCache
}

/** What is added to an answer's body (CONTRACT 4). */
export interface Additions {
  readonly cached: boolean
  /** Decimal USD, null when no price is known. */
  readonly costUsd: string | null
  readonly latencyMs: number
  readonly provider: string
  readonly modelUsed: string
  readonly route: string
  /** The cost in provider-neutral tokens, null when no price is known. */
  readonly watchllmTokens: number | null
}

/**
 * Bytes as text, each byte one character (latin-1): what is searched and put together faster as a string than as bytes,
 * and goes to the socket in one piece with the head.
 */
export type ByteText = string

export interface Metered {
  readonly usage: Usage
  readonly source: 'provider' | 'estimated'
  /** What was used can't be said in these counters (seconds, pictures, searches): its cost is unknown, not nothing. */
  readonly isUncounted?: boolean
}

/** A request that the wire's rules refuse: becomes 400 `invalid_request` naming `param`. */
export class WireError extends Error {
  readonly param: string | null
  constructor(message: string, param: string | null = null) {
    super(message)
    this.name = 'WireError'
    this.param = param
  }
}

/** An answer that is not what the wire says: becomes 502 `provider_error`. */
export class AnswerError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AnswerError'
  }
}

/** Whose error body a wire's callers read. */
export type ErrorFace = 'openai' | 'anthropic' | 'google'

export interface Wire {
  readonly id: WireId
  readonly face: ErrorFace
  /**
   * @param said what the path says where a dialect says it there (Gemini)
   * @throws WireError for anything but a JSON object of this wire's shape
   */
  readAsk(body: Uint8Array, said?: SaidInPath | null): Ask
  /** The request's bytes with the edits and nothing else changed. @throws WireError when they can't be made */
  edit(ask: Ask, edits: Edits): Edited
  /** Usage of a whole JSON answer; estimated from ask and answer when the provider says none. @throws AnswerError */
  readAnswer(answer: Uint8Array, ask: Ask): Answer
  /** Follows one streamed answer. */
  tap(ask: Ask): StreamTap
  /** Set where callers get a stream in another form than server-sent events. */
  readonly streamForm?: StreamForm
  /** Set where one request may go to the provider in several. */
  readonly batches?: Batches
  /** Set where bodies may be something else than JSON and the line passes them as they are. */
  readonly pass?: Passing
}

export interface StreamForm {
  readonly contentType: string
  /** What gives server-sent events, in this form. */
  of(tap: StreamTap): StreamTap
}

/** A request with many inputs, for providers that take fewer at a time. */
export interface Batches {
  /**
   * The same request in parts of at most `most` inputs, in their order; null when it needs none.
   * @throws WireError when they would be too many
   */
  split(ask: Ask, most: number): Ask[] | null
  /** The parts' answers as the one that was asked for. @throws AnswerError when they don't answer every input */
  join(parts: readonly PartAnswer[]): Answer
}

export interface PartAnswer {
  readonly ask: Ask
  readonly answer: Answer
}

/** How bytes that the line doesn't read are passed. */
export interface Passing extends Pass {
  /** What a whole answer used, its bytes unchanged. @param contentType the provider's. @throws AnswerError */
  readAnswer(answer: Uint8Array, contentType: string | null): Answer
  /** Follows an answer that is neither JSON nor events, null when such an answer is to be read whole. */
  tapBytes(contentType: string): StreamTap | null
}

/** What the line needs to pass a request on that it doesn't read: everything but the body. */
export interface Pass {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Follows the wire's path at the provider, such as `/file-1/content`; empty: nothing. */
  readonly tail: string
  /** The query that goes along, without its `?`; empty: none. */
  readonly query: string
  /** Of the request's body; null: it has none. */
  readonly contentType: string | null
  /** The provider that answers when neither path, header nor model name one. */
  readonly home: string
  /** Answers that aren't JSON go out as they come, from the first byte on. */
  readonly givesBytes?: boolean
}

export interface Answer extends Metered {
  /** The same bytes with the additions, or unchanged when null is given. */
  withAdditions(additions: Additions | null): ByteText
}

/** Passes a stream's bytes on while it looks for usage; the result does not depend on where chunks are cut. */
export interface StreamTap {
  /** Bytes to pass on now, null when none are ready. Frames leave whole; the terminator is held back for `finish`. */
  push(chunk: Uint8Array): Uint8Array | null
  /** What was seen so far: counted from the text when the provider has said nothing (yet). */
  metered(): Metered
  /** The provider closed the stream: what is left may follow, if anything. Bytes as from `push`. */
  end(): Uint8Array | null
  /** The terminator has come: nothing that follows is of interest. */
  readonly done: boolean
  /** The answer is complete, in one of the ways that this wire's providers say it. */
  readonly finished: boolean
  /** Any content has been passed on. */
  readonly begun: boolean
  /** Tokens of the answer so far, as far as they can be counted; 0 where there are none to count. */
  readonly written: number
  /** An error event that the provider sent inside the stream, as text for the log. */
  readonly failure: string | null
  /** The answer may be cut: called before the first bytes, by whom that may happen to. */
  mayCut?(): void
  /** What ends the answer as if it had come to its longest, in this wire's words; `finish` follows. Absent: it can't be. */
  cut?(): Uint8Array
  /** The last words of a stream that failed after its first byte. @param face the error's body in this wire's face */
  fail(face: object): Uint8Array
  /** The end: held bytes, the usage chunk if the caller wants it, what is known late, the terminator. */
  finish(additions: Additions | null): Uint8Array
}
