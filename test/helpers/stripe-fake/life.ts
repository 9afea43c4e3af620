import type { Event, Intent, Invoice, Price, Session, Subscription } from './objects.ts'
import type { World } from './world.ts'

/** What payers, their banks and Stripe itself do. Each answers the events that Stripe makes of it, in their order. */
export interface Life {
  /** The payer goes through with a checkout. @param pay `later`: by a way of paying that takes days */
  complete(session: string, pay?: 'now' | 'later'): readonly Event[]
  /** What was to be paid later is paid, or isn't. */
  settle(session: string, how: 'paid' | 'failed'): readonly Event[]
  /** Another period begins; its payment works or doesn't. */
  renew(subscription: string, pay?: 'paid' | 'failed'): readonly Event[]
  /** The open invoice of a subscription is tried again. */
  retry(subscription: string, how: 'paid' | 'failed'): readonly Event[]
  changePrice(subscription: string, price: string): readonly Event[]
  /** At the end of the period; `false`: no more. */
  cancelLater(subscription: string, cancel?: boolean): readonly Event[]
  /** Now. */
  cancel(subscription: string, reason?: string): readonly Event[]
  refund(intent: string, cents: number): readonly Event[]
  /** A refund could not be paid out. */
  failRefund(refund: string): readonly Event[]
  dispute(intent: string): readonly Event[]
  decideDispute(intent: string, how: 'won' | 'lost'): readonly Event[]
  deleteCustomer(customer: string): readonly Event[]
  /** Something that has nothing to do with anything. */
  unknown(): readonly Event[]
}

const LENGTHS = { month: 30 * 86_400, year: 365 * 86_400 } as const

export function createLife(world: World): Life {
  function subscriptionOf(id: string): Subscription {
    return found(world.subscriptions.get(id), id)
  }

  function invoice(subscription: Subscription, reason: string, isPaid: boolean): Invoice {
    const item = subscription.items.data[0]!
    const cents = item.price.unit_amount
    const id = world.id('in')
    const made: Invoice = {
      ...{
        id,
        object: 'invoice',
        status: isPaid ? 'paid' : 'open',
        customer: subscription.customer,
        number: id.slice(-8),
      },
      ...{ currency: 'usd', total: cents, amount_due: cents, amount_paid: isPaid ? cents : 0 },
      ...{ attempt_count: 1, attempted: true, billing_reason: reason },
      ...{ period_start: item.current_period_start, period_end: item.current_period_end },
      ...{
        hosted_invoice_url: `https://invoice.stripe.test/${id}`,
        invoice_pdf: `https://invoice.stripe.test/${id}/pdf`,
      },
      parent: {
        type: 'subscription_details',
        subscription_details: { subscription: subscription.id, metadata: subscription.metadata },
      },
      ...{ created: world.now(), livemode: false },
    }
    world.invoices.set(id, made)
    subscription.latest_invoice = id
    return made
  }

  function subscribe(session: Session): readonly Event[] {
    const { price, metadata } = world.carts.get(session.id)!
    const now = world.now()
    const id = world.id('sub')
    const subscription: Subscription = {
      ...{ id, object: 'subscription', status: 'active', customer: session.customer!, metadata },
      items: {
        object: 'list',
        data: [
          {
            ...{ id: world.id('si'), object: 'subscription_item', price: price!, quantity: 1, subscription: id },
            ...{ current_period_start: now, current_period_end: now + LENGTHS[price!.recurring!.interval] },
            ...{ created: now, metadata: {} },
          },
        ],
        ...{ has_more: false, url: `/v1/subscription_items?subscription=${id}` },
      },
      ...{ cancel_at: null, cancel_at_period_end: false, canceled_at: null, ended_at: null },
      cancellation_details: { comment: null, feedback: null, reason: null },
      ...{ latest_invoice: null, currency: 'usd', created: now, start_date: now, livemode: false },
    }
    world.subscriptions.set(id, subscription)
    const paid = invoice(subscription, 'subscription_create', true)
    Object.assign(session, { status: 'complete', payment_status: 'paid', subscription: id, url: null })
    return [
      world.tell('customer.subscription.created', subscription),
      world.tell('invoice.payment_succeeded', paid),
      world.tell('checkout.session.completed', session),
    ]
  }

  function charge(intent: Intent): void {
    const { amount, currency, customer, metadata } = intent
    const id = world.id('ch')
    world.charges.set(id, {
      ...{ id, object: 'charge', amount, amount_refunded: 0, currency, customer, disputed: false },
      ...{ payment_intent: intent.id, metadata, refunded: false, status: 'succeeded', created: world.now() },
      livemode: false,
    })
    Object.assign(intent, { status: 'succeeded', amount_received: amount, latest_charge: id })
  }

  function intentOf(session: Session): Intent {
    const { metadata } = world.carts.get(session.id)!
    const id = world.id('pi')
    const intent: Intent = {
      ...{ id, object: 'payment_intent', status: 'processing', amount: session.amount_total, amount_received: 0 },
      ...{ currency: 'usd', customer: session.customer, latest_charge: null, metadata },
      ...{ created: world.now(), livemode: false },
    }
    world.intents.set(id, intent)
    session.payment_intent = id
    return intent
  }

  function chargeOf(intentId: string) {
    const intent = found(world.intents.get(intentId), intentId)
    return found(world.charges.get(intent.latest_charge ?? ''), intentId)
  }

  function pay(open: Invoice, subscription: Subscription): readonly Event[] {
    Object.assign(open, { status: 'paid', amount_paid: open.amount_due })
    subscription.status = 'active'
    return [world.tell('invoice.payment_succeeded', open), world.tell('customer.subscription.updated', subscription)]
  }

  return {
    complete(id, how = 'now') {
      const session = found(world.sessions.get(id), id)
      if (session.mode === 'subscription') return subscribe(session)
      const intent = intentOf(session)
      Object.assign(session, { status: 'complete', url: null })
      if (how === 'later') return [world.tell('checkout.session.completed', session)]
      charge(intent)
      session.payment_status = 'paid'
      return [world.tell('payment_intent.succeeded', intent), world.tell('checkout.session.completed', session)]
    },

    settle(id, how) {
      const session = found(world.sessions.get(id), id)
      const intent = found(world.intents.get(session.payment_intent ?? ''), id)
      if (how === 'failed') {
        intent.status = 'requires_payment_method'
        return [world.tell('checkout.session.async_payment_failed', session)]
      }
      charge(intent)
      session.payment_status = 'paid'
      const succeeded = world.tell('payment_intent.succeeded', intent)
      return [succeeded, world.tell('checkout.session.async_payment_succeeded', session)]
    },

    renew(id, how = 'paid') {
      const subscription = subscriptionOf(id)
      for (const item of subscription.items.data) {
        item.current_period_start = item.current_period_end
        item.current_period_end += LENGTHS[item.price.recurring!.interval]
      }
      const next = invoice(subscription, 'subscription_cycle', how === 'paid')
      if (how === 'failed') subscription.status = 'past_due'
      return [
        world.tell(how === 'paid' ? 'invoice.payment_succeeded' : 'invoice.payment_failed', next),
        world.tell('customer.subscription.updated', subscription),
      ]
    },

    retry(id, how) {
      const subscription = subscriptionOf(id)
      const open = found(world.invoices.get(subscription.latest_invoice ?? ''), id)
      open.attempt_count += 1
      return how === 'paid' ? pay(open, subscription) : [world.tell('invoice.payment_failed', open)]
    },

    changePrice(id, priceId) {
      const subscription = subscriptionOf(id)
      subscription.items.data[0]!.price = found<Price>(world.prices.get(priceId), priceId)
      return [world.tell('customer.subscription.updated', subscription)]
    },

    cancelLater(id, cancel = true) {
      const subscription = subscriptionOf(id)
      const end = subscription.items.data[0]!.current_period_end
      const canceled_at = cancel ? world.now() : null
      Object.assign(subscription, { cancel_at_period_end: cancel, cancel_at: cancel ? end : null, canceled_at })
      return [world.tell('customer.subscription.updated', subscription)]
    },

    cancel(id, reason = 'cancellation_requested') {
      const subscription = subscriptionOf(id)
      const now = world.now()
      Object.assign(subscription, { status: 'canceled', canceled_at: subscription.canceled_at ?? now, ended_at: now })
      subscription.cancellation_details.reason = reason
      return [world.tell('customer.subscription.deleted', subscription)]
    },

    refund(intentId, cents) {
      const charged = chargeOf(intentId)
      const { id: chargeId, currency } = charged
      charged.amount_refunded += cents
      charged.refunded = charged.amount_refunded === charged.amount
      const id = world.id('re')
      world.refunds.set(id, {
        ...{ id, object: 'refund', amount: cents, charge: chargeId, currency, payment_intent: intentId },
        ...{ status: 'succeeded', metadata: {}, created: world.now() },
      })
      return [world.tell('refund.created', world.refunds.get(id)!), world.tell('charge.refunded', charged)]
    },

    failRefund(id) {
      const refund = found(world.refunds.get(id), id)
      const charged = chargeOf(refund.payment_intent)
      refund.status = 'failed'
      charged.amount_refunded -= refund.amount
      charged.refunded = false
      return [world.tell('refund.failed', refund)]
    },

    dispute(intentId) {
      const charged = chargeOf(intentId)
      charged.disputed = true
      const id = world.id('dp')
      world.disputes.set(id, {
        ...{ id, object: 'dispute', amount: charged.amount, charge: charged.id, currency: charged.currency },
        ...{ payment_intent: intentId, reason: 'fraudulent', status: 'needs_response', metadata: {} },
        ...{ created: world.now(), livemode: false },
      })
      return [world.tell('charge.dispute.created', world.disputes.get(id)!)]
    },

    decideDispute(intentId, how) {
      const dispute = found(
        [...world.disputes.values()].find((one) => one.payment_intent === intentId),
        intentId,
      )
      dispute.status = how
      return [world.tell('charge.dispute.closed', dispute)]
    },

    deleteCustomer(id) {
      const customer = found(world.customers.get(id), id)
      world.customers.delete(id)
      world.deletedCustomers.add(id)
      const live = [...world.subscriptions.values()].filter((one) => one.customer === id && one.status !== 'canceled')
      const ended = live.flatMap((one) => this.cancel(one.id))
      return [world.tell('customer.deleted', customer), ...ended]
    },

    unknown() {
      const product = [...world.products.values()][0]
      return [world.tell('product.sometimes_thought_of', found(product, 'a product'))]
    },
  }
}

function found<T>(object: T | undefined, id: string): T {
  if (object === undefined) throw new Error(`The fake has no ${id}`)
  return object
}
