/** More tokens than any model takes in one call: a provider that says more is not believed. */
const MAX_TOKENS = 20_000_000

/** A counter as providers send it: absent, null, negative or fractional becomes a whole number of at least 0. */
export function tokenCount(value: unknown): number {
  return typeof value === 'number' && value > 0 && value <= MAX_TOKENS ? Math.trunc(value) : 0
}

/** False for a number that no counter can have; what is no number says nothing. */
export function isBelievable(value: unknown): boolean {
  return typeof value !== 'number' || (value >= 0 && value <= MAX_TOKENS)
}
