/** Counters and leases that instances share. Every operation is atomic over all users of one store. */
export interface Kv {
  /**
   * Takes one from a window of `windowMs` that starts at a multiple of it.
   * Promise: never more than `limit` takes succeed in one window, whoever asks; a refused take changes nothing.
   */
  take(
    key: string,
    limit: number,
    options: { readonly windowMs: number; readonly nowMs: number },
  ): Taken | Promise<Taken>
  /** Answers when the store can be used; rejects with what is wrong. */
  ping(): Promise<void>
  close(): Promise<void>
}

export interface Taken {
  readonly allowed: boolean
  /** What is left in this window, never below zero. */
  readonly remaining: number
  /** Epoch milliseconds at which the window ends. */
  readonly resetMs: number
}
