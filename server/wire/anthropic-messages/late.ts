import type { Additions } from '../wire.ts'

/**
 * What is known late, as a comment: Messages answers have no room for it, and every SSE reader passes over comments. The
 * members are those that CONTRACT 4 puts into the bodies of OpenAI's answers.
 */
export function lateComment(additions: Additions | null): string {
  if (additions === null) return ''
  const { cached, costUsd, latencyMs, provider, modelUsed, route } = additions
  const words = {
    'x-WatchLLM-cached': cached,
    'x-WatchLLM-cost-usd': costUsd,
    'x-WatchLLM-latency-ms': latencyMs,
    watchllm: {
      provider,
      model_used: modelUsed,
      security_passed: null,
      routing_rule: route,
      cost_usd: costUsd,
      cached,
    },
  }
  return `: watchllm ${JSON.stringify(words)}\n\n`
}
