import { BodyBroken, BodyTooLarge, type Incoming } from '../http.ts'
import type { RequestHead } from './request-head.ts'

/** The connection, as its request sees it. */
export interface Carrier {
  readonly remoteAddress: string | null
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

  take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const wish = this.#wish
    if (wish === null || this.#bytes <= wish.limitBytes) return
    this.#wish = null
    this.#drop()
    wish.reject(new BodyTooLarge())
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
    this.#state = 'answered'
    this.#callbacks = []
    this.#chunks = []
  }

  #whole(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)]
    return this.#chunks[0] ?? new Uint8Array(0)
  }

  #drop(): void {
    this.#chunks = []
    if (this.#state === 'open') this.#carrier.refuseBody()
  }
}
