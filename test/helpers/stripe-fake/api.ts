import { type Form, formAt, textAt } from './form.ts'
import type { Any, Metadata, Price } from './objects.ts'
import type { World } from './world.ts'

export interface Asked {
  readonly method: string
  /** Without `/v1`. */
  readonly path: string
  readonly form: Form
}

/** What goes back: an object of Stripe's, or an error in its shape. */
export interface Answered {
  readonly status: number
  readonly body: object
}

export class Refused extends Error {
  readonly answer: Answered

  constructor(status: number, error: Readonly<Record<string, string | null>>) {
    super(String(error.message))
    this.answer = { status, body: { error } }
  }
}

type Handler = (world: World, asked: Asked, id: string) => object

/** The endpoints that are used; each takes the parameters that it names, and refuses others. */
const ENDPOINTS: readonly (readonly [method: string, path: RegExp, params: string, handler: Handler])[] = [
  ['POST', /^\/customers$/, 'name email metadata', createCustomer],
  ['GET', /^\/products\/(\w+)$/, '', (world, _asked, id) => known(world.products, id, 'product')],
  ['POST', /^\/products$/, 'id name metadata', createProduct],
  ['GET', /^\/prices$/, 'lookup_keys active limit', listPrices],
  ['POST', /^\/prices$/, 'product currency unit_amount lookup_key recurring metadata', createPrice],
  [
    'POST',
    /^\/checkout\/sessions$/,
    'mode customer client_reference_id metadata line_items subscription_data payment_intent_data adaptive_pricing success_url cancel_url',
    createSession,
  ],
  ['GET', /^\/checkout\/sessions\/(\w+)$/, '', (world, _asked, id) => known(world.sessions, id, 'checkout.session')],
  [
    'GET',
    /^\/billing_portal\/configurations$/,
    'active limit',
    (world, { form }) => listOf(world.configurations, form),
  ],
  ['POST', /^\/billing_portal\/configurations$/, 'features metadata', createConfiguration],
  ['POST', /^\/billing_portal\/sessions$/, 'customer configuration return_url flow_data', createPortal],
  ['GET', /^\/subscriptions$/, 'customer status limit starting_after', listSubscriptions],
  ['GET', /^\/invoices$/, 'customer limit starting_after', listInvoices],
  ['GET', /^\/invoices\/(\w+)$/, '', (world, _asked, id) => known(world.invoices, id, 'invoice')],
  ['GET', /^\/payment_intents\/(\w+)$/, 'expand', readIntent],
  ['GET', /^\/disputes$/, 'payment_intent limit', listDisputes],
]

/** @throws Refused */
export function answer(world: World, asked: Asked): Answered {
  for (const [method, path, params, handler] of ENDPOINTS) {
    const match = method === asked.method ? path.exec(asked.path) : null
    if (match === null) continue
    const stranger = Object.keys(asked.form).find((name) => !params.split(' ').includes(name))
    if (stranger !== undefined) throw invalid('parameter_unknown', `Received unknown parameter: ${stranger}`, stranger)
    return { status: 200, body: handler(world, asked, match[1] ?? '') }
  }
  throw new Refused(404, {
    ...{ type: 'invalid_request_error', code: null, param: null },
    message: `Unrecognized request URL (${asked.method}: /v1${asked.path}).`,
  })
}

function createCustomer(world: World, { form }: Asked): object {
  const id = world.id('cus')
  world.customers.set(id, {
    ...{ id, object: 'customer', name: textAt(form, 'name'), email: textAt(form, 'email'), metadata: metadata(form) },
    ...stamp(world),
  })
  return world.customers.get(id)!
}

function createProduct(world: World, { form }: Asked): object {
  const id = textAt(form, 'id') ?? world.id('prod')
  if (world.products.has(id)) throw invalid('resource_already_exists', 'Product already exists.', 'id')
  const name = needed(form, 'name')
  world.products.set(id, { id, object: 'product', name, active: true, metadata: metadata(form), ...stamp(world) })
  return world.products.get(id)!
}

function listPrices(world: World, { form }: Asked): object {
  const names = Object.values(formAt({ list: { ...(form.lookup_keys as object) } as Form }, 'list')) as string[]
  if (names.length > 10) throw invalid(null, 'You may only specify up to 10 lookup_keys.', 'lookup_keys')
  return listOf(world.prices, form, ({ lookup_key }) => names.includes(lookup_key ?? ''))
}

function createPrice(world: World, { form }: Asked): object {
  const lookup_key = textAt(form, 'lookup_key')
  if ([...world.prices.values()].some((one) => one.lookup_key === lookup_key)) {
    throw invalid(null, `A price already uses that lookup key: ${lookup_key}`, 'lookup_key')
  }
  const product = known(world.products, needed(form, 'product'), 'product').id
  const id = world.id('price')
  const interval = textAt(form, 'recurring.interval') as 'month' | 'year'
  const price: Price = {
    ...{ id, object: 'price', active: true, billing_scheme: 'per_unit', currency: needed(form, 'currency') },
    ...{ lookup_key, metadata: metadata(form), product, unit_amount: amount(needed(form, 'unit_amount')) },
    ...{ recurring: { interval, interval_count: 1, meter: null, usage_type: 'licensed' }, type: 'recurring' },
    ...stamp(world),
  }
  world.prices.set(id, price)
  return price
}

function createSession(world: World, { form }: Asked): object {
  const mode = needed(form, 'mode') as 'payment' | 'subscription'
  const customer = known(world.customers, needed(form, 'customer'), 'customer').id
  const priceId = textAt(form, 'line_items.0.price')
  const price = priceId === null ? null : known(world.prices, priceId, 'price')
  const cents = price?.unit_amount ?? amount(needed(form, 'line_items.0.price_data.unit_amount'))
  if (mode === 'subscription' && price?.recurring == null)
    throw invalid(null, 'A recurring price is needed.', 'line_items')
  const id = world.id('cs_test')
  const data = mode === 'payment' ? 'payment_intent_data' : 'subscription_data'
  world.carts.set(id, { price, metadata: metadata(formAt(form, data)) })
  world.sessions.set(id, {
    ...{ id, object: 'checkout.session', mode, status: 'open', payment_status: 'unpaid', customer },
    ...{ client_reference_id: textAt(form, 'client_reference_id'), metadata: metadata(form) },
    ...{ amount_total: cents, amount_subtotal: cents, currency: 'usd', payment_intent: null, subscription: null },
    ...{ success_url: textAt(form, 'success_url'), cancel_url: textAt(form, 'cancel_url') },
    ...{ url: `https://checkout.stripe.test/c/pay/${id}`, ...stamp(world) },
  })
  return world.sessions.get(id)!
}

function createConfiguration(world: World, { form }: Asked): object {
  const id = world.id('bpc')
  const features = formAt(form, 'features')
  world.configurations.set(id, {
    ...{ id, object: 'billing_portal.configuration', active: true, is_default: false, features },
    ...{ metadata: metadata(form), updated: world.now(), ...stamp(world) },
  })
  return world.configurations.get(id)!
}

function createPortal(world: World, { form }: Asked): object {
  const id = world.id('bps')
  const customer = known(world.customers, needed(form, 'customer'), 'customer').id
  const configuration = known(world.configurations, needed(form, 'configuration'), 'configuration').id
  const flow = form.flow_data === undefined ? null : formAt(form, 'flow_data')
  const subscription = textAt(form, 'flow_data.subscription_update_confirm.subscription')
  if (subscription !== null) known(world.subscriptions, subscription, 'subscription')
  world.portals.set(id, {
    ...{ id, object: 'billing_portal.session', configuration, customer, return_url: textAt(form, 'return_url') },
    ...{ url: `https://billing.stripe.test/p/session/${id}`, flow, ...stamp(world) },
  })
  return world.portals.get(id)!
}

function listSubscriptions(world: World, { form }: Asked): object {
  const customer = customerIn(world, form)
  const all = textAt(form, 'status') === 'all'
  return listOf(world.subscriptions, form, (one) => one.customer === customer && (all || one.status !== 'canceled'))
}

function listInvoices(world: World, { form }: Asked): object {
  const customer = customerIn(world, form)
  return listOf(world.invoices, form, (one) => one.customer === customer)
}

function customerIn(world: World, form: Form): string {
  const id = needed(form, 'customer')
  return world.deletedCustomers.has(id) ? id : known(world.customers, id, 'customer').id
}

function readIntent(world: World, { form }: Asked, id: string): object {
  const intent = known(world.intents, id, 'payment_intent')
  if (textAt(form, 'expand.0') !== 'latest_charge' || intent.latest_charge === null) return intent
  return { ...intent, latest_charge: world.charges.get(intent.latest_charge)! }
}

function listDisputes(world: World, { form }: Asked): object {
  return listOf(world.disputes, form, (one) => one.payment_intent === textAt(form, 'payment_intent'))
}

/** A page of Stripe's, newest first. */
function listOf<T extends Any>(all: ReadonlyMap<string, T>, form: Form, wanted: (one: T) => boolean = () => true) {
  const found = [...all.values()].filter(wanted).reverse()
  const after = textAt(form, 'starting_after')
  const from = after === null ? 0 : found.findIndex(({ id }) => id === after) + 1
  const limit = Number(textAt(form, 'limit') ?? 10)
  if (!(limit >= 1 && limit <= 100)) throw invalid(null, 'Limit must be from 1 to 100.', 'limit')
  const url = `/v1/${found[0]?.object ?? 'list'}`
  return { object: 'list', data: found.slice(from, from + limit), has_more: found.length > from + limit, url }
}

function known<T>(all: ReadonlyMap<string, T>, id: string, what: string): T {
  const found = all.get(id)
  if (found !== undefined) return found
  const message = `No such ${what}: '${id}'`
  throw new Refused(404, { type: 'invalid_request_error', code: 'resource_missing', message, param: 'id' })
}

function needed(form: Form, path: string): string {
  const text = textAt(form, path)
  if (text !== null && text !== '') return text
  throw invalid('parameter_missing', `Missing required param: ${path}.`, path)
}

function amount(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text)
  throw invalid('parameter_invalid_integer', `Invalid integer: ${text}`, 'unit_amount')
}

function metadata(form: Form): Metadata {
  return formAt(form, 'metadata') as Metadata
}

function stamp(world: World) {
  return { created: world.now(), livemode: false as const }
}

function invalid(code: string | null, message: string, param: string): Refused {
  return new Refused(400, { type: 'invalid_request_error', code, message, param })
}
