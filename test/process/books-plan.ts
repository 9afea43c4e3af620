import type { Random } from '../helpers/random.ts'

/** Tokens as a provider counts them, each in one place only. */
export interface Counts {
  readonly fresh: number
  readonly read: number
  readonly write5m: number
  readonly write1h: number
  readonly out: number
}

/**
 * How calls end. `twice-…`: two requests with one idempotency key, at once or one after the other; `refused-…`: by the
 * gateway, and no provider is asked; `gone-before`: its caller leaves before anything was answered; `cut…`: by the
 * provider, in the middle or before it said anything; `part-fails`: one of several requests that were made of it.
 */
export const ENDINGS = {
  json: 24,
  stream: 22,
  abort: 8,
  'gone-before': 3,
  cut: 6,
  'cut-before': 3,
  'twice-at-once': 4,
  'twice-later': 4,
  'refused-model': 2,
  'refused-body': 2,
  'refused-key': 1,
  'refused-credits': 3,
  'provider-4xx': 4,
  'provider-5xx': 4,
  embeddings: 4,
  parts: 4,
  'part-fails': 2,
} as const
export type Ending = keyof typeof ENDINGS

/** One call, and all that its provider will do. */
export interface Wanted {
  readonly ending: Ending
  readonly kind: 'chat' | 'messages' | 'embeddings'
  readonly stream: boolean
  /** The provider says what was used. */
  readonly tells: boolean
  readonly provider: string
  readonly model: string
  readonly counts: Counts
  readonly words: number
  /** Words after which the caller leaves. */
  readonly leaveAfter: number
  readonly inputs: number
}

/** USD a million tokens, to the finest digit: what is charged for a call is nearly never a round sum. */
export const PRICES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'openai/gpt-4o-mini': { input: 0.150001, output: 0.600007, cache_read: 0.075003 },
  'groq/llama-3.3-70b-versatile': { input: 0.590003, output: 0.790009, cache_read: 0.295001 },
  'mistral/mistral-small-latest': { input: 0.100003, output: 0.300007, cache_read: 0.010001 },
  'deepseek/deepseek-chat': { input: 0.270011, output: 1.100003, cache_read: 0.070001 },
  'anthropic/claude-haiku-4-5': {
    ...{ input: 1.000003, output: 5.000011, cache_read: 0.100007, cache_write: 1.250009, cache_write_1h: 2.000021 },
  },
  'qwen/text-embedding-v4': { input: 0.070001 },
}

/** 10 000 is 1.0: of the organization, and of models beside their own price. */
export const ORGANIZATION_MULTIPLIER = 10_733
export const MODEL_MULTIPLIERS: Readonly<Record<string, number>> = {
  'openai/gpt-4o-mini': 12_345,
  'anthropic/claude-haiku-4-5': 9_871,
  'qwen/text-embedding-v4': 10_007,
}

/** The exact sum of what the counts cost, pico-dollars. */
export function costOf(model: string, { fresh, read, write5m, write1h, out }: Counts): bigint {
  const usd = PRICES[model]!
  const rate = (name: string): bigint => BigInt(Math.round((usd[name] ?? 0) * 1e6))
  return (
    BigInt(fresh) * rate('input') +
    BigInt(read) * rate('cache_read') +
    BigInt(write5m) * rate('cache_write') +
    BigInt(write1h) * rate('cache_write_1h') +
    BigInt(out) * rate('output')
  )
}

/** Cost x both multipliers, half a pico-dollar up. */
export function chargeOf(model: string, cost: bigint): bigint {
  const factor = BigInt(ORGANIZATION_MULTIPLIER) * BigInt(MODEL_MULTIPLIERS[model] ?? 10_000)
  return (cost * factor * 2n + 100_000_000n) / 200_000_000n
}

const CHATS = [
  'openai/gpt-4o-mini',
  'groq/llama-3.3-70b-versatile',
  'mistral/mistral-small-latest',
  'deepseek/deepseek-chat',
]
const TOTAL = Object.values(ENDINGS).reduce((sum, share) => sum + share, 0)

function endingOf(random: Random): Ending {
  let at = random.int(TOTAL)
  for (const [ending, share] of Object.entries(ENDINGS)) {
    at -= share
    if (at < 0) return ending as Ending
  }
  throw new RangeError('Shares do not add up')
}

export function wanted(random: Random): Wanted {
  const ending = endingOf(random)
  const embeds = ending === 'embeddings' || ending === 'parts' || ending === 'part-fails'
  const kind = embeds ? 'embeddings' : random.once(4) ? 'messages' : 'chat'
  const named = embeds
    ? 'qwen/text-embedding-v4'
    : kind === 'messages'
      ? 'anthropic/claude-haiku-4-5'
      : random.pick(CHATS)
  const [provider, model] = named.split('/') as [string, string]
  const isMessages = kind === 'messages'
  const some = (most: number): number => (random.once(2) ? 0 : random.int(most))
  const words = 2 + random.int(18)
  const isStream =
    ending === 'stream' || ending === 'abort' || ending === 'cut' || (ending.startsWith('twice') && random.once(2))
  return {
    ...{ ending, kind, provider, model, words },
    stream: isStream,
    tells: isMessages || embeds || !random.once(5),
    counts: {
      fresh: 1 + random.int(embeds ? 60 : 3_000),
      read: embeds ? 0 : some(5_000),
      write5m: isMessages ? some(2_000) : 0,
      write1h: isMessages ? some(2_000) : 0,
      out: embeds ? 0 : 1 + random.int(400),
    },
    leaveAfter: 1 + random.int(Math.max(1, Math.floor(words / 2))),
    inputs:
      ending === 'parts' ? 11 + random.int(60) : ending === 'part-fails' ? 61 + random.int(10) : 1 + random.int(10),
  }
}
