import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { UpstreamError, UpstreamRequest } from '../upstream.ts'

export interface HostOptions {
  readonly connectTimeoutMs: number
  /** A certificate in PEM that is trusted instead of the system's. */
  readonly ca?: string
}

/** An idle connection is closed after this, or a second before the provider said that it would. */
const IDLE_MS = 30_000

/** Who is told of what comes over a connection. */
export interface Receiver {
  read(chunk: Buffer): void
  /** The connection is gone. @param inOrder the provider ended it, rather than that it broke */
  closed(fault: UpstreamError, inOrder: boolean): void
}

/** The connections to one origin. */
export class Host {
  protected readonly url: URL
  protected readonly options: HostOptions
  /** What the last handshake left: with it the next one takes a round trip and a signature less. */
  #session: Buffer | null = null
  protected readonly idle: Connection[] = []
  protected readonly all = new Set<Connection>()
  readonly #heads = new WeakMap<readonly string[], Map<string, string>>()

  constructor(origin: string, options: HostOptions) {
    this.url = new URL(origin)
    this.options = options
  }

  /** The connection used last: the others grow old and are closed. */
  take(): Connection {
    const idle = this.idle.pop()
    if (idle !== undefined) return idle
    const connection = new Connection(this, this.open(hostOf(this.url)), this.options.connectTimeoutMs)
    this.all.add(connection)
    return connection
  }

  giveBack(connection: Connection): void {
    this.idle.push(connection)
  }

  forget(connection: Connection): void {
    this.all.delete(connection)
    const at = this.idle.indexOf(connection)
    if (at >= 0) this.idle.splice(at, 1)
  }

  /** Everything up to the length of the body; the same for every call with the same headers, so made once. */
  headOf({ method, path, headers }: UpstreamRequest): string {
    let byTarget = this.#heads.get(headers)
    if (byTarget === undefined) {
      byTarget = new Map()
      this.#heads.set(headers, byTarget)
    }
    const target = `${method} ${path}`
    let head = byTarget.get(target)
    if (head === undefined) {
      const lines = [`${target} HTTP/1.1`, `host: ${this.url.host}`]
      for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
      if (lines.some((line) => /[^\t\x20-\x7e\x80-\xff]/.test(line))) throw new TypeError('Bad character in a header')
      head = `${lines.join('\r\n')}\r\n`
      byTarget.set(target, head)
    }
    return head
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.all, (connection) => connection.end()))
  }

  /** A name is tried by the first address of it that answers, whichever family that is of: node's own default. */
  protected open(host: string): Opening {
    const port = portOf(this.url)
    if (this.url.protocol === 'http:') return { socket: connect({ host, port }), ready: 'connect' }
    const name = hostOf(this.url)
    const socket = connectTls({
      host,
      port,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(this.options.ca === undefined ? {} : { ca: this.options.ca }),
      ...(this.#session === null ? {} : { session: this.#session }),
    })
    socket.on('session', (session) => {
      this.#session = session
    })
    // Never twice: a session that the provider doesn't like any more must not stand in the way of the next connection.
    this.#session = null
    return { socket, ready: 'secureConnect' }
  }
}

/** As sockets take it: without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

export function portOf({ protocol, port }: URL): number {
  return Number(port || (protocol === 'http:' ? 80 : 443))
}

export function late(connectTimeoutMs: number): Error {
  return new Error(`No connection within ${connectTimeoutMs} ms`)
}

export interface Opening {
  readonly socket: Socket
  /** The event that says that it is open. */
  readonly ready: 'connect' | 'secureConnect'
}

/** One socket. It serves one exchange after the other and is destroyed by the first thing that isn't in order. */
export class Connection {
  readonly #host: Host
  readonly #socket: Socket
  readonly #closed: Promise<void>
  #receiver: Receiver | null = null
  #isOpen = false
  #ended = false
  #error: (Error & { code?: string }) | null = null
  #timer: ReturnType<typeof setTimeout> | null

  constructor(host: Host, { socket, ready }: Opening, connectTimeoutMs: number) {
    this.#host = host
    this.#socket = socket.setNoDelay(true)
    this.#timer = setTimeout(() => socket.destroy(late(Math.ceil(connectTimeoutMs))), connectTimeoutMs)
    socket.on(ready, () => {
      this.#isOpen = true
      this.#clear()
    })
    socket.on('data', (chunk) => {
      if (this.#receiver !== null) this.#receiver.read(chunk)
      else socket.destroy()
    })
    socket.on('end', () => {
      this.#ended = true
      socket.destroy()
    })
    socket.on('error', (error) => {
      this.#error ??= error
    })
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#clear()
        host.forget(this)
        this.#receiver?.closed(this.#fault(), this.#ended && this.#error === null)
        resolve()
      })
    })
  }

  use(receiver: Receiver): void {
    this.#receiver = receiver
    this.#clearIdle()
  }

  write(head: string, body: Uint8Array | null): void {
    if (body === null) return void this.#socket.write(`${head}\r\n`, 'latin1')
    const top = `${head}content-length: ${body.length}\r\n\r\n`
    const bytes = Buffer.allocUnsafe(top.length + body.length)
    bytes.write(top, 0, 'latin1')
    bytes.set(body, top.length)
    leave(this.#socket, bytes)
  }

  /** The exchange is over and the connection in order. @param keepAlive what the provider said of it */
  release(keepAlive: string | null): void {
    this.#receiver = null
    const seconds = Number(/timeout=(\d{1,6})/i.exec(keepAlive ?? '')?.[1] ?? Number.POSITIVE_INFINITY)
    const idleMs = Math.min(IDLE_MS, seconds * 1000 - 1000)
    if (this.#socket.destroyed || this.#ended || idleMs <= 0) return void this.destroy()
    this.#socket.resume()
    this.#timer = setTimeout(() => this.#socket.destroy(), idleMs)
    ;(this.#timer as { unref?: () => void }).unref?.()
    this.#host.giveBack(this)
  }

  /** Nothing more is told to the exchange. Resolves when the socket is closed. */
  destroy(): Promise<void> {
    this.#receiver = null
    this.#socket.destroy()
    return this.#closed
  }

  /** Closes it under its exchange, if it has one. */
  end(): Promise<void> {
    this.#socket.destroy()
    return this.#closed
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #clearIdle(): void {
    if (this.#isOpen) this.#clear()
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #fault(): UpstreamError {
    const { code = '', message = 'The provider closed the connection' } = this.#error ?? {}
    return { kind: this.#isOpen ? 'network' : 'connect', message: `${code} ${message}`.trim() }
  }
}

/** What is to leave at the end of this turn of the loop. */
let leaving: { readonly socket: Socket; readonly bytes: Buffer }[] = []

/**
 * Requests of one turn leave together at its end: the first write wakes whoever is at the other end, and the others find
 * it awake, which costs a third.
 */
function leave(socket: Socket, bytes: Buffer): void {
  if (leaving.push({ socket, bytes }) > 1) return
  setImmediate(() => {
    const all = leaving
    leaving = []
    for (const one of all) if (!one.socket.destroyed) one.socket.write(one.bytes)
  })
}
