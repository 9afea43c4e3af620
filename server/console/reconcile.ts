import { z } from 'zod'
import { credentialNameSchema, hintOf, providerKeySchema } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import {
  adminCredentialContext,
  dayAt,
  dayMs,
  daysBetween,
  MAX_ADMIN_CREDENTIALS,
  type Reconciliation,
  type ReconciliationRow,
} from '../../db/model/reconcile.ts'
import type { Control } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import {
  adapterFor,
  reconcile as compareDays,
  DEFAULT_TOLERANCE_PPM,
  MAX_DAYS,
  openAdminKey,
  testAdminKey,
} from '../reconcile.ts'
import { checkPlace } from './credential-check.ts'
import { cut, idSchema, pageInput, pageOf } from './page.ts'
import {
  adminCredentialSchema,
  CSV_HEAD,
  reconciliationRowSchema,
  reconciliationSchema,
  rowLine,
  shownAdminCredential,
  shownReconciliation,
  shownRow,
} from './reconcile-shapes.ts'
import { type Context, operating, router } from './trpc.ts'

const tags = ['Platform']

const providerSchema = z.string().min(1).max(64).describe('Id of the provider: openai or anthropic')
const dateSchema = z.iso.date()
const testedSchema = z.object({ ok: z.boolean(), message: z.string(), credential: adminCredentialSchema })

/** Models of one day that an answer has at most; the export has all. */
const MAX_ROWS = 1_000

function meta(method: 'GET' | 'POST' | 'DELETE', path: `/${string}`, summary: string) {
  return { openapi: { method, path: `/platform${path}` as const, tags, summary, protect: true } }
}

/** Our books held against what providers say they have charged. */
export const reconcile = router({
  credentials: operating
    .meta(meta('GET', '/admin-keys', 'List the keys that read providers’ usage and costs'))
    .input(z.object({}))
    .output(pageOf(adminCredentialSchema))
    .query(async ({ ctx }) => {
      const all = await ctx.control.stores.adminCredentials.list(null)
      return { data: all.map(shownAdminCredential), next_cursor: null }
    }),

  setCredential: operating
    .meta(meta('POST', '/admin-keys', 'Add a key that reads a provider’s usage and costs, after a test with it'))
    .input(
      z.object({
        provider: providerSchema,
        name: credentialNameSchema.optional().describe("Default: the provider's id"),
        key: providerKeySchema.describe('An admin key, such as sk-admin-… or sk-ant-admin…; sealed and never returned'),
        base_url: z.string().trim().max(2048).optional().describe('Where its API lives, when that is elsewhere'),
        only: z
          .array(idSchema)
          .max(100)
          .default([])
          .describe('Ids of projects (OpenAI) or workspaces (Anthropic) that are this gateway’s; empty: all are'),
        save_unchecked: z.boolean().default(false).describe('Save it even if the test fails'),
      }),
    )
    .output(adminCredentialSchema)
    .mutation(async ({ ctx, input }) => {
      const { provider, key, only } = input
      const { control, deps, change } = ctx
      adapterFor(provider)
      const id = makeId('adk', change.atMs, deps.random.bytes(16))
      const baseUrl = input.base_url ?? null
      await checkPlace(ctx, { id, provider, own: false, key, baseUrl, version: null })
      const result = await tried(ctx, { id, provider, key, baseUrl, onlyProjects: only })
      if (result !== 'ok' && !input.save_unchecked) {
        const message = `${result}; send "save_unchecked": true to save it all the same`
        throw new GatewayError('invalid_request', message, { param: 'key' })
      }
      const made = await control.stores.adminCredentials.create(change, {
        ...{ id, provider, name: input.name ?? provider, hint: hintOf(key), baseUrl, onlyProjects: only },
        sealed: control.vault.seal(key, adminCredentialContext(id)),
        check: { atMs: deps.clock.now(), result },
      })
      if (!made) {
        throw new GatewayError('invalid_request', `There are ${MAX_ADMIN_CREDENTIALS} admin keys: remove one first`)
      }
      return shownAdminCredential((await control.stores.adminCredentials.find(id)) ?? noKey())
    }),

  testCredential: operating
    .meta(meta('POST', '/admin-keys/{id}/test', 'Try a key that reads a provider’s usage and costs'))
    .input(z.object({ id: idSchema }))
    .output(testedSchema)
    .mutation(async ({ ctx, input: { id } }) => {
      const { adminCredentials } = ctx.control.stores
      const known = (await adminCredentials.find(id)) ?? noKey()
      const message = await tried(ctx, { ...known, key: openAdminKey(ctx.control, known) })
      const noted = await adminCredentials.noteCheck(id, { atMs: ctx.deps.clock.now(), result: message })
      return { ok: message === 'ok', message, credential: shownAdminCredential(noted ?? noKey()) }
    }),

  removeCredential: operating
    .meta(meta('DELETE', '/admin-keys/{id}', 'Remove a key that reads a provider’s usage and costs'))
    .input(z.object({ id: idSchema }))
    .output(z.object({ deleted: z.literal(true) }))
    .mutation(async ({ ctx, input: { id } }) => {
      if (!(await ctx.control.stores.adminCredentials.delete(ctx.change, id))) noKey()
      return { deleted: true as const }
    }),

  run: operating
    .meta(meta('POST', '/reconciliations', 'Compare our books with a provider’s figures now, day by day'))
    .input(
      z.object({
        provider: providerSchema,
        from: dateSchema.describe('The first day, in UTC'),
        to: dateSchema.optional().describe('The last day, in it; default: the first'),
        tolerance_percent: z
          .number()
          .min(0)
          .max(100)
          .default(DEFAULT_TOLERANCE_PPM / 10_000)
          .describe('What both sides may differ by before a model is off'),
      }),
    )
    .output(z.object({ data: z.array(reconciliationSchema) }))
    .mutation(async ({ ctx, input: { provider, from, to = from, tolerance_percent } }) => {
      const made = await compareDays(ctx, {
        ...{ provider, days: daysFrom(from, to, ctx.deps.clock.now()), change: ctx.change, by: ctx.person.email },
        tolerancePpm: Math.round(tolerance_percent * 10_000),
        signal: new AbortController().signal,
      })
      return { data: made.map(shownReconciliation) }
    }),

  list: operating
    .meta(meta('GET', '/reconciliations', 'List comparisons with providers’ figures, the newest first'))
    .input(
      z.object({
        ...pageInput,
        provider: providerSchema.optional(),
        status: z.enum(['ok', 'off']).optional(),
        history: z.boolean().default(false).describe('Those too that a later one of the same day has replaced'),
      }),
    )
    .output(pageOf(reconciliationSchema))
    .query(async ({ ctx, input: { limit, cursor = null, provider = null, status = null, history } }) => {
      const page = { provider, status, history, limit: limit + 1, after: cursor }
      const rows = await ctx.control.stores.reconciliations.list(page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map(shownReconciliation), next_cursor: next }
    }),

  get: operating
    .meta(meta('GET', '/reconciliations/{id}', 'One comparison, model by model'))
    .input(z.object({ id: idSchema }))
    .output(
      reconciliationSchema.extend({
        rows: z.array(reconciliationRowSchema),
        rows_are_all: z.boolean().describe('False: there are more, which the export has'),
      }),
    )
    .query(async ({ ctx, input: { id } }) => {
      const one = await requireReconciliation(ctx.control, id)
      const rows = await ctx.control.stores.reconciliations.rows(id, { limit: MAX_ROWS + 1, after: null })
      const shown = rows.slice(0, MAX_ROWS).map(shownRow)
      return { ...shownReconciliation(one), rows: shown, rows_are_all: rows.length <= MAX_ROWS }
    }),
})

const CSV_ROWS = 200
const DAY_MS = 86_400_000

/** One comparison as CSV, model by model: one page is in memory at a time. @throws when the database can't be asked */
export async function* reconciliationCsv({ stores }: Control, one: Reconciliation): AsyncGenerator<string> {
  yield CSV_HEAD
  for (let after: string | null = null; ; ) {
    const rows: readonly ReconciliationRow[] = await stores.reconciliations.rows(one.id, { limit: CSV_ROWS, after })
    if (rows.length > 0) yield rows.map((row) => rowLine(one, row)).join('')
    if (rows.length < CSV_ROWS) return
    after = rows.at(-1)!.model
  }
}

/** @throws GatewayError `not_found` */
export async function requireReconciliation({ stores }: Control, id: string): Promise<Reconciliation> {
  const found = await stores.reconciliations.find(id)
  if (found === null) throw new GatewayError('not_found', 'There is no such reconciliation')
  return found
}

/** `ok`, or what keeps the key from being used. */
async function tried(ctx: Context, key: Parameters<typeof testAdminKey>[1]): Promise<string> {
  try {
    await testAdminKey(ctx, key)
    return 'ok'
  } catch (error) {
    if (error instanceof GatewayError) return error.message
    throw error
  }
}

function daysFrom(from: string, to: string, nowMs: number): readonly string[] {
  if (to < from) throw new GatewayError('invalid_request', '"from" must not be later than "to"', { param: 'from' })
  if (to >= dayAt(nowMs)) {
    throw new GatewayError('invalid_request', 'Only days that are over in UTC can be compared', { param: 'to' })
  }
  if (dayMs(to) - dayMs(from) < MAX_DAYS * DAY_MS) return daysBetween(from, to)
  throw new GatewayError('invalid_request', `Compare ${MAX_DAYS} days at once at most`, { param: 'to' })
}

function noKey(): never {
  throw new GatewayError('not_found', 'There is no such admin key')
}
