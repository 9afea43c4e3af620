import { memoryLimit } from './system.ts'

/** Of the memory there is: a body is copied on its way to the provider, and again into its socket. */
const SHARE = 1 / 8
/** Of the longest body that is taken: on the smallest machine one still fits, packed and unpacked, while nothing else is there. */
const LEAST_BODIES = 3
const USUAL_BODY_BYTES = 32 * 1024 * 1024

/**
 * The memory that requests' bodies may take together, those of all connections, until their answers are there. A body may
 * grow as long as it is no larger than what is left (dynamic thresholds, as switches share their buffers): so when room
 * gets short the largest are refused first, small ones still pass, and no body can take it all.
 */
export class BodyRoom {
  readonly bytes: number
  #left: number

  /** Suits the machine, or the container. @param maxBodyBytes of one request */
  static suiting(maxBodyBytes: number = USUAL_BODY_BYTES): BodyRoom {
    return new BodyRoom(Math.max(LEAST_BODIES * maxBodyBytes, Math.floor(memoryLimit() * SHARE)))
  }

  constructor(bytes: number) {
    this.bytes = bytes
    this.#left = bytes
  }

  get left(): number {
    return this.#left
  }

  /** Whether a body may become so long, as things are. */
  fits(bytes: number): boolean {
    return bytes <= this.#left
  }

  /** Takes room for more of a body that holds `held` bytes of it already. False: it may not grow, and nothing was taken. */
  take(held: number, more: number): boolean {
    if (!this.fits(held + more)) return false
    this.#left -= more
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }
}
