import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import type { UsageFilter, UsagePosition } from '../../db/model/usage-query.ts'
import { type Bounds, usageCalls } from '../../db/stores/usage-calls.ts'
import { BREAKDOWNS, type BreakdownBy } from '../../db/stores/usage-sums.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { sampleCall } from './samples.ts'
import { chosen, history, sumOf } from './usage-history.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** The end of a month. */
const START_MS = Date.UTC(2026, 4, 30, 21, 12, 34, 567)
const MINE = scopeOf('org_a')
const OTHERS = scopeOf('org_b')

const CALLS = history(900, { startMs: START_MS, stepMs: HOUR_MS / 3 })
const LAST_MS = CALLS.at(-1)!.createdAtMs
const onHour = (ms: number): number => Math.floor(ms / HOUR_MS) * HOUR_MS
const BETWEEN = CALLS[400]!.createdAtMs

const FILTERS: readonly UsageFilter[] = [
  {},
  { fromMs: BETWEEN },
  { toMs: BETWEEN },
  { fromMs: onHour(BETWEEN), toMs: onHour(BETWEEN) + 5 * HOUR_MS },
  { fromMs: onHour(BETWEEN) + 1, toMs: onHour(BETWEEN) + HOUR_MS - 1 },
  { fromMs: onHour(BETWEEN) - 1, toMs: onHour(BETWEEN) + 1 },
  { fromMs: START_MS + 7, toMs: LAST_MS },
  { fromMs: LAST_MS + DAY_MS },
  { toMs: START_MS - DAY_MS },
  { model: 'gpt-4o' },
  { model: 'rare' },
  { model: 'unheard-of' },
  { keyId: 'key_1' },
  { keyId: 'key_rare' },
  { provider: 'anthropic' },
  { status: 'ok' },
  { status: 'error' },
  { status: 'aborted' },
  { status: 'cut' },
  { status: 200 },
  { status: 429 },
  { status: 499 },
  { status: 418 },
  { cached: true },
  { cached: false },
  { minCostPico: 1n },
  { minCostPico: BigInt(Number.MAX_SAFE_INTEGER) - 500_000n },
  { maxCostPico: 0n },
  { maxCostPico: 10n ** 20n },
  { endUser: 'user-0' },
  { endUser: 'nobody' },
  { metadata: 'search' },
  { metadata: 'SEARCH te' },
  { metadata: '1e5' },
  { metadata: 'x-7' },
  { metadata: '"team":"ads"' },
  { metadata: 'Zoë' },
  { metadata: 'a-b_c ann@' },
  { metadata: "' & | ! <-> :* \\" },
]

const LITTLE: Bounds = { scanned: 150, found: 12 }

/** Each alone, and each with each that says something of another kind. */
const PAIRS = FILTERS.flatMap((one, at) =>
  FILTERS.slice(at).flatMap((other) =>
    Object.keys(one).every((key) => !(key in other)) ? [{ ...one, ...other }] : [],
  ),
)
const text = (filter: UsageFilter): string =>
  JSON.stringify(filter, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))

describe.each(ENGINES)('usage on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
    const foreign = Array.from({ length: 20 }, (_, i) =>
      sampleCall({ organizationId: 'org_b', projectId: 'prj_c', createdAtMs: START_MS + i * HOUR_MS }),
    )
    await on.stores.calls.insertBatch(JSON.stringify([...CALLS, ...foreign]))
    const { db } = on.database
    const created_at = new Date(START_MS)
    await db
      .insertInto('organizations')
      .values(['a', 'b'].map((name) => ({ id: `org_${name}`, name, plan: 'pro', created_at })))
      .execute()
    await db
      .insertInto('projects')
      .values(
        [
          ['a', 'a'],
          ['b', 'a'],
          ['c', 'b'],
          ['empty', 'a'],
        ].map(([name, org]) => ({
          id: `prj_${name}`,
          organization_id: `org_${org}`,
          name: `Project ${name}`,
          default_provider: null,
          created_at,
          archived_at: null,
        })),
      )
      .execute()
  }, 120_000)
  afterAll(() => on?.dispose())

  async function walk(filter: UsageFilter, limit: number): Promise<string[]> {
    const ids: string[] = []
    let after: UsagePosition | null = null
    for (let pages = 0; pages < 2_000; pages++) {
      const page: Awaited<ReturnType<typeof on.stores.usage.page>> = await on.stores.usage.page(
        MINE,
        { projectId: 'prj_a', filter },
        { limit, after },
      )
      expect(page.calls.length).toBeLessThanOrEqual(limit)
      ids.push(...page.calls.map((call) => call.id))
      if (page.next === null) return ids
      after = page.next
    }
    throw new Error('The walk has no end')
  }

  it.each(FILTERS.map((filter) => [text(filter), filter] as const))(
    'the pages of %s are together exactly the calls that pass, in order, whatever their size',
    async (_, filter) => {
      const expected = chosen(CALLS, 'prj_a', filter).map((call) => call.id)
      for (const limit of [7, 100, 1000]) expect(await walk(filter, limit)).toEqual(expected)
    },
  )

  it('two filters take what both take, and sums are exact to the pico-dollar', async () => {
    for (const filter of PAIRS) {
      const expected = chosen(CALLS, 'prj_a', filter)
      const { totals, isExact } = await on.stores.usage.summary(MINE, { projectId: 'prj_a', filter })
      expect([text(filter), totals, isExact]).toEqual([text(filter), sumOf(expected), true])
      expect([text(filter), await walk(filter, 200)]).toEqual([text(filter), expected.map((call) => call.id)])
    }
  }, 120_000)

  it('however little one question may look through, the walk finds all, and what is not counted is said', async () => {
    const exact: boolean[] = []
    for (const filter of PAIRS.filter((_, at) => at % 4 === 0)) {
      const expected = chosen(CALLS, 'prj_a', filter)
      const log = usageCalls(on.database.db, LITTLE)
      const ask = { scope: MINE, projectId: 'prj_a', filter }
      const ids: string[] = []
      let after: UsagePosition | null = null
      do {
        const page: Awaited<ReturnType<typeof log.page>> = await log.page(ask, { limit: 60, after })
        ids.push(...page.calls.map((call) => call.id))
        after = page.next
      } while (after !== null)
      expect([text(filter), ids]).toEqual([text(filter), expected.map((call) => call.id)])
      const { totals, isExact } = await log.summary(ask)
      exact.push(isExact)
      const counted = isExact ? expected : expected.slice(0, totals.requests)
      expect([text(filter), totals]).toEqual([text(filter), sumOf(counted)])
    }
    expect(new Set(exact).size).toBe(2)
  }, 240_000)

  it('a page of one call goes through calls of one millisecond without losing or repeating any', async () => {
    const filter = { fromMs: CALLS[200]!.createdAtMs, toMs: CALLS[260]!.createdAtMs + 1 }
    expect(await walk(filter, 1)).toEqual(chosen(CALLS, 'prj_a', filter).map((call) => call.id))
  })

  it('a call is shown as it was recorded', async () => {
    const { calls } = await on.stores.usage.page(MINE, { projectId: 'prj_a', filter: {} }, { limit: 1000, after: null })
    const records = new Map(CALLS.map((call) => [call.id, call]))
    for (const shown of calls) {
      const { inputTokens, outputTokens, cached, ...rest } = shown
      const record = records.get(shown.id)!
      expect(record).toMatchObject(rest)
      expect([inputTokens + outputTokens, cached]).toEqual([
        sumOf([record]).inputTokens + sumOf([record]).outputTokens,
        false,
      ])
    }
  })

  it('another organization sees nothing of a project, whatever it asks', async () => {
    const ask = { projectId: 'prj_a', fromMs: null, toMs: null }
    const { usage } = on.stores
    expect(await usage.hasProject(OTHERS, 'prj_a')).toBe(false)
    expect(await usage.hasProject(MINE, 'prj_a')).toBe(true)
    for (const filter of FILTERS) {
      const page = await usage.page(OTHERS, { projectId: 'prj_a', filter }, { limit: 10, after: null })
      const { totals } = await usage.summary(OTHERS, { projectId: 'prj_a', filter })
      expect([text(filter), page, totals]).toEqual([text(filter), { calls: [], next: null }, sumOf([])])
    }
    expect(await usage.days(OTHERS, ask)).toEqual([])
    expect(await usage.models(OTHERS, ask)).toEqual([])
    for (const by of BREAKDOWNS) expect((await usage.parts(OTHERS, ask, { by, limit: 10 })).parts).toEqual([])
    const since = { requestsMs: onHour(START_MS), tokensMs: onHour(START_MS) }
    expect((await usage.used(OTHERS, since)).requests).toBe(20)
  })

  it('a project without calls has empty pages and no sums', async () => {
    const ask = { projectId: 'prj_empty', filter: {} }
    expect(await on.stores.usage.page(MINE, ask, { limit: 5, after: null })).toEqual({ calls: [], next: null })
    expect(await on.stores.usage.summary(MINE, ask)).toEqual({ totals: sumOf([]), isExact: true })
  })

  const idOf: { readonly [by in BreakdownBy]: (call: CallRecord) => string | null } = {
    key: (call) => call.keyId,
    model: (call) => call.model,
    provider: (call) => call.provider,
    end_user: (call) => call.endUser,
    project: (call) => call.projectId,
  }

  it.each(BREAKDOWNS)('a breakdown by %s counts each call once', async (by) => {
    for (const projectId of [null, 'prj_b']) {
      for (const [fromMs, toMs] of [
        [null, null],
        [onHour(BETWEEN), null],
        [null, onHour(BETWEEN)],
      ] as const) {
        const calls = CALLS.filter(
          ({ createdAtMs: at, projectId: id }) =>
            (projectId === null || id === projectId) && at >= (fromMs ?? 0) && at < (toMs ?? Infinity),
        )
        const { parts, hasMore } = await on.stores.usage.parts(MINE, { projectId, fromMs, toMs }, { by, limit: 100 })
        const groups = grouped(calls, idOf[by])
        expect(hasMore).toBe(false)
        expect(parts).toHaveLength(groups.size)
        for (const { id, totals } of parts) expect(totals).toEqual(sumOf(groups.get(id)!))
        expect(parts.map(({ totals }) => -totals.requests)).toEqual(
          parts.map(({ totals }) => -totals.requests).sort((a, b) => a - b),
        )
      }
    }
    const few = await on.stores.usage.parts(MINE, { projectId: null, fromMs: null, toMs: null }, { by, limit: 1 })
    expect([few.parts.length, few.hasMore]).toEqual([1, true])
  })

  it('days, models and the month are the calls of them, and no other', async () => {
    const { usage } = on.stores
    const days = await usage.days(MINE, { projectId: null, fromMs: null, toMs: null })
    const byDay = new Map(grouped(CALLS, (call) => Math.floor(call.createdAtMs / DAY_MS) * DAY_MS))
    expect(days).toEqual(
      [...byDay].sort(([a], [b]) => a - b).map(([dayMs, calls]) => ({ dayMs, totals: sumOf(calls) })),
    )
    const june = Date.UTC(2026, 5, 1)
    const since = { requestsMs: june, tokensMs: june + DAY_MS }
    const { inputTokens, outputTokens } = sumOf(CALLS.filter((call) => call.createdAtMs >= june + DAY_MS))
    expect(await usage.used(MINE, since)).toEqual({
      requests: CALLS.filter((call) => call.createdAtMs >= june && call.provider !== null).length,
      tokens: inputTokens + outputTokens,
    })
    expect(CALLS.some((call) => call.createdAtMs < june)).toBe(true)
  })
})

function grouped<K>(calls: readonly CallRecord[], keyOf: (call: CallRecord) => K): Map<K, CallRecord[]> {
  const groups = new Map<K, CallRecord[]>()
  for (const call of calls) groups.set(keyOf(call), [...(groups.get(keyOf(call)) ?? []), call])
  return groups
}
