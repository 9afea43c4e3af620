import { z } from 'zod'
import { formatUsd } from '../../db/model/money.ts'
import { addTotals, NO_TOTALS, type UsageTotals } from '../../db/model/usage-query.ts'
import type { DayTotals, ModelTotals, SumsAsk } from '../../db/stores/usage-sums.ts'
import { isoOf, timeSchema } from './page.ts'
import type { Context, Within } from './trpc.ts'
import { DAY_MS, dateOf, dayOf, monthOf } from './usage-periods.ts'
import { countSchema, hitRate, shownSummary, shownSums, summarySchema, sumsSchema, usdSchema } from './usage-shapes.ts'

type Ctx = Pick<Context & Within, 'control' | 'deps' | 'scope'>

const TOP_MODELS = 10
const DAYS = { '7d': 7, '30d': 30 } as const
const dateSchema = z.iso.date()

export const statsSchema = z.object({
  requests_total: countSchema.describe('Of the period'),
  requests_today: countSchema,
  cache_hit_rate: z.number().min(0).max(1).describe('Of the period; 0 when there are no requests'),
  cost_this_month: usdSchema.describe('Of the calendar month, whatever the period'),
  charged_this_month: usdSchema.describe('What of it credits paid'),
  cost_saved: usdSchema.describe('What answers from the cache would have cost'),
  top_models: z.array(z.object({ model: z.string(), requests: countSchema, cost: usdSchema })),
  chart_data: z
    .array(z.object({ date: dateSchema, requests: countSchema, cost: usdSchema }))
    .describe('Every day of the period, in UTC'),
})

/** Figures of the dashboard, all from hourly sums. Days and months are UTC. */
export async function stats(
  ctx: Ctx,
  { period, projectId }: { readonly period: '7d' | '30d' | 'all'; readonly projectId: string | null },
): Promise<z.output<typeof statsSchema>> {
  const { usage } = ctx.control.stores
  const nowMs = ctx.deps.clock.now()
  const todayMs = dayOf(nowMs)
  const monthMs = monthOf(nowMs)
  const firstMs = period === 'all' ? null : todayMs - (DAYS[period] - 1) * DAY_MS
  const sinceMs = firstMs === null ? null : Math.min(firstMs, monthMs)
  const days = await usage.days(ctx.scope, { projectId, fromMs: sinceMs, toMs: null })
  const models = await usage.models(ctx.scope, { projectId, fromMs: firstMs, toMs: null })
  const inPeriod = days.filter(({ dayMs }) => firstMs === null || dayMs >= firstMs)
  const total = sumOf(inPeriod)
  const month = sumOf(days.filter(({ dayMs }) => dayMs >= monthMs))
  return {
    requests_total: total.requests,
    requests_today: sumOf(days.filter(({ dayMs }) => dayMs === todayMs)).requests,
    cache_hit_rate: hitRate(total),
    cost_this_month: formatUsd(month.costPico),
    charged_this_month: formatUsd(month.chargedPico),
    cost_saved: formatUsd(total.savedPico),
    top_models: topModels(models),
    chart_data: everyDay(inPeriod, firstMs ?? inPeriod[0]?.dayMs ?? todayMs, todayMs),
  }
}

function sumOf(days: readonly { readonly totals: UsageTotals }[]): UsageTotals {
  return days.reduce((sum, { totals }) => addTotals(sum, totals), NO_TOTALS)
}

/** Whichever provider they came from; calls that reached none are of no model. */
function topModels(models: readonly ModelTotals[]): z.output<typeof statsSchema>['top_models'] {
  const byModel = new Map<string, UsageTotals>()
  for (const { model, totals } of models) {
    if (model !== '') byModel.set(model, addTotals(byModel.get(model) ?? NO_TOTALS, totals))
  }
  return [...byModel]
    .sort(([a, x], [b, y]) => y.requests - x.requests || (a < b ? -1 : 1))
    .slice(0, TOP_MODELS)
    .map(([model, totals]) => ({ model, requests: totals.requests, cost: formatUsd(totals.costPico) }))
}

function everyDay(days: readonly DayTotals[], firstMs: number, lastMs: number) {
  const known = new Map(days.map(({ dayMs, totals }) => [dayMs, totals]))
  const chart: z.output<typeof statsSchema>['chart_data'] = []
  for (let dayMs = firstMs; dayMs <= lastMs; dayMs += DAY_MS) {
    const { requests, costPico } = known.get(dayMs) ?? NO_TOTALS
    chart.push({ date: dateOf(dayMs), requests, cost: formatUsd(costPico) })
  }
  return chart
}

export const totalsSchema = summarySchema.extend({
  total_errors: countSchema,
  from: timeSchema,
  to: timeSchema.nullable().describe('Null: to the last call'),
  llm_breakdown: z.array(
    sumsSchema.extend({
      provider: z.string().nullable().describe('Null: none was chosen'),
      model: z.string().nullable(),
    }),
  ),
  daily_usage: z.array(sumsSchema.extend({ date: dateSchema })).describe('Days with calls, in UTC'),
})

/** @param ask whole hours; without a beginning those of this month */
export async function totals(ctx: Ctx, ask: SumsAsk): Promise<z.output<typeof totalsSchema>> {
  const { usage } = ctx.control.stores
  const fromMs =
    ask.fromMs ?? Math.min(monthOf(ctx.deps.clock.now()), ask.toMs === null ? Infinity : monthOf(ask.toMs - 1))
  const days = await usage.days(ctx.scope, { ...ask, fromMs })
  const models = await usage.models(ctx.scope, { ...ask, fromMs })
  const total = sumOf(days)
  return {
    ...shownSummary(total),
    total_errors: total.errors,
    from: isoOf(fromMs),
    to: isoOf(ask.toMs),
    llm_breakdown: models.map(({ provider, model, totals: sums }) => ({
      provider: provider === '' ? null : provider,
      model: model === '' ? null : model,
      ...shownSums(sums),
    })),
    daily_usage: days.map(({ dayMs, totals: sums }) => ({ date: dateOf(dayMs), ...shownSums(sums) })),
  }
}
