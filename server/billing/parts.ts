import type { Change } from '../../db/model/access.ts'
import { type IdPrefix, makeId } from '../../db/model/ids.ts'
import { firstOf } from '../../db/model/plans.ts'
import type { BillingTerms } from '../../db/stores/billing.ts'
import type { Stores } from '../../db/stores/index.ts'
import type { Alerts, Clock, Deps, Log, Mail, Plans, Random } from '../deps.ts'
import type { OpenStripe } from './client.ts'

export interface BillingOptions {
  /** `sk_…`, or a restricted `rk_…`. */
  readonly secretKey: string
  /** `whsec_…` */
  readonly webhookSecret: string
  /** Origin of Stripe's API, null: Stripe's own. */
  readonly apiBase: string | null
  readonly stores: Pick<Stores, 'billing' | 'topUps' | 'stripeEvents' | 'members' | 'organizations'>
  readonly plans: Pick<Plans, 'all'>
  readonly kv: Pick<Deps['kv'], 'read'>
  /** Null when no SMTP is configured. */
  readonly mail: Mail | null
  readonly alerts: Alerts | null
  readonly publicUrl: () => string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What every part of billing works with. */
export interface BillingParts extends BillingOptions {
  readonly stripe: OpenStripe
}

/** A change that Stripe asks for. */
export function changeOf({ clock }: BillingParts, action: string, auditId: string): Change {
  const actor = { kind: 'system', id: 'stripe', name: 'Stripe' } as const
  return { actor, action, atMs: clock.now(), auditId, requestId: null, address: null }
}

export function newId({ clock, random }: BillingParts, prefix: IdPrefix): string {
  return makeId(prefix, clock.now(), random.bytes(16))
}

/** What an organization's plan is decided by, now. */
export function termsOf(parts: BillingParts): BillingTerms {
  const plans = parts.plans.all()
  return {
    nowMs: parts.clock.now(),
    plans,
    freePlan: firstOf(plans).id,
    change: changeOf(parts, 'billing.subscription', newId(parts, 'aud')),
  }
}

/** Where Stripe sends people back to. */
export function pageOf({ publicUrl }: BillingParts, query = ''): string {
  return `${publicUrl()}/billing${query}`
}

/** Stripe shows what an object belongs to as its id, or as the whole of it. */
export function idOf(of: string | { readonly id: string } | null | undefined): string | null {
  return typeof of === 'string' ? of : (of?.id ?? null)
}
