import type { Socket } from 'node:net'
import type { Handle } from '../http.ts'
import { BodyRoom } from './body-room.ts'

/** For callers that send nothing, or nothing more, in milliseconds. They are looked at every `sweepMs`. */
export interface Limits {
  /** Between two requests. Longer than that of the usual load balancers, so that it's never us who close first. */
  readonly idleMs: number
  /** From the first byte of a head to its last. */
  readonly headMs: number
  /** Between two pieces of a body. */
  readonly bodyMs: number
  /** From the end of the last answer until the caller closes its side. */
  readonly lingerMs: number
  /** Without taking a byte of its answer. */
  readonly stuckMs: number
  readonly sweepMs: number
}

/**
 * Takes a connection over to another protocol, from the request that asks for it on: the socket has no listeners and
 * `head` is what came behind the request. False leaves it alone; then the request is answered like any other.
 */
export type Upgrade = (
  request: { readonly method: string; readonly url: string; readonly headers: Record<string, string> },
  socket: Socket,
  head: Buffer,
) => boolean

/** A connection, as its server sees it. */
export interface Visitor {
  /** Ends what takes longer than its limit. */
  sweep(): void
  /** Closes it unless a request is on its way. */
  closeIdle(): void
  /** Closes it, and tells its request that the caller is gone. */
  cut(): void
}

/** What the connections of one server share. */
export interface Site {
  readonly handle: Handle
  readonly upgrade: Upgrade | null
  readonly limits: Limits
  /** Where all bodies are held. */
  readonly bodies: BodyRoom
  /** Milliseconds of this process being awake, as of the last sweep. */
  readonly now: number
  /** The Date header with its CRLF, as of the last sweep. */
  readonly date: string
  /** What is answered from now on is the last on its connection. */
  readonly closing: boolean
  forget(connection: Visitor): void
}

const LIMITS: Limits = {
  idleMs: 75_000,
  headMs: 60_000,
  bodyMs: 60_000,
  lingerMs: 1000,
  stuckMs: 600_000,
  sweepMs: 500,
}

interface GroundOptions {
  readonly upgrade?: Upgrade
  readonly limits?: Partial<Limits>
  readonly maxBodyBytes?: number
  readonly bodies?: BodyRoom
}

/** One timer for all connections: time limits and the Date header cost a request nothing. */
export class Ground implements Site {
  readonly handle: Handle
  readonly upgrade: Upgrade | null
  readonly limits: Limits
  readonly bodies: BodyRoom
  readonly connections = new Set<Visitor>()
  now = 0
  date = dateLine()
  closing = false
  #sweptAt = performance.now()
  readonly #sweeper: ReturnType<typeof setInterval>
  #whenEmpty: (() => void)[] = []

  constructor(handle: Handle, { upgrade, limits, bodies, maxBodyBytes }: GroundOptions) {
    this.handle = handle
    this.upgrade = upgrade ?? null
    this.limits = { ...LIMITS, ...limits }
    this.bodies = bodies ?? BodyRoom.suiting(maxBodyBytes)
    this.#sweeper = setInterval(() => this.#sweep(), this.limits.sweepMs)
    // Deno's own timers are numbers.
    ;(this.#sweeper as { unref?: () => void }).unref?.()
  }

  forget(connection: Visitor): void {
    this.connections.delete(connection)
    if (this.connections.size > 0) return
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }

  /** Resolves when no connection is left; those that are busy have `withinMs` to finish. */
  async clear(withinMs: number): Promise<void> {
    this.closing = true
    for (const connection of this.connections) connection.closeIdle()
    if (this.connections.size === 0) return
    const late = setTimeout(() => {
      for (const connection of this.connections) connection.cut()
    }, withinMs)
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
    clearTimeout(late)
  }

  stop(): void {
    clearInterval(this.#sweeper)
  }

  #sweep(): void {
    const at = performance.now()
    // Whoever sent something while this process slept, or was busy, has not been read yet and is not late.
    this.now += Math.min(at - this.#sweptAt, 2 * this.limits.sweepMs)
    this.#sweptAt = at
    this.date = dateLine()
    for (const connection of this.connections) connection.sweep()
  }
}

function dateLine(): string {
  return `date: ${new Date().toUTCString()}\r\n`
}
