import type { ToolCall } from './tools.ts'

/** One of the `n` answers, before it is written as JSON or as a stream. */
export interface Choice {
  readonly tokens: readonly string[]
  readonly calls: readonly ToolCall[]
  readonly legacyCall: boolean
  readonly finish: 'stop' | 'length' | 'tool_calls' | 'function_call'
  readonly reasoningTokens: number
}

/** What every chunk of an answer, and the answer itself, carries. */
export interface Head {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly service_tier: string
  readonly system_fingerprint: string
}

export interface Shape {
  readonly wantsUsage: boolean
  /** Null: none asked for; else how many alternatives a token. */
  readonly topLogprobs: number | null
}
