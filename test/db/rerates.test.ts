import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Change, scopeOf } from '../../db/model/access.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { chargePico, type Multipliers, writeCharge } from '../../db/model/charge.ts'
import { makeId } from '../../db/model/ids.ts'
import { costPico, type Price } from '../../db/model/money.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import type { Rerate, RerateSums } from '../../db/stores/rerates.ts'
import { Random } from '../helpers/random.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sampleCall, samplePrice } from './samples.ts'

const DAY_MS = 86_400_000
const MODELS = ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini', 'gpt-4o'] as const

describe.each(ENGINES)('re-rating on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  let madeIds = 0
  const id = (prefix: 'org' | 'txn' | 'rer' | 'aud') => makeId(prefix, NOON_MS + madeIds++, randomBytes(16))
  const change = (): Change => ({
    actor: { kind: 'user', id: 'usr_operator', name: 'operator@example.com' },
    action: 'rerates.post',
    atMs: NOON_MS + 9 * DAY_MS,
    auditId: id('aud'),
    requestId: null,
    address: null,
  })
  const post = (rerate: Rerate, force = true) =>
    on.stores.rerates.post(change(), rerate, {
      ...{ id: id('rer'), reason: 'Wrong price', force },
      transactionId: () => id('txn'),
    })
  const balance = (org: string) => on.stores.ledger.balance(scopeOf(org))

  const old = samplePrice({ id: 'price_old' })
  const half: Price = {
    ...old,
    id: 'price_half',
    rates: { ...old.rates, input: 75_000, output: 300_000 },
    tiers: [{ aboveInput: 500, rates: { ...old.rates, input: 90_000, output: 310_000 } }],
  }
  const dear: Price = { ...old, id: 'price_dear', perCall: 77, rates: { ...old.rates, input: 450_001 } }

  interface Made {
    readonly calls: readonly CallRecord[]
    readonly orgs: readonly string[]
    readonly provider: string
  }

  /** Calls of a provider of their own, so that tests don't see each other's. */
  async function made(count: number, seed: number): Promise<Made> {
    const random = new Random(seed)
    const provider = `p${randomBytes(4).toString('hex')}`
    const orgs = [id('org'), id('org'), id('org')]
    const calls = Array.from({ length: count }, (_, i) => {
      const usage = { ...NO_USAGE, input: random.int(1_000), cacheRead: random.int(50), output: random.int(400) }
      const multipliers: Multipliers = {
        organization: random.pick([10_000, 12_345]),
        model: random.pick([10_000, 9_001]),
      }
      const failed = random.once(10)
      const cost = failed ? 0 : costPico(usage, old)
      const how = random.int(4)
      const waivedPico = how === 1 ? Math.min(cost, 1_000) : 0
      const whole = chargePico(cost, multipliers)
      return sampleCall({
        createdAtMs: NOON_MS + Math.floor((i * 3 * DAY_MS) / count),
        organizationId: random.pick(orgs),
        provider,
        model: random.pick(MODELS),
        usage: failed ? NO_USAGE : usage,
        usageSource: failed ? 'none' : 'provider',
        costPico: cost,
        chargedPico: how === 0 ? null : Math.max(0, whole - waivedPico),
        charge: how === 0 ? null : writeCharge({ paidBy: 'credits', multipliers, reservedPico: 5, waivedPico }),
      })
    })
    for (let at = 0; at < calls.length; at += 500) {
      await on.stores.calls.insertBatch(JSON.stringify(calls.slice(at, at + 500)))
    }
    return { calls, orgs, provider }
  }

  const wish = ({ provider }: Made, more: Partial<Rerate> = {}): Rerate => ({
    ...{ provider, model: 'gpt-4o-mini*', fromMs: NOON_MS + DAY_MS / 2, toMs: NOON_MS + 2 * DAY_MS, price: half },
    ...more,
  })

  /** What it comes to, call by call. */
  function plainly({ calls }: Made, rerate: Rerate): Map<string, bigint> {
    const back = new Map<string, bigint>()
    for (const call of calls) {
      if (call.createdAtMs < rerate.fromMs || call.createdAtMs >= rerate.toMs) continue
      if (!call.model!.startsWith('gpt-4o-mini') || call.chargedPico === null) continue
      const { multipliers, waivedPico } = JSON.parse(call.charge!) as { multipliers: Multipliers; waivedPico: number }
      const cost = call.usageSource === 'none' ? 0 : costPico(call.usage, rerate.price)
      const whole = chargePico(cost, multipliers)
      const now = waivedPico > 0 ? Math.min(whole, call.chargedPico) : whole
      back.set(call.organizationId, (back.get(call.organizationId) ?? 0n) + BigInt(call.chargedPico - now))
    }
    return back
  }

  const difference = (one: RerateSums) => one.chargedBeforePico - one.chargedAfterPico

  it.each([
    ['cheaper', half],
    ['dearer', dear],
  ])('what a %s price would change is what posting it changes, organization by organization', async (_, price) => {
    const books = await made(1_200, 3)
    const rerate = wish(books, { price })
    const { organizations, days } = await on.stores.rerates.preview(rerate)
    const expected = plainly(books, rerate)
    expect(new Map(organizations.map((one) => [one.organizationId, difference(one)]))).toEqual(expected)
    const sum = (all: readonly RerateSums[]) => all.reduce((total, one) => total + difference(one), 0n)
    expect(sum(days)).toBe(sum(organizations))
    expect([...new Set(days.map((day) => day.model))]).toEqual(['gpt-4o-mini', 'gpt-4o-mini-2024-07-18'])
    expect(days.every((day) => day.dayMs % DAY_MS === 0)).toBe(true)

    const before = new Map(await Promise.all(books.orgs.map(async (org) => [org, await balance(org)] as const)))
    const { corrections } = await post(rerate)
    expect(new Map(corrections.map((one) => [one.organizationId, one.amountPico]))).toEqual(expected)
    for (const org of books.orgs) {
      const now = await balance(org)
      expect(now.balancePico - before.get(org)!.balancePico).toBe(expected.get(org))
      expect(now.spentPico).toBe(before.get(org)!.spentPico)
    }
  })

  it('posting it again, or by eight at once, does nothing more', async () => {
    const books = await made(300, 5)
    const rerate = wish(books)
    const expected = plainly(books, rerate)
    const all = await Promise.all(Array.from({ length: 8 }, () => post(rerate)))
    expect(new Set(all.map((one) => one.id)).size).toBe(1)
    const given = all.flatMap((one) => one.corrections)
    expect(new Map(given.map((one) => [one.organizationId, one.amountPico]))).toEqual(expected)
    expect(given).toHaveLength(expected.size)
    expect((await post(rerate)).corrections).toEqual([])
    const { organizations } = await on.stores.rerates.preview(rerate)
    expect(organizations.every((one) => one.changed === 0 && difference(one) === 0n)).toBe(true)
  })

  it('calls that come into the books later are corrected by posting it again', async () => {
    const books = await made(100, 6)
    const rerate = wish(books)
    await post(rerate)
    const multipliers = { organization: 10_000, model: 10_000 }
    const usage = { ...NO_USAGE, input: 100, output: 10 }
    const late = sampleCall({
      ...{ createdAtMs: NOON_MS + DAY_MS, organizationId: books.orgs[0]!, provider: books.provider, usage },
      ...{ costPico: costPico(usage, old), chargedPico: costPico(usage, old) },
      charge: writeCharge({ paidBy: 'credits', multipliers, reservedPico: 0, waivedPico: 0 }),
    })
    await on.stores.calls.insertBatch(JSON.stringify([late]))
    const amountPico = BigInt(costPico(usage, old) - costPico(usage, half))
    const again = await post(rerate)
    expect(again.corrections).toEqual([{ organizationId: books.orgs[0], amountPico, state: 'posted' }])
  })

  it('a second correction goes from the first one, and one back to the old price takes all of it back', async () => {
    const books = await made(300, 7)
    const start = new Map(
      await Promise.all(books.orgs.map(async (org) => [org, (await balance(org)).balancePico] as const)),
    )
    await post(wish(books))
    const wider = wish(books, { model: '*', fromMs: NOON_MS, toMs: NOON_MS + 3 * DAY_MS, price: dear })
    const narrow = wish(books, { model: '*', fromMs: NOON_MS, toMs: NOON_MS + 3 * DAY_MS, price: old })
    await post(wider)
    const back = await post(narrow)
    expect(back.corrections.length).toBe(3)
    for (const org of books.orgs) expect((await balance(org)).balancePico).toBe(start.get(org))
    // The first one again is a new one now, since another holds.
    expect((await post(wish(books))).corrections.length).toBe(3)
  })

  it('takes no more than is left, unless it is forced', async () => {
    const books = await made(60, 8)
    const rerate = wish(books, { price: dear })
    const refused = await post(rerate, false)
    expect(refused.corrections.map((one) => one.state)).toEqual(['overdrawn', 'overdrawn', 'overdrawn'])
    const forced = await post(rerate, true)
    expect(forced.id).toBe(refused.id)
    expect(forced.corrections.map((one) => one.state)).toEqual(['posted', 'posted', 'posted'])
  })

  it('calls stay as they were settled, and the books stay right', async () => {
    const books = await made(50, 9)
    await post(wish(books))
    for (const call of books.calls) {
      expect((await on.stores.calls.find(call.projectId, call.id))?.call).toEqual(call)
    }
    const { differences } = await on.stores.ledger.verify()
    expect(differences.filter(({ check }) => check !== 'overdrawn')).toEqual([])
  })

  it('is listed with what it posted, newest first', async () => {
    const books = await made(60, 10)
    const { id: posted, corrections } = await post(wish(books))
    const amountPico = corrections.reduce((sum, one) => sum + one.amountPico, 0n)
    const [newest] = await on.stores.rerates.list({ limit: 1, after: null })
    expect(newest).toMatchObject({
      model: 'gpt-4o-mini*',
      provider: books.provider,
      priceId: half.id,
      reason: 'Wrong price',
    })
    const all = await on.stores.rerates.list({ limit: 100, after: null })
    expect(all.find((one) => one.id === posted)).toMatchObject({ corrections: corrections.length, amountPico })
    const [item] = await on.stores.ledger.list(
      scopeOf(corrections[0]!.organizationId),
      { kind: 'correction' },
      { limit: 1, after: null },
    )
    expect(item!.reference).toContain(posted)
  })
})
