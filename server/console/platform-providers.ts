import { z } from 'zod'
import { formatUsd } from '../../db/model/money.ts'
import type { ProviderLimit } from '../../db/stores/provider-limits.ts'
import { GatewayError } from '../errors.ts'
import { readUsdNano, shownNano } from './amounts.ts'
import { isoOf, lineSchema, timeSchema } from './page.ts'
import { type Context, operating } from './trpc.ts'
import { DAY_MS, dayOf } from './usage-periods.ts'
import { usdSchema } from './usage-shapes.ts'

const providerInput = z.string().min(1).max(64)

const limitSchema = z.object({
  provider: z.string(),
  stop_usd: usdSchema.nullable().describe('What a day (UTC) may cost before calls are paused; null: any amount'),
  spent_today_usd: usdSchema.describe('By all calls with the platform’s accounts there, those of projects’ own not'),
  stop_free_until: timeSchema
    .nullable()
    .describe('It was resumed on a day whose stop was reached: until then the stop pauses nothing'),
  paused_at: timeSchema.nullable().describe('Null: calls go there'),
  paused_reason: z.string().nullable(),
})

const tags = ['Platform']
const path = '/platform/provider-limits'

/** What the platform's accounts at providers may cost, and whether calls go there: a part of the router `platform`. */
export const platformProviderProcedures = {
  providerLimits: operating
    .meta({
      openapi: {
        method: 'GET',
        path,
        tags,
        summary: 'List what the platform’s accounts at providers may cost, and which are paused',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(z.object({ data: z.array(limitSchema), next_cursor: z.null() }))
    .query(async ({ ctx }) => {
      const limits = await ctx.control.stores.providerLimits.list()
      return { data: await shownAll(ctx, limits), next_cursor: null }
    }),

  setProviderStop: operating
    .meta({
      openapi: {
        method: 'PUT',
        path: `${path}/{provider}`,
        tags,
        summary: 'Set what a day at a provider may cost',
        description:
          'In USD, over all calls with the platform’s accounts there. When a day has cost so much, the provider is paused until somebody resumes it: calls there get 429 `provider_paused`, those with a project’s own key go on. Calls under way end, so the day may cost a little more.',
        protect: true,
      },
    })
    .input(z.object({ provider: providerInput, stop_usd: z.string().max(32).nullable().describe('Null: any amount') }))
    .output(limitSchema)
    .mutation(async ({ ctx, input: { provider, stop_usd } }) => {
      requireProvider(ctx, provider)
      const stopNano = stop_usd === null ? null : readUsdNano(stop_usd, 'stop_usd')
      return shown(ctx, await ctx.control.stores.providerLimits.setStop(ctx.change, provider, stopNano))
    }),

  pauseProvider: operating
    .meta({
      openapi: {
        method: 'POST',
        path: `${path}/{provider}/pause`,
        tags,
        summary: 'Pause the platform’s accounts at a provider, until they are resumed',
        protect: true,
      },
    })
    .input(z.object({ provider: providerInput, reason: lineSchema.default('Paused by hand') }))
    .output(limitSchema)
    .mutation(async ({ ctx, input: { provider, reason } }) => {
      requireProvider(ctx, provider)
      return shown(ctx, await ctx.control.stores.providerLimits.pause(ctx.change, provider, reason))
    }),

  resumeProvider: operating
    .meta({
      openapi: {
        method: 'POST',
        path: `${path}/{provider}/resume`,
        tags,
        summary: 'Let calls go to a provider again',
        description:
          'Its stop pauses nothing more for the rest of this day (UTC), unless it is set again: then it counts all that the day has cost.',
        protect: true,
      },
    })
    .input(z.object({ provider: providerInput }))
    .output(limitSchema)
    .mutation(async ({ ctx, input: { provider } }) => {
      requireProvider(ctx, provider)
      const freeUntilMs = dayOf(ctx.change.atMs) + DAY_MS
      return shown(ctx, await ctx.control.stores.providerLimits.resume(ctx.change, provider, freeUntilMs))
    }),
}

/** @throws GatewayError `invalid_request` for one that nobody knows, and for the sandbox */
export function requireProvider({ deps }: Context, id: string): void {
  const provider = deps.providerOf(id)
  if (provider !== null && provider.inProcess === undefined) return
  throw new GatewayError('invalid_request', `Unknown provider "${id}"`, { param: 'provider' })
}

async function shown(ctx: Context, limit: ProviderLimit): Promise<z.output<typeof limitSchema>> {
  const [one] = await shownAll(ctx, [limit])
  return one!
}

async function shownAll(ctx: Context, limits: readonly ProviderLimit[]): Promise<z.output<typeof limitSchema>[]> {
  const { control, deps } = ctx
  const nowMs = deps.clock.now()
  const names = limits.map(({ provider }) => provider)
  const spent = await control.stores.usageSeeds.platformSpend(names, dayOf(nowMs))
  return limits.map(({ provider, stopNano, stopFreeUntilMs, pausedAtMs, pausedReason }) => ({
    provider,
    stop_usd: stopNano === null ? null : shownNano(stopNano),
    spent_today_usd: formatUsd(spent.get(provider) ?? 0n),
    stop_free_until: isoOf(stopFreeUntilMs !== null && stopFreeUntilMs > nowMs ? stopFreeUntilMs : null),
    paused_at: isoOf(pausedAtMs),
    paused_reason: pausedReason,
  }))
}
