import { z } from 'zod'
import { poolFor } from '../accounts.ts'
import { PROVIDER_IDS } from '../catalog/catalog.ts'
import type { AccountHealth, HealthState } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, timeSchema } from './page.ts'
import { requireProvider } from './platform-providers.ts'
import { type Context, operating } from './trpc.ts'

const healthShape = {
  consecutive_failures: z.number().int().describe('Of a provider: of the account that fares best'),
  last_failure: timeSchema.nullable().describe('Null: none is known of'),
}

const accountSchema = z.object({
  id: z.string().describe('Of the key, "env" for the environment’s'),
  name: z.string().nullable(),
  status: z.enum(['healthy', 'unhealthy']),
  ...healthShape,
  fault: z.string().nullable().describe('What went wrong last, such as "network" or "account": the key is refused'),
  rests_until: timeSchema.nullable().describe('No calls go there before; then one call tries it. Null: calls do'),
})

const providerSchema = z.object({
  provider: z.string(),
  status: z.enum(['healthy', 'unhealthy', 'paused']).describe('"unhealthy": all its accounts are'),
  ...healthShape,
  accounts: z.array(accountSchema),
})

const tags = ['Platform']
const path = '/platform/provider-health'
const UNTRIED: HealthState = { status: 'healthy', consecutiveFailures: 0, lastFailureMs: null }

/** How the platform's accounts at providers answer: a part of the router `platform`. */
export const platformHealthProcedures = {
  providerHealth: operating
    .meta({
      openapi: {
        method: 'GET',
        path,
        tags,
        summary: 'List how the platform’s accounts at providers answer',
        description: 'As the instance that answers knows it: failures before the third in a row are told to no other.',
        protect: true,
      },
    })
    .input(z.object({}))
    .output(z.object({ data: z.array(providerSchema), next_cursor: z.null() }))
    .query(async ({ ctx }) => {
      const names = new Map<string, string>()
      for (const { id, name } of (await ctx.control.stores.providerCredentials.list('platform')) ?? [])
        names.set(id, name)
      const data: z.output<typeof providerSchema>[] = []
      for (const provider of PROVIDER_IDS) {
        const shown = await shownProvider(ctx, provider, names)
        if (shown !== null) data.push(shown)
      }
      return { data, next_cursor: null }
    }),

  resetProviderHealth: operating
    .meta({
      openapi: {
        method: 'POST',
        path: `${path}/reset`,
        tags,
        summary: 'Let calls go again to providers that have failed',
        description:
          'On every instance, and to projects’ own accounts as well. What fails still is given a rest again. Also `POST /v1/providers/health/reset`.',
        protect: true,
      },
    })
    .input(
      z.object({
        provider: z.string().min(1).max(64).optional().describe('Absent: all'),
        account: idSchema.optional().describe('One account at the provider; absent: all'),
      }),
    )
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input: { provider, account } }) => {
      if (provider !== undefined) requireProvider(ctx, provider)
      else if (account !== undefined) {
        throw new GatewayError('invalid_request', 'Name the provider of the account', { param: 'provider' })
      }
      const after = account === undefined ? null : { account }
      const target = { type: 'provider_health', id: provider ?? '*', before: null, after }
      await ctx.control.stores.auditLog.note(ctx.change, target)
      ctx.deps.breaker?.reset(provider, account)
      return { ok: true as const }
    }),
}

/** Null: the platform has no account there, or none that can be used. */
async function shownProvider(
  { deps }: Context,
  provider: string,
  names: ReadonlyMap<string, string>,
): Promise<z.output<typeof providerSchema> | null> {
  if (deps.providerOf(provider)?.inProcess !== undefined) return null
  const ids = poolFor({}, provider, deps).map(({ account }) => account.id)
  if (ids.length === 0) return null
  const state = (await deps.breaker?.health(provider, ids)) ?? UNTRIED
  const accounts = ids.map(async (id) => {
    const one: AccountHealth = (await deps.breaker?.accountHealth(provider, id)) ?? {
      ...UNTRIED,
      ...{ fault: null, restsUntilMs: null },
    }
    const more = { fault: one.fault, rests_until: isoOf(one.restsUntilMs) }
    return { id, name: names.get(id) ?? null, status: one.status, ...shownHealth(one), ...more }
  })
  return {
    provider,
    status: deps.pauses?.isPaused(provider) === true ? 'paused' : state.status,
    ...shownHealth(state),
    accounts: await Promise.all(accounts),
  }
}

function shownHealth({ consecutiveFailures, lastFailureMs }: HealthState) {
  return { consecutive_failures: consecutiveFailures, last_failure: isoOf(lastFailureMs) }
}
