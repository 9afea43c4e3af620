import type { Finish, FinishReason } from '../model.ts'

/** The closed lists of words in OpenAI's answers. */

/** The five reasons that OpenAI's schema knows. */
export type ChatReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'function_call'

const KNOWN: ReadonlySet<unknown> = new Set(['stop', 'length', 'tool_calls', 'content_filter', 'function_call'])

/** What providers say instead, in lower case. An empty reason stands beside a whole answer (Snowflake). */
const OTHERS: Readonly<Record<string, ChatReason>> = {
  eos: 'stop',
  eos_token: 'stop',
  end_turn: 'stop',
  stop_sequence: 'stop',
  complete: 'stop',
  max_tokens: 'length',
  max_output_tokens: 'length',
  model_length: 'length',
  tool_use: 'tool_calls',
  tool_call: 'tool_calls',
  safety: 'content_filter',
  sensitive: 'content_filter',
  recitation: 'content_filter',
  refusal: 'content_filter',
}

/** A provider's finish reason in OpenAI's words. @param hasCalls the answer calls tools */
export function chatReason(reason: unknown, hasCalls: boolean): ChatReason {
  if (KNOWN.has(reason)) return reason as ChatReason
  const other = typeof reason === 'string' ? OTHERS[reason.toLowerCase()] : undefined
  return other ?? (hasCalls ? 'tool_calls' : 'stop')
}

export function isChatReason(reason: unknown): boolean {
  return KNOWN.has(reason)
}

const CANONICAL: Readonly<Record<ChatReason, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool-calls',
  function_call: 'tool-calls',
  content_filter: 'filter',
}

/** `stop` beside calls is how a forced call ends with OpenAI, and every call with some others. */
export function readFinish(reason: unknown, has: { readonly calls: boolean; readonly refusal: boolean }): Finish {
  const canonical = CANONICAL[chatReason(reason, has.calls)]
  if (canonical !== 'stop') return { reason: canonical, stopSequence: null }
  return { reason: has.calls ? 'tool-calls' : has.refusal ? 'refusal' : 'stop', stopSequence: null }
}

/** A refusal in words is an answer that ended well; one without is a filter's. */
export function writeFinish({ reason }: Finish, hasRefusal: boolean): ChatReason {
  if (reason === 'tool-calls') return 'tool_calls'
  if (reason === 'refusal') return hasRefusal ? 'stop' : 'content_filter'
  if (reason === 'filter') return 'content_filter'
  return reason === 'length' ? 'length' : 'stop'
}

const TIERS: ReadonlySet<unknown> = new Set(['auto', 'default', 'flex', 'scale', 'priority', 'fast'])
/** Words of Groq's and others' for the same. */
const OTHER_TIERS: Readonly<Record<string, string>> = {
  on_demand: 'default',
  standard: 'default',
  performance: 'priority',
}

/** A service tier in OpenAI's words; null for what it has no word for. */
export function chatTier(tier: unknown): string | null {
  if (typeof tier !== 'string') return null
  return TIERS.has(tier) ? tier : (OTHER_TIERS[tier] ?? null)
}
