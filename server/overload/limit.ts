/** A turn of the loop that is later than this, in milliseconds, is felt: a call passes through two or three of them. */
export const TARGET_MS = 30
/** Lateness that lasts so long is no pause of the garbage collector any more, but a queue that stands. */
export const INTERVAL_MS = 200
/** So many calls at once are never refused, however late the loop: they can't be what makes it late. */
export const FLOOR = 128
/** Lateness that has come down to this share within an interval is about to go by itself. */
const FALLING = 0.7
/** Nothing was refused for so long: the limit isn't needed any more. */
const CALM_MS = 5_000
/** One step takes no more than half away, and no less than a twentieth. */
const STEEPEST = 0.5
const GENTLEST = 0.95
/** The most that a step gives, as a share of the limit: far from where the loop was last late, and near to it. */
const GROWTH = 0.25
const CAREFUL_GROWTH = 0.03
const NEAR = 0.7
/** While memory is short every step takes so much away. */
const FULL = 0.9

/** What was seen since the last look. */
export interface Look {
  /** Monotonic milliseconds. */
  readonly at: number
  /** How much later than it should the loop came round. */
  readonly lateMs: number
  readonly inFlight: number
  /** Calls were refused. */
  readonly refusing: boolean
  /** Memory is nearly used up. */
  readonly full: boolean
}

/**
 * How many calls may be in flight, found out by how late our own loop is, never by how long providers take: a gateway
 * that waits for thousands of them is at ease. Lateness is judged as CoDel does it (RFC 8289), by the least of an
 * interval: a queue that drains within it is a burst and does no harm, one that stands is overload. The limit is then
 * set to what is in flight times a gradient, target over lateness, as those of Netflix and Envoy are with latencies. What
 * was let in goes on costing until it ends, so the limit goes down again and again while that lasts; but as soon as the
 * loop bears what is left, the limit is that, and goes up from there.
 */
export class AdaptiveLimit {
  readonly ceiling: number
  #limit: number
  /** When the interval began, NaN when none runs: at ease nothing is judged. */
  #from = Number.NaN
  /** Of the interval: its first lateness, the last one of all, the least. */
  #first = 0
  #last = 0
  #least = Number.POSITIVE_INFINITY
  #full = false
  #refusing = false
  /** What was in flight when the loop was last late anew. */
  #knee = 0
  #isStrained = false
  #refusedAt = Number.NEGATIVE_INFINITY

  /** @param ceiling whatever happens, no more calls than that */
  constructor(ceiling: number) {
    this.ceiling = ceiling
    this.#limit = ceiling
  }

  /** Calls in flight; `ceiling` when nothing speaks against it. */
  get value(): number {
    return this.#limit
  }

  get isEased(): boolean {
    return this.#limit === this.ceiling
  }

  look({ at, lateMs, inFlight, refusing, full }: Look): void {
    if (refusing) this.#refusedAt = at
    const strained = full || lateMs > TARGET_MS
    if (Number.isNaN(this.#from)) {
      if (!strained && this.isEased) return
      this.#begin(at, lateMs)
    }
    this.#last = lateMs
    this.#least = Math.min(this.#least, lateMs)
    this.#full ||= full
    this.#refusing ||= refusing
    if (this.isEased && !this.#full && this.#least <= TARGET_MS) this.#from = Number.NaN
    else if (at - this.#from >= INTERVAL_MS) this.#decide(at, inFlight)
  }

  #begin(at: number, lateMs: number): void {
    this.#from = at
    this.#first = lateMs
    this.#least = Number.POSITIVE_INFINITY
    this.#full = false
    this.#refusing = false
  }

  #decide(at: number, inFlight: number): void {
    if (this.#full) this.#lower(inFlight, FULL)
    else if (this.#least > TARGET_MS) this.#strain(inFlight)
    else if (at - this.#refusedAt >= CALM_MS) this.#limit = this.ceiling
    else this.#raise(inFlight)
    this.#isStrained = this.#least > TARGET_MS
    this.#begin(at, this.#last)
  }

  #strain(inFlight: number): void {
    if (!this.#isStrained) this.#knee = inFlight
    if (this.#last >= this.#first * FALLING) this.#lower(inFlight, TARGET_MS / this.#least)
  }

  #lower(inFlight: number, gradient: number): void {
    const factor = Math.min(GENTLEST, Math.max(STEEPEST, gradient))
    this.#limit = Math.max(Math.min(FLOOR, this.ceiling), Math.floor(inFlight * factor))
  }

  #raise(inFlight: number): void {
    // The loop bears what is there.
    const borne = Math.max(this.#limit, inFlight)
    const ease = 1 - Math.max(0, this.#least) / TARGET_MS
    const isNear = borne > this.#knee * NEAR && borne * NEAR < this.#knee
    const growth = isNear ? CAREFUL_GROWTH : GROWTH
    const more = this.#refusing ? Math.ceil(borne * growth * ease) : 0
    this.#limit = Math.min(this.ceiling, borne + more)
  }
}
