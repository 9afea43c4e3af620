import { type Dispatcher, errors, Pool } from 'undici'
import type { Upstream, UpstreamError, UpstreamExchange, UpstreamHandler, UpstreamRequest } from '../upstream.ts'

export interface UpstreamOptions {
  readonly connectTimeoutMs: number
}

/** Calls out through one undici pool an origin. Time limits other than connecting are the caller's. */
export function undiciUpstream(options: UpstreamOptions): Upstream {
  const pools = new Map<string, Pool>()

  function poolOf(origin: string): Pool {
    let pool = pools.get(origin)
    if (pool === undefined) {
      pool = new Pool(origin, {
        connect: { timeout: options.connectTimeoutMs },
        connections: null,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: 30_000,
      })
      pools.set(origin, pool)
    }
    return pool
  }

  return {
    start(request, handler) {
      const exchange = new Exchange(handler)
      poolOf(request.origin).dispatch(toDispatch(request), exchange)
      return exchange
    },
    async close() {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()))
      pools.clear()
    },
  }
}

function toDispatch(request: UpstreamRequest): Dispatcher.DispatchOptions {
  return {
    path: request.path,
    method: request.method,
    headers: request.headers as string[],
    body: request.body,
    // Answers are long and slow: another call must never wait behind one on its connection.
    blocking: false,
  }
}

/**
 * undici's own handler form, without the wrapper that turns each header list into an object: that costs more than the
 * rest of the exchange. undici 7 keeps the form, 8 drops it; the version is pinned and the suite would notice.
 */
class Exchange implements UpstreamExchange, Dispatcher.DispatchHandler {
  readonly #handler: UpstreamHandler
  #abort: ((reason?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #paused = false
  #over = false

  constructor(handler: UpstreamHandler) {
    this.#handler = handler
  }

  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#abort?.()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#resume?.()
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort
    if (this.#over) abort()
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    this.#resume = resume
    if (!this.#over) this.#handler.onHeaders(status, (name) => findHeader(headers, name))
    return true
  }

  onData(chunk: Buffer): boolean {
    if (!this.#over) this.#handler.onData(chunk)
    return !this.#paused
  }

  onComplete(): void {
    if (this.#over) return
    this.#over = true
    this.#handler.onEnd()
  }

  onError(error: Error): void {
    if (this.#over) return
    this.#over = true
    // dispatch reports some errors before it returns; the promise of `start` is that it never does.
    queueMicrotask(() => this.#handler.onError(describe(error)))
  }
}

function findHeader(headers: Buffer[], name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    const found = headers[i]!
    if (found.length === name.length && found.toString('latin1').toLowerCase() === name)
      return headers[i + 1]!.toString('latin1')
  }
  return null
}

const CONNECT_CODES = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

function describe(error: Error & { code?: string }): UpstreamError {
  const code = error.code ?? ''
  const message = `${error.name} ${code}: ${error.message}`
  if (error instanceof errors.ConnectTimeoutError || CONNECT_CODES.has(code) || /CERT|TLS|SSL/.test(code)) {
    return { kind: 'connect', message }
  }
  if (code.startsWith('HPE_') || error instanceof errors.HTTPParserError) return { kind: 'protocol', message }
  return { kind: 'network', message }
}
