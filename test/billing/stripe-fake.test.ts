import { existsSync, readFileSync } from 'node:fs'
import Stripe from 'stripe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { STRIPE_KEY, STRIPE_WEBHOOK_SECRET, type StripeFake, sign, stripeFake } from '../helpers/stripe-fake.ts'
import { openShop, type Shop } from './kit.ts'

const FIXTURES = new URL('../../../shared/specs/stripe.fixtures3.json', import.meta.url)

let fake: StripeFake
let stripe: Stripe
beforeAll(async () => {
  fake = await stripeFake()
  const { hostname: host, port } = new URL(fake.settings.apiBase)
  stripe = new Stripe(STRIPE_KEY, { host, port, protocol: 'http', maxNetworkRetries: 0 })
})
afterAll(() => fake?.close())

describe('the fake Stripe', () => {
  it('answers a key that it knows with what it answered first, and refuses it for anything else', async () => {
    const options = { idempotencyKey: 'a-key' }
    const first = await stripe.customers.create({ name: 'Ada' }, options)
    expect((await stripe.customers.create({ name: 'Ada' }, options)).id).toBe(first.id)
    await expect(stripe.customers.create({ name: 'Bob' }, options)).rejects.toMatchObject({
      type: 'StripeIdempotencyError',
    })
    expect((await stripe.customers.create({ name: 'Ada' })).id).not.toBe(first.id)
  })

  it.each<[name: string, call: () => Promise<unknown>, error: object]>([
    ['what is not there', () => stripe.invoices.retrieve('in_none'), { code: 'resource_missing', statusCode: 404 }],
    [
      'a parameter that it does not know',
      () => stripe.customers.create({ phone: '1' }),
      { code: 'parameter_unknown', param: 'phone' },
    ],
    [
      'a product that is there',
      () => twice(() => stripe.products.create({ id: 'p', name: 'P' })),
      { code: 'resource_already_exists' },
    ],
    ['an endpoint that it has not', () => stripe.balance.retrieve(), { statusCode: 404 }],
    [
      'a list without end',
      () => stripe.subscriptions.list({ customer: 'cus_none', limit: 100 }),
      { code: 'resource_missing' },
    ],
  ])('refuses %s as Stripe does', async (_name, call, error) => {
    await expect(call()).rejects.toMatchObject({ type: 'StripeInvalidRequestError', ...error })
  })

  it('refuses another key', async () => {
    const { hostname: host, port } = new URL(fake.settings.apiBase)
    const other = new Stripe('sk_test_other', { host, port, protocol: 'http', maxNetworkRetries: 0 })
    await expect(other.prices.list()).rejects.toMatchObject({ type: 'StripeAuthenticationError' })
  })

  it('gives lists page by page', async () => {
    const customer = (await stripe.customers.create({ name: 'Many' })).id
    const ids = Array.from({ length: 5 }, (_, at) => `in_${at}`)
    for (const id of ids) fake.world.invoices.set(id, { id, object: 'invoice', customer } as never)
    const found = await stripe.invoices.list({ customer, limit: 2 }).autoPagingToArray({ limit: 100 })
    expect(found.map(({ id }) => id)).toEqual([...ids].reverse())
  })

  it('signs as Stripe does', async () => {
    const payload = '{"id":"evt_1"}'
    const header = sign(payload, STRIPE_WEBHOOK_SECRET, Date.now())
    const event = await stripe.webhooks.constructEventAsync(payload, header, STRIPE_WEBHOOK_SECRET)
    expect(event.id).toBe('evt_1')
  })
})

async function twice<T>(call: () => Promise<T>): Promise<T> {
  await call()
  return call()
}

/** What Stripe itself publishes as examples of its objects. */
describe.runIf(existsSync(FIXTURES))('the shapes of the fake', () => {
  const { resources } = existsSync(FIXTURES)
    ? (JSON.parse(readFileSync(FIXTURES, 'utf8')) as { resources: Record<string, unknown> })
    : { resources: {} }
  let shop: Shop
  beforeAll(async () => {
    shop = await openShop()
    const customer = await shop.customer()
    const { id } = await customer.subscribe('pro')
    shop.fake.renew(id, 'failed')
    shop.fake.cancelLater(id)
    await shop.house.call('billing.createPortal', customer.as)
    const session = await customer.orderCredits('20')
    shop.fake.complete(session)
    const intent = shop.fake.world.sessions.get(session)!.payment_intent!
    shop.fake.refund(intent, 100)
    shop.fake.dispute(intent)
  }, 60_000)
  afterAll(() => shop?.close())

  it.each([
    'customers',
    'products',
    'prices',
    'sessions',
    'subscriptions',
    'invoices',
    'intents',
    'charges',
    'refunds',
    'disputes',
    'configurations',
    'portals',
  ] as const)('%s have members that Stripe’s have, of the same types', (kind) => {
    const objects = [...shop.fake.world[kind].values()]
    expect(objects.length).toBeGreaterThan(0)
    for (const object of objects) {
      expect(strays(object, resources[object.object], object.object), JSON.stringify(object)).toEqual([])
    }
  })

  it('events too', () => {
    const events = shop.fake.world.events
    expect(events.length).toBeGreaterThan(5)
    for (const { data, ...event } of events) expect(strays(event, resources.event, 'event')).toEqual([])
  })

  it('a stray member and one of another type are found', () => {
    expect(strays({ name: 1, nome: 'x', metadata: {} }, { name: 'x', metadata: {} }, 'a')).toEqual([
      'a.name is a number, not a string',
      'a.nome is unknown',
    ])
  })
})

/** Members whose contents are free, or differ by what the object is for. */
const FREE = /\.(metadata|features|flow)$/

/** Where an object isn't like another: null may stand for anything, on either side. */
function strays(one: unknown, like: unknown, path: string): string[] {
  if (one === null || like === null || FREE.test(path)) return []
  const [is, should] = [typeOf(one), typeOf(like)]
  if (is !== should) return [`${path} is a ${is}, not a ${should}`]
  if (Array.isArray(one)) {
    const [example] = like as unknown[]
    return example === undefined ? [] : one.flatMap((item, at) => strays(item, example, `${path}[${at}]`))
  }
  if (typeof one !== 'object') return []
  return Object.entries(one).flatMap(([name, value]) => {
    if (!Object.hasOwn(like as object, name)) return [`${path}.${name} is unknown`]
    return strays(value, (like as Record<string, unknown>)[name], `${path}.${name}`)
  })
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'list' : typeof value
}
