/** Longer than any query of ours: who waits this long most likely waits for itself. */
const WAIT_MS = 60_000

interface Waiter {
  readonly start: () => void
  readonly refuse: (error: Error) => void
}

/** One after the other, in the order of asking. */
export class Turns {
  #busy = false
  #closed = false
  readonly #waiters: Waiter[] = []

  /** @throws when closed, or when the turn doesn't come for a minute */
  begin(): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('The embedded database is closed'))
    return this.#wait()
  }

  /** Hands the turn to the next. Each `begin` is ended once. */
  end(): void {
    const next = this.#waiters.shift()
    if (next === undefined) this.#busy = false
    else next.start()
  }

  /** Resolves when those before had their turn; nobody begins after that. @returns false when closed already */
  async close(): Promise<boolean> {
    if (this.#closed) return false
    this.#closed = true
    await this.#wait()
    return true
  }

  #wait(): Promise<void> {
    if (!this.#busy) {
      this.#busy = true
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const at = this.#waiters.indexOf(waiter)
        if (at >= 0) this.#waiters.splice(at, 1)
        waiter.refuse(new Error('The embedded database was busy for a minute; is `db` used inside a transaction?'))
      }, WAIT_MS)
      const waiter: Waiter = {
        start() {
          clearTimeout(timer)
          resolve()
        },
        refuse: reject,
      }
      this.#waiters.push(waiter)
    })
  }
}
