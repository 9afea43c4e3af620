import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLANS } from '../../db/model/plans.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { textAt } from '../helpers/stripe-fake/form.ts'
import { type Customer, openShop, type Shop } from './kit.ts'

let shop: Shop
let ada: Customer
beforeAll(async () => {
  shop = await openShop()
  ada = await shop.customer()
}, 60_000)
afterAll(() => shop?.close())

const sold = PLANS.filter((plan) => (plan.priceMonthlyCents ?? 0) > 0)
const asked = (method: string, path: string) =>
  shop.fake.requests.filter((one) => one.method === method && one.path.startsWith(`/v1/${path}`))

describe('billing.createCheckout', () => {
  it.each(sold.flatMap(({ id }) => [[id, 'monthly'] as const, [id, 'yearly'] as const]))(
    'leads to a checkout for %s, %s, at the price of the plan, in the name of the organization',
    async (plan, period) => {
      const { organizationId, order } = await shop.customer()
      const session = shop.fake.world.sessions.get(await order(plan, period))!
      const { price, metadata } = shop.fake.world.carts.get(session.id)!
      const { priceMonthlyCents, priceYearlyCents } = PLANS.find(({ id }) => id === plan)!
      const cents = period === 'monthly' ? priceMonthlyCents : priceYearlyCents
      expect(session).toMatchObject({
        mode: 'subscription',
        client_reference_id: organizationId,
        metadata: { watchllm_organization: organizationId, watchllm_plan: plan },
        success_url: 'http://gateway.test/billing?checkout=done',
        amount_total: cents,
      })
      expect(metadata).toEqual(session.metadata)
      expect(price).toMatchObject({
        lookup_key: `watchllm:${plan}:${period}:${cents}`,
        product: `watchllm_${plan}`,
        currency: 'usd',
        unit_amount: cents,
        recurring: { interval: period === 'monthly' ? 'month' : 'year' },
      })
      expect(shop.fake.world.customers.get(session.customer!)).toMatchObject({
        name: 'Acme',
        metadata: { watchllm_organization: organizationId },
      })
    },
  )

  it('makes one customer, product and price, however many ask at once and however often', async () => {
    const { customer, fake } = shop
    const one = await customer()
    const before = fake.world.customers.size
    const sessions = await Promise.all(Array.from({ length: 8 }, () => one.order('pro')))
    sessions.push(await one.order('starter'))
    expect(new Set(sessions.map((id) => fake.world.sessions.get(id)!.customer)).size).toBe(1)
    expect(fake.world.customers.size).toBe(before + 1)
    expect(fake.world.prices.size).toBe(2 * sold.length)
    expect(fake.world.products.size).toBe(sold.length)
  })

  it('finds what another instance has made, and makes another price for another amount', async () => {
    const plan = { ...PLANS.find(({ id }) => id === 'pro')!, priceMonthlyCents: 12_345 }
    const { house, fake } = shop
    const prices = fake.world.prices.size
    const other = await openShop({ fake, clock: shop.clock })
    try {
      await (await other.customer()).order('pro')
      expect(fake.world.prices.size).toBe(prices)
      const { all } = house.control.plans
      Object.assign(other.house.control.plans, { all: () => all().map((one) => (one.id === 'pro' ? plan : one)) })
      const session = await (await other.customer()).order('pro')
      expect(fake.world.carts.get(session)!.price).toMatchObject({ unit_amount: 12_345, product: 'watchllm_pro' })
      expect(fake.world.prices.size).toBe(prices + 1)
    } finally {
      await other.close()
    }
  })

  it.each([
    ['free', 'This plan is not sold monthly; sold are starter, pro, agency'],
    ['unlimited', 'This plan is not sold monthly; sold are starter, pro, agency'],
    ['gold', 'There is no such plan monthly; sold are starter, pro, agency'],
  ])('refuses %s', async (plan, message) => {
    const { status, body } = await shop.house.call('billing.createCheckout', ada.as, { plan })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: { code: 'invalid_request', param: 'plan', message } })
  })

  it('leads who is subscribed to where that is changed, since a second subscription would be paid beside it', async () => {
    const { house, fake, deliver } = shop
    const customer = await shop.customer()
    const { events, id } = await customer.subscribe('starter')
    await deliver(events)
    const same = await house.call('billing.createCheckout', customer.as, { plan: 'starter' })
    expect(same.body).toMatchObject({ error: { code: 'invalid_request', message: expect.stringContaining('already') } })
    const other = await house.call('POST /api/billing/create-checkout', customer.as, {
      plan: 'pro',
      billing_period: 'yearly',
    })
    expect(other).toMatchObject({ status: 200, body: { checkout_url: expect.stringContaining('billing.stripe.test') } })
    const { flow } = [...fake.world.portals.values()].at(-1)!
    const price = [...fake.world.prices.values()].find((one) => one.lookup_key?.startsWith('watchllm:pro:yearly'))!
    const item = fake.world.subscriptions.get(id)!.items.data[0]!.id
    expect(flow).toEqual({
      type: 'subscription_update_confirm',
      subscription_update_confirm: { subscription: id, items: [{ id: item, price: price.id, quantity: '1' }] },
    })
  })

  it('leads who has not paid, or has cancelled, to the portal as it is', async () => {
    const { house, fake } = shop
    for (const change of [fake.cancelLater, (id: string) => fake.renew(id, 'failed')]) {
      const customer = await shop.customer()
      const { id } = await customer.subscribe('starter')
      change(id)
      await house.call('billing.createCheckout', customer.as, { plan: 'pro' })
      expect([...fake.world.portals.values()].at(-1)).toMatchObject({ flow: null })
    }
  })
})

describe('billing.createTopUp', () => {
  it('leads to a checkout of that amount that names the organization, in dollars', async () => {
    const { fake } = shop
    const session = fake.world.sessions.get(await ada.orderCredits('12.5'))!
    const { organizationId } = ada
    expect(session).toMatchObject({ mode: 'payment', amount_total: 1_250, client_reference_id: organizationId })
    const metadata = { watchllm_kind: 'top_up', watchllm_organization: organizationId }
    expect(fake.world.carts.get(session.id)).toEqual({ price: null, metadata })
    const { body } = asked('POST', 'checkout/sessions').at(-1)!
    expect(new URLSearchParams(body).get('adaptive_pricing[enabled]')).toBe('false')
  })

  it.each(['4.99', '0', '10000.01', '99999'])('refuses %s USD', async (amount_usd) => {
    const { status, body } = await shop.house.call('billing.createTopUp', ada.as, { amount_usd })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      error: { param: 'amount_usd', message: 'A top-up is from 5 to 10000 USD, in whole cents' },
    })
  })

  it.each(['', '-5', '5.001', '1e3', 'ten', ' 5', '5,00'])('refuses %j, which is no amount', async (amount_usd) => {
    const { status, body } = await shop.house.call('billing.createTopUp', ada.as, { amount_usd })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: { param: 'amount_usd' } })
  })

  it.each(['5', '10000', '10000.00', '5.5'])('takes %s USD', async (amount_usd) => {
    expect((await shop.house.call('billing.createTopUp', ada.as, { amount_usd })).status).toBe(200)
  })
})

describe('billing.createPortal', () => {
  it('opens Stripe’s portal, set up once so that plans can be changed in it', async () => {
    const { house, fake } = shop
    for (const customer of [ada, await shop.customer()]) {
      const { status, body } = await house.call('POST /api/billing/create-portal', customer.as, {})
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { portal_url: expect.stringContaining('stripe.test') },
      })
    }
    expect(asked('POST', 'billing_portal/configurations')).toHaveLength(1)
    const [configuration] = fake.world.configurations.values()
    const { features } = configuration!
    const at = (path: string) => textAt(features as Parameters<typeof textAt>[0], path)
    expect(at('subscription_cancel.mode')).toBe('at_period_end')
    expect(Object.keys((features.subscription_update as { products: object }).products)).toHaveLength(sold.length)
  })
})

describe('billing.subscription', () => {
  it('of who has none says the plan and its use', async () => {
    const { status, body } = await shop.house.call('GET /api/billing/subscription', (await shop.customer()).as)
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        plan: 'free',
        status: 'none',
        current_period_end: null,
        cancel_at_period_end: false,
        usage: { requests_this_month: 0, plan_limit: 10_000, percentage_used: 0 },
      },
    })
  })

  it('says what Stripe says of the one that counts', async () => {
    const { house, fake, deliver } = shop
    const customer = await shop.customer()
    const { events, id } = await customer.subscribe('pro', 'yearly')
    await deliver([...events, ...fake.cancelLater(id)])
    const end = fake.world.subscriptions.get(id)!.items.data[0]!.current_period_end
    expect((await house.call('billing.subscription', customer.as)).body).toEqual({
      plan: 'pro',
      status: 'active',
      current_period_end: new Date(end * 1000).toISOString(),
      cancel_at_period_end: true,
      usage: { requests_this_month: 0, plan_limit: 1_000_000, percentage_used: 0 },
    })
  })
})

describe('billing.invoices', () => {
  it('lists them newest first, a page at a time', async () => {
    const { house, fake } = shop
    const customer = await shop.customer()
    expect((await house.call('billing.invoices', customer.as)).body).toEqual({ data: [], next_cursor: null })
    const { id } = await customer.subscribe('starter')
    fake.renew(id)
    fake.renew(id, 'failed')
    const seen: unknown[] = []
    let cursor: string | null = null
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const { body } = await house.call(`GET /api/billing/invoices?limit=2${query}`, customer.as)
      const page = body as { data: { status: string; total: string; paid: string }[]; next_cursor: string | null }
      seen.push(...page.data.map((one) => [one.status, one.total, one.paid]))
      cursor = page.next_cursor
    } while (cursor !== null)
    const total = String(PLANS.find((one) => one.id === 'starter')!.priceMonthlyCents! / 100)
    expect(seen).toEqual([
      ['open', total, '0'],
      ['paid', total, total],
      ['paid', total, total],
    ])
  })

  it('of another organization are not there', async () => {
    const { house, fake } = shop
    const customer = await shop.customer()
    const { id } = await customer.subscribe('starter')
    const invoice = fake.world.subscriptions.get(id)!.latest_invoice!
    const stranger = await shop.customer()
    await stranger.order('pro')
    expect((await house.call('billing.invoices', stranger.as)).text).not.toContain(invoice)
  })
})

describe('organizations', () => {
  it('that are made where credits are sold pay with them', async () => {
    const { body } = await shop.house.call('organizations.create', ada.as, { name: 'Bought' })
    expect(body).toMatchObject({ plan: 'free', pays: 'credits' })
  })

  it('are not deleted while they would be charged on', async () => {
    const { house, fake, deliver } = shop
    const customer = await shop.customer()
    const { events, id } = await customer.subscribe('starter')
    await deliver(events)
    const kept = await house.call('organizations.delete', customer.as, { confirm: 'Acme' })
    expect(kept).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('subscription') } } })
    await deliver(fake.cancelLater(id))
    expect((await house.call('organizations.delete', customer.as, { confirm: 'Acme' })).status).toBe(200)
    expect(await deliver(fake.cancel(id)), 'what comes after the end does no harm').toEqual([200])
    expect(shop.logs.filter(({ message }) => message.includes('could not be applied'))).toEqual([])
  })
})

describe('when Stripe', () => {
  it('is away, the caller is told so, and nothing of the key', async () => {
    const { house, fake, logs } = shop
    fake.fail(9, 500)
    const { status, body, text } = await house.call('billing.createPortal', ada.as)
    fake.fail(0, 0)
    expect({ status, body }).toMatchObject({ status: 503, body: { error: { code: 'service_unavailable' } } })
    expect(text + JSON.stringify(logs)).not.toContain('sk_test')
  })

  it('refuses the key, the operator is named', async () => {
    const { fake } = shop
    const wrong = await consoleApp({ stripe: { ...fake.settings, secretKey: 'sk_test_other' } })
    const organizationId = await wrong.organization()
    const { as } = await wrong.signedIn(organizationId, 'admin')
    const { body, text } = await wrong.call('billing.createCheckout', as, { plan: 'pro' })
    await wrong.close()
    expect(body).toMatchObject({ error: { message: expect.stringContaining('STRIPE_SECRET_KEY') } })
    expect(text).not.toContain('sk_test')
  })
})

describe('without Stripe', () => {
  let plain: ConsoleApp
  beforeAll(async () => {
    plain = await consoleApp()
  }, 60_000)
  afterAll(() => plain?.close())

  it.each([
    ['POST /api/billing/create-checkout', { plan: 'pro' }],
    ['POST /api/billing/create-top-up', { amount_usd: '25' }],
    ['POST /api/billing/create-portal', {}],
    ['GET /api/billing/subscription', undefined],
    ['GET /api/billing/invoices', undefined],
  ])('%s says that it is not configured', async (route, input) => {
    const { as } = await plain.signedIn(await plain.organization(), 'owner')
    const { status, body } = await plain.call(route, as, input)
    expect(status).toBe(503)
    expect(body).toMatchObject({
      error: {
        code: 'service_unavailable',
        message: expect.stringContaining('not configured'),
        details: { reason: 'billing_not_configured' },
      },
    })
  })

  it('the webhook says so too', async () => {
    const { status, body } = await plain.call('POST /api/webhooks/stripe', null, { id: 'evt_1' })
    expect({ status, body }).toMatchObject({ status: 503, body: { error: { code: 'service_unavailable' } } })
  })
})
