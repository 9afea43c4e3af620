import { z } from 'zod'
import { PROVIDER_IDS } from './models/index.ts'
import { ratesFrom, type Tariff } from './rates.ts'

const FINEST_USD = 1e-6
const HIGHEST_USD = 1e6

const usdPerMillion = z
  .number()
  .min(0, 'A price is USD a million tokens: 0 or more')
  .max(HIGHEST_USD, 'A price is USD a million tokens: at most 1000000')
  .refine((usd) => Math.abs(usd / FINEST_USD - Math.round(usd / FINEST_USD)) < 1e-3, {
    error: 'The finest price is 0.000001 USD a million tokens',
  })

const counters = {
  input: usdPerMillion,
  output: usdPerMillion.optional(),
  cache_read: usdPerMillion.optional(),
  cache_write: usdPerMillion.optional(),
  cache_write_1h: usdPerMillion.optional(),
  audio_input: usdPerMillion.optional(),
  audio_output: usdPerMillion.optional(),
  image_input: usdPerMillion.optional(),
  image_output: usdPerMillion.optional(),
}

/** One model's price, as the operator writes it. */
export const overrideSchema = z.strictObject({
  ...counters,
  /** USD for each call, whatever its size. */
  per_call: z.number().min(0).max(1000).optional(),
  /** Prices of the whole call when its input exceeds `above_input` tokens. */
  tiers: z
    .array(z.strictObject({ above_input: z.int().min(0), ...counters }))
    .refine((tiers) => tiers.every((tier, i) => i === 0 || tiers[i - 1]!.above_input < tier.above_input), {
      error: 'Tiers must ascend by above_input',
    })
    .optional(),
})

/** One model's price as the operator writes it, USD a million tokens. What is left out falls back as in `ratesFrom`. */
export type Override = z.infer<typeof overrideSchema>

/**
 * The JSON of WATCHLLM_PRICES: `{"openai/gpt-4o-mini": {"input": 0.15, "output": 0.6}, "ollama/*": {"input": 0}}`.
 * The name is `provider/model`, and a final `*` covers every name that begins so; the longest match wins.
 */
export const overridesSchema = z.record(
  z.string().refine((key) => PROVIDER_IDS.has(key.slice(0, key.indexOf('/'))) && !key.endsWith('/'), {
    error: `A price is named provider/model, with a provider of ${[...PROVIDER_IDS].join(', ')}`,
  }),
  overrideSchema,
)
export type Overrides = z.infer<typeof overridesSchema>

export function tariffOf(usd: Override): Tariff {
  const rates = (from: Omit<Override, 'per_call' | 'tiers'>) =>
    ratesFrom({
      input: from.input,
      output: from.output,
      cacheRead: from.cache_read,
      cacheWrite5m: from.cache_write,
      cacheWrite1h: from.cache_write_1h,
      audioInput: from.audio_input,
      audioOutput: from.audio_output,
      imageInput: from.image_input,
      imageOutput: from.image_output,
    })
  return {
    perCall: Math.round((usd.per_call ?? 0) * 1e12),
    rates: rates(usd),
    tiers: (usd.tiers ?? []).map((tier) => ({ aboveInput: tier.above_input, rates: rates(tier) })),
  }
}

export interface OverrideMatch<O> {
  /** As it was written, without the provider. */
  readonly name: string
  readonly override: O
}

/** Finds the override of a model: its own name, else the longest `prefix*`; names are compared without regard to case. */
export function overrideFinder<O>(
  overrides: Readonly<Record<string, O>>,
): (provider: string, model: string) => OverrideMatch<O> | null {
  const exact = new Map<string, OverrideMatch<O>>()
  const prefixes: (readonly [prefix: string, match: OverrideMatch<O>])[] = []
  for (const [key, value] of Object.entries(overrides)) {
    const match = { name: key.slice(key.indexOf('/') + 1), override: value }
    if (key.endsWith('*')) prefixes.push([key.slice(0, -1).toLowerCase(), match])
    else exact.set(key.toLowerCase(), match)
  }
  prefixes.sort(([a], [b]) => b.length - a.length)
  return (provider, model) => {
    const key = `${provider}/${model}`.toLowerCase()
    const found = exact.get(key)
    if (found !== undefined) return found
    return prefixes.find(([prefix]) => key.startsWith(prefix))?.[1] ?? null
  }
}
