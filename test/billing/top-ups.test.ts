import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { creditsCounterOf } from '../../db/model/limits.ts'
import type { Event } from '../helpers/stripe-fake/objects.ts'
import { CENT, chance, openShop, permutations, type Shop } from './kit.ts'

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
}, 60_000)
afterAll(() => shop?.close())

const ALL = Number.MAX_SAFE_INTEGER

/** A top-up of 20 USD that is paid and told. */
async function paid() {
  const customer = await shop.customer()
  const session = await customer.orderCredits('20')
  const events = shop.fake.complete(session)
  await shop.deliver(events)
  return { ...customer, intent: shop.fake.world.sessions.get(session)!.payment_intent! }
}

/** Uses credits up, as calls do. */
async function spend(organizationId: string, cents: number): Promise<void> {
  const amountPico = BigInt(cents) * CENT
  const entries = [
    { account: `credits:${organizationId}`, amountPico: -amountPico },
    { account: 'revenue', amountPico },
  ]
  const id = `txn_spent_${organizationId}`
  const posting = {
    id,
    kind: 'usage',
    organizationId,
    atMs: shop.clock.now(),
    reference: id,
    note: null,
    entries,
  } as const
  await shop.house.control.stores.ledger.post(posting)
}

async function itemsOf(organizationId: string): Promise<[kind: string, cents: number][]> {
  const items = await shop.house.control.stores.ledger.list(scopeOf(organizationId), {}, { limit: 100, after: null })
  return items.map(({ kind, amountPico }): [string, number] => [kind, Number(amountPico / CENT)]).reverse()
}

const lostOf = (intent: string) =>
  shop.house.database.database.db
    .selectFrom('billing_top_ups')
    .select('lost_pico')
    .where('payment_intent', '=', intent)
    .executeTakeFirstOrThrow()

async function expectBooks(): Promise<void> {
  const { rows } = await import('kysely').then(({ sql }) =>
    sql<{ sum: string; least: string }>`
      select (select coalesce(sum(amount_pico), 0) from ledger_entries)::text as sum,
        (select coalesce(min(granted_pico - spent_pico), 0) from credit_balances)::text as least`.execute(
      shop.house.database.database.db,
    ),
  )
  expect(rows[0]!.sum).toBe('0')
  expect(BigInt(rows[0]!.least)).toBeGreaterThanOrEqual(0n)
}

describe('a top-up', () => {
  it('is posted once, from Stripe to the credits, when it is paid', async () => {
    const { organizationId } = await paid()
    expect(await itemsOf(organizationId)).toEqual([['top_up', 2_000]])
    expect(await shop.balanceOf(organizationId)).toBe(2_000n * CENT)
    await expectBooks()
  })

  it('that is paid later is posted then, and never if it is not', async () => {
    const { fake, deliver, balanceOf } = shop
    for (const how of ['paid', 'failed'] as const) {
      const { organizationId, orderCredits } = await shop.customer()
      const session = await orderCredits('20')
      await deliver(fake.complete(session, 'later'))
      expect(await balanceOf(organizationId)).toBe(0n)
      await deliver(fake.settle(session, how))
      expect(await balanceOf(organizationId)).toBe(how === 'paid' ? 2_000n * CENT : 0n)
    }
  })

  it('of a payment that we did not ask for gives nothing, though it names an organization', async () => {
    const { fake, deliver, balanceOf } = shop
    const victim = await shop.customer()
    const thief = await shop.customer()
    for (const change of [{ watchllm_organization: thief.organizationId }, { watchllm_kind: 'gift' }]) {
      const session = await victim.orderCredits('20')
      const events = fake.complete(session)
      const intent = fake.world.intents.get(fake.world.sessions.get(session)!.payment_intent!)!
      intent.metadata = { ...intent.metadata, ...change }
      await deliver(events)
    }
    expect([await balanceOf(victim.organizationId), await balanceOf(thief.organizationId)]).toEqual([0n, 0n])
  })
})

describe('a refund', () => {
  it('takes the credits back, part by part', async () => {
    const { fake, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    shop.clock.advance(1)
    await deliver(fake.refund(intent, 500))
    expect(await balanceOf(organizationId)).toBe(1_500n * CENT)
    shop.clock.advance(1)
    await deliver(fake.refund(intent, 1_500))
    expect(await balanceOf(organizationId)).toBe(0n)
    expect(await itemsOf(organizationId)).toEqual([
      ['top_up', 2_000],
      ['refund', -500],
      ['refund', -1_500],
    ])
    await expectBooks()
  })

  it('takes what is there and never more: what is spent already is noted as lost, and told', async () => {
    const { fake, alerts, logs, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    await spend(organizationId, 1_700)
    alerts.length = 0
    await deliver(fake.refund(intent, 2_000))
    expect(await balanceOf(organizationId)).toBe(0n)
    expect(await lostOf(intent)).toEqual({ lost_pico: (1_700n * CENT).toString() })
    expect(alerts).toEqual([{ kind: 'credits_low', organizationId, balancePico: 0 }])
    expect(logs.at(-1)).toEqual({
      message: 'Credits were paid back that had been spent already',
      fields: { organizationId, paymentIntent: intent, lostUsd: '17' },
    })
    await expectBooks()
  })

  it('does not take what calls under way hold', async () => {
    const { fake, house, clock, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    const counter = { key: creditsCounterOf(organizationId), limit: ALL, endMs: ALL }
    await house.deps.kv.add(counter, 300 * 10_000_000, clock.now())
    await deliver(fake.refund(intent, 2_000))
    expect(await balanceOf(organizationId)).toBe(300n * CENT)
    await expectBooks()
  })

  it('that could not be paid out gives the credits back', async () => {
    const { fake, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    await spend(organizationId, 500)
    const events = fake.refund(intent, 2_000)
    await deliver(events)
    expect(await balanceOf(organizationId)).toBe(0n)
    await deliver(fake.failRefund((events[0]!.data.object as { id: string }).id))
    expect(await balanceOf(organizationId)).toBe(1_500n * CENT)
    expect(await lostOf(intent)).toEqual({ lost_pico: '0' })
    await expectBooks()
  })

  it('of who is no customer any more is a refund all the same', async () => {
    const { fake, house, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    const account = await house.control.stores.billing.account(scopeOf(organizationId))
    await deliver([...fake.deleteCustomer(account!.customerId!), ...fake.refund(intent, 2_000)])
    expect(await balanceOf(organizationId)).toBe(0n)
  })
})

describe('a dispute', () => {
  it.each([
    ['won', 2_000n],
    ['lost', 0n],
  ] as const)('takes the credits; %s, they end at %d cents', async (how, cents) => {
    const { fake, deliver, balanceOf } = shop
    const { organizationId, intent } = await paid()
    await deliver(fake.dispute(intent))
    expect(await balanceOf(organizationId)).toBe(0n)
    await deliver(fake.decideDispute(intent, how))
    expect(await balanceOf(organizationId)).toBe(cents * CENT)
    await expectBooks()
  })
})

describe('in whatever order events come, each up to three times', () => {
  it('the ledger ends as it would in theirs: paid later, a part paid back, disputed, the dispute lost', async () => {
    const { fake, house, deliver, balanceOf } = shop
    const random = chance(7)
    const orders = permutations([0, 1, 2, 3, 4, 5]).filter(() => random() < 0.03)
    expect(orders.length).toBeGreaterThan(10)
    for (const order of orders) {
      const { organizationId, orderCredits } = await shop.customer()
      const session = await orderCredits('20')
      const completed = fake.complete(session, 'later')
      const settled = fake.settle(session, 'paid')
      const intent = fake.world.sessions.get(session)!.payment_intent!
      const events: Event[] = [...completed, ...settled, fake.refund(intent, 400).at(-1)!, ...fake.dispute(intent)]
      // The dispute is about the whole charge: with what is paid back it takes no more than was paid.
      events.push(...fake.decideDispute(intent, 'won'))
      const told = order.flatMap((at) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => events[at]!))
      await Promise.all(told.slice(0, 4).map((event) => fake.send(event, house.app.fetch)))
      await deliver(told.slice(4))
      expect(await balanceOf(organizationId), order.join()).toBe(1_600n * CENT)
    }
    await expectBooks()
  }, 120_000)

  it('and however they lie between what happens', async () => {
    const { fake, deliver, balanceOf } = shop
    const random = chance(11)
    for (let round = 0; round < 12; round++) {
      const { organizationId, orderCredits } = await shop.customer()
      const session = await orderCredits('20')
      const waiting: Event[] = [...fake.complete(session)]
      const intent = fake.world.sessions.get(session)!.payment_intent!
      const steps = [
        () => fake.refund(intent, 400),
        () => fake.dispute(intent),
        () => fake.decideDispute(intent, 'lost'),
      ]
      for (const step of steps) {
        for (const event of [...waiting]) {
          if (random() < 0.5) continue
          waiting.splice(waiting.indexOf(event), 1)
          await deliver([event])
        }
        waiting.push(...step())
      }
      for (const event of waiting.sort(() => random() - 0.5)) await deliver([event])
      expect(await balanceOf(organizationId), String(round)).toBe(0n)
    }
    await expectBooks()
  }, 120_000)
})
