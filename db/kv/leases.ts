import { holdings } from './holdings.ts'
import type { Counter, Kv, SharedKv, Taken, Verdict, Wish } from './kv.ts'
import { RECALL } from './kv.ts'
import { hasWord, type Lease } from './lease.ts'
import { inTime, type LeaseClock, type Talk, talk } from './talk.ts'
import { type TroubleLog, trouble } from './trouble.ts'

export interface LeaseOptions {
  /** Of this process, unlike every other's and every earlier one's: 16 random bytes as hex, say. */
  readonly id: string
  readonly log?: TroubleLog | null
  readonly clock?: LeaseClock
  /** What is reserved for a process is free again when it says nothing for so long; default 5 s. */
  readonly termMs?: number
  /** What isn't used for so long goes back; default 1 s. */
  readonly idleMs?: number
  /** The store must have answered by then; default 250. */
  readonly timeoutMs?: number
  /** For how long a call is held up while others, who have what it needs, may give it back; default 100. */
  readonly recallMs?: number
  /** A process that has nothing to say says that it lives; default 20 s. */
  readonly beatMs?: number
  /** How many instances to assume when the store was never reached; default 2. */
  readonly assumedInstances?: number
}

/** Limits over a shared store, mostly without asking it. */
export interface LeasedKv extends Kv {
  readonly stats: LeaseStats
  /** Resolves when nothing is on its way to the store, nor waits to be. */
  settled(): Promise<void>
}

export interface LeaseStats {
  readonly takes: number
  /** All of them: for leases, reports, give-backs, signs of life. */
  readonly roundTrips: number
  /** Counters held. */
  readonly held: number
  /** The store can't be used: limits are kept locally. */
  readonly away: boolean
}

const BEAT_MS = 20_000
const FORGET_MS = 60_000

/**
 * Limits over a shared store, kept with leases: the store opens units of a counter to a process, which takes from them
 * without a promise; whoever asks for more at one moment shares one round trip.
 *
 * Promises: what takes bring a counter to, over all processes, never passes its limit, crashes included. An opened unit
 * counts as used until its holder gives it back, so what a crashed process had open stays used until the window ends (a
 * block at most, which follows the demand); what was reserved for it is free when its term ends. A call is refused when
 * nothing is left, or when others didn't give back what they hold within `recallMs`. With the store away nothing throws
 * and nothing waits: each process keeps to its share of what it knew to be free.
 */
export function leasedKv(store: SharedKv, options: LeaseOptions): LeasedKv {
  const { id, log = null, clock = systemClock, termMs = 5_000, idleMs = 1_000, timeoutMs = 250 } = options
  const { recallMs = 100, beatMs = BEAT_MS, assumedInstances = 2 } = options
  const health = trouble(log)
  const held = holdings({
    nameOf: store.nameOf,
    monotonic: () => clock.monotonic(),
    onLow: (lease) => words.tell(lease),
  })
  const words: Talk = talk(store, held, {
    ...{ id, clock, trouble: health, termMs, timeoutMs, recallMs, assumedInstances },
  })
  let takes = 0
  let isClosed = false
  let sweeping = clock.timer(idleMs / 2, sweep)
  let deafen: (() => void) | null = null
  store.subscribe(RECALL, recalled).then(
    (end) => {
      if (isClosed) end()
      else deafen = end
    },
    // Nobody is heard: what isn't used goes back by itself.
    () => {},
  )

  /** Somebody lacks what this process may hold. */
  function recalled(name: string): void {
    const lease = held.named(name)
    if (lease === undefined || health.away || !hasWord(lease)) return
    lease.block = 0
    lease.vainUntilMs = 0
    words.giveBack(lease)
  }

  function sweep(): void {
    sweeping = clock.timer(idleMs / 2, sweep)
    for (const lease of held.all()) {
      lease.idle++
      const isForgotten = (lease.idle * idleMs) / 2 > FORGET_MS && !hasWord(lease)
      if (lease.endMs <= held.latestMs || isForgotten) held.drop(lease)
      else if (lease.idle > 2 && hasWord(lease) && !health.away) {
        lease.block = Math.floor(lease.block / 2)
        words.giveBack(lease)
      }
    }
    if (clock.monotonic() - words.toldAtMs > beatMs && !health.away) words.beat()
  }

  function takeAll(wishes: readonly Wish[], nowMs: number): Verdict | Promise<Verdict> {
    takes++
    held.at(nowMs)
    return held.judge(wishes) ?? words.wait(wishes)
  }

  return {
    takeAll,
    holder: `i:${id}`,
    atHand({ key }) {
      if (health.away || words.isSpeaking) return null
      const lease = held.get(key)
      // What is to go back, under another limit, is still ours as the store knows it.
      return lease === undefined ? 0 : Math.max(lease.had, lease.knownHad) - lease.spent
    },
    census: (counter, options) => inTime(store.census(counter, options), { timeoutMs, clock }),
    reclaim: (counter, amount, options) => inTime(store.reclaim(counter, amount, options), { timeoutMs, clock }),
    stats: {
      get takes() {
        return takes
      },
      get roundTrips() {
        return words.roundTrips
      },
      get held() {
        return held.size
      },
      get away() {
        return health.away
      },
    },
    take(key, limit, { windowMs, nowMs }): Taken | Promise<Taken> {
      const name = `${windowMs}:${key}`
      const lease = held.get(name)
      if (lease !== undefined && lease.endMs > nowMs && lease.limit === limit && lease.had > lease.spent) {
        takes++
        held.spend(lease, 1)
        return { allowed: true, remaining: held.remains(lease), resetMs: lease.endMs }
      }
      const endMs = Math.max(lease?.endMs ?? 0, Math.floor(nowMs / windowMs) * windowMs + windowMs)
      const taken = ({ allowed, remaining }: Verdict): Taken => ({ allowed, remaining: remaining[0]!, resetMs: endMs })
      const verdict = takeAll([{ key: name, limit, endMs, amount: 1 }], nowMs)
      return verdict instanceof Promise ? verdict.then(taken) : taken(verdict)
    },
    add(counter, amount, nowMs): void {
      held.at(nowMs)
      const lease = held.of(counter)
      held.spend(lease, amount)
      // What goes beyond what was at hand must be known to the others soon.
      if (lease.had > lease.knownHad && !health.away) words.tell(lease)
    },
    async atLeast(counter, used, nowMs): Promise<void> {
      held.at(nowMs)
      const lease = held.of(counter)
      // For when the store is away before it was ever asked.
      lease.free ??= Math.max(0, counter.limit - used)
      if (health.away) return
      try {
        await inTime(Promise.resolve(store.atLeast(counter, used, nowMs)), { timeoutMs, clock })
      } catch {
        // Away: whoever takes next finds out, and it is said again when the key is read again.
      }
    },
    async read(counters, nowMs) {
      if (health.away) return counters.map((counter) => guess(held.get(counter.key), counter))
      try {
        const used = await inTime(Promise.resolve(store.read(counters, nowMs)), { timeoutMs, clock })
        return used.map((one, at) => Math.max(0, one + untold(held.get(counters[at]!.key), counters[at]!)))
      } catch {
        return counters.map((counter) => guess(held.get(counter.key), counter))
      }
    },
    publish: (channel, text) => store.publish(channel, text),
    subscribe: (channel, hear, missed) => store.subscribe(channel, hear, missed),
    ping: () => inTime(store.ping(), { timeoutMs, clock }),
    async settled() {
      while (words.isBusy && !health.away) await new Promise((resolve) => setTimeout(resolve, 1))
    },
    async close() {
      if (isClosed) return
      isClosed = true
      sweeping.cancel()
      deafen?.()
      await words.end()
      await store.close()
    },
  }
}

/** What the store doesn't know yet of this process's use. */
function untold(lease: Lease | undefined, { endMs }: Counter): number {
  return lease?.endMs === endMs ? lease.spent - lease.knownSpent : 0
}

/** What is used as far as this process knows. */
function guess(lease: Lease | undefined, { endMs }: Counter): number {
  if (lease?.endMs !== endMs) return 0
  const elsewhere = lease.free === null ? 0 : lease.limit - lease.free - lease.knownHad - lease.reserved
  return Math.max(0, elsewhere) + lease.spent
}

const systemClock: LeaseClock = {
  monotonic: () => performance.now(),
  timer(afterMs, callback) {
    const timer = setTimeout(callback, afterMs)
    // Nobody stays up for a lease.
    if (typeof timer === 'object') timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
