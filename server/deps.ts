import type { Kv } from '../db/kv/kv.ts'
import type { AlertEvent } from '../db/model/alerts.ts'
import type { BodyFacts, KeptCall } from '../db/model/call-bodies.ts'
import type { CallRecord } from '../db/model/calls.ts'
import type { Conversation, ConversationItem, ConversationPast, ConversationTurn } from '../db/model/conversations.ts'
import type { Claimed, HeldKey, IdempotencyClaim, KeptAnswer } from '../db/model/idempotency.ts'
import type { KeyKind } from '../db/model/ids.ts'
import type { KeyRules } from '../db/model/key-rules.ts'
import type { Credits, Limit } from '../db/model/limits.ts'
import type { Price } from '../db/model/money.ts'
import type { Plan } from '../db/model/plans.ts'
import type { KeptResponse, KeptTurn, ResponseStatus } from '../db/model/responses.ts'
import type { BodyRules } from '../db/model/settings.ts'
import type { Control } from './control.ts'

import type { ProviderHealth } from './provider-health.ts'
import type { Provider } from './providers/provider.ts'
import type { Upstream } from './upstream.ts'

export type {
  Billing,
  Control,
  Invoice,
  InvoicePage,
  Logins,
  Mail,
  People,
  Person,
  Plans,
} from './control.ts'
export type { AccountHealth, Breaker, FailureFacts, HealthState, ProviderHealth } from './provider-health.ts'

/** Everything the app uses but doesn't make: passed in by main.ts, or by a test. */
export interface Deps {
  readonly directory: Directory
  readonly credentials: Credentials
  readonly kv: Kv
  readonly upstream: Upstream
  readonly journal: Journal
  readonly receipts: Receipts
  readonly providerObjects: ProviderObjects
  readonly responses: Responses
  readonly conversations: Conversations
  readonly idempotency: Idempotency
  readonly health: Health
  /** Told of what people may want to hear of; absent: nobody is. */
  readonly alerts?: Alerts
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly settings: Settings
  readonly prices: Prices
  /** What is said in calls, for projects that have it kept; absent: nobody keeps any. */
  readonly bodies?: Bodies
  /** What models cost of credits against their list price; absent: 1.0 each. */
  readonly multipliers?: ModelMultipliers
  /** Absent: no provider is ever paused. */
  readonly pauses?: Pauses
  /** Absent: no account is ever given a rest. */
  readonly breaker?: ProviderHealth
  /** Absent: nobody measures. */
  readonly speeds?: Speeds
  /** Absent: as many calls run at once as come. */
  readonly overload?: Overload
  /** What the control plane works on; null: this process has none, as in tests of the line. */
  readonly control: Control | null
  /** The provider of a name, null for an unknown one. */
  readonly providerOf: (id: string) => Provider | null
  /** The built console: null for a path that it doesn't have. */
  readonly assets: (path: string) => Asset | null
}

/** What the operator sets for the line (CONTRACT 10). */
export interface Settings {
  readonly version: string
  readonly firstByteTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly totalTimeoutMs: number
  readonly maxBodyBytes: number
  /** How often a target that failed is asked again, once all targets were asked. */
  readonly retries: number
  /** Nano-dollars that one provider-neutral token stands for. */
  readonly nanoPerToken: number
}

export interface Alerts {
  /** Cheap and never throws: the line calls it. The same event again, here or on another instance, changes nothing. */
  raise(event: AlertEvent): void
  /** Something was queued to be sent: it needn't wait for its job. */
  sendSoon?(): void
}

/** Providers at which the platform's own accounts are paused: by their daily stop, or by who runs this installation. */
export interface Pauses {
  /** Whether calls with the platform's accounts are refused there. Cheap enough for every call. */
  isPaused(provider: string): boolean
  /** Counts what a call with the platform's account has cost. Cheap, and never throws. @param atMs when it came */
  spent(provider: string, costPico: number, atMs: number): void
}

/** How fast models answer here: averages that forget. */
export interface Speeds {
  /** Milliseconds to the first byte; null: not known. */
  firstByteMs(provider: string, model: string): number | null
  note(provider: string, model: string, firstByteMs: number): void
}

/** Calls in flight. */
export interface Overload {
  /** Null: there are too many; it is refused with 503. */
  enter(tenant: string): Ticket | null
  /** What a refused caller is told: whole seconds, 1 to 10, spread so that not all come back at once. */
  retryAfterS(): number
}

export interface Ticket {
  /** Once, from whichever exit. */
  leave(outcome: 'done' | 'failed' | 'gone'): void
}

/** What is said in calls, kept sealed: server/bodies.ts. Keeping it is never in a call's way. */
export interface Bodies {
  /** Takes a call's request, and its answer as it comes. Cheap, and never throws. */
  take(facts: BodyFacts, request: SentBody, rules: BodyRules): BodyTake
  /** With its texts opened; null: none are kept. @throws when the database can't be asked, or no secret opens them */
  find(projectId: string, callId: string): Promise<KeptCall | null>
}

export interface SentBody {
  readonly bytes: Uint8Array
  readonly contentType: string | null
}

/** Neither throws. */
export interface BodyTake {
  /** Bytes of the answer as its caller gets them; they are copied. */
  push(chunk: Uint8Array): void
  /** Nothing more will come, for whatever reason. Only the first time counts. @param contentType of the answer */
  end(contentType: string | null): void
}

export interface Prices {
  /** The price of a model at a time, null when none is known. Cheap enough for every call. */
  priceOf(provider: string, model: string, atMs: number): Price | null
}

export interface ModelMultipliers {
  /** 10_000 is 1.0. Cheap enough for every call. */
  of(provider: string, model: string): number
}

/** Who is calling: everything the line needs to know of a key, held in memory. */
export interface Principal {
  readonly keyId: string
  readonly kind: KeyKind
  readonly projectId: string
  readonly organizationId: string
  readonly plan: Plan
  /** Its project's own accounts at providers, which go before the platform's; absent: none. */
  readonly accounts?: Accounts
  /** What its settings and its project's ask of its calls; null or absent: nothing. */
  readonly rules?: KeyRules | null
  /** Every limit that holds for its calls, the narrowest first; absent: only the plan's. */
  readonly limits?: readonly Limit[]
  /** Of an organization that pays for the platform's accounts in advance; null or absent: it isn't charged. */
  readonly credits?: Credits | null
}

export interface Directory {
  /**
   * The principal of a live key, null for an unknown, revoked or expired one. Answers known keys without a promise and
   * keeps doing so while the database is away. @throws when a key isn't known here and the database can't be asked, or
   * too many such are being asked for.
   */
  lookup(secret: string): Principal | null | Promise<Principal | null>
}

/** An account at a provider: the platform's, or a project's own. */
export interface Account {
  /** Of the credential, `env` for the one that the environment names. */
  readonly id: string
  /** The calling project's: nothing is charged for what is called with it. */
  readonly own: boolean
  readonly apiKey: string | null
  /** Origin and path prefix of its API, no trailing slash. */
  readonly origin: string
  readonly basePath: string
  /** The version of its API that the operator chose, where it has dated ones. */
  readonly version?: string | null
  /** A tenant said where its API lives: connections are made to public addresses only. */
  readonly publicOnly?: boolean
  /** Of several at one provider: the one that keeps the files and batches which calls may name. Absent: itself. */
  readonly home?: Account
}

export interface Accounts {
  /** The account at a provider, of several one by their weights; null when there is none that can be used. */
  of(providerId: string): Account | null
  /** All at the provider that can be used, in the order of their making; the same list until one is changed. */
  all?(providerId: string): readonly Weighted[]
  /** There are some, and no master secret of this process opens their keys. */
  isLocked?(providerId: string): boolean
}

export interface Weighted {
  readonly account: Account
  /** Its share of the calls is its part of the sum. Above 0. */
  readonly weight: number
}

/** The platform's accounts: those of the environment, and those that the operator has added. */
export type Credentials = Accounts

/** Where tenants may have their calls sent; server/runtime/public-address.ts holds every connection against the same. */
export interface TenantHosts {
  /** What keeps a base URL from being used, in words for whoever gave it; null: nothing does now. Asks the DNS. */
  objection(baseUrl: string): Promise<string | null>
}

/** A credential with its key, before it is an account. */
export interface OpenedCredential {
  readonly id: string
  readonly provider: string
  /** Of a project rather than the platform. */
  readonly own: boolean
  /** '': none, for providers that need none. */
  readonly key: string
  readonly baseUrl: string | null
  readonly version: string | null
}

/** The durable record of settled calls. See server/journal.ts for what it promises. */
export interface Journal {
  /** Calls `written` once the record is in the file; `price` is the one the record names. */
  append(record: CallRecord, price: Price | null, written: () => void): void
  /** Resolves when all that was appended before is in the database, or rejects when `withinMs` has passed. */
  drained(withinMs: number): Promise<void>
}

export interface Receipts {
  find(projectId: string, requestId: string): Promise<Receipt | null>
}

export interface Receipt {
  readonly call: CallRecord
  readonly price: Price | null
}

/** Kept answers of the Responses API, each seen by its own project only; see db/stores/responses.ts. */
export interface Responses {
  /** Every instance can read it when it resolves. */
  save(response: KeptResponse): Promise<void>
  /** Ends one that runs in the background. @returns false when it has ended already, or was deleted */
  finish(end: Pick<KeptResponse, 'id' | 'projectId' | 'status' | 'answerJson' | 'itemIds'>): Promise<boolean>
  find(projectId: string, id: string, nowMs: number): Promise<KeptResponse | null>
  /** The turns that lead to it, itself last; `whole` is false when some before it are gone. Null: there is none. */
  chain(
    projectId: string,
    id: string,
    nowMs: number,
  ): Promise<{ readonly turns: readonly KeptTurn[]; readonly whole: boolean; readonly status: ResponseStatus } | null>
  /** The youngest turn with an item of that id. */
  findItem(projectId: string, itemId: string, nowMs: number): Promise<KeptTurn | null>
  /** Really deletes. @returns false when there was none */
  delete(projectId: string, id: string): Promise<boolean>
  /** Says that it is still worked on. @returns its status, null when it was deleted */
  beat(projectId: string, id: string, nowMs: number): Promise<ResponseStatus | null>
  /** Keeps a chain for as long as what goes on from it. */
  prolong(projectId: string, ids: readonly string[], expiresAtMs: number): Promise<void>
}

/** Conversations of the Responses API, each seen by its own project only; see db/stores/conversations.ts. */
export interface Conversations {
  /** With its first items, all or nothing. Every instance can read it when it resolves. */
  create(conversation: Conversation, items: readonly ConversationItem[]): Promise<void>
  find(projectId: string, id: string): Promise<Conversation | null>
  /** @returns false when there is none */
  setMetadata(projectId: string, id: string, metadataJson: string): Promise<boolean>
  /** With all its items. @returns false when there was none */
  delete(projectId: string, id: string): Promise<boolean>
  /** Adds behind all that is there. @returns the items as they are there; null when there is no such conversation */
  append(turn: ConversationTurn): Promise<readonly ConversationItem[] | null>
  /** Takes back what a response brought. */
  removeTurn(projectId: string, id: string, addedBy: string): Promise<void>
  /** Bytes of all its items as JSON; null when there is none. */
  size(projectId: string, id: string): Promise<number | null>
  /** All of it at one moment, null when there is none. @param maxBytes more is not read */
  past(projectId: string, id: string, maxBytes: number): Promise<ConversationPast | null>
  /** Null when there is no such conversation, or no item `after` which it goes on. */
  page(
    projectId: string,
    id: string,
    wish: { readonly limit: number; readonly order: 'asc' | 'desc'; readonly after: string | null },
  ): Promise<{ readonly items: readonly ConversationItem[]; readonly hasMore: boolean } | null>
  findItem(projectId: string, id: string, itemId: string): Promise<ConversationItem | null>
  /** The youngest of that id in any of the project's. */
  findItemAnywhere(projectId: string, itemId: string): Promise<ConversationItem | null>
  /** @returns false when there was none */
  deleteItem(projectId: string, id: string, itemId: string): Promise<boolean>
}

/** Idempotency keys, each seen by its own project only; see db/stores/idempotency.ts. */
export interface Idempotency {
  /** Of many that claim a key at once, on any instance, exactly one holds it. */
  claim(claim: IdempotencyClaim): Promise<Claimed>
  /** A call holds the key, and is alive. */
  isRunning(key: Omit<IdempotencyClaim, 'fingerprint' | 'requestId' | 'expiresAtMs'>): Promise<boolean>
  /** Says that these calls are alive. */
  beat(held: readonly HeldKey[], nowMs: number): Promise<void>
  /** Ends the claim with its answer, null when it is too large. @returns false when it isn't held by this call any more */
  finish(held: HeldKey, answer: KeptAnswer | null, expiresAtMs: number): Promise<boolean>
  /** The key is as if it had never been used, where this call still holds it. */
  release(held: HeldKey): Promise<void>
}

/** Whose files and batches at a provider are: an account is shared by many projects; see db/stores/provider-objects.ts. */
export interface ProviderObjects {
  /** Noted for every instance when it resolves. */
  add(owner: ObjectOwner, ids: readonly string[], nowMs: number): Promise<void>
  /** Those of the ids that are the owner's. */
  owned(owner: ObjectOwner, ids: readonly string[]): Promise<ReadonlySet<string>>
  remove(owner: ObjectOwner, id: string): Promise<void>
}

export interface ObjectOwner {
  readonly projectId: string
  readonly provider: string
}

export interface Health {
  database(): Promise<void>
  /** `down` when records can't be written to disk. */
  journal(): 'ok' | 'down'
}

export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Milliseconds with a fraction, never going back; only differences mean something. */
  monotonic(): number
  timer(afterMs: number, callback: () => void): Timer
}

export interface Timer {
  cancel(): void
}

export interface Random {
  bytes(length: number): Uint8Array
}

export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export interface Asset {
  readonly bytes: Uint8Array
  readonly type: string
  /** Its name carries a hash of its content: it may be cached for ever. */
  readonly immutable: boolean
}
