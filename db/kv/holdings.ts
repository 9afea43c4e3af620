import type { Counter, Verdict, Wish } from './kv.ts'
import { alone, type Lease, newLease, relimit } from './lease.ts'

/** What this process holds of all counters, and what can be said to a caller from that alone. */
export interface Holdings {
  /** Null while the store is there; else the instances among which the limits are divided. */
  divided: number | null
  /** The time that a caller named last, epoch milliseconds: a clock that was ahead for a moment is set right by the next. */
  readonly latestMs: number
  readonly size: number
  at(nowMs: number): void
  /** The counter's lease, made when there is none; one of a later window goes on. */
  of(counter: Counter): Lease
  get(key: string): Lease | undefined
  named(name: string): Lease | undefined
  all(): IterableIterator<Lease>
  drop(lease: Lease): void
  /** Ever higher. */
  seq(): number
  spend(lease: Lease, amount: number): void
  /** Null when only the store knows. */
  judge(wishes: readonly Wish[]): Verdict | null
  grant(wishes: readonly Wish[]): Verdict
  refuse(wishes: readonly Wish[], at: number): Verdict
  remains(lease: Lease): number
}

export interface HoldingsOptions {
  readonly nameOf: (counter: Counter) => string
  readonly monotonic: () => number
  /** So little is at hand that more should be asked for. */
  readonly onLow: (lease: Lease) => void
}

export function holdings({ nameOf, monotonic, onLow }: HoldingsOptions): Holdings {
  const leases = new Map<string, Lease>()
  const names = new Map<string, Lease>()
  let divided: number | null = null
  let latestMs = 0
  let last = 0

  function of(counter: Counter): Lease {
    const held = leases.get(counter.key)
    if (held !== undefined && held.endMs >= counter.endMs) {
      if (held.limit !== counter.limit) relimit(held, counter.limit)
      return held
    }
    if (held !== undefined) drop(held)
    const lease = newLease(counter, ++last)
    leases.set(lease.key, lease)
    names.set(nameOf(lease), lease)
    return lease
  }

  function drop(lease: Lease): void {
    if (leases.get(lease.key) === lease) leases.delete(lease.key)
    names.delete(nameOf(lease))
  }

  function spend(lease: Lease, amount: number): void {
    lease.spent += amount
    if (lease.spent > lease.had) lease.had = lease.spent
    lease.idle = 0
    if (lease.had - lease.spent <= lease.low && divided === null) {
      lease.low = -1
      onLow(lease)
    }
  }

  function judge(wishes: readonly Wish[]): Verdict | null {
    let knows = true
    let nowMs = -1
    for (let at = 0; at < wishes.length; at++) {
      const wish = wishes[at]!
      const lease = of(wish)
      const need = Math.max(1, wish.amount)
      if (need > wish.limit) return refuse(wishes, at)
      if (lease.had - lease.spent >= need) continue
      if (divided !== null) {
        if (alone(lease, divided) < need) return refuse(wishes, at)
        continue
      }
      if (nowMs < 0) nowMs = monotonic()
      if (need >= lease.refusedFrom && nowMs < lease.refusedUntilMs) return refuse(wishes, at)
      knows = false
    }
    return knows ? grant(wishes) : null
  }

  function grant(wishes: readonly Wish[]): Verdict {
    const remaining: number[] = []
    for (const wish of wishes) {
      const lease = of(wish)
      spend(lease, wish.amount)
      remaining.push(remains(lease))
    }
    return { allowed: true, refused: -1, resetMs: null, remaining }
  }

  function refuse(wishes: readonly Wish[], at: number): Verdict {
    const remaining = wishes.map((wish) => remains(of(wish)))
    return { allowed: false, refused: at, resetMs: of(wishes[at]!).endMs, remaining }
  }

  function remains(lease: Lease): number {
    const left = lease.had - lease.spent
    const all =
      divided === null ? left + lease.reserved + (lease.free ?? lease.limit - lease.had) : alone(lease, divided)
    return Math.max(0, Math.min(lease.limit, all))
  }

  return {
    get divided() {
      return divided
    },
    set divided(instances) {
      divided = instances
    },
    get latestMs() {
      return latestMs
    },
    get size() {
      return leases.size
    },
    at(nowMs) {
      latestMs = nowMs
    },
    get: (key) => leases.get(key),
    named: (name) => names.get(name),
    all: () => leases.values(),
    seq: () => ++last,
    ...{ of, drop, spend, judge, grant, refuse, remains },
  }
}
