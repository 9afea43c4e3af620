import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLANS } from '../../db/model/plans.ts'
import type { Event } from '../helpers/stripe-fake/objects.ts'
import { type Customer, chance, openShop, permutations, type Shop } from './kit.ts'

/** Two instances on one database: every event goes to one of them, or to both. */
let one: Shop
let other: Shop
beforeAll(async () => {
  one = await openShop()
  other = await openShop({ fake: one.fake, clock: one.clock, database: one.house.database })
}, 60_000)
afterAll(async () => {
  await other?.close()
  await one?.close()
})

const DAY_MS = 86_400_000

/** What an organization should be on, by what Stripe has now: told apart from how the product finds it. */
function expectedPlan({ organizationId }: Customer): string {
  const { world } = one.fake
  const now = world.now()
  const plans = [...world.subscriptions.values()].flatMap((subscription) => {
    const { metadata, status, items, cancel_at, cancellation_details } = subscription
    if (metadata.watchllm_organization !== organizationId) return []
    const item = items.data[0]!
    const open = [...world.invoices.values()].filter(
      ({ parent, status: paid }) => paid === 'open' && parent!.subscription_details.subscription === subscription.id,
    )
    const failures = open.reduce((sum, { attempt_count }) => sum + attempt_count, 0)
    const isOver = status === 'canceled' && (failures > 0 || item.current_period_end <= now)
    const isLost = failures >= 3 || cancellation_details.reason === 'payment_failed' || (cancel_at ?? now + 1) <= now
    return isOver || isLost ? [] : [item.price.lookup_key!.split(':')[1]!]
  })
  const order = PLANS.map(({ id }) => id)
  return plans.sort((a, b) => order.indexOf(b) - order.indexOf(a))[0] ?? 'free'
}

async function together(sends: readonly (() => Promise<Response>)[]): Promise<void> {
  const answers = await Promise.all(sends.map((send) => send()))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  await Promise.all([one.house.billing!.settled(), other.house.billing!.settled()])
}

function sending(event: Event, to: Shop): () => Promise<Response> {
  return () => one.fake.send(event, to.house.app.fetch)
}

const priceOf = (plan: string) =>
  [...one.fake.world.prices.values()].find(({ lookup_key }) => lookup_key?.startsWith(`watchllm:${plan}:monthly`))!.id

describe('the events of a subscription’s life, in all their orders, at one instance or the other', () => {
  type LifeOf = (id: string) => readonly Event[]
  const lives: [name: string, live: LifeOf, expected: string][] = [
    [
      'changed, then cancelled for the end of the period',
      (id) => [...one.fake.changePrice(id, priceOf('agency')), ...one.fake.cancelLater(id)],
      'agency',
    ],
    [
      'not paid, then given up',
      (id) => [one.fake.renew(id, 'failed')[0]!, ...one.fake.cancel(id, 'payment_failed')],
      'free',
    ],
    [
      'not paid twice, then paid',
      (id) => {
        const failed = [one.fake.renew(id, 'failed')[0]!, ...one.fake.retry(id, 'failed')]
        return [failed.at(-1)!, one.fake.retry(id, 'paid')[0]!]
      },
      'pro',
    ],
  ]
  it.each(lives)(
    '%s',
    async (_name, live, expected) => {
      const random = chance(3)
      const orders = permutations([0, 1, 2, 3])
      const told = await Promise.all(
        orders.map(async (order) => {
          const customer = await one.customer()
          const { events, id } = await customer.subscribe('pro')
          const all = [events[0]!, events[2]!, ...live(id)]
          return { customer, events: order.map((at) => all[at]!) }
        }),
      )
      for (let at = 0; at < 4; at++) {
        await together(told.map(({ events }) => sending(events[at]!, random() < 0.5 ? one : other)))
      }
      for (const { customer, events } of told) {
        const order = events.map(({ type }) => type).join()
        expect(expectedPlan(customer)).toBe(expected)
        expect(await one.planOf(customer.organizationId), order).toBe(expected)
      }
    },
    120_000,
  )
})

describe('lives made up at random, told late, twice, to both and out of order', () => {
  it.each([1, 2, 3, 4])(
    'end as Stripe says: %i',
    async (seed) => {
      const { fake, clock } = one
      const random = chance(seed)
      const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!
      const customers = await Promise.all(Array.from({ length: 6 }, () => one.customer()))
      const waiting: Event[] = []
      for (let step = 0; step < 12; step++) {
        for (const customer of customers) {
          const live = [...fake.world.subscriptions.values()].filter(
            ({ metadata, status }) =>
              metadata.watchllm_organization === customer.organizationId && status !== 'canceled',
          )
          if (live.length === 0) {
            waiting.push(...(await customer.subscribe(pick(['starter', 'pro', 'agency']))).events)
            continue
          }
          const { id, status } = pick(live)
          const happenings = [
            () => fake.changePrice(id, priceOf(pick(['starter', 'pro', 'agency']))),
            () => fake.cancelLater(id, random() < 0.5),
            () => (status === 'past_due' ? fake.retry(id, pick(['paid', 'failed'])) : fake.renew(id, 'failed')),
            () => fake.cancel(id, pick(['cancellation_requested', 'payment_failed'])),
          ]
          waiting.push(...pick(happenings)())
        }
        const now = waiting.filter(() => random() < 0.4)
        for (const event of now) waiting.splice(waiting.indexOf(event), 1)
        await together(now.flatMap((event) => tellings(event, random)))
      }
      waiting.sort(() => random() - 0.5)
      await together(waiting.flatMap((event) => tellings(event, random)))
      for (const customer of customers) expect(await other.planOf(customer.organizationId)).toBe(expectedPlan(customer))
      clock.advance(31 * DAY_MS)
      await other.runJob()
      for (const customer of customers) expect(await one.planOf(customer.organizationId)).toBe(expectedPlan(customer))
    },
    120_000,
  )

  function tellings(event: Event, random: () => number): (() => Promise<Response>)[] {
    const to = random() < 0.3 ? [one, other] : [random() < 0.5 ? one : other]
    return [...to, ...(random() < 0.2 ? [one] : [])].map((shop) => sending(event, shop))
  }
})

describe('two subscriptions of one organization', () => {
  it.each([
    ['starter', 'agency'],
    ['agency', 'starter'],
  ])('%s and %s: the better one counts, and the end of one does not take the other away', async (first, second) => {
    const { fake, clock, deliver, planOf, runJob } = one
    const customer = await one.customer()
    // Both pages were open before either was paid.
    const sessions = [await customer.order(first), await customer.order(second)]
    const events = sessions.flatMap((session) => fake.complete(session))
    const ids = sessions.map((session) => fake.world.sessions.get(session)!.subscription!)
    await deliver(events)
    expect(await planOf(customer.organizationId)).toBe('agency')
    const [better, lesser] = first === 'agency' ? ids : [ids[1], ids[0]]
    await deliver(fake.cancel(lesser!))
    expect(await planOf(customer.organizationId)).toBe('agency')
    clock.advance(31 * DAY_MS)
    await runJob()
    expect(await planOf(customer.organizationId)).toBe('agency')
    await deliver(fake.cancel(better!, 'payment_failed'))
    expect(await planOf(customer.organizationId)).toBe('free')
  })

  it('the lesser one counts again when the better one ends', async () => {
    const { fake, deliver, planOf } = one
    const customer = await one.customer()
    const sessions = [await customer.order('starter'), await customer.order('pro')]
    await deliver(sessions.flatMap((session) => fake.complete(session)))
    expect(await planOf(customer.organizationId)).toBe('pro')
    await deliver(fake.cancel(fake.world.sessions.get(sessions[1]!)!.subscription!, 'payment_failed'))
    expect(await planOf(customer.organizationId)).toBe('starter')
  })

  it('of two of one plan the newer one is shown', async () => {
    const { fake, clock, house, deliver } = one
    const customer = await one.customer()
    const sessions = [await customer.order('pro', 'yearly'), await customer.order('pro')]
    const older = fake.complete(sessions[0]!)
    clock.advance(DAY_MS)
    await deliver([...fake.complete(sessions[1]!), ...older])
    const newer = fake.world.subscriptions.get(fake.world.sessions.get(sessions[1]!)!.subscription!)!
    expect((await house.call('billing.subscription', customer.as)).body).toMatchObject({
      current_period_end: new Date(newer.items.data[0]!.current_period_end * 1000).toISOString(),
    })
  })
})

describe('two instances', () => {
  it('apply an event once that comes to both ten times at once', async () => {
    const customer = await one.customer()
    const { events, id } = await customer.subscribe('pro')
    await one.deliver(events)
    const [failed] = one.fake.renew(id, 'failed')
    one.house.mails.length = other.house.mails.length = 0
    await together(Array.from({ length: 20 }, (_, at) => sending(failed!, at % 2 === 0 ? one : other)))
    expect([...one.house.mails, ...other.house.mails]).toHaveLength(1)
    expect(await one.planOf(customer.organizationId)).toBe('pro')
  })

  it('what one heard of Stripe early and writes late does not replace what the other heard since', async () => {
    const { fake } = one
    const customer = await one.customer()
    const { events, id } = await customer.subscribe('starter')
    await one.deliver(events)
    // The first answer is held on its way, with what was true when it was asked for.
    let release = (): void => {}
    let asked = (): void => {}
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve
    })
    fake.after = ({ path }) => {
      if (!path.startsWith('/v1/subscriptions')) return null
      fake.after = null
      asked()
      return new Promise<void>((resolve) => {
        release = resolve
      })
    }
    await sending(fake.changePrice(id, priceOf('pro'))[0]!, one)()
    await isAsked
    await other.deliver(fake.changePrice(id, priceOf('agency')))
    expect(await other.planOf(customer.organizationId)).toBe('agency')
    release()
    await one.house.billing!.settled()
    expect(await other.planOf(customer.organizationId)).toBe('agency')
  })

  it('know a plan that changed at the other', async () => {
    const customer = await one.customer()
    const key = await one.house.key(await one.house.project(customer.organizationId))
    expect((await other.house.deps.directory.lookup(key.secret))!.plan.id).toBe('free')
    await one.deliver((await customer.subscribe('pro')).events)
    await one.house.database.database.ping()
    expect((await other.house.deps.directory.lookup(key.secret))!.plan.id).toBe('pro')
  })
})
