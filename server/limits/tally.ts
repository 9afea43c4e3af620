import type { Kv } from '../../db/kv/kv.ts'

/** What this process remembers of one counter beside what kv counts, whatever its window. */
export interface Tally {
  /** Calls of this process that hold something of it, and how much. */
  calls: number
  held: number
  /** All that calls of this process have used in the end. */
  counted: number
  /** Pico-dollars that were counted ahead, since counters count whole nano-dollars: 0 to 999. */
  aheadPico: number
  /** The window and limit of which was told last, and what must be used before more is told. */
  toldEndMs: number
  toldLimit: number
  tellAt: number
  /** Until then nobody looks again, epoch milliseconds; and that somebody will then. */
  lookAgainMs: number
  isDue: boolean
  /** What was left when somebody had waited for more in vain; -1: nobody has. */
  vainLeft: number
}

const MOST = 200_000
const PICO_PER_NANO = 1_000

const all = new WeakMap<Kv, Map<string, Tally>>()

/** The one of a counter. What nobody holds is forgotten when there are too many: a nano-dollar at most is lost by that. */
export function tallyOf(kv: Kv, counter: string): Tally {
  const tallies = all.get(kv) ?? new Map<string, Tally>()
  if (tallies.size === 0) all.set(kv, tallies)
  let tally = tallies.get(counter)
  if (tally === undefined) {
    if (tallies.size >= MOST) for (const [name, { calls }] of tallies) if (calls === 0) tallies.delete(name)
    tally = {
      calls: 0,
      held: 0,
      counted: 0,
      aheadPico: 0,
      toldEndMs: -1,
      toldLimit: -1,
      tellAt: 0,
      lookAgainMs: 0,
      isDue: false,
      vainLeft: -1,
    }
    tallies.set(counter, tally)
  }
  return tally
}

/**
 * Nano-dollars to count for so many pico-dollars, which may be negative. Over any number of calls what is counted is
 * never less than what was owed, and less than one nano-dollar more.
 */
export function countNano(tally: Tally, pico: number): number {
  const nano = nanoFor(tally, pico)
  tally.aheadPico += nano * PICO_PER_NANO - pico
  return nano
}

/** What `countNano` would count. */
export function nanoFor({ aheadPico }: Tally, pico: number): number {
  const ahead = aheadPico - pico
  const rest = ahead % PICO_PER_NANO
  return -(ahead - (rest < 0 ? rest + PICO_PER_NANO : rest)) / PICO_PER_NANO + 0
}
