import { hashOf } from './random.ts'

const encoder = new TextEncoder()

interface TokenLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes: number[]
}

function entry(token: string, logprob: number): TokenLogprob {
  return { token, logprob, bytes: [...encoder.encode(token)] }
}

/** From -2 (a surprise) to 0 (certain), the same for the same token. */
export function logprobOf(token: string): number {
  return -(hashOf(token) % 2000) / 1000
}

/** The token itself, then less likely ones, in falling order. */
export function topLogprobs(token: string, count: number): TokenLogprob[] {
  return Array.from({ length: count }, (_, i) =>
    i === 0 ? entry(token, logprobOf(token)) : entry(`${token}${'~'.repeat(i)}`, logprobOf(token) - i),
  )
}

/** The `logprobs` of a chat choice or delta. */
export function chatLogprobs(tokens: readonly string[], top: number): object {
  const content = tokens.map((token) => ({
    ...entry(token, logprobOf(token)),
    top_logprobs: topLogprobs(token, top),
  }))
  return { content, refusal: null }
}
