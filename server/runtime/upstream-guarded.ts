import type { HostGuard } from './public-address.ts'
import { Connection, Host, type HostOptions, late, portOf } from './upstream-host.ts'

export interface GuardedOptions extends HostOptions {
  readonly guard: HostGuard
}

/** An origin that a tenant chose: every connection goes to an address that was just found to be public. */
export class GuardedHost extends Host {
  readonly #guard: HostGuard
  readonly #onUnused: () => void
  #reaching = 0
  #closed = false

  constructor(origin: string, options: GuardedOptions, onUnused: () => void) {
    super(origin, options)
    this.#guard = options.guard
    this.#onUnused = onUnused
  }

  /** @throws with the guard's word, or what kept all addresses from being reached in time */
  async reach(): Promise<Connection> {
    const idle = this.idle.pop()
    if (idle !== undefined) return idle
    this.#reaching++
    try {
      const endsAt = performance.now() + this.options.connectTimeoutMs
      const addresses = await this.#addresses()
      let failure: unknown
      for (const [at, address] of addresses.entries()) {
        if (this.#closed) throw new Error('The way out is closed')
        // Each gets its share of what is left: one that is silent must not use up the others' time.
        const leftMs = (endsAt - performance.now()) / (addresses.length - at)
        if (leftMs < 1) break
        try {
          return await this.#connectTo(address, leftMs)
        } catch (error) {
          failure = error
        }
      }
      throw failure ?? late(this.options.connectTimeoutMs)
    } finally {
      this.#reaching--
      this.#tellIfUnused()
    }
  }

  override forget(connection: Connection): void {
    super.forget(connection)
    this.#tellIfUnused()
  }

  override close(): Promise<void> {
    this.#closed = true
    return super.close()
  }

  #tellIfUnused(): void {
    if (this.#reaching === 0 && this.all.size === 0) this.#onUnused()
  }

  async #addresses(): Promise<readonly string[]> {
    const { connectTimeoutMs } = this.options
    let timer: ReturnType<typeof setTimeout> | undefined
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late(connectTimeoutMs)), connectTimeoutMs)
    })
    try {
      return await Promise.race([this.#guard.addressesOf(this.url.hostname, portOf(this.url)), tooLate])
    } finally {
      clearTimeout(timer)
    }
  }

  #connectTo(address: string, withinMs: number): Promise<Connection> {
    const opening = this.open(address)
    const connection = new Connection(this, opening, withinMs)
    this.all.add(connection)
    return new Promise((resolve, reject) => {
      opening.socket.once(opening.ready, () => resolve(connection))
      opening.socket.once('error', reject)
      opening.socket.once('close', () => reject(new Error('The connection was closed before it was open')))
    })
  }
}
