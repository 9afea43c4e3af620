import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { OWN_KEY_CHARGE } from '../../db/model/charge.ts'
import type { Counted, Limit, LimitPeriod } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import { inputTotal, outputTotal } from '../../db/model/usage.ts'
import type { OwnedLimit, Whose } from '../../db/stores/usage-seeds.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { rollupAndRecount } from './samples.ts'
import { chance, history } from './usage-history.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 3, 27, 21, 12, 34, 567)
const COUNTED: readonly Counted[] = ['requests', 'tokens', 'spend']
const PERIODS: readonly LimitPeriod[] = ['day', 'week', 'month', 'total']

/** Charged, of the project's own account, or paid by the installation. */
function paid(calls: readonly CallRecord[]): CallRecord[] {
  const of = chance(3)
  return calls.map((one) => {
    const call = { ...one, chargedPico: null, charge: null }
    const how = of(3)
    if (how === 0 || call.costPico === null) return call
    if (how === 1) return { ...call, charge: OWN_KEY_CHARGE }
    return { ...call, chargedPico: of(4) === 0 ? 0 : of(1_000_000_000), charge: '{"paidBy":"credits"}' }
  })
}

const CALLS = paid(history(900, { startMs: START_MS, stepMs: 3 * HOUR_MS }))
const LAST_MS = CALLS.at(-1)!.createdAtMs

const isOf = (call: CallRecord, of: Limit['of'], whose: Whose): boolean =>
  call.organizationId === whose.organizationId &&
  (of === 'organization' || call.projectId === whose.projectId) &&
  (of !== 'key' || call.keyId === whose.keyId)

/** Slow, and plainly right. */
function counted({ limit, whose }: OwnedLimit, nowMs: number): number {
  const { startMs, endMs } = periodOf(limit, nowMs)
  let sum = 0n
  for (const call of CALLS) {
    if (!isOf(call, limit.of, whose) || call.createdAtMs < startMs || call.createdAtMs >= endMs) continue
    if (limit.what === 'requests') sum += call.provider === null ? 0n : 1n
    if (limit.what === 'tokens') sum += BigInt(inputTotal(call.usage) + outputTotal(call.usage))
    if (limit.what === 'spend') sum += BigInt(call.chargedPico ?? call.costPico ?? 0)
  }
  return Number(limit.what === 'spend' ? (sum + 999n) / 1_000n : sum)
}

const WHOSE: readonly Whose[] = [
  { ...scopeOf('org_a'), projectId: 'prj_a', keyId: 'key_0' },
  { ...scopeOf('org_a'), projectId: 'prj_a', keyId: 'key_rare' },
  { ...scopeOf('org_a'), projectId: 'prj_b', keyId: 'key_1' },
  { ...scopeOf('org_b'), projectId: 'prj_a', keyId: 'key_0' },
]

describe.each(ENGINES)('usage seeds on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
    await on.stores.calls.insertBatch(JSON.stringify(CALLS.slice(0, 500)))
    // With one that is there already: the other way in.
    await on.stores.calls.insertBatch(JSON.stringify(CALLS.slice(499)))
  }, 120_000)
  afterAll(() => on?.dispose())

  it('the rollup they are read from is what counting again would make it', async () => {
    const { rollup, recount } = await rollupAndRecount(on.database)
    expect(rollup).toEqual(recount)
  })

  it('are exactly what the calls of each limit’s period have used, whosever, whatever and since whenever it counts', async () => {
    const of = chance(11)
    let known = 0
    for (let round = 0; round < 120; round++) {
      // A period that ends within an hour is only asked for while it runs: then no call of that hour is behind its end.
      const isLast = of(2) === 0
      const nowMs = isLast ? LAST_MS + of(2 * DAY_MS) : START_MS + of(LAST_MS - START_MS)
      const whose = WHOSE[of(WHOSE.length)]!
      const limits = Array.from({ length: 1 + of(9) }, (_, i): Limit => {
        const hoursMs = START_MS - (START_MS % HOUR_MS) - 40 * DAY_MS + of(1_600) * HOUR_MS
        const anchorMs = of(3) === 0 ? null : isLast ? hoursMs + of(HOUR_MS) : hoursMs
        return {
          of: (['key', 'project', 'organization'] as const)[of(3)]!,
          by: 'plan',
          what: COUNTED[of(3)]!,
          period: PERIODS[of(4)]!,
          anchorMs,
          limit: 1,
          hard: true,
          counter: `c${i}`,
        }
      })
      const seeds = await on.stores.usageSeeds.seedsOf(whose, limits, nowMs)
      const expected = limits.map((limit) => [limit, counted({ limit, whose }, nowMs)])
      expect([new Date(nowMs).toISOString(), limits.map((limit) => [limit, seeds.get(limit.counter)])]).toEqual([
        new Date(nowMs).toISOString(),
        expected,
      ])
      known += expected.filter(([, used]) => (used as number) > 0).length
    }
    expect(known).toBeGreaterThan(150)
  }, 120_000)

  it('of many owners at once are those of each', async () => {
    const limits = WHOSE.flatMap((whose, w) =>
      (['key', 'project', 'organization'] as const).map((of): OwnedLimit => {
        const anchorMs = w === 1 ? START_MS + 12_345 : null
        const limit: Limit = {
          of,
          by: 'x',
          what: 'spend',
          period: 'month',
          anchorMs,
          limit: 1,
          hard: true,
          counter: `${w}${of}`,
        }
        return { limit, whose }
      }),
    )
    const seeds = await on.stores.usageSeeds.seedsOfAll(limits, LAST_MS)
    expect(seeds).toEqual(new Map(limits.map((one) => [one.limit.counter, counted(one, LAST_MS)])))
    expect([...seeds.values()].filter((used) => used > 0).length).toBeGreaterThan(6)
  })

  it('limits that share a counter count each call once', async () => {
    const limit: Limit = {
      ...{ of: 'organization', by: 'plan', what: 'requests', period: 'total', anchorMs: START_MS + 1, hard: true },
      ...{ limit: 1, counter: 'shared' },
    }
    const seeds = await on.stores.usageSeeds.seedsOf(WHOSE[0]!, [limit, { ...limit, limit: 2, hard: false }], LAST_MS)
    expect(seeds).toEqual(new Map([['shared', counted({ limit, whose: WHOSE[0]! }, LAST_MS)]]))
  })

  it('know nothing of minutes, and ask nothing for no limits', async () => {
    const minute: Limit = {
      of: 'key',
      by: 'plan',
      what: 'requests',
      period: 'minute',
      anchorMs: null,
      limit: 1,
      hard: true,
      counter: 'c',
    }
    expect(await on.stores.usageSeeds.seedsOf(WHOSE[0]!, [minute], LAST_MS)).toEqual(new Map())
    expect(await on.stores.usageSeeds.seedsOf(WHOSE[0]!, [], LAST_MS)).toEqual(new Map())
  })

  it('a limit whose owner nobody names is refused, never counted as somebody else’s', async () => {
    const limit: Limit = {
      of: 'key',
      by: 'x',
      what: 'requests',
      period: 'day',
      anchorMs: null,
      limit: 1,
      hard: true,
      counter: 'c',
    }
    const whose = { ...scopeOf('org_a'), projectId: 'prj_a', keyId: null }
    await expect(on.stores.usageSeeds.seedsOf(whose, [limit], LAST_MS)).rejects.toThrow(/whose limit/)
  })

  it('the platform’s spending at a provider is what calls with its own accounts have cost', async () => {
    const sinceMs = Math.floor(LAST_MS / DAY_MS - 3) * DAY_MS
    const spent = await on.stores.usageSeeds.platformSpend(['openai', 'anthropic', 'nobody'], sinceMs)
    const expected = (provider: string) =>
      CALLS.filter(
        (call) => call.provider === provider && call.createdAtMs >= sinceMs && call.charge !== OWN_KEY_CHARGE,
      )
        .map((call) => BigInt(call.costPico ?? 0))
        .reduce((a, b) => a + b, 0n)
    expect(spent).toEqual(
      new Map([
        ['openai', expected('openai')],
        ['anthropic', expected('anthropic')],
      ]),
    )
    expect(expected('openai')).toBeGreaterThan(0n)
  })
})
