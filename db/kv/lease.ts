import type { Counter, LeaseGrant, LeaseLine } from './kv.ts'

/** What this process holds of one counter. Totals are since `epoch`, see LeaseLine. */
export interface Lease {
  readonly key: string
  readonly endMs: number
  limit: number
  epoch: number
  /** Units opened to this process, less those given back. What is had and not spent may be used without asking. */
  had: number
  spent: number
  /** Of `had`, what the store has heard or given; of `spent`, what it believes. */
  knownHad: number
  knownSpent: number
  /** Kept for this process at the store. */
  reserved: number
  /** What nobody had when the store was last asked; null: never asked. */
  free: number | null
  /** What others might have given back then. */
  others: number
  /** Less was given than waited for, and less than asked for, when the store was last asked. */
  isShort: boolean
  isTight: boolean
  /** Units to ask for beyond those that are waited for: follows the demand. Below zero: not known yet. */
  block: number
  /** When no more than so many are at hand, more are asked for in the background; -1: not now. */
  low: number
  /** Amounts from here on are refused without asking, until then on the monotonic clock. */
  refusedFrom: number
  refusedUntilMs: number
  /** Waiting for others to give back was in vain: until then nobody waits again. */
  vainUntilMs: number
  /** When units were last given and what was spent by then; when the store was last asked. On the monotonic clock. */
  givenAtMs: number
  spentThen: number
  askedAtMs: number
  /** Sweeps since it was last used. */
  idle: number
  /** What is at hand goes back with the next word. */
  giveBack: boolean
}

/** How many calls' worth is asked for ahead of a counter's first calls. */
const FIRST_CALLS = 4
/** A block that lasts shorter than the first is doubled, one that lasts longer than the second halved. */
const SHORT_MS = 500
const LONG_MS = 2_000

export function newLease({ key, endMs, limit }: Counter, epoch: number): Lease {
  return {
    ...{ key, endMs, limit, epoch, had: 0, spent: 0, knownHad: 0, knownSpent: 0, reserved: 0, free: null, others: 0 },
    ...{ isShort: false, isTight: false, block: -1, low: -1, refusedFrom: Number.POSITIVE_INFINITY, refusedUntilMs: 0 },
    ...{ vainUntilMs: 0, givenAtMs: Number.NEGATIVE_INFINITY, spentThen: 0, askedAtMs: Number.NEGATIVE_INFINITY },
    ...{ idle: 0, giveBack: false },
  }
}

/** What waits for a counter: the units of all, the fewest that help one, and how many ask. */
export interface Demand {
  units: number
  least: number
  callers: number
}

export function demand(demands: Map<Lease, Demand>, lease: Lease, amount: number): void {
  const need = Math.max(1, amount)
  const all = demands.get(lease)
  if (all === undefined) {
    demands.set(lease, { units: need, least: need, callers: 1 })
    return
  }
  // What takes nothing needs one to be there, and leaves it to the next.
  all.units = Math.max(1, all.units + amount)
  all.least = Math.min(all.least, need)
  all.callers++
}

/** The store doesn't know all, or keeps something for us. */
export function hasWord(lease: Lease): boolean {
  const { had, spent, knownHad, knownSpent, reserved } = lease
  return had !== spent || spent !== knownSpent || had !== knownHad || reserved > 0
}

/** The next word on a lease. What is given back is no longer at hand from here on, whether or not the word arrives. */
export function lineOf(
  lease: Lease,
  waited: Demand | null,
  { seq, ttlMs, nowMs }: { readonly seq: number; readonly ttlMs: number; readonly nowMs: number },
): LeaseLine {
  if (lease.giveBack) lease.had = lease.spent
  const left = lease.had - lease.spent
  const want = waited === null ? 0 : Math.max(0, waited.units - left)
  const least = waited === null ? 0 : Math.max(1, waited.least - left)
  if (!lease.giveBack) resize(lease, waited, nowMs)
  const more = lease.giveBack ? 0 : lease.block
  lease.giveBack = false
  lease.askedAtMs = nowMs
  const { key, endMs, limit, epoch, had, spent } = lease
  return { key, endMs, limit, ttlMs, seq, epoch, had, spent, want, least, more }
}

function resize(lease: Lease, waited: Demand | null, nowMs: number): void {
  const aCall = waited === null ? 1 : Math.max(1, Math.ceil(waited.units / waited.callers))
  const lastedMs = nowMs - lease.givenAtMs
  if (lease.block < 0) lease.block = FIRST_CALLS * aCall
  else if (lastedMs < SHORT_MS) lease.block = 2 * Math.max(lease.block, aCall, lease.spent - lease.spentThen)
  else if (lastedMs > LONG_MS) lease.block = Math.floor(lease.block / 2)
  lease.block = Math.min(lease.block, lease.limit)
}

/** Takes what the store answered. */
export function accept(lease: Lease, line: LeaseLine, grant: LeaseGrant): void {
  const { given, reserved, free, others } = grant
  lease.had += given
  lease.knownHad = line.had + given
  lease.knownSpent = Math.min(lease.knownHad, line.spent + Math.min(given, line.want))
  lease.reserved = reserved
  lease.free = free
  lease.others = others
  lease.isShort = given < line.want
  lease.isTight = given + reserved < line.want + line.more
  if (given > 0 && !lease.isShort) {
    lease.refusedFrom = Number.POSITIVE_INFINITY
    lease.givenAtMs = lease.askedAtMs
    lease.spentThen = lease.spent
  }
  // Near the limit nothing is given ahead: asking in the background would ask for ever.
  const ahead = given - line.want
  lease.low = ahead > 0 ? Math.floor(ahead / 4) : -1
}

/**
 * Begins to count from zero: the store may have forgotten this holder, but not what it told. What is at hand goes back,
 * as less than nothing.
 */
export function rebase(lease: Lease, epoch: number): void {
  const untold = lease.spent - lease.knownHad
  lease.epoch = epoch
  lease.had = untold
  lease.spent = untold
  lease.knownHad = 0
  lease.knownSpent = 0
}

/** What was leased under another limit goes back: the store decides anew. */
export function relimit(lease: Lease, limit: number): void {
  lease.limit = limit
  lease.had = lease.spent
  lease.refusedFrom = Number.POSITIVE_INFINITY
  lease.vainUntilMs = 0
}

/**
 * What may be taken while the store is away: of the limit no more than an instance's share, nor more than its share of
 * what was free when last heard, and what is at hand. Rather too little than too much.
 */
export function alone(lease: Lease, instances: number): number {
  const { knownHad, free } = lease
  const share = Math.max(1, Math.floor(lease.limit / instances))
  const ahead = free === null ? share : Math.min(share - knownHad, Math.floor(free / instances))
  return knownHad + Math.max(0, ahead) - lease.spent
}
