import type { HeldKey } from '../../db/model/idempotency.ts'
import type { Deps, Timer } from '../deps.ts'

/** How often the calls that hold keys show that they are alive. */
const BEAT_MS = 5000
/** One that hasn't shown that for so long is dead: its process was. */
export const DEAD_MS = 30_000

/** Shows for all calls of this process that hold keys, in one statement, that they are alive. */
export class Heartbeat {
  readonly #deps: Deps
  readonly #held = new Set<HeldKey>()
  #timer: Timer | null = null

  constructor(deps: Deps) {
    this.#deps = deps
  }

  add(held: HeldKey): void {
    this.#held.add(held)
    this.#timer ??= this.#deps.clock.timer(BEAT_MS, () => this.#beat())
  }

  remove(held: HeldKey): void {
    this.#held.delete(held)
    if (this.#held.size > 0) return
    this.#timer?.cancel()
    this.#timer = null
  }

  #beat(): void {
    const { idempotency, clock } = this.#deps
    this.#timer = clock.timer(BEAT_MS, () => this.#beat())
    // A database that is away for a while lets nobody else take them over either.
    idempotency.beat([...this.#held], clock.now()).catch(() => {})
  }
}
