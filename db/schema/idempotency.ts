/** An idempotency key that was used. `head` and `body` are envelopes of the vault: what the model said is in them. */
export interface IdempotencyKeysTable {
  id: string
  project_id: string
  fingerprint: string
  /** Of the call that holds it, or that was answered. */
  request_id: string
  answered: boolean
  /** Null: not answered yet, or too large to be kept. */
  head: string | null
  body: string | null
  alive_at: Date
  expires_at: Date
}
