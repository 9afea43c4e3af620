import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { handClock } from '../helpers/clock.ts'
import type { Event } from '../helpers/stripe-fake/objects.ts'
import { sign, stripeFake } from '../helpers/stripe-fake.ts'
import { CENT, openShop, type Shop } from './kit.ts'

const DAY_MS = 86_400_000

let shop: Shop
beforeAll(async () => {
  shop = await openShop()
}, 60_000)
afterAll(() => shop?.close())

const rowOf = ({ id }: Event, { house } = shop) =>
  house.database.database.db.selectFrom('stripe_events').selectAll().where('id', '=', id).executeTakeFirst()
const planChanges = ({ house }: Shop, organizationId: string) =>
  house.database.database.db
    .selectFrom('audit_log')
    .select(['before', 'after', 'actor_id'])
    .where('organization_id', '=', organizationId)
    .where('action', '=', 'billing.subscription')
    .orderBy('id')
    .execute()

describe('POST /api/webhooks/stripe', () => {
  it('keeps an event, answers 200 and puts the organization on the plan that was paid', async () => {
    const { organizationId, subscribe } = await shop.customer()
    const { events } = await subscribe('pro')
    expect(await shop.deliver(events)).toEqual([200, 200, 200])
    expect(await shop.planOf(organizationId)).toBe('pro')
    expect(await planChanges(shop, organizationId)).toEqual([
      { before: { plan: 'free' }, after: { plan: 'pro' }, actor_id: 'stripe' },
    ])
    expect(await rowOf(events[0]!)).toMatchObject({
      ...{ type: 'customer.subscription.created', attempts: 1, outcome: 'plan decided', next_attempt_at: null },
      ...{ applied_at: expect.any(Date), payload: JSON.stringify(events[0], null, 2), error: null },
    })
  })

  it('a plan that changed is known to the organization’s keys at once', async () => {
    const { house, deliver } = shop
    const { organizationId, subscribe } = await shop.customer()
    const key = await house.key(await house.project(organizationId))
    expect((await house.deps.directory.lookup(key.secret))!.plan.id).toBe('free')
    await deliver((await subscribe('agency')).events)
    await house.database.database.ping()
    expect((await house.deps.directory.lookup(key.secret))!.plan.id).toBe('agency')
  })

  const refusals: [name: string, how: Parameters<Shop['deliver']>[1]][] = [
    ['signed with another secret', { secret: 'whsec_other' }],
    ['signed six minutes ago, though well', { signedAtMs: Date.now() - 360_000 }],
    ['recorded a day ago', { signedAtMs: Date.now() - DAY_MS }],
    ['not signed', { signature: null }],
    ['signed by nonsense', { signature: 'nonsense' }],
    ['signed by an empty line', { signature: '' }],
    ['signed by another scheme', { signature: sign('{}', 'whsec_fake0123456789', Date.now()).replace('v1', 'v0') }],
    ['tampered with by one letter', { tampered: (payload) => payload.replace('"usd"', '"eur"') }],
    ['tampered with by one space', { tampered: (payload) => `${payload} ` }],
    ['cut off', { tampered: (payload) => payload.slice(0, -1) }],
    ['emptied', { tampered: () => '' }],
  ]
  it.each(refusals)('refuses what is %s, and keeps nothing of it', async (_name, how) => {
    const { organizationId, subscribe } = await shop.customer()
    const { events } = await subscribe('pro')
    expect(await shop.deliver(events, how)).toEqual([400, 400, 400])
    expect(await shop.planOf(organizationId)).toBe('free')
    expect(await rowOf(events[0]!)).toBeUndefined()
  })

  it.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['null', 'null'],
    ['no event', '{"id":"evt_1"}'],
    ['an event about nothing', '{"id":"evt_1","type":"invoice.paid","created":1,"data":{"object":null}}'],
  ])('refuses what is signed well and %s', async (_name, payload) => {
    const headers = { 'stripe-signature': sign(payload, shop.fake.settings.webhookSecret, shop.clock.now()) }
    const request = { method: 'POST', headers, body: payload }
    const answer = await shop.house.app.fetch(new Request('http://gateway.test/api/webhooks/stripe', request))
    expect(answer.status).toBe(400)
  })

  it('refuses more than 1 MiB before it looks at it', async () => {
    const request = { method: 'POST', headers: { 'stripe-signature': 't=1,v1=a' }, body: 'x'.repeat(1024 * 1024 + 1) }
    const answer = await shop.house.app.fetch(new Request('http://gateway.test/api/webhooks/stripe', request))
    expect(answer.status).toBe(413)
  })

  it('acknowledges what it does not know, and what is about customers of others, and changes nothing', async () => {
    const { fake, deliver, customer, planOf } = shop
    const { organizationId, subscribe } = await customer()
    const { events } = await subscribe('pro')
    await deliver(events)
    const [unknown] = fake.unknown()
    const foreign = structuredClone(events[0]!) as { -readonly [K in keyof Event]: Event[K] }
    Object.assign(foreign, { id: 'evt_foreign' })
    Object.assign(foreign.data.object, { customer: 'cus_of_another_shop' })
    expect(await deliver([unknown!, foreign])).toEqual([200, 200])
    expect([(await rowOf(unknown!))!.outcome, (await rowOf(foreign))!.outcome]).toEqual(['unknown', 'not ours'])
    expect(await planOf(organizationId)).toBe('pro')
  })

  it('applies an event once, though it comes ten times at once, and again a day later', async () => {
    const { fake, house, clock } = shop
    const { organizationId, orderCredits } = await shop.customer()
    const events = fake.complete(await orderCredits('25'))
    const answers = await Promise.all(
      events.flatMap((event) => Array.from({ length: 10 }, () => fake.send(event, house.app.fetch))),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    await house.billing!.settled()
    expect(await shop.balanceOf(organizationId)).toBe(2_500n * CENT)
    clock.advance(DAY_MS)
    expect(await shop.deliver(events)).toEqual([200, 200])
    expect(await shop.balanceOf(organizationId)).toBe(2_500n * CENT)
    expect((await rowOf(events[0]!))!.attempts).toBe(1)
  })
})

describe('when Stripe can not be asked', () => {
  it('an event is kept, and applied when it can be again', async () => {
    const { fake, clock, deliver, runJob, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events } = await subscribe('starter')
    fake.fail(3, 500)
    expect(await deliver([events[0]!])).toEqual([200])
    expect(await planOf(organizationId)).toBe('free')
    expect(await rowOf(events[0]!)).toMatchObject({ applied_at: null, attempts: 1, error: expect.any(String) })
    await runJob()
    expect(await planOf(organizationId), 'not before its time').toBe('free')
    clock.advance(10_000)
    await runJob()
    expect(await planOf(organizationId)).toBe('starter')
    expect(await rowOf(events[0]!)).toMatchObject({ applied_at: expect.any(Date), attempts: 2, error: null })
  }, 60_000)

  it('what an instance took and never finished is applied by another', async () => {
    const { house, clock, runJob, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events } = await subscribe('starter')
    const [{ id, type, created }] = events as [Event]
    const nowMs = clock.now()
    const event = { id, type, objectId: null, createdAtMs: created * 1000, payload: JSON.stringify(events[0]) }
    await house.control.stores.stripeEvents.add(event, { nowMs, untilMs: nowMs + 120_000 })
    await runJob()
    expect(await planOf(organizationId)).toBe('free')
    clock.advance(120_000)
    await runJob()
    expect(await planOf(organizationId)).toBe('starter')
  })

  it('forgets what was in an event after a month, and knows it still', async () => {
    const { clock, deliver, runJob } = shop
    const { subscribe } = await shop.customer()
    const { events } = await subscribe('starter')
    await deliver(events)
    clock.advance(31 * DAY_MS)
    await runJob()
    expect(await rowOf(events[0]!)).toMatchObject({ payload: null, applied_at: expect.any(Date) })
    expect(await deliver(events)).toEqual([200, 200, 200])
    expect((await rowOf(events[0]!))!.payload).toBeNull()
  })
})

describe('payments that fail', () => {
  it('are told to the owners and to whoever has a rule; the third ends the plan, and one that works brings it back', async () => {
    const { fake, house, alerts, deliver, planOf } = shop
    const { organizationId, email, as, subscribe } = await shop.customer()
    await house.signedIn(organizationId, 'admin')
    const { events, id } = await subscribe('pro')
    await deliver(events)
    house.mails.length = 0
    alerts.length = 0
    const plans: string[] = []
    for (const happens of [() => fake.renew(id, 'failed'), ...Array(2).fill(() => fake.retry(id, 'failed'))]) {
      await deliver(happens())
      plans.push(await planOf(organizationId))
    }
    expect(plans).toEqual(['pro', 'pro', 'free'])
    expect(house.mails.map(({ to, subject }) => [to, subject])).toEqual(
      Array(3).fill([email, 'A payment for WatchLLM failed']),
    )
    expect(house.mails[0]!.text).toContain('USD for the organization Acme')
    expect(house.mails[0]!.text).toContain('https://invoice.stripe.test/')
    expect(house.mails[2]!.text).toContain('number 3 in a row')
    expect(alerts).toEqual([1, 2, 3].map((failures) => ({ kind: 'payment_failed', organizationId, failures })))
    expect((await house.call('billing.subscription', as)).body).toMatchObject({ plan: 'free', status: 'past_due' })
    await deliver(fake.retry(id, 'paid'))
    expect(await planOf(organizationId)).toBe('pro')
    await deliver(fake.renew(id, 'failed'))
    expect(await planOf(organizationId), 'counted from the start').toBe('pro')
  })

  it('and are paid before we hear of it are told to nobody', async () => {
    const { fake, house, alerts, deliver, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events, id } = await subscribe('pro')
    await deliver(events)
    house.mails.length = 0
    alerts.length = 0
    const failed = [...fake.renew(id, 'failed'), ...fake.retry(id, 'failed'), ...fake.retry(id, 'failed')]
    fake.retry(id, 'paid')
    await deliver(failed)
    expect(house.mails).toEqual([])
    expect(alerts).toEqual([])
    expect(await planOf(organizationId)).toBe('pro')
  })

  it('a mail that the server does not take is tried again', async () => {
    let refuse = true
    const sent: string[] = []
    const clock = handClock(Date.now())
    const fake = await stripeFake(clock.now)
    const other = await openShop({
      ...{ fake, clock },
      mail: {
        async send({ to }) {
          if (refuse) throw new Error('The mail server did not take the mail')
          sent.push(to)
        },
      },
    })
    const { email, subscribe } = await other.customer()
    const { events, id } = await subscribe('pro')
    await other.deliver([...events, ...fake.renew(id, 'failed')])
    refuse = false
    clock.advance(10_000)
    await other.runJob()
    await other.runJob()
    expect(sent).toEqual([email])
    await other.close()
    await fake.close()
  }, 60_000)
})

describe('the end of a subscription', () => {
  it('cancelled for the end of the period, it lasts until then, and ends by the clock even if Stripe is silent', async () => {
    const { fake, clock, deliver, runJob, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events, id } = await subscribe('pro')
    await deliver([...events, ...fake.cancelLater(id)])
    expect(await planOf(organizationId)).toBe('pro')
    const endMs = fake.world.subscriptions.get(id)!.items.data[0]!.current_period_end * 1000
    clock.advance(endMs - clock.now() - 1)
    await runJob()
    expect(await planOf(organizationId)).toBe('pro')
    clock.advance(1)
    await runJob()
    expect(await planOf(organizationId)).toBe('free')
    await deliver(fake.cancel(id))
    expect(await planOf(organizationId)).toBe('free')
    expect((await planChanges(shop, organizationId)).map(({ after }) => after)).toEqual([
      { plan: 'pro' },
      { plan: 'free' },
    ])
  })

  it('deleted in the middle of a period, what is paid lasts until its end', async () => {
    const { fake, clock, deliver, runJob, planOf } = shop
    const { organizationId, as, subscribe } = await shop.customer()
    const { events, id } = await subscribe('pro')
    clock.advance(10 * DAY_MS)
    await deliver([...events, ...fake.cancel(id)])
    expect(await planOf(organizationId)).toBe('pro')
    clock.advance(20 * DAY_MS)
    await runJob()
    expect(await planOf(organizationId)).toBe('free')
    expect((await shop.house.call('billing.subscription', as)).status).toBe(200)
  })

  it('given up because nobody paid, nothing lasts', async () => {
    const { fake, deliver, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events, id } = await subscribe('pro')
    await deliver([...events, ...fake.renew(id, 'failed'), ...fake.cancel(id, 'payment_failed')])
    expect(await planOf(organizationId)).toBe('free')
  })

  it('a cancellation that is taken back leaves the plan where it is', async () => {
    const { fake, clock, deliver, runJob, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events, id } = await subscribe('pro')
    await deliver([...events, ...fake.cancelLater(id), ...fake.cancelLater(id, false), ...fake.renew(id)])
    clock.advance(31 * DAY_MS)
    await runJob()
    expect(await planOf(organizationId)).toBe('pro')
  })

  it('what the operator has given by hand since is not taken away', async () => {
    const { fake, house, deliver, planOf } = shop
    const { organizationId, subscribe } = await shop.customer()
    const { events, id } = await subscribe('starter')
    await deliver(events)
    const person = await house.person({ operator: true })
    await house.join(await house.organization(), person.id, 'owner')
    const as = await shop.session(person.id)
    expect((await house.call('platform.setPlan', as, { id: organizationId, plan: 'unlimited' })).status).toBe(200)
    await deliver(fake.renew(id))
    expect(await planOf(organizationId), 'while it goes on').toBe('unlimited')
    await deliver(fake.cancel(id, 'payment_failed'))
    expect(await planOf(organizationId), 'when it is over').toBe('unlimited')
  })

  it('a customer who is deleted at Stripe loses the plan in the end, and can become one again', async () => {
    const { fake, house, clock, deliver, runJob, planOf } = shop
    const one = await shop.customer()
    const { events } = await one.subscribe('pro')
    await deliver(events)
    const before = (await house.control.stores.billing.account(scopeOf(one.organizationId)))!.customerId!
    await deliver(fake.deleteCustomer(before))
    clock.advance(31 * DAY_MS)
    await runJob()
    expect(await planOf(one.organizationId)).toBe('free')
    const again = await one.subscribe('starter')
    await deliver(again.events)
    expect(await planOf(one.organizationId)).toBe('starter')
    expect((await house.control.stores.billing.account(scopeOf(one.organizationId)))!.customerId).not.toBe(before)
  })
})
