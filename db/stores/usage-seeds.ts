import { type Kysely, sql } from 'kysely'
import type { Scope } from '../model/access.ts'
import type { Counted, Limit } from '../model/limits.ts'
import { PICO_PER_NANO } from '../model/money.ts'
import { periodOf } from '../model/periods.ts'
import type { Schema } from '../schema/index.ts'
import { rollup } from './usage-rollup.ts'
import { all, type Condition, HOUR_MS, INPUT_TOKENS, OUTPUT_TOKENS, time } from './usage-sql.ts'

/** Whose limits: of a key, its project and its organization. Null: none of that kind is asked for. */
export interface Whose extends Scope {
  readonly projectId: string | null
  readonly keyId: string | null
}

/** A limit of one of many keys or projects. */
export interface OwnedLimit {
  readonly limit: Limit
  readonly whose: Whose
}

/** What is known to be used, for counters that have lost what they knew, or never knew it. */
export interface UsageSeedStore {
  /**
   * What the stored calls have used of each limit in its present period, by the names of the counters: requests that
   * reached a provider, tokens of input and output, nano-dollars rounded up. Exact as of the last batch of calls.
   * Limits by the minute aren't in it: nothing is kept of them.
   */
  seedsOf(whose: Whose, limits: readonly Limit[], nowMs: number): Promise<ReadonlyMap<string, number>>
  /** The same for limits of several keys or projects. */
  seedsOfAll(limits: readonly OwnedLimit[], nowMs: number): Promise<ReadonlyMap<string, number>>
  /** What the platform's accounts were asked for since the beginning of an hour, by provider; pico-dollars. */
  platformSpend(providers: readonly string[], sinceMs: number): Promise<ReadonlyMap<string, bigint>>
}

/** One sum over the calls of one owner since a time. */
interface Part {
  readonly limit: Limit
  readonly startMs: number
  /** The period's end: hours from it on are another period's. */
  readonly endMs: number
}

/** Sums over the same rows. */
interface Sums {
  readonly of: 'rollup' | 'calls'
  /** The rows, as what follows FROM: all that any of them counts. */
  readonly from: Condition
  readonly parts: readonly (Part & { readonly within: Condition })[]
}

export function usageSeedStore(db: Kysely<Schema>): UsageSeedStore {
  async function seedsOfAll(limits: readonly OwnedLimit[], nowMs: number): Promise<ReadonlyMap<string, number>> {
    const sums = limits.length === 0 ? [] : owners(limits, nowMs).flatMap(sumsOf)
    if (sums.length === 0) return new Map()
    const { rows } = await sql<{ readonly at: number; readonly used: readonly string[] }>`
      ${sql.join(sums.map(statement), sql` union all `)}`.execute(db)
    const exact = new Map<string, bigint>()
    for (const { at, used } of rows) {
      for (const [i, { limit }] of sums[at]!.parts.entries()) {
        exact.set(limit.counter, (exact.get(limit.counter) ?? 0n) + BigInt(used[i]!))
      }
    }
    const whatOf = new Map(limits.map(({ limit }) => [limit.counter, limit.what]))
    return new Map(Array.from(exact, ([counter, sum]) => [counter, unitsOf(whatOf.get(counter)!, sum)]))
  }

  return {
    seedsOf: (whose, limits, nowMs) =>
      seedsOfAll(
        limits.map((limit) => ({ limit, whose })),
        nowMs,
      ),
    seedsOfAll,

    async platformSpend(providers, sinceMs) {
      if (providers.length === 0) return new Map()
      const rows = await db
        .selectFrom('usage_hourly')
        .where('provider', 'in', [...providers])
        .where('hour', '>=', new Date(sinceMs))
        .groupBy('provider')
        .select(['provider', sql<string>`sum(platform_pico)::text`.as('pico')])
        .execute()
      return new Map(rows.map(({ provider, pico }) => [provider, BigInt(pico)]))
    },
  }
}

interface Owner {
  readonly of: Limit['of']
  readonly whose: Whose
  readonly parts: readonly Part[]
}

function owners(limits: readonly OwnedLimit[], nowMs: number): Owner[] {
  const found = new Map<string, { of: Limit['of']; whose: Whose; parts: Part[] }>()
  const counters = new Set<string>()
  for (const { limit, whose } of limits) {
    // Several limits may share a counter: it counts once.
    if (limit.period === 'minute' || counters.has(limit.counter)) continue
    counters.add(limit.counter)
    const { of } = limit
    const { organizationId, projectId, keyId } = whose
    if ((of !== 'organization' && projectId === null) || (of === 'key' && keyId === null)) {
      throw new TypeError(`Nobody was named whose limit ${limit.counter} is: give the ${of} as well`)
    }
    const name = JSON.stringify([of, organizationId, projectId, keyId])
    const owner = found.get(name) ?? { of, whose, parts: [] }
    owner.parts.push({ limit, ...periodOf(limit, nowMs) })
    found.set(name, owner)
  }
  return [...found.values()]
}

/** Whole hours are in the rollups; what comes before the first of them is looked for among the calls. */
function sumsOf(owner: Owner): Sums[] {
  const starts = owner.parts.map(firstHour)
  const ends = owner.parts.filter(hasEnd).map(({ endMs }) => endMs)
  const whole: Sums = {
    of: 'rollup',
    from: rollup(ownedBy(owner), { fromMs: Math.min(...starts), toMs: null, cuts: [...starts, ...ends] }),
    parts: owner.parts.map((part) => ({
      ...part,
      within: all([sql`at >= ${time(firstHour(part))}`, ...(hasEnd(part) ? [sql`at < ${time(part.endMs)}`] : [])]),
    })),
  }
  return [whole, ...owner.parts.filter((part) => part.startMs < firstHour(part)).map((part) => headOf(owner, part))]
}

/** The part of an hour at which a period begins. */
function headOf(owner: Owner, part: Part): Sums {
  const { organizationId } = owner.whose
  const hour = time(firstHour(part) - HOUR_MS)
  // Calls are found by their projects: those that had any in that hour, even if they are gone.
  const projects = sql`select project_id from usage_hourly where organization_id = ${organizationId} and hour = ${hour}`
  const where = [
    ...(owner.of === 'organization' ? [sql`project_id in (${projects})`] : []),
    ...ownedBy(owner),
    sql`created_at >= ${time(part.startMs)}`,
    sql`created_at < ${time(Math.min(firstHour(part), part.endMs))}`,
  ]
  return {
    of: 'calls',
    from: sql`calls where ${all(where)}`,
    parts: [{ ...part, within: sql`true` }],
  }
}

function hasEnd({ endMs }: Part): boolean {
  return endMs !== Number.MAX_SAFE_INTEGER
}

function firstHour({ startMs }: Part): number {
  return Math.ceil(startMs / HOUR_MS) * HOUR_MS
}

function ownedBy({ of, whose }: Owner): Condition[] {
  const { organizationId, projectId, keyId } = whose
  return [
    ...(of === 'organization' ? [] : [sql`project_id = ${projectId}`]),
    ...(of === 'key' ? [sql`key_id = ${keyId}`] : []),
    sql`organization_id = ${organizationId}`,
  ]
}

/** One row: which of the sums, and the amounts of its parts. */
function statement({ of, from, parts }: Sums, at: number): Condition {
  const amounts = parts.map(
    ({ limit, within }) => sql`coalesce(sum(${AMOUNTS[of][limit.what]}) filter (where ${within}), 0)::text`,
  )
  return sql`select ${sql.lit(at)} as at, array[${sql.join(amounts)}] as used from ${from}`
}

const TOKENS = sql`(${INPUT_TOKENS} + ${OUTPUT_TOKENS})`

/** Requests are those that reached a provider: who is refused at the door has used nothing. */
const AMOUNTS: { readonly [of in Sums['of']]: { readonly [what in Counted]: Condition } } = {
  rollup: {
    requests: sql`case when provider = '' then 0 else requests end`,
    tokens: TOKENS,
    spend: sql`spend_pico`,
  },
  calls: {
    requests: sql`case when provider is null then 0 else 1 end`,
    tokens: TOKENS,
    spend: sql`coalesce(charged_pico, cost_pico)`,
  },
}

function unitsOf(what: Counted, sum: bigint): number {
  const pico = BigInt(PICO_PER_NANO)
  return Number(what === 'spend' ? (sum + pico - 1n) / pico : sum)
}
