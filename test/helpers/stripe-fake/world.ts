import type {
  Any,
  Charge,
  Customer,
  Dispute,
  Event,
  Intent,
  Invoice,
  PortalConfiguration,
  PortalSession,
  Price,
  Product,
  Refund,
  Session,
  Subscription,
} from './objects.ts'

/** All that the fake knows. Times are those of its clock. */
export interface World {
  readonly customers: Map<string, Customer>
  readonly deletedCustomers: Set<string>
  readonly products: Map<string, Product>
  readonly prices: Map<string, Price>
  readonly sessions: Map<string, Session>
  readonly subscriptions: Map<string, Subscription>
  readonly invoices: Map<string, Invoice>
  readonly intents: Map<string, Intent>
  readonly charges: Map<string, Charge>
  readonly refunds: Map<string, Refund>
  readonly disputes: Map<string, Dispute>
  readonly configurations: Map<string, PortalConfiguration>
  readonly portals: Map<string, PortalSession>
  /** Prices of what sessions are about: of an item each. */
  readonly carts: Map<string, { readonly price: Price | null; readonly metadata: Readonly<Record<string, string>> }>
  /** Everything that has happened, in its order. */
  readonly events: Event[]
  /** Seconds. */
  now(): number
  id(prefix: string): string
  /** Notes that something has happened to an object, as it is now. */
  tell(type: string, object: Any): Event
}

export function createWorld(nowMs: () => number): World {
  let count = 0
  const id = (prefix: string): string => `${prefix}_fake${String(++count).padStart(8, '0')}`
  const now = (): number => Math.floor(nowMs() / 1000)
  const events: Event[] = []
  return {
    customers: new Map(),
    deletedCustomers: new Set(),
    products: new Map(),
    prices: new Map(),
    sessions: new Map(),
    subscriptions: new Map(),
    invoices: new Map(),
    intents: new Map(),
    charges: new Map(),
    refunds: new Map(),
    disputes: new Map(),
    configurations: new Map(),
    portals: new Map(),
    carts: new Map(),
    events,
    now,
    id,
    tell(type, object) {
      const event: Event = {
        ...{ id: id('evt'), object: 'event', type, created: now(), api_version: '2026-10-28.endive' },
        data: { object: structuredClone(object) as unknown as Readonly<Record<string, unknown>> },
        ...{ livemode: false, pending_webhooks: 1, request: { id: null, idempotency_key: null } },
      }
      events.push(event)
      return event
    },
  }
}
