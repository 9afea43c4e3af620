import { scopeOf } from '../../db/model/access.ts'
import type { AlertEvent } from '../../db/model/alerts.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type As, type ConsoleApp, type ConsoleAppOptions, consoleApp } from '../helpers/console.ts'
import type { Event } from '../helpers/stripe-fake/objects.ts'
import { type Sending, type StripeFake, stripeFake } from '../helpers/stripe-fake.ts'

const YEAR_MS = 365 * 86_400_000

/** A gateway that sells by the fake, both on one clock that is moved by hand. */
export interface Shop {
  readonly house: ConsoleApp
  readonly fake: StripeFake
  readonly clock: HandClock
  readonly alerts: AlertEvent[]
  /** What was said of what went wrong. */
  readonly logs: { readonly message: string; readonly fields: unknown }[]
  /** A new organization on the free plan with an owner. */
  customer(): Promise<Customer>
  /** A session that no clock of these tests outlives. */
  session(personId: string): Promise<As>
  /** Sends events one behind the other; each is applied, or has failed, before the next comes. @returns statuses */
  deliver(events: readonly Event[], how?: Sending): Promise<readonly number[]>
  planOf(organizationId: string): Promise<string>
  /** What the ledger says of an organization, pico-dollars. */
  balanceOf(organizationId: string): Promise<bigint>
  /** What the runner of jobs does from time to time. */
  runJob(): Promise<void>
  close(): Promise<void>
}

export interface Customer {
  readonly organizationId: string
  readonly email: string
  readonly as: As
  /** Buys a plan as far as Stripe's page. @returns the session's id */
  order(plan: string, period?: 'monthly' | 'yearly'): Promise<string>
  /** Buys credits as far as Stripe's page. @returns the session's id */
  orderCredits(usd: string): Promise<string>
  /** Buys a plan and pays. @returns what Stripe has to tell of it, and the subscription's id */
  subscribe(
    plan: string,
    period?: 'monthly' | 'yearly',
  ): Promise<{ readonly events: readonly Event[]; readonly id: string }>
}

export async function openShop(
  options: ConsoleAppOptions & { readonly fake?: StripeFake; readonly clock?: HandClock } = {},
): Promise<Shop> {
  const clock = options.clock ?? handClock(Date.now())
  const fake = options.fake ?? (await stripeFake(clock.now))
  const alerts: AlertEvent[] = []
  const logs: { message: string; fields: unknown }[] = []
  const say = (message: string, fields?: unknown) => void logs.push({ message, fields })
  const log = { info: say, warn: say, error: say }
  const house = await consoleApp({
    ...{ ...options, clock, stripe: fake.settings },
    deps: { log, alerts: { raise: (event: AlertEvent) => void alerts.push(event) }, ...options.deps },
  })
  const shop: Shop = {
    ...{ house, fake, clock, alerts, logs },
    async customer() {
      const organizationId = await house.organization({ plan: 'free', name: 'Acme' })
      const { id, email } = await house.person()
      await house.join(organizationId, id, 'owner')
      return customerOf(shop, { organizationId, as: await shop.session(id), email })
    },

    session: (personId) => house.session(personId, { expiresAtMs: Date.now() + YEAR_MS }),

    async deliver(events, how) {
      const statuses: number[] = []
      for (const event of events) {
        statuses.push((await fake.send(event, house.app.fetch, how)).status)
        await house.billing!.settled()
      }
      return statuses
    },

    async planOf(organizationId) {
      return (await house.control.stores.organizations.find(scopeOf(organizationId)))!.plan
    },

    async balanceOf(organizationId) {
      return (await house.control.stores.ledger.balance(scopeOf(organizationId))).balancePico
    },

    async runJob() {
      await house.billing!.job.run(clock.now(), new AbortController().signal)
    },

    async close() {
      await house.close()
      if (options.fake === undefined) await fake.close()
    },
  }
  return shop
}

function customerOf(
  { house, fake }: Shop,
  { organizationId, as, email }: { readonly organizationId: string; readonly as: As; readonly email: string },
): Customer {
  async function page(procedure: string, input: object): Promise<string> {
    const { status, body, text } = await house.call(procedure, as, input)
    if (status !== 200) throw new Error(text)
    const url = new URL((body as { readonly checkout_url: string }).checkout_url)
    return url.pathname.split('/').at(-1)!
  }
  const customer: Customer = {
    ...{ organizationId, as, email },
    order: (plan, period = 'monthly') => page('billing.createCheckout', { plan, billing_period: period }),
    orderCredits: (usd) => page('billing.createTopUp', { amount_usd: usd }),
    async subscribe(plan, period) {
      const session = await customer.order(plan, period)
      const events = fake.complete(session)
      return { events, id: fake.world.sessions.get(session)!.subscription! }
    },
  }
  return customer
}

/** A cent in pico-dollars, so that amounts read as cents. */
export const CENT = 10_000_000_000n

/** All orders of a few things. */
export function permutations<T>(of: readonly T[]): T[][] {
  if (of.length < 2) return [[...of]]
  return of.flatMap((first, at) => permutations(of.toSpliced(at, 1)).map((rest) => [first, ...rest]))
}

/** The same numbers from 0 to 1 each time. */
export function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
}
