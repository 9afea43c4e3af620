/** A call that wants to be the one that is made for its idempotency key. */
export interface IdempotencyClaim {
  /** Whose key, for what: a hash. */
  readonly id: string
  readonly projectId: string
  /** Hash of all that the request asks: the same key with another one is a mistake. */
  readonly fingerprint: string
  /** Of that call, `req_…`. */
  readonly requestId: string
  readonly nowMs: number
  /** A call that holds the key and hasn't shown since then that it is alive is dead: its process was. */
  readonly deadBeforeMs: number
  readonly expiresAtMs: number
}

/** The claim of a call that holds its key. */
export type HeldKey = Pick<IdempotencyClaim, 'id' | 'projectId' | 'requestId'>

/** Who holds a key. */
export type Claimed =
  /** This call, from now on. */
  | { readonly state: 'held' }
  | { readonly state: 'running'; readonly requestId: string; readonly fingerprint: string }
  | {
      readonly state: 'answered'
      readonly requestId: string
      readonly fingerprint: string
      /** Null: it was too large to be kept, or no secret opens it any more. */
      readonly answer: KeptAnswer | null
    }

/** An answer as its first caller got it. */
export interface KeptAnswer {
  readonly provider: string | null
  readonly model: string | null
  readonly contentType: string
  /** Other headers. Those that belong to the answer rather than to the request: name, value, name, value. */
  readonly headers: readonly string[]
  /** Each byte one character (latin-1). */
  readonly body: string
}
