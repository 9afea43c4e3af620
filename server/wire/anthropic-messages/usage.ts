import type { Usage } from '../../../db/model/usage.ts'
import { tokenCount } from '../token-count.ts'
import { type Json, record, records } from './values.ts'

/**
 * Anthropic's usage object as disjoint counters, as it counts itself; null when it says nothing. Server tools are priced
 * by the request, not by tokens, and are left out. A compaction is sampled by the same model and charged beside the
 * counters at the top; an advisor's and a fallback's tokens are another model's, for which there is no counter.
 */
export function readAnthropicUsage(value: unknown): Usage | null {
  const usage = record(value)
  if (typeof usage.input_tokens !== 'number' && typeof usage.output_tokens !== 'number') return null
  const compactions = records(usage.iterations).filter(({ type }) => type === 'compaction')
  return compactions.reduce((sum, one) => plus(sum, one), plus(null, usage))
}

function plus(sum: Usage | null, usage: Json): Usage {
  const written = tokenCount(usage.cache_creation_input_tokens)
  const said = record(usage.cache_creation)
  const whole = written || tokenCount(said.ephemeral_5m_input_tokens) + tokenCount(said.ephemeral_1h_input_tokens)
  const cacheWrite1h = Math.min(whole, tokenCount(said.ephemeral_1h_input_tokens))
  const output = tokenCount(usage.output_tokens)
  const details = record(usage.output_tokens_details)
  return {
    input: tokenCount(usage.input_tokens) + (sum?.input ?? 0),
    cacheRead: tokenCount(usage.cache_read_input_tokens) + (sum?.cacheRead ?? 0),
    cacheWrite5m: whole - cacheWrite1h + (sum?.cacheWrite5m ?? 0),
    cacheWrite1h: cacheWrite1h + (sum?.cacheWrite1h ?? 0),
    output: output + (sum?.output ?? 0),
    reasoning: Math.min(output, tokenCount(details.thinking_tokens)) + (sum?.reasoning ?? 0),
    audioInput: 0,
    audioOutput: 0,
    imageInput: 0,
    imageOutput: 0,
  }
}

/**
 * The usage of `message_start` with what `message_delta` says later. Counters there are cumulative and may be absent,
 * null or, with some who copy the API, zero: none of these takes back what was said before.
 */
export function mergeUsage(before: unknown, later: unknown): Json {
  const merged: Record<string, unknown> = { ...record(before) }
  for (const [name, value] of Object.entries(record(later))) {
    if (value !== null && (value !== 0 || merged[name] === undefined)) merged[name] = value
  }
  return merged
}

/** All members of a whole answer's `usage`. Sound and pictures count as input or output like any other token. */
export function writeAnthropicUsage(usage: Usage, serviceTier: string | null): Json {
  return {
    input_tokens: usage.input + usage.audioInput + usage.imageInput,
    cache_creation_input_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite5m,
      ephemeral_1h_input_tokens: usage.cacheWrite1h,
    },
    output_tokens: usage.output + usage.audioOutput + usage.imageOutput,
    output_tokens_details: { thinking_tokens: usage.reasoning },
    server_tool_use: null,
    service_tier: serviceTier,
    inference_geo: null,
    speed: null,
  }
}

/** The cumulative counters of `message_delta`. */
export function writeDeltaUsage(usage: Usage): Json {
  const {
    cache_creation: _,
    service_tier: __,
    inference_geo: ___,
    speed: ____,
    ...counters
  } = record(writeAnthropicUsage(usage, null))
  return counters
}
