import type { Completion, Prompt, StreamEvent } from './model.ts'
import type { Additions, Ask, WireId } from './wire.ts'

/**
 * One wire's words for the canonical model. A `ClientDialect` is spoken by callers, a `ProviderDialect` by providers;
 * most wires are both. Dialects are pure and keep the order of keys, messages and tools.
 */
export interface ClientDialect {
  readonly id: WireId
  /** @throws WireError naming the parameter, for what is not this wire's request */
  readPrompt(ask: Ask): Prompt
  /** One answer as JSON text (UTF-8 when encoded; may hold any character). */
  writeAnswer(answer: Completion, context: AnswerContext): string
  writeStream(context: StreamContext): StreamWriter
}

export interface ProviderDialect {
  readonly id: WireId
  /** @throws WireError when it can't be said at all, even adapted */
  writePrompt(prompt: Prompt, options: WriteOptions): Written
  /** @param callId makes ids for tool calls where the provider gives none. @throws AnswerError */
  readAnswer(answer: unknown, callId: string): Completion
  readStream(callId: string): StreamReader
}

export interface WriteOptions {
  /** The provider's own id of the model. */
  readonly model: string
  readonly facts: ModelFacts | null
  readonly promptCache: PromptCache
}

/** Where a wire has cache marks: `respect` passes on what the caller set, `auto` sets some if there are none. */
export type PromptCache = 'auto' | 'respect' | 'off'

/** What the catalogue knows of a model that a request must respect. Unknown: no limit. */
export interface ModelFacts {
  readonly maxOutputTokens: number | null
  /** Parameters that it refuses, by their names on OpenAI's chat wire, such as `temperature`. */
  readonly refuses: readonly string[]
  /** How it is told to think; null: not known, then as the caller said it. */
  readonly thinking: 'none' | 'effort' | 'budget' | 'adaptive' | null
}

export interface Written {
  /** JSON-serialisable, members in the order to send. */
  readonly body: Readonly<Record<string, unknown>>
  /** One entry for each thing that could not be said as the caller said it. */
  readonly adapted: readonly Adaptation[]
}

/** Goes into `x-watchllm-adapted` as `param=how`; in strict mode the first becomes a 400 naming `param`. */
export interface Adaptation {
  /** The parameter's path in the caller's canonical words: OpenAI chat's names, such as `top_k`, `messages[2].content[0]`. */
  readonly param: string
  readonly how: 'dropped' | 'clamped' | 'renamed' | 'emulated'
}

/** What an answer in a caller's dialect needs beside the answer. */
export interface AnswerContext {
  readonly ask: Ask
  /** The call's own id, `req_…`: ids that a dialect demands are made from it. */
  readonly callId: string
  readonly createdAtS: number
  /** The model's name as the caller is to see it when the provider gives none. */
  readonly model: string
  readonly additions: Additions | null
  /** Nobody but us has counted the usage. */
  readonly isEstimated?: boolean
}

export type StreamContext = Omit<AnswerContext, 'additions' | 'isEstimated'>

/** Canonical events -> the caller's frames, as text. */
export interface StreamWriter {
  /** Frames to send now, maybe none. `usage`, `end` and `error` write nothing here: they wait for `finish`. */
  write(event: StreamEvent): string
  /** The stream's end: what is known late, the terminator. Called once, after the last event. */
  finish(additions: Additions | null): string
  /** The last words instead of `finish`. @param face the error's body in this wire's face */
  fail(face: object): string
}

/** A provider's events -> canonical ones. */
export interface StreamReader {
  /** @param event the SSE event's name, null when it has none; `data` its text. @throws AnswerError on nonsense */
  read(event: string | null, data: string): StreamEvent[]
  /** The provider closed the stream: what is still owed, such as the end of open parts. */
  close(): StreamEvent[]
  /** The answer is complete, in one of the ways that this wire's providers say it. */
  readonly finished: boolean
}
