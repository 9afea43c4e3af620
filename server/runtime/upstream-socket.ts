import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Upstream, UpstreamError, UpstreamExchange, UpstreamHandler, UpstreamRequest } from '../upstream.ts'
import { ResponseReader } from './response-reader.ts'

export interface UpstreamOptions {
  readonly connectTimeoutMs: number
  /** A certificate in PEM that is trusted instead of the system's. */
  readonly ca?: string
}

/** An idle connection is closed after this, or a second before the provider said that it would. */
const IDLE_MS = 30_000

/**
 * Calls out over sockets of its own: fetch costs two to five times as much, can't tell when a connection is made, and
 * on Bun lets 256 calls wait for their answers at a time. Every call that doesn't find an idle connection makes one.
 * Time limits other than connecting are the caller's.
 */
export function socketUpstream(options: UpstreamOptions): Upstream {
  const hosts = new Map<string, Host>()
  let closed = false
  return {
    start(request, handler) {
      let host = hosts.get(request.origin)
      if (host === undefined) {
        host = new Host(request.origin, options)
        hosts.set(request.origin, host)
      }
      const exchange = new Exchange(handler)
      try {
        if (closed) throw new Error('The way out is closed')
        exchange.run(host, request)
      } catch (error) {
        queueMicrotask(() => exchange.fail({ kind: 'connect', message: String(error) }))
      }
      return exchange
    },
    async close() {
      closed = true
      for (const host of hosts.values()) await host.close()
    },
  }
}

/** The connections to one origin. */
class Host {
  readonly #url: URL
  readonly #options: UpstreamOptions
  /** What the last handshake left: with it the next one takes a round trip and a signature less. */
  #session: Buffer | null = null
  readonly #idle: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #heads = new WeakMap<readonly string[], Map<string, string>>()

  constructor(origin: string, options: UpstreamOptions) {
    this.#url = new URL(origin)
    this.#options = options
  }

  /** The connection used last: the others grow old and are closed. */
  take(): Connection {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    const connection = new Connection(this, this.#open(), this.#options.connectTimeoutMs)
    this.#all.add(connection)
    return connection
  }

  giveBack(connection: Connection): void {
    this.#idle.push(connection)
  }

  forget(connection: Connection): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
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
      const lines = [`${target} HTTP/1.1`, `host: ${this.#url.host}`]
      for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
      if (lines.some((line) => /[^\t\x20-\x7e\x80-\xff]/.test(line))) throw new TypeError('Bad character in a header')
      head = `${lines.join('\r\n')}\r\n`
      byTarget.set(target, head)
    }
    return head
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#all, (connection) => connection.end()))
  }

  /** By the first address of the name that answers, whichever family it is of: node's own default. */
  #open(): Opening {
    const { protocol, hostname, port } = this.#url
    const host = hostname.replace(/^\[|\]$/g, '')
    if (protocol === 'http:') return { socket: connect({ host, port: Number(port || 80) }), ready: 'connect' }
    const socket = connectTls({
      host,
      port: Number(port || 443),
      ALPNProtocols: ['http/1.1'],
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(this.#options.ca === undefined ? {} : { ca: this.#options.ca }),
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

interface Opening {
  readonly socket: Socket
  /** The event that says that it is open. */
  readonly ready: 'connect' | 'secureConnect'
}

/** One socket. It serves one exchange after the other and is destroyed by the first thing that isn't in order. */
class Connection {
  readonly #host: Host
  readonly #socket: Socket
  readonly #closed: Promise<void>
  #exchange: Exchange | null = null
  #isOpen = false
  #ended = false
  #error: (Error & { code?: string }) | null = null
  #timer: ReturnType<typeof setTimeout> | null

  constructor(host: Host, { socket, ready }: Opening, connectTimeoutMs: number) {
    this.#host = host
    this.#socket = socket.setNoDelay(true)
    const late = new Error(`No connection within ${connectTimeoutMs} ms`)
    this.#timer = setTimeout(() => socket.destroy(late), connectTimeoutMs)
    socket.on(ready, () => {
      this.#isOpen = true
      this.#clear()
    })
    socket.on('data', (chunk) => {
      if (this.#exchange !== null) this.#exchange.read(chunk)
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
        this.#exchange?.closed(this.#fault(), this.#ended && this.#error === null)
        resolve()
      })
    })
  }

  use(exchange: Exchange): void {
    this.#exchange = exchange
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
    this.#exchange = null
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
    this.#exchange = null
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

class Exchange implements UpstreamExchange {
  readonly #handler: UpstreamHandler
  readonly #reader: ResponseReader
  #connection: Connection | null = null
  #keepAlive: string | null = null
  #over = false

  constructor(handler: UpstreamHandler) {
    this.#handler = handler
    this.#reader = new ResponseReader({
      onHead: (status, header) => {
        this.#keepAlive = header('keep-alive')
        handler.onHeaders(status, header)
      },
      onData: (chunk) => handler.onData(chunk),
    })
  }

  run(host: Host, request: UpstreamRequest): void {
    const head = host.headOf(request)
    this.#connection = host.take()
    this.#connection.use(this)
    this.#connection.write(head, request.body)
  }

  abort(): void {
    if (this.#over) return
    this.#finish()
    void this.#connection?.destroy()
  }

  pause(): void {
    if (!this.#over) this.#connection?.pause()
  }

  resume(): void {
    if (!this.#over) this.#connection?.resume()
  }

  read(chunk: Buffer): void {
    try {
      this.#reader.push(chunk)
    } catch (error) {
      void this.#connection?.destroy()
      return this.fail({ kind: 'protocol', message: String(error) })
    }
    if (this.#over || !this.#reader.done) return
    if (this.#reader.reusable) this.#connection!.release(this.#keepAlive)
    else void this.#connection!.destroy()
    this.#end()
  }

  /** The connection is gone. @param inOrder the provider ended it, rather than that it broke */
  closed(fault: UpstreamError, inOrder: boolean): void {
    if (this.#over) return
    if (inOrder && this.#reader.close()) this.#end()
    else this.fail(fault)
  }

  fail(error: UpstreamError): void {
    if (this.#over) return
    this.#finish()
    this.#handler.onError(error)
  }

  #end(): void {
    this.#finish()
    this.#handler.onEnd()
  }

  #finish(): void {
    this.#over = true
    this.#reader.stop()
  }
}
