import { z } from 'zod'
import { dayAt, type Figures, NO_FIGURES } from '../../db/model/reconcile.ts'
import type { Query, UsageAdapter, UsageAsk, UsageRow } from './adapter.ts'
import { count, dollars, money, optionalCount, readPages } from './pages.ts'

/**
 * OpenAI's usage and costs, as its OpenAPI document of 2026 and openai-node 7.51 have them; for admin keys (`sk-admin-…`).
 * @see https://platform.openai.com/docs/api-reference/usage and https://platform.openai.com/docs/api-reference/usage/costs
 */
export const openaiUsage: UsageAdapter = {
  provider: 'openai',
  part: 'project',

  async read(ask) {
    const rows: UsageRow[] = []
    for (const kind of KINDS) rows.push(...(await readUsage(ask, kind)))
    rows.push(...(await readCosts(ask)))
    return rows
  },

  async probe(ask) {
    await readPages({ get: ask.get, path: COSTS, query: spanOf(ask), bucket: costBucket })
  },
}

const DAY_MS = 86_400_000
const COSTS = '/organization/costs'

/** Each endpoint has its own report; together they are what a key can be used for by calls to a model. */
interface Kind {
  readonly path: string
  readonly figures: (said: Said) => Figures
}

const usage = z.object({
  model: z.string().nullish(),
  num_model_requests: count,
  input_tokens: optionalCount,
  output_tokens: optionalCount,
  input_cached_tokens: optionalCount,
  input_cache_write_tokens: optionalCount,
})
type Said = z.output<typeof usage>

/** `input_tokens` has everything in it: text, audio and pictures, what was cached and what was written to the cache. */
const inTokens = (said: Said): Figures => ({
  requests: said.num_model_requests,
  input: Math.max(0, said.input_tokens - said.input_cached_tokens - said.input_cache_write_tokens),
  cacheRead: said.input_cached_tokens,
  // The one kind of cache that our books have for OpenAI.
  cacheWrite5m: said.input_cache_write_tokens,
  cacheWrite1h: 0,
  output: said.output_tokens,
  costPico: null,
})

/** Counted in pictures, characters or seconds, or for free: only the number of calls can be compared. */
const inRequests = (said: Said): Figures => ({ ...NO_FIGURES, requests: said.num_model_requests })

const KINDS: readonly Kind[] = [
  { path: '/organization/usage/completions', figures: inTokens },
  { path: '/organization/usage/embeddings', figures: inTokens },
  { path: '/organization/usage/moderations', figures: inRequests },
  { path: '/organization/usage/images', figures: inRequests },
  { path: '/organization/usage/audio_speeches', figures: inRequests },
  { path: '/organization/usage/audio_transcriptions', figures: inRequests },
]

const startTime = z.int().min(0).max(253_402_300_799)
const usageBucket = z.object({ start_time: startTime, results: z.array(usage) })

/** `amount.value` is a number in the documents and, of late, text in some answers. */
const cost = z.object({
  amount: z.object({ value: money(12), currency: dollars }).nullish(),
  line_item: z.string().nullish(),
})
const costBucket = z.object({ start_time: startTime, results: z.array(cost) })

async function readUsage(ask: UsageAsk, { path, figures }: Kind): Promise<UsageRow[]> {
  const query: Query = [...spanOf(ask), ['group_by[]', 'model']]
  const buckets = await readPages({ get: ask.get, path, query, bucket: usageBucket })
  return within(ask, buckets).flatMap(({ day, results }) =>
    results.map((said) => ({ day, model: said.model ?? '', figures: figures(said) })),
  )
}

async function readCosts(ask: UsageAsk): Promise<UsageRow[]> {
  const query: Query = [...spanOf(ask), ['group_by[]', 'line_item']]
  const buckets = await readPages({ get: ask.get, path: COSTS, query, bucket: costBucket })
  return within(ask, buckets).flatMap(({ day, results }) =>
    results.map(({ amount, line_item }) => ({
      day,
      model: modelOf(line_item ?? ''),
      figures: { ...NO_FIGURES, costPico: amount?.value ?? 0n },
    })),
  )
}

/** `gpt-4o-mini-2024-07-18, cached input`: the model, then what of it. Without a comma it is no model's. */
function modelOf(lineItem: string): string {
  const comma = lineItem.indexOf(',')
  return comma < 0 ? '' : lineItem.slice(0, comma).trim()
}

function spanOf({ fromMs, toMs, only }: UsageAsk): Query {
  return [
    ['start_time', String(fromMs / 1000)],
    ['end_time', String(toMs / 1000)],
    ['bucket_width', '1d'],
    ['limit', String((toMs - fromMs) / DAY_MS)],
    ...only.map((id) => ['project_ids[]', id] as const),
  ]
}

function within<Bucket extends { readonly start_time: number }>(
  { fromMs, toMs }: UsageAsk,
  buckets: readonly Bucket[],
): (Bucket & { readonly day: string })[] {
  return buckets
    .filter(({ start_time: at }) => at * 1000 >= fromMs && at * 1000 < toMs)
    .map((bucket) => ({ ...bucket, day: dayAt(bucket.start_time * 1000) }))
}
