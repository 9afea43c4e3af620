import type { Verdict } from '../../db/kv/kv.ts'
import type { Answered } from '../call.ts'
import type { Deps } from '../deps.ts'
import { ASSUMED_OUTPUT } from './bound.ts'
import type { Holding } from './held.ts'
import { outputWithin, wishesOf } from './need.ts'

/** Holds a stream of which nobody knows how long it gets to what is paid for. */
export interface Leash {
  /** @param written tokens so far. @returns false: it must end now; a promise while the store is asked for more */
  allows(written: number): boolean | Promise<boolean>
}

/** More is asked for when so much is left. */
const AHEAD = 1_024
/** Fewer tokens than that aren't worth asking for. */
const FEW = 64

/** Null for all streams but those whose length neither caller nor catalogue says. */
export function leashOf({ holding, ask }: Answered, deps: Deps): Leash | null {
  if (holding === undefined || !ask.stream || !holding.bound.isAssumed || holding.lives.length === 0) return null
  return new Held(holding, deps)
}

class Held implements Leash {
  readonly #holding: Holding
  readonly #deps: Deps
  #granted: number
  #isLast = false

  constructor(holding: Holding, deps: Deps) {
    this.#holding = holding
    this.#deps = deps
    this.#granted = holding.bound.output
  }

  allows(written: number): boolean | Promise<boolean> {
    if (written < this.#granted - AHEAD) return true
    if (this.#isLast) return written < this.#granted
    const more = this.#extend(ASSUMED_OUTPUT)
    return more instanceof Promise ? more.then(() => written < this.#granted) : written < this.#granted
  }

  /** As much as there is. A store that fails gives nothing. */
  #extend(step: number): void | Promise<void> {
    const asked = this.#take(step)
    const rest = (verdict: Verdict): void | Promise<void> => {
      if (verdict.allowed) return this.#add(step)
      const { need, lives } = this.#holding
      const least = Math.floor(outputWithin({ ...need, lives }, 0, verdict.remaining))
      this.#isLast = true
      if (least < FEW) return
      const again = this.#take(Math.min(step, least))
      const done = ({ allowed }: Verdict): void => (allowed ? this.#add(Math.min(step, least)) : undefined)
      return again instanceof Promise ? again.then(done) : done(again)
    }
    if (!(asked instanceof Promise)) return rest(asked)
    return asked.then(rest).catch(() => {
      this.#isLast = true
    })
  }

  #take(step: number): Verdict | Promise<Verdict> {
    const { kv, clock } = this.#deps
    return kv.takeAll(this.#wishes(step), clock.now())
  }

  #wishes(step: number) {
    const { need, lives } = this.#holding
    // A call has its price once.
    const price = need.price === null ? null : { ...need.price, perCall: 0 }
    return wishesOf({ ...need, price, lives }, { input: 0, output: step })
  }

  #add(step: number): void {
    const { lives, amounts } = this.#holding
    for (const [at, { amount }] of this.#wishes(step).entries()) {
      amounts[at]! += amount
      lives[at]!.tally.held += amount
    }
    this.#granted += step
  }
}
