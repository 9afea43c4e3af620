import { Duplex } from 'node:stream'
import { HIGH_WATER_BYTES } from './server-reply.ts'
import type { ServerSocket, SocketEvents } from './server-socket.ts'

/** What we use of Bun's own sockets (bun.sh/docs/api/tcp). */
export interface NativeSocket {
  data: BunSocket
  readonly remoteAddress: string
  /** @returns how many of the bytes were taken; the rest is offered again when `drain` comes */
  write(bytes: Uint8Array): number
  /** Closes our side only. */
  shutdown(): void
  /** Closes both sides, in order: `terminate` would reset the connection under an answer that is still on its way. */
  close(): void
  pause(): void
  resume(): void
  setNoDelay(on: boolean): boolean
}

interface BunGlobal {
  listen(options: {
    readonly hostname: string
    readonly port: number
    readonly allowHalfOpen: boolean
    readonly socket: {
      open(socket: NativeSocket): void
      data(socket: NativeSocket, chunk: Buffer): void
      end(socket: NativeSocket): void
      drain(socket: NativeSocket): void
      close(socket: NativeSocket): void
      error(socket: NativeSocket, error: Error): void
    }
  }): { readonly port: number; stop(closeConnections: boolean): void }
}

/** Listens on Bun's own sockets: node:net costs a fifth more there. @throws the system's error */
export function listenOnBun(
  { host, port }: { readonly host: string; readonly port: number },
  onConnection: (socket: ServerSocket) => void,
): { readonly port: number; close(): void } {
  const { Bun } = globalThis as unknown as { Bun: BunGlobal }
  const server = Bun.listen({
    hostname: host,
    port,
    allowHalfOpen: true,
    socket: {
      open(native) {
        native.data = new BunSocket(native)
        onConnection(native.data)
      },
      data: (native, chunk) => native.data.received(chunk),
      end: (native) => native.data.otherEnded(),
      drain: (native) => native.data.drained(),
      close: (native) => native.data.closed(),
      error: (native) => void native.data.destroy(),
    },
  })
  return { port: server.port, close: () => server.stop(false) }
}

/** One of Bun's sockets with the manners of a net.Socket. One listener an event. */
export class BunSocket implements ServerSocket {
  readonly #native: NativeSocket
  readonly remoteAddress: string
  destroyed = false
  writableLength = 0
  #waiting: Uint8Array[] = []
  #needsDrain = false
  #isPaused = false
  #ends = false
  #otherEnded = false
  #isClosed = false
  #onData: SocketEvents['data'] | null = null
  #onEnd: SocketEvents['end'] | null = null
  #onDrain: SocketEvents['drain'] | null = null
  #onClose: SocketEvents['close'] | null = null

  constructor(native: NativeSocket) {
    this.#native = native
    this.remoteAddress = native.remoteAddress
  }

  get writableNeedDrain(): boolean {
    return this.#needsDrain
  }

  setNoDelay(on: boolean): void {
    this.#native.setNoDelay(on)
  }

  on<E extends keyof SocketEvents>(event: E, listener: SocketEvents[E]): this {
    return this.#set(event, listener)
  }

  off<E extends keyof SocketEvents>(event: E, _listener: SocketEvents[E]): this {
    return this.#set(event, null)
  }

  write(data: string | Uint8Array, encoding?: 'latin1'): boolean {
    if (this.destroyed || this.#ends) return true
    const bytes = typeof data === 'string' ? Buffer.from(data, encoding) : data
    if (this.#waiting.length === 0) {
      const taken = this.#send(bytes)
      if (taken === bytes.length) return true
      this.#hold(bytes.subarray(taken))
    } else {
      this.#hold(bytes)
    }
    if (this.writableLength >= HIGH_WATER_BYTES) this.#needsDrain = true
    return !this.#needsDrain
  }

  /** Bun sends what is written at once. */
  cork(): void {}
  uncork(): void {}

  end(): void {
    if (this.#ends || this.destroyed) return
    this.#ends = true
    if (this.#waiting.length === 0) this.#finish()
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#native.close()
    this.closed()
  }

  pause(): void {
    if (this.#isPaused || this.destroyed) return
    this.#isPaused = true
    this.#native.pause()
  }

  resume(): void {
    if (!this.#isPaused || this.destroyed) return
    this.#isPaused = false
    this.#native.resume()
  }

  toDuplex(): Duplex {
    return new SocketStream(this)
  }

  received(chunk: Buffer): void {
    if (!this.destroyed) this.#onData?.(chunk)
  }

  otherEnded(): void {
    if (this.#otherEnded || this.destroyed) return
    this.#otherEnded = true
    this.#onEnd?.()
    if (this.#ends && this.#waiting.length === 0) this.destroy()
  }

  drained(): void {
    if (this.destroyed) return
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!
      const taken = this.#send(first)
      this.writableLength -= taken
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken)
        return
      }
      this.#waiting.shift()
    }
    if (this.#ends) return this.#finish()
    this.#needsDrain = false
    this.#onDrain?.()
  }

  /** Told in a turn of its own, as Node does: whoever destroys it isn't called back from within. */
  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.destroyed = true
    this.#waiting = []
    this.writableLength = 0
    queueMicrotask(() => this.#onClose?.())
  }

  #send(bytes: Uint8Array): number {
    return Math.max(0, this.#native.write(bytes))
  }

  #hold(bytes: Uint8Array): void {
    this.#waiting.push(bytes)
    this.writableLength += bytes.length
  }

  #finish(): void {
    if (this.#otherEnded) this.destroy()
    else this.#native.shutdown()
  }

  #set<E extends keyof SocketEvents>(event: E, listener: SocketEvents[E] | null): this {
    if (event === 'data') this.#onData = listener as SocketEvents['data'] | null
    else if (event === 'end') this.#onEnd = listener as SocketEvents['end'] | null
    else if (event === 'drain') this.#onDrain = listener as SocketEvents['drain'] | null
    else if (event === 'close') this.#onClose = listener as SocketEvents['close'] | null
    return this
  }
}

/** The connection as a stream of Node's. */
class SocketStream extends Duplex {
  readonly #socket: BunSocket
  #drained: (() => void) | null = null

  constructor(socket: BunSocket) {
    super({ allowHalfOpen: false })
    this.#socket = socket
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause()
    })
    socket.on('end', () => this.push(null))
    socket.on('drain', () => {
      const callback = this.#drained
      this.#drained = null
      callback?.()
    })
    socket.on('close', () => this.destroy())
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress
  }

  setNoDelay(on: boolean): this {
    this.#socket.setNoDelay(on)
    return this
  }

  /** Time limits are those of the protocol that has taken the connection over. */
  setTimeout(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    if (this.#socket.write(chunk)) callback()
    else this.#drained = callback
  }

  override _final(callback: () => void): void {
    this.#socket.end()
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#socket.destroy()
    callback(error)
  }
}
