import type { Upstream, UpstreamError, UpstreamExchange, UpstreamHandler, UpstreamRequest } from '../upstream.ts'
import type { HostGuard } from './public-address.ts'
import { ResponseReader } from './response-reader.ts'
import { GuardedHost } from './upstream-guarded.ts'
import { type Connection, Host, type HostOptions, type Receiver } from './upstream-host.ts'

export interface UpstreamOptions extends HostOptions {
  /** Judges the hosts of requests that are `publicOnly`: without it they fail. */
  readonly guard?: HostGuard
}

/**
 * Calls out over sockets of its own: fetch costs two to five times as much, can't tell when a connection is made, and
 * on Bun lets 256 calls wait for their answers at a time. Every call that doesn't find an idle connection makes one.
 * Time limits other than connecting are the caller's.
 */
export function socketUpstream(options: UpstreamOptions): Upstream {
  const hosts = new Map<string, Host>()
  /** Those that tenants chose: what they are given is never shared with the operator's own. */
  const guarded = new Map<string, GuardedHost>()
  let closed = false

  function openHost({ origin }: UpstreamRequest): Host {
    const host = new Host(origin, options)
    hosts.set(origin, host)
    return host
  }

  function guardedHost({ origin }: UpstreamRequest): GuardedHost {
    if (options.guard === undefined) throw new Error('Nothing here can tell which hosts are public')
    const known = guarded.get(origin)
    if (known !== undefined) return known
    // Anybody may think of origins: those without a connection are forgotten.
    const host = new GuardedHost(origin, { ...options, guard: options.guard }, () => guarded.delete(origin))
    guarded.set(origin, host)
    return host
  }

  return {
    start(request, handler) {
      const exchange = new Exchange(handler)
      try {
        if (closed) throw new Error('The way out is closed')
        if (request.publicOnly === true) void exchange.runGuarded(guardedHost(request), request)
        else exchange.run(hosts.get(request.origin) ?? openHost(request), request)
      } catch (error) {
        queueMicrotask(() => exchange.fail({ kind: 'connect', message: String(error) }))
      }
      return exchange
    },
    async close() {
      closed = true
      for (const host of [...hosts.values(), ...guarded.values()]) await host.close()
    },
  }
}

/** One request and its answer. */
class Exchange implements UpstreamExchange, Receiver {
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
    this.#send(host.take(), head, request.body)
  }

  async runGuarded(host: GuardedHost, request: UpstreamRequest): Promise<void> {
    try {
      const head = host.headOf(request)
      const connection = await host.reach()
      if (this.#over) await connection.destroy()
      else this.#send(connection, head, request.body)
    } catch (error) {
      // In a later turn even when nothing had to be waited for.
      setImmediate(() => this.fail({ kind: 'connect', message: String(error) }))
    }
  }

  #send(connection: Connection, head: string, body: Uint8Array | null): void {
    this.#connection = connection
    connection.use(this)
    connection.write(head, body)
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
