import { z } from 'zod'
import { dayAt, NO_FIGURES } from '../../db/model/reconcile.ts'
import type { Query, UsageAdapter, UsageAsk, UsageRow } from './adapter.ts'
import { count, dollars, money, optionalCount, readPages } from './pages.ts'

/**
 * Anthropic's usage and costs (API version 2023-06-01); for admin keys (`sk-ant-admin…`). It doesn't say how many calls
 * there were, and what the priority tier costs is in no report.
 * @see https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages,
 *   https://platform.claude.com/docs/en/api/admin/cost_report and
 *   https://platform.claude.com/docs/en/build-with-claude/usage-cost-api
 */
export const anthropicUsage: UsageAdapter = {
  provider: 'anthropic',
  part: 'workspace',

  async read(ask) {
    return [...(await readUsage(ask)), ...(await readCosts(ask))]
  },

  async probe(ask) {
    await readPages({ get: ask.get, path: COSTS, query: spanOf(ask), bucket: costBucket })
  },
}

const DAY_MS = 86_400_000
const USAGE = '/organizations/usage_report/messages'
const COSTS = '/organizations/cost_report'

const startingAt = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))

const usageBucket = z.object({
  starting_at: startingAt,
  results: z.array(
    z.object({
      model: z.string().nullish(),
      uncached_input_tokens: count,
      cache_read_input_tokens: count,
      cache_creation: z.object({ ephemeral_5m_input_tokens: optionalCount, ephemeral_1h_input_tokens: optionalCount }),
      output_tokens: count,
    }),
  ),
})

const costBucket = z.object({
  starting_at: startingAt,
  results: z.array(
    z.object({
      // A decimal string in the currency's smallest unit: "123.45" is 1.2345 USD.
      amount: money(10),
      currency: dollars,
      /** Null for what isn't paid by the token: searches, code execution. */
      model: z.string().nullish(),
      workspace_id: z.string().nullish(),
    }),
  ),
})

async function readUsage(ask: UsageAsk): Promise<UsageRow[]> {
  const only = ask.only.map((id) => ['workspace_ids[]', id] as const)
  const query: Query = [...spanOf(ask), ['group_by[]', 'model'], ...only]
  const buckets = await readPages({ get: ask.get, path: USAGE, query, bucket: usageBucket })
  return within(ask, buckets).flatMap(({ starting_at, results }) =>
    results.map((said) => ({
      day: dayAt(starting_at),
      model: said.model ?? '',
      figures: {
        requests: null,
        input: said.uncached_input_tokens,
        cacheRead: said.cache_read_input_tokens,
        cacheWrite5m: said.cache_creation.ephemeral_5m_input_tokens,
        cacheWrite1h: said.cache_creation.ephemeral_1h_input_tokens,
        output: said.output_tokens,
        costPico: null,
      },
    })),
  )
}

/** Costs can't be asked for by workspace, only told apart by it. */
async function readCosts(ask: UsageAsk): Promise<UsageRow[]> {
  const byWorkspace: Query = ask.only.length === 0 ? [] : [['group_by[]', 'workspace_id']]
  const query: Query = [...spanOf(ask), ['group_by[]', 'description'], ...byWorkspace]
  const buckets = await readPages({ get: ask.get, path: COSTS, query, bucket: costBucket })
  const isAsked = (workspace: string | null | undefined): boolean =>
    ask.only.length === 0 || ask.only.includes(workspace ?? '')
  return within(ask, buckets).flatMap(({ starting_at, results }) =>
    results
      .filter(({ workspace_id }) => isAsked(workspace_id))
      .map(({ model, amount }) => ({
        day: dayAt(starting_at),
        model: model ?? '',
        figures: { ...NO_FIGURES, costPico: amount },
      })),
  )
}

function spanOf({ fromMs, toMs }: UsageAsk): Query {
  return [
    ['starting_at', isoOf(fromMs)],
    ['ending_at', isoOf(toMs)],
    ['bucket_width', '1d'],
    ['limit', String((toMs - fromMs) / DAY_MS)],
  ]
}

function within<Bucket extends { readonly starting_at: number }>(
  { fromMs, toMs }: UsageAsk,
  buckets: readonly Bucket[],
): Bucket[] {
  return buckets.filter(({ starting_at: at }) => at >= fromMs && at < toMs)
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('.000Z', 'Z')
}
