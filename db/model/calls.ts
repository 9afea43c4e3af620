import type { Usage, UsageSource } from './usage.ts'

/** How a call ended. `cut`: the provider broke off after its first byte; `aborted`: the caller went away. */
export type Outcome = 'done' | 'error' | 'aborted' | 'cut'

/**
 * One settled call: the line of the journal and the row of table `calls`. Written once, never changed.
 * Times are epoch milliseconds or microseconds as their names say; money is pico-dollars.
 */
export interface CallRecord {
  /** Ours, `req_…`, ordered by time; all idempotence hangs on it. */
  readonly id: string
  readonly createdAtMs: number
  readonly organizationId: string
  readonly projectId: string
  readonly keyId: string
  /** The public endpoint's name, such as `chat.completions`. */
  readonly endpoint: string
  readonly modelRequested: string
  /** The model that answered, as the provider is told; null when no target was chosen. */
  readonly model: string | null
  readonly provider: string | null
  readonly stream: boolean
  /** The status that the caller was sent; 499 when it went away before any. */
  readonly status: number
  readonly outcome: Outcome
  readonly errorCode: string | null
  readonly usage: Usage
  readonly usageSource: UsageSource
  /** Price.id, null when no price is known. */
  readonly priceId: string | null
  /** Null when no price is known; 0 is a price. */
  readonly costPico: number | null
  /** What the organization's credits paid for it; null: nothing is charged for this call, 0: it cost nothing. */
  readonly chargedPico: number | null
  readonly latencyUs: number
  /** What of `latencyUs` was ours, not the provider's. */
  readonly overheadUs: number
  readonly firstByteUs: number | null
  readonly attempts: number
  /** The rule that chose the provider. */
  readonly route: string | null
  /** Parameters that were changed for the provider, comma-separated. */
  readonly adapted: string | null
  /** The provider's own request id. */
  readonly upstreamId: string | null
  /** The caller's `x-request-id`: kept for searching, never an identity. */
  readonly clientRequestId: string | null
  /** OpenAI's `user` or `safety_identifier`. */
  readonly endUser: string | null
  /** `x-watchllm-metadata` as given: a JSON object in text. */
  readonly metadata: string | null
  /** The targets that were asked and did not answer: Tries as JSON (see tries.ts); null: none. */
  readonly tries: string | null
  /** How it was charged and who paid: a Charge as JSON (see charge.ts); null: the installation paid. */
  readonly charge: string | null
}
