import { planCheckout, portalOf, topUpCheckout } from './billing/checkout.ts'
import { openStripe } from './billing/client.ts'
import { openInbox } from './billing/inbox.ts'
import { invoicesOf } from './billing/invoices.ts'
import type { BillingOptions, BillingParts } from './billing/parts.ts'
import { openPortal } from './billing/portal.ts'
import { openPrices } from './billing/prices.ts'
import type { Billing } from './deps.ts'

export type { BillingOptions } from './billing/parts.ts'

export interface OpenBilling extends Billing {
  /** Applies again what could not be applied, and ends plans whose time is over: for the runner of jobs. */
  readonly job: {
    readonly name: string
    readonly everyMs: number
    run(nowMs: number, signal: AbortSignal): Promise<unknown>
  }
  /** Resolves when everything that was begun here has ended, well or not. */
  settled(): Promise<void>
  /** Waits for that, 5 s at most: what is cut short is done after the next start. */
  close(): Promise<void>
}

const EVERY_MS = 20_000
const CLOSE_MS = 5_000

/** Plans and credits sold by Stripe. Its client is loaded with the first use, so that the start pays nothing for it. */
export function openBilling(options: BillingOptions): OpenBilling {
  const parts: BillingParts = { ...options, stripe: openStripe(options) }
  const prices = openPrices(parts)
  const portal = openPortal(parts, prices)
  const inbox = openInbox(parts)
  return {
    checkout: (change, order) => planCheckout(parts, change, { order, sale: { prices, portal } }),
    topUp: (change, cents) => topUpCheckout(parts, change, cents),
    portal: (change) => portalOf(parts, change, portal),
    invoices: (scope, page) => invoicesOf(parts, scope, page),
    receive: (payload, signature) => inbox.receive(payload, signature),
    job: { name: 'billing', everyMs: EVERY_MS, run: (_nowMs, signal) => inbox.run(signal) },
    settled: () => inbox.settled(),
    close: () =>
      new Promise((resolve) => {
        const late = options.clock.timer(CLOSE_MS, resolve)
        void inbox.settled().then(() => {
          late.cancel()
          resolve()
        })
      }),
  }
}
