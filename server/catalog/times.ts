import type { ConditionalPrice, ModelPrice } from '@pydantic/genai-prices'

const DAY_MS = 86_400_000

/** Prices and how long they hold: from `fromMs` (inclusive) to `untilMs` (exclusive), epoch milliseconds. */
export interface Period {
  readonly prices: ModelPrice
  readonly fromMs: number
  readonly untilMs: number
}

/** What holds at a time: the last entry whose condition is met, else the first, as the tables define it. */
export function periodAt(prices: ModelPrice | ConditionalPrice[], atMs: number): Period {
  if (!isConditional(prices)) return { prices, fromMs: -Infinity, untilMs: Infinity }
  let fromMs = -Infinity
  let untilMs = Infinity
  for (const { constraint } of prices) {
    for (const edge of constraint === undefined ? [] : edgesAround(constraint, atMs)) {
      if (edge <= atMs) fromMs = Math.max(fromMs, edge)
      else untilMs = Math.min(untilMs, edge)
    }
  }
  const active = prices.findLast(({ constraint }) => constraint === undefined || holds(constraint, atMs)) ?? prices[0]!
  return { prices: active.prices, fromMs, untilMs }
}

type Constraint = NonNullable<ConditionalPrice['constraint']>

function isConditional(prices: ModelPrice | ConditionalPrice[]): prices is ConditionalPrice[] {
  return Array.isArray(prices)
}

function holds(constraint: Constraint, atMs: number): boolean {
  if (constraint.type === 'start_date') return atMs >= Date.parse(constraint.start_date)
  const time = modulo(atMs, DAY_MS)
  const start = timeOfDay(constraint.start_time)
  const end = timeOfDay(constraint.end_time)
  return end < start ? time >= start || time < end : time >= start && time < end
}

/** The moments near `atMs` at which the constraint begins or ends to hold. */
function edgesAround(constraint: Constraint, atMs: number): number[] {
  if (constraint.type === 'start_date') return [Date.parse(constraint.start_date)]
  const midnight = atMs - modulo(atMs, DAY_MS)
  return [constraint.start_time, constraint.end_time].flatMap((text) => {
    const edge = midnight + timeOfDay(text)
    return [edge - DAY_MS, edge, edge + DAY_MS]
  })
}

/** `16:30:00Z` or `16:30:00+08:00` as milliseconds after midnight UTC. */
function timeOfDay(text: string): number {
  return modulo(Date.parse(`1970-01-01T${text}`), DAY_MS)
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor
}
