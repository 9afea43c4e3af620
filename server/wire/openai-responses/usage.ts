import { inputTotal, outputTotal, type Usage } from '../../../db/model/usage.ts'
import { readOpenaiUsage } from '../openai/usage.ts'
import { isRecord } from '../openai-chat/values.ts'

/** The usage object of Responses as disjoint counters; null when it says nothing, or nothing that can be true. */
export function readResponsesUsage(value: unknown): Usage | null {
  if (!isRecord(value)) return null
  return readOpenaiUsage({
    prompt_tokens: value.input_tokens,
    completion_tokens: value.output_tokens,
    total_tokens: value.total_tokens,
    prompt_tokens_details: value.input_tokens_details,
    completion_tokens_details: value.output_tokens_details,
  })
}

/** The usage object that a caller of Responses expects, made from ours. */
export function writeResponsesUsage(usage: Usage): Record<string, unknown> {
  const input = inputTotal(usage)
  const output = outputTotal(usage)
  return {
    input_tokens: input,
    input_tokens_details: {
      cached_tokens: usage.cacheRead,
      cache_write_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: input + output,
  }
}
