import type { Price } from '../db/model/money.ts'
import type { RoutingPolicy } from '../db/model/settings.ts'

export interface Measures<C> {
  readonly policy: RoutingPolicy
  /** Null: no price is known. */
  priceOf(choice: C): Price | null
  /** Milliseconds to the first byte; null: nobody has measured. */
  speedOf(choice: C): number | null
}

/**
 * The choices in the order in which they are tried. What measures alike stays in its order, so that the same measures
 * give the same order everywhere. What isn't known never goes before what is: without a price a choice comes behind all
 * that have one (`cheapest`, `balanced`), without a speed behind all that have one (`fastest`), or it counts as slow as
 * the slowest (`balanced`, which then goes by price). Charges a call, of search models, are not looked at.
 */
export function orderChoices<C>(choices: readonly C[], measures: Measures<C>): readonly C[] {
  const { policy } = measures
  if (policy === 'order' || choices.length < 2) return choices
  const scored = choices.map((choice) => {
    const [price, speed] = [blended(measures.priceOf(choice)), measures.speedOf(choice) ?? Infinity]
    return { choice, price, speed, score: policy === 'cheapest' ? price : speed }
  })
  if (policy === 'balanced') {
    const price = largest(scored.map((one) => one.price))
    const speed = largest(scored.map((one) => one.speed))
    for (const one of scored) one.score = share(one.price, price) + share(Math.min(one.speed, speed), speed)
  }
  const isUnmeasured = (one: { readonly speed: number }) => Number(policy === 'balanced' && one.speed === Infinity)
  // The difference of two unknowns is no number, and counts as none.
  scored.sort((a, b) => a.score - b.score || isUnmeasured(a) - isUnmeasured(b))
  return scored.map(({ choice }) => choice)
}

/** Pico-dollars for four tokens, of which three are input: about what calls use. */
function blended(price: Price | null): number {
  return price === null ? Infinity : 3 * price.rates.input + price.rates.output
}

/** Of those that are known; 0 where none is. */
function largest(values: readonly number[]): number {
  return values.reduce((most, value) => (value < Infinity && value > most ? value : most), 0)
}

/** Of the largest: 0 to 1, what isn't known is beyond all. */
function share(value: number, most: number): number {
  if (value === Infinity) return Infinity
  return most === 0 ? 0 : value / most
}
