import type { Holdings } from './holdings.ts'
import type { LeaseAnswer, LeaseLine, SharedKv, Verdict, Wish } from './kv.ts'
import { accept, type Demand, demand, hasWord, type Lease, lineOf, rebase } from './lease.ts'
import { ttlMs } from './shared.ts'
import type { Trouble } from './trouble.ts'

/** The conversation with the store: one round trip at a time, in which everybody who needs something is asked for. */
export interface Talk {
  readonly roundTrips: number
  /** On the monotonic clock. */
  readonly toldAtMs: number
  /** A word is on its way: what it asks for may have been given. */
  readonly isSpeaking: boolean
  /** Something is on its way or is still to be said. */
  readonly isBusy: boolean
  /** Resolves when the store has spoken, or is away. */
  wait(wishes: readonly Wish[]): Promise<Verdict>
  /** The store is told of a lease at the end of this turn. */
  tell(lease: Lease): void
  giveBack(lease: Lease): void
  /** A word without content: this instance lives. */
  beat(): void
  /** Gives everything back and says good-bye; answers whoever still waits. */
  end(): Promise<void>
}

export interface TalkOptions {
  readonly id: string
  readonly clock: LeaseClock
  readonly trouble: Trouble
  readonly termMs: number
  readonly timeoutMs: number
  readonly recallMs: number
  readonly assumedInstances: number
}

export interface LeaseClock {
  /** Milliseconds, never going back. */
  monotonic(): number
  timer(afterMs: number, callback: () => void): { cancel(): void }
}

interface Waiter {
  readonly wishes: readonly Wish[]
  readonly resolve: (verdict: Verdict) => void
  /** A word has been sent that asked for it. */
  isAsked: boolean
  /** Until when it waits for others to give back, on the monotonic clock; null: it doesn't. */
  untilMs: number | null
}

interface Lack {
  readonly at: number
  readonly lease: Lease
  readonly need: number
}

const MOST_LINES = 500
const RETRY_MS = 1_000
/** A word that finds nothing left holds for so long: after it what others gave back is found. */
const REFUSED_MS = 250
/** The store forgets a silent holder after ten minutes. */
const REBASE_MS = 300_000

export function talk(store: SharedKv, held: Holdings, options: TalkOptions): Talk {
  const { id, clock, trouble, termMs, timeoutMs, recallMs, assumedInstances } = options
  const due = new Set<Lease>()
  let waiters: Waiter[] = []
  let instances = assumedInstances
  let busy: Promise<void> | null = null
  let isDue = false
  let isBeat = false
  let isProbe = false
  let isEnded = false
  let retry: { cancel(): void } | null = null
  let roundTrips = 0
  let toldAtMs = clock.monotonic()

  /** At the end of this turn, or as soon as the word that is on its way has been answered. */
  function schedule(): void {
    if (isDue || isEnded) return
    isDue = true
    if (busy === null) queueMicrotask(flush)
  }

  function flush(): void {
    isDue = false
    if (busy !== null || isEnded || (trouble.away && !isProbe)) return
    isProbe = false
    busy = speak(false).finally(() => {
      busy = null
      if (isDue) flush()
    })
  }

  async function speak(leaving: boolean): Promise<void> {
    const lines = words()
    if (lines.length === 0 && !isBeat && !leaving && !trouble.away) return settle(new Set())
    isBeat = false
    roundTrips++
    try {
      const sent = lines.map(([, line]) => line)
      heard(lines, await inTime(store.lease({ id, termMs, leaving }, sent), { timeoutMs, clock }))
    } catch (error) {
      lost(error)
    }
  }

  function words(): [Lease, LeaseLine][] {
    const nowMs = clock.monotonic()
    const demands = new Map<Lease, Demand>()
    for (const waiter of waiters) {
      if (demands.size > 0 && demands.size + waiter.wishes.length > MOST_LINES) break
      waiter.isAsked = true
      for (const wish of waiter.wishes) demand(demands, held.of(wish), wish.amount)
    }
    const lines: [Lease, LeaseLine][] = []
    const add = (lease: Lease, waited: Demand | null): void => {
      due.delete(lease)
      if (nowMs - lease.askedAtMs > REBASE_MS && lease.knownHad !== 0) rebase(lease, held.seq())
      const line = lineOf(lease, waited, { seq: held.seq(), ttlMs: ttlMs(lease.endMs, held.latestMs), nowMs })
      lines.push([lease, line])
    }
    for (const [lease, waited] of demands)
      if (due.has(lease) || lease.had - lease.spent < Math.max(waited.units, waited.least)) add(lease, waited)
    for (const lease of due) if (lines.length < MOST_LINES) add(lease, null)
    return lines
  }

  function heard(lines: readonly [Lease, LeaseLine][], answer: LeaseAnswer): void {
    toldAtMs = clock.monotonic()
    instances = answer.instances
    held.divided = null
    for (const [at, [lease, line]] of lines.entries()) accept(lease, line, answer.grants[at]!)
    if (trouble.mended()) tellAll()
    settle(new Set(lines.map(([lease]) => lease)))
    if (due.size > 0) schedule()
  }

  /** What was used while the store was away, and no more: it doesn't know yet what others used. */
  function tellAll(): void {
    for (const lease of held.all()) if (lease.spent !== lease.knownSpent) giveBack(lease)
  }

  function lost(error: unknown): void {
    trouble.failed(error, clock.monotonic())
    held.divided = instances
    again(RETRY_MS, () => {
      isProbe = true
    })
    answerAll()
  }

  function again(afterMs: number, first: () => void = () => {}): void {
    retry?.cancel()
    if (isEnded) return
    retry = clock.timer(afterMs, () => {
      first()
      schedule()
    })
  }

  /** Answers everybody from what is at hand. */
  function answerAll(): void {
    const all = waiters
    waiters = []
    for (const { wishes, resolve } of all) resolve(held.judge(wishes) ?? held.refuse(wishes, 0))
  }

  /** Answers who can be answered now. @param told the counters of which the store has just spoken */
  function settle(told: ReadonlySet<Lease>): void {
    const nowMs = clock.monotonic()
    const all = waiters
    waiters = []
    for (const waiter of all) {
      const lack = waiter.isAsked ? lackOf(waiter.wishes) : null
      if (!waiter.isAsked) waiters.push(waiter)
      else if (lack === null) waiter.resolve(held.grant(waiter.wishes))
      else if (mayWait(waiter, lack, { told, nowMs })) waiters.push(waiter)
      else deny(waiter, lack, nowMs)
    }
    for (const lease of told) if (lease.isTight && lease.low < 0 && lease.had > lease.spent) giveBack(lease)
    if (waiters.some((waiter) => !waiter.isAsked)) schedule()
    else if (waiters.length > 0) again(recallMs / 6)
  }

  function lackOf(wishes: readonly Wish[]): Lack | null {
    for (const [at, wish] of wishes.entries()) {
      const lease = held.of(wish)
      const need = Math.max(1, wish.amount)
      if (lease.had - lease.spent < need) return { at, lease, need }
    }
    return null
  }

  function mayWait(
    waiter: Waiter,
    { lease, need }: Lack,
    { told, nowMs }: { readonly told: ReadonlySet<Lease>; readonly nowMs: number },
  ): boolean {
    if (need > lease.limit) return false
    if (!told.has(lease) || !lease.isShort) {
      // Others took what was there when it was asked for: ask again, unless that is going to happen anyway.
      if (waiter.untilMs === null) waiter.isAsked = false
      return true
    }
    // Others have what it needs: they were told, and give back what they don't use.
    if (lease.others <= 0 || nowMs < lease.vainUntilMs) return false
    waiter.untilMs ??= nowMs + recallMs
    return nowMs < waiter.untilMs
  }

  function deny(waiter: Waiter, { at, lease, need }: Lack, nowMs: number): void {
    if (waiter.untilMs !== null && lease.others > 0) lease.vainUntilMs = nowMs + termMs
    lease.refusedFrom = nowMs < lease.refusedUntilMs ? Math.min(lease.refusedFrom, need) : need
    lease.refusedUntilMs = nowMs + REFUSED_MS
    waiter.resolve(held.refuse(waiter.wishes, at))
  }

  function tell(lease: Lease): void {
    due.add(lease)
    schedule()
  }

  function giveBack(lease: Lease): void {
    lease.giveBack = true
    tell(lease)
  }

  return {
    get roundTrips() {
      return roundTrips
    },
    get toldAtMs() {
      return toldAtMs
    },
    get isSpeaking() {
      return busy !== null
    },
    get isBusy() {
      return busy !== null || isDue || waiters.length > 0
    },
    wait: (wishes) =>
      new Promise((resolve) => {
        waiters.push({ wishes, resolve, isAsked: false, untilMs: null })
        // Nobody is asked any more: what isn't at hand is refused.
        if (isEnded) answerAll()
        else schedule()
      }),
    tell,
    giveBack,
    beat() {
      isBeat = true
      schedule()
    },
    async end() {
      isEnded = true
      await busy
      retry?.cancel()
      answerAll()
      for (const lease of held.all()) {
        lease.giveBack = true
        if (hasWord(lease)) due.add(lease)
      }
      do await speak(due.size <= MOST_LINES)
      while (due.size > 0 && !trouble.away)
    },
  }
}

/** @throws when the promise isn't settled in time */
export function inTime<T>(
  answer: Promise<T>,
  { timeoutMs, clock }: { readonly timeoutMs: number; readonly clock: LeaseClock },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.timer(timeoutMs, () => reject(new Error(`No answer within ${timeoutMs} ms`)))
    answer.then(resolve, reject).finally(() => timer.cancel())
  })
}
