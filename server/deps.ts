import type { CallRecord } from '../db/model/calls.ts'
import type { Plan } from '../db/model/plans.ts'
import type { Price } from '../db/model/money.ts'
import type { KeyKind } from '../db/model/ids.ts'
import type { Kv } from '../db/kv/kv.ts'
import type { Upstream } from './upstream.ts'

/** Everything the app uses but doesn't make: passed in by main.ts, or by a test. */
export interface Deps {
  readonly directory: Directory
  readonly credentials: Credentials
  readonly kv: Kv
  readonly upstream: Upstream
  readonly journal: Journal
  readonly receipts: Receipts
  readonly health: Health
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** The built console: null for a path that it doesn't have. */
  readonly assets: (path: string) => Asset | null
}

/** Who is calling: everything the line needs to know of a key, held in memory. */
export interface Principal {
  readonly keyId: string
  readonly kind: KeyKind
  readonly projectId: string
  readonly organizationId: string
  readonly plan: Plan
}

export interface Directory {
  /**
   * The principal of a live key, null for an unknown, revoked or expired one. Answers known keys without a promise and
   * keeps doing so while the database is away. @throws when a key isn't known here and the database can't be asked.
   */
  lookup(secret: string): Principal | null | Promise<Principal | null>
}

/** The operator's account at a provider. */
export interface Account {
  readonly apiKey: string | null
  /** Origin and path prefix of its API, no trailing slash. */
  readonly origin: string
  readonly basePath: string
}

export interface Credentials {
  /** Null when the platform has no account there. */
  of(providerId: string): Account | null
}

/** The durable record of settled calls. See server/journal.ts for what it promises. */
export interface Journal {
  /** Calls `written` once the record is in the file; `price` is the one the record names. */
  append(record: CallRecord, price: Price | null, written: () => void): void
  /** Resolves when all that was appended before is in the database, or rejects when `withinMs` has passed. */
  drained(withinMs: number): Promise<void>
}

export interface Receipts {
  find(projectId: string, requestId: string): Promise<{ readonly call: CallRecord; readonly price: Price | null } | null>
}

export interface Health {
  database(): Promise<void>
}

export interface Clock {
  /** Epoch milliseconds. */
  now(): number
  /** Milliseconds with a fraction, never going back; only differences mean something. */
  monotonic(): number
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
