import { BodyBroken, BodyTooLarge, type Incoming, NoRoom } from '../http.ts'
import type { BodyRoom } from './body-room.ts'
import type { RequestHead } from './request-head.ts'

/** The connection, as its request sees it. */
export interface Carrier {
  readonly remoteAddress: string | null
  readonly bodies: BodyRoom
  /** Somebody waits for the rest of the body. */
  wantBody(): void
  /** Nobody does: what comes of it may wait, or be thrown away. */
  refuseBody(): void
}

interface Wish {
  readonly limitBytes: number
  readonly resolve: (body: Uint8Array) => void
  readonly reject: (error: Error) => void
}

/** One request on a connection. */
export class ServerCall implements Incoming {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly head: RequestHead
  /** It was given to the handler. */
  started = false
  readonly #carrier: Carrier
  #chunks: Buffer[] = []
  #bytes = 0
  /** Bytes of the room for bodies that are taken for this request. */
  #room = 0
  #refused = false
  #complete = false
  #wish: Wish | null = null
  #callbacks: (() => void)[] = []
  #state: 'open' | 'gone' | 'answered'

  /** @param isGone the caller has left already, or closed its half of the connection, which is taken for that */
  constructor(head: RequestHead, carrier: Carrier, isGone: boolean) {
    this.method = head.method
    this.path = head.path
    this.query = head.query
    this.head = head
    this.#carrier = carrier
    this.#state = isGone ? 'gone' : 'open'
  }

  get remoteAddress(): string | null {
    return this.#carrier.remoteAddress
  }

  /** Bytes of the body that wait for somebody to ask for them. */
  get heldBytes(): number {
    return this.#wish === null ? this.#bytes : 0
  }

  get hasBodyBytes(): boolean {
    return this.#bytes > 0
  }

  get isGone(): boolean {
    return this.#state === 'gone'
  }

  header(name: string): string | null {
    return this.head.get(name)
  }

  body(limitBytes: number): Promise<Uint8Array> {
    if ((this.head.length ?? 0) > limitBytes || this.#bytes > limitBytes) {
      this.#drop()
      return Promise.reject(new BodyTooLarge())
    }
    if (this.#refused || !this.#fits()) {
      this.#drop()
      return Promise.reject(new NoRoom())
    }
    if (this.#complete) return Promise.resolve(this.#whole())
    if (this.#state !== 'open') return Promise.reject(new BodyBroken())
    return new Promise((resolve, reject) => {
      this.#wish = { limitBytes, resolve, reject }
      this.#carrier.wantBody()
    })
  }

  onGone(callback: () => void): void {
    if (this.#state === 'open') this.#callbacks.push(callback)
    else if (this.#state === 'gone') callback()
  }

  hold(bytes: number): boolean {
    // All was given back with the end of the call, and nobody would give back what is taken later.
    if (this.#state !== 'open') return true
    if (bytes > 0 && !this.#carrier.bodies.take(this.#room, bytes)) return false
    if (bytes < 0) this.#carrier.bodies.give(-bytes)
    this.#room += bytes
    return true
  }

  take(chunk: Buffer): void {
    if (!this.hold(chunk.length)) return this.#refuse(new NoRoom())
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const wish = this.#wish
    if (wish !== null && this.#bytes > wish.limitBytes) this.#refuse(new BodyTooLarge())
  }

  /** The body is there to its end. */
  complete(): void {
    this.#complete = true
    const wish = this.#wish
    this.#wish = null
    wish?.resolve(this.#whole())
  }

  /** The caller is gone: told once, and never after the answer. */
  leave(): void {
    if (this.#state !== 'open') return
    this.#giveBack()
    this.#state = 'gone'
    const callbacks = this.#callbacks
    this.#callbacks = []
    const wish = this.#wish
    this.#wish = null
    wish?.reject(new BodyBroken())
    for (const callback of callbacks) callback()
  }

  /** All of its answer is on its way. */
  answered(): void {
    this.#giveBack()
    this.#state = 'answered'
    this.#callbacks = []
    this.#chunks = []
  }

  /** What is still to come would find room, as things are. */
  #fits(): boolean {
    const rest = (this.head.length ?? 0) - this.#bytes
    return rest <= 0 || this.#carrier.bodies.fits(this.#room + rest)
  }

  #refuse(error: Error): void {
    const wish = this.#wish
    this.#wish = null
    this.#refused = true
    this.#drop()
    wish?.reject(error)
  }

  #whole(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)]
    return this.#chunks[0] ?? new Uint8Array(0)
  }

  #drop(): void {
    this.#chunks = []
    this.#giveBack()
    if (this.#state === 'open') this.#carrier.refuseBody()
  }

  #giveBack(): void {
    if (this.#room > 0) this.hold(-this.#room)
  }
}
