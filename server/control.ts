import type { Scope, ScopedChange } from '../db/model/access.ts'
import type { BillingPeriod } from '../db/model/billing.ts'
import type { Plan } from '../db/model/plans.ts'
import type { Stores as ControlStores } from '../db/stores/index.ts'
import type { Vault } from '../db/vault.ts'
import type { Account, OpenedCredential, TenantHosts } from './deps.ts'

/** What the control plane (server/console) works on beside the line's own parts. */
export interface Control {
  readonly stores: ControlStores
  readonly people: People
  /** Null when no SMTP is configured. */
  readonly mail: Mail | null
  readonly vault: Vault
  readonly tenantHosts: TenantHosts
  /** The account that a credential gives; null where nobody has said where that provider's API lives. */
  readonly accountFor: (credential: OpenedCredential) => Account | null
  /** How people reach this gateway, such as `https://gateway.example.com`. */
  readonly publicUrl: () => string
  readonly plans: Plans
  /** Null or absent: no Stripe is configured. */
  readonly billing?: Billing | null
}

/** What is sold, and what Stripe tells of it: server/billing.ts, the only part that calls Stripe. */
export interface Billing {
  /**
   * Where an organization is put on a plan: Stripe's checkout, or its portal for who has a subscription already.
   * @throws GatewayError `invalid_request` for what isn't sold or is there already, `service_unavailable` when Stripe is
   */
  checkout(change: ScopedChange, order: { readonly plan: string; readonly period: BillingPeriod }): Promise<string>
  /** Where credits are paid for. @param cents US cents; @throws GatewayError as `checkout` */
  topUp(change: ScopedChange, cents: number): Promise<string>
  /** Where an organization sees to its payment methods, invoices and subscription. @throws GatewayError as `checkout` */
  portal(change: ScopedChange): Promise<string>
  /** Newest first. @throws GatewayError `service_unavailable` */
  invoices(scope: Scope, page: { readonly limit: number; readonly after: string | null }): Promise<InvoicePage>
  /**
   * Takes an event that Stripe sends. When it resolves the event is kept and will be applied, once, however often it comes.
   * @param signature of the header `stripe-signature`
   * @throws GatewayError `invalid_request` when it isn't signed, not by Stripe, or too long ago
   */
  receive(payload: Uint8Array, signature: string | null): Promise<void>
}

export interface InvoicePage {
  readonly data: readonly Invoice[]
  /** There are more behind the last one. */
  readonly hasMore: boolean
}

/** Amounts in cents of its currency. */
export interface Invoice {
  readonly id: string
  readonly number: string | null
  readonly status: string
  readonly currency: string
  readonly totalCents: number
  readonly paidCents: number
  readonly createdAtMs: number
  readonly periodStartMs: number
  readonly periodEndMs: number
  /** Stripe's page of it, and the document; null: not made yet. */
  readonly pageUrl: string | null
  readonly pdfUrl: string | null
}

/** The plans there are, in memory: those of the preset and the operator's file, and what was changed of them since. */
export interface Plans {
  /** By their order; hidden and archived ones too. */
  all(): readonly Plan[]
  /** Of an id that no plan has, or null: the smallest one, so that nobody is ever held to none. */
  of(id: string | null): Plan
  /** Reads again what was changed; when it resolves, this process goes by all that was there before. Never rejects. */
  reload(): Promise<void>
}

/** Somebody with an account here. */
export interface Person {
  /** `usr_…` */
  readonly id: string
  readonly name: string
  /** Lower-case. */
  readonly email: string
  readonly emailVerified: boolean
  /** Runs this installation. */
  readonly operator: boolean
}

/** People's accounts and sessions; server/console/people.ts is better-auth behind this face. */
export interface People {
  readonly logins: Logins
  /** Answers `/api/auth/…`: sign-up, sign-in, verification, two factors, OAuth. Never rejects. */
  handle(request: Request, address: string | null): Promise<Response>
  /** Whose session a request's cookie names; null: nobody's. */
  sessionOf(headers: Headers): Promise<{ readonly person: Person; readonly sessionId: string } | null>
}

/** How people get in, as the sign-in page shows it. */
export interface Logins {
  /** `invite`: only who is invited can make an account. */
  readonly signUp: 'open' | 'invite'
  /** Beside e-mail and password: `github`, `google`, `oidc`. */
  readonly providers: readonly string[]
}

export interface Mail {
  /** Resolves when the mail server has taken it. @throws when it doesn't */
  send(mail: { readonly to: string; readonly subject: string; readonly text: string }): Promise<void>
}
