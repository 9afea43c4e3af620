import type { Usage } from '../../db/model/usage.ts'
import type { WireId } from './wire.ts'

/**
 * The canonical model: what is said between two wires that differ. It carries all that at least two wires can say; what
 * only one can say travels as `Opaque` or `Extra`, marked with its wire, and comes back unchanged on that wire. `null`
 * is “not said”, which no wire may confuse with zero, false or empty.
 */
export interface Prompt {
  readonly model: string
  readonly stream: boolean
  /** In the order they were sent. A `system` or `developer` message may stand anywhere. */
  readonly messages: readonly Message[]
  /** In the order they were sent: a reordered list breaks the provider's prompt cache. */
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice | null
  readonly parallelToolCalls: boolean | null
  readonly format: OutputFormat | null
  readonly reasoning: ReasoningWish | null
  readonly maxOutputTokens: number | null
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly stop: readonly string[]
  readonly seed: number | null
  /** How many answers are wanted. */
  readonly n: number | null
  readonly frequencyPenalty: number | null
  readonly presencePenalty: number | null
  readonly logitBias: Readonly<Record<string, number>> | null
  /** How many alternatives to each token are wanted; 0: the chosen token's own only. */
  readonly logprobs: number | null
  readonly verbosity: 'low' | 'medium' | 'high' | null
  readonly serviceTier: string | null
  /** The caller's own name for its end user. */
  readonly user: string | null
  readonly promptCacheKey: string | null
  /** Members of the request that only this wire knows, in order. */
  readonly extras: readonly Extra[]
}

/** A member of a request or answer that no other wire has a word for. */
export interface Extra {
  readonly wire: WireId
  readonly name: string
  readonly value: unknown
}

export type Role = 'system' | 'developer' | 'user' | 'assistant'

/** Results of tools are parts of a `user` message, as in Messages: wires with a role for them split and join. */
export interface Message {
  readonly role: Role
  /** The participant's name, where the wire knows one. */
  readonly name: string | null
  readonly parts: readonly Part[]
}

export type Part =
  | TextPart
  | ImagePart
  | FilePart
  | AudioPart
  | ReasoningPart
  | ToolCall
  | ToolResult
  | Refusal
  | Opaque

/** A mark after which the provider may keep the prompt so far. */
export interface CacheMark {
  readonly ttl: '5m' | '1h'
}

export interface TextPart {
  readonly type: 'text'
  readonly text: string
  readonly citations?: readonly Citation[]
  readonly cache?: CacheMark
}

/** Where a text's claim comes from. Indices count UTF-16 code units of the text it stands in. */
export type Citation =
  | {
      readonly type: 'url'
      readonly url: string
      readonly title: string | null
      readonly start: number | null
      readonly end: number | null
      readonly quote: string | null
    }
  | Opaque

/** `base64`: the bytes as base64 text with their media type; `id`: a file that the provider keeps. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  | { readonly kind: 'id'; readonly wire: WireId; readonly id: string }

export interface ImagePart {
  readonly type: 'image'
  readonly source: Source
  readonly detail: string | null
  readonly cache?: CacheMark
}

/** A document, such as a PDF. Plain text documents are base64 as well. */
export interface FilePart {
  readonly type: 'file'
  readonly source: Source
  readonly filename: string | null
  readonly cache?: CacheMark
}

export interface AudioPart {
  readonly type: 'audio'
  /** Base64 text. */
  readonly data: string
  /** Such as `wav`, `mp3`. */
  readonly format: string
  /** What was said, where an answer was spoken. */
  readonly transcript?: string
}

/**
 * What a model thought. `proof` is what its provider wants back unread: a signature, an encrypted thought. A part with
 * a proof and no text stands for a redacted thought, or for the proof of the tool call that follows it (Gemini's thought
 * signatures). A proof is shown only to the wire that made it; towards a client of another wire it travels sealed by
 * `sealProof`, and comes back the same way.
 */
export interface ReasoningPart {
  readonly type: 'reasoning'
  /** Empty when the provider hides it. */
  readonly text: string
  /** The text is a summary of the thought, not the thought. */
  readonly summary: boolean
  readonly proof: Proof | null
}

export interface Proof {
  readonly wire: WireId
  readonly data: string
}

export interface ToolCall {
  readonly type: 'tool-call'
  readonly id: string
  readonly name: string
  /** As the model wrote it: JSON text for a function (`{}` when it wrote nothing), any text for a custom tool. */
  readonly arguments: string
  readonly kind: 'function' | 'custom'
  readonly cache?: CacheMark
}

export interface ToolResult {
  readonly type: 'tool-result'
  readonly callId: string
  /** Text, images, files. */
  readonly parts: readonly Part[]
  readonly isError: boolean
  readonly cache?: CacheMark
}

export interface Refusal {
  readonly type: 'refusal'
  readonly text: string
}

/** A part that only this wire can say, such as a server tool's call and result. */
export interface Opaque {
  readonly type: 'opaque'
  readonly wire: WireId
  readonly value: unknown
}

export type Tool = FunctionTool | CustomTool | Opaque

export interface FunctionTool {
  readonly type: 'function'
  readonly name: string
  readonly description: string | null
  /** JSON Schema, its members in the order they were sent; null: no arguments. */
  readonly parameters: Readonly<Record<string, unknown>> | null
  readonly strict: boolean | null
  readonly cache?: CacheMark
}

/** A tool whose argument is plain text. */
export interface CustomTool {
  readonly type: 'custom'
  readonly name: string
  readonly description: string | null
  /** A grammar for it, as OpenAI says it. */
  readonly format: unknown
}

/** `tool`: that one; `allowed`: one of these, by `mode`. */
export type ToolChoice =
  | { readonly type: 'auto' | 'none' | 'required' }
  | { readonly type: 'tool'; readonly name: string }
  | { readonly type: 'allowed'; readonly mode: 'auto' | 'required'; readonly names: readonly string[] }

export type OutputFormat =
  | { readonly type: 'text' | 'json' }
  | {
      readonly type: 'json-schema'
      readonly name: string
      readonly description: string | null
      readonly schema: Readonly<Record<string, unknown>>
      readonly strict: boolean | null
    }

export type Effort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max'

/** How much thinking is wanted. `adaptive`: the model decides itself. */
export interface ReasoningWish {
  readonly effort: Effort | null
  readonly budgetTokens: number | null
  readonly adaptive: boolean
  /** What is to be seen of it: a summary as OpenAI names them, null: not said. `none`: nothing. */
  readonly summary: 'none' | 'auto' | 'concise' | 'detailed' | null
}

/** One whole answer. */
export interface Completion {
  /** The provider's own id; null when it gave none. */
  readonly id: string | null
  /** As the provider names it. */
  readonly model: string | null
  readonly createdAtS: number | null
  readonly choices: readonly Choice[]
  /** Null when the provider said nothing. */
  readonly usage: Usage | null
  readonly serviceTier: string | null
  readonly extras: readonly Extra[]
}

export interface Choice {
  readonly parts: readonly Part[]
  readonly finish: Finish
  /** As OpenAI's chat says it: `{content:[{token,logprob,bytes,top_logprobs}]}`. */
  readonly logprobs: unknown
}

/** `pause`: the provider's turn was cut to be gone on with; `filter`: withheld by the provider's policy. */
export type FinishReason = 'stop' | 'length' | 'tool-calls' | 'filter' | 'refusal' | 'pause'

export interface Finish {
  readonly reason: FinishReason
  /** The sequence that ended it, where the provider tells. */
  readonly stopSequence: string | null
}

/**
 * One streamed answer. `start` comes first. Within a choice parts are numbered from 0 in order of their beginning, and
 * one is ended before the next begins: readers hold back what a provider interleaves. `finish` comes once for each
 * choice after its parts; `usage` as often as the provider says it, each replacing the one before; `end` or `error` is
 * the last.
 */
export type StreamEvent =
  | {
      readonly type: 'start'
      readonly id: string | null
      readonly model: string | null
      readonly createdAtS: number | null
    }
  /** An `audio` or `opaque` part, or one that comes whole, is complete as it begins. */
  | { readonly type: 'part'; readonly choice: number; readonly index: number; readonly part: Part }
  | { readonly type: 'delta'; readonly choice: number; readonly index: number; readonly delta: Delta }
  | { readonly type: 'part-end'; readonly choice: number; readonly index: number }
  | { readonly type: 'finish'; readonly choice: number; readonly finish: Finish }
  | { readonly type: 'usage'; readonly usage: Usage /** By us alone. */; readonly isEstimated?: boolean }
  | { readonly type: 'error'; readonly error: StreamFault }
  | { readonly type: 'end' }

/** What is added to the part that is open: each member to the member of the part that has its name. */
export interface Delta {
  /** To `text` of text, reasoning and refusal, to `arguments` of a tool call. */
  readonly text?: string
  readonly citations?: readonly Citation[]
  /** The proof of a thought, complete. */
  readonly proof?: Proof
  readonly logprobs?: unknown
}

/** An error that the provider sent inside its stream. */
export interface StreamFault {
  readonly message: string
  /** The provider's own word for it, such as `overloaded_error`. */
  readonly code: string | null
}
