import type { Clock, Log, Overload, Ticket, Timer } from './deps.ts'
import { AdaptiveLimit, FLOOR, TARGET_MS } from './overload/limit.ts'

export interface OverloadOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'timer'>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly memory: Memory
  /**
   * From the first call on, its loop isn't judged for so long: what makes it late then is code that runs for the first
   * time. Default 0.
   */
  readonly warmUpMs?: number
}

/** The memory that this process may use. */
export interface Memory {
  readonly limitBytes: number
  /** The share of it that is in use, 0 to 1. Asked four times a second while calls are in flight. */
  inUse(): number
}

export interface OpenOverload extends Overload {
  readonly state: OverloadState
  /** Stops watching; calls are let in as before. */
  close(): void
}

export interface OverloadState {
  readonly inFlight: number
  /** Calls that may be in flight at once, as of now. */
  readonly limit: number
  /** How late the loop came round last, in milliseconds. */
  readonly lateMs: number
  /** Calls that were refused since the start. */
  readonly refused: number
}

/** How often the loop is looked at while calls are in flight: a timer that wakes an idle process costs it 0.2 ms. */
const TICK_MS = 100
/** The same once it has been late by that much: then what a look costs is nothing, and what it misses is. */
const CLOSE_TICK_MS = 20
const CLOSE_MS = 10
const MEMORY_EVERY_MS = 250
/** From that share on memory counts as used up: the rest is what calls under way still need. */
const MEMORY_FULL = 0.9
/** What a call in flight takes of the heap at most, its body apart: a ceiling of half the memory follows. */
const BYTES_A_CALL = 64 * 1024
/** Places beyond the limit for tenants with few calls: half of all, and never less than these. */
const RESERVE = 0.5
const LEAST_RESERVE = 16
const TELL_EVERY_MS = 10_000
/** Steps of that length through a circle leave it evenly covered (the golden ratio). */
const GOLDEN = 0.618_033_988_749_895

/**
 * Keeps calls out that this process could not serve in time: when its own loop has been late for a while, or its memory
 * is nearly used up (overload/limit.ts), and, whatever those say, when as many are in flight as fit into memory. Above
 * the limit those tenants are refused first that have the most in flight. A call let in at ease costs a look into a
 * table; with nothing in flight no timer runs.
 */
export function openOverload(options: OverloadOptions): OpenOverload {
  return new Door(options)
}

interface Tenant {
  readonly name: string
  inFlight: number
}

class Door implements OpenOverload {
  readonly #clock: OverloadOptions['clock']
  readonly #log: OverloadOptions['log']
  readonly #memory: Memory
  readonly #limit: AdaptiveLimit
  readonly #tenants = new Map<string, Tenant>()
  readonly #tick = (): void => this.#look()
  #inFlight = 0
  /** Of these, those beyond the limit. */
  #spare = 0
  #timer: Timer | null = null
  #closed = false
  readonly #warmUpMs: number
  /** When the first call came; null: none has, or it is long ago. */
  #coldSince: number | null = null
  #isCold: boolean
  #tickMs = TICK_MS
  /** When the loop was seen last, and how late it was then. */
  #seenAt = 0
  #lateMs = 0
  #memoryAt = Number.NEGATIVE_INFINITY
  #memoryFull = false
  #entered = 0
  #refused = 0
  #refusedBefore = 0
  /** Of the calls that came lately, the share that was refused. */
  #refusedShare = 0
  #spread = 0
  #toldAt = Number.NEGATIVE_INFINITY
  #toldRefused = 0

  constructor({ clock, log, memory, warmUpMs = 0 }: OverloadOptions) {
    this.#clock = clock
    this.#log = log
    this.#memory = memory
    this.#warmUpMs = warmUpMs
    this.#isCold = warmUpMs > 0
    this.#limit = new AdaptiveLimit(Math.max(FLOOR, Math.floor(memory.limitBytes / 2 / BYTES_A_CALL)))
  }

  get state(): OverloadState {
    return { inFlight: this.#inFlight, limit: this.#limit.value, lateMs: this.#lateMs, refused: this.#refused }
  }

  enter(name: string): Ticket | null {
    const tenant = this.#tenants.get(name)
    const isFree = this.#inFlight < FLOOR || (this.#inFlight < this.#limit.value && (this.#isCold || !this.#falls()))
    if (!isFree && !this.#mayReach(tenant?.inFlight ?? 0)) {
      this.#refused++
      return null
    }
    if (!isFree) this.#spare++
    this.#inFlight++
    this.#entered++
    if (this.#timer === null) this.#watch()
    return new Place(this, tenant ?? this.#add(name), !isFree)
  }

  /** Those who come back are spread over 1 to 10 seconds, the wider the more are refused. */
  retryAfterS(): number {
    this.#spread = (this.#spread + GOLDEN) % 1
    return 1 + Math.floor(this.#spread * (3 + 7 * this.#refusedShare))
  }

  leave(tenant: Tenant, wasSpare: boolean): void {
    this.#inFlight--
    if (wasSpare) this.#spare--
    if (--tenant.inFlight === 0) this.#tenants.delete(tenant.name)
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = null
    this.#lateMs = 0
  }

  #add(name: string): Tenant {
    const tenant = { name, inFlight: 0 }
    this.#tenants.set(name, tenant)
    return tenant
  }

  /**
   * The turn before this one was late, and this one takes longer still: more comes than goes. A turn that only works off
   * what a pause has left is shorter than the pause. So a flood is met within its second turn, before the limit knows.
   */
  #falls(): boolean {
    return this.#lateMs > TARGET_MS && this.#clock.monotonic() - this.#seenAt > this.#lateMs + CLOSE_TICK_MS
  }

  /** There is a place beyond the limit for who has less than the average in flight: the less, the more of them. */
  #mayReach(inFlight: number): boolean {
    const average = this.#inFlight / (this.#tenants.size + (inFlight === 0 ? 1 : 0))
    return this.#spare < Math.max(LEAST_RESERVE, this.#inFlight * RESERVE) * (1 - inFlight / average)
  }

  #watch(): void {
    if (this.#closed) return
    this.#seenAt = this.#clock.monotonic()
    this.#timer = this.#clock.timer(this.#tickMs, this.#tick)
  }

  #look(): void {
    const at = this.#clock.monotonic()
    this.#lateMs = Math.max(0, at - this.#seenAt - this.#tickMs)
    const refused = this.#refused - this.#refusedBefore
    if (this.#entered + refused > 0) {
      this.#refusedShare += 0.1 * (refused / (this.#entered + refused) - this.#refusedShare)
    }
    this.#entered = 0
    this.#refusedBefore = this.#refused
    const full = this.#isMemoryFull(at)
    if (this.#isCold) {
      this.#coldSince ??= at
      this.#isCold = at - this.#coldSince < this.#warmUpMs
    }
    const wasEased = this.#limit.isEased
    const inFlight = this.#inFlight
    this.#limit.look({ at, lateMs: this.#isCold ? 0 : this.#lateMs, inFlight, refusing: refused > 0, full })
    if (refused > 0) this.#warn(at)
    else if (!wasEased && this.#limit.isEased) this.#log.info('Calls are let in as they come again', this.#facts())
    this.#tickMs = this.#lateMs > CLOSE_MS || !this.#limit.isEased ? CLOSE_TICK_MS : TICK_MS
    this.#timer = null
    if (this.#inFlight > 0) this.#watch()
  }

  #isMemoryFull(at: number): boolean {
    if (at - this.#memoryAt < MEMORY_EVERY_MS) return this.#memoryFull
    this.#memoryAt = at
    this.#memoryFull = this.#memory.inUse() >= MEMORY_FULL
    return this.#memoryFull
  }

  /** Refused calls leave no record: this is what is told of them. */
  #warn(at: number): void {
    if (at - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = at
    this.#log.warn('Over capacity: calls are refused', { ...this.#facts(), memoryFull: this.#memoryFull })
  }

  /** What happened since they were last told. */
  #facts(): { readonly refused: number } & Omit<OverloadState, 'refused'> {
    const refused = this.#refused - this.#toldRefused
    this.#toldRefused = this.#refused
    return { ...this.state, refused, lateMs: Math.round(this.#lateMs) }
  }
}

/** A call's place. */
class Place implements Ticket {
  readonly #door: Door
  readonly #tenant: Tenant
  readonly #isSpare: boolean
  #left = false

  constructor(door: Door, tenant: Tenant, isSpare: boolean) {
    this.#door = door
    this.#tenant = tenant
    this.#isSpare = isSpare
    tenant.inFlight++
  }

  leave(): void {
    if (this.#left) return
    this.#left = true
    this.#door.leave(this.#tenant, this.#isSpare)
  }
}
