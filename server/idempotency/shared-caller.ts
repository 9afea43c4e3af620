import { BodyBroken, type Incoming } from '../http.ts'

/** The caller of a call that several wait for: it goes away when all of them have. */
export class SharedCaller implements Incoming {
  readonly #first: Incoming
  #waiting = 0
  #callbacks: (() => void)[] | null = null

  constructor(first: Incoming) {
    this.#first = first
    this.join(first)
  }

  get method(): string {
    return this.#first.method
  }

  get path(): string {
    return this.#first.path
  }

  get query(): string {
    return this.#first.query
  }

  get remoteAddress(): string | null {
    return this.#first.remoteAddress
  }

  get isGone(): boolean {
    return this.#waiting === 0
  }

  header(name: string): string | null {
    return this.#first.header(name)
  }

  /** It was read by the first. */
  body(): Promise<Uint8Array> {
    return Promise.reject(new BodyBroken())
  }

  onGone(callback: () => void): void {
    if (this.isGone) callback()
    else if (this.#callbacks === null) this.#callbacks = [callback]
    else this.#callbacks.push(callback)
  }

  /** One more waits for the answer. Who comes after all have gone changes nothing any more: look at `isGone` before. */
  join(incoming: Incoming): void {
    this.#waiting++
    incoming.onGone(() => this.#leave())
  }

  #leave(): void {
    if (--this.#waiting > 0) return
    const callbacks = this.#callbacks ?? []
    this.#callbacks = null
    for (const callback of callbacks) callback()
  }
}
