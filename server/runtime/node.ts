import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import {
  BodyBroken,
  BodyTooLarge,
  type Handle,
  type Incoming,
  type Listener,
  type ListenOptions,
  type Reply,
  type Sink,
} from '../http.ts'

/** Longer than the idle time of the usual load balancers, so that it's never us who close first. */
const KEEP_ALIVE_MS = 75_000
/** Below this a caller who reads slowly holds no memory of ours. */
const HIGH_WATER_BYTES = 64 * 1024

/** Serves over node:http. @throws when the address can't be used */
export async function listen(handle: Handle, options: ListenOptions): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true, highWaterMark: HIGH_WATER_BYTES })
  let closing = false
  server.on('request', (request, response) => {
    if (closing) response.shouldKeepAlive = false
    const incoming = new NodeIncoming(request, response)
    handle(incoming).then(
      (reply) => send(reply, response, incoming),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    async close(withinMs) {
      closing = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const idle = setInterval(() => server.closeIdleConnections(), 50)
      const late = setTimeout(() => server.closeAllConnections(), withinMs)
      await closed
      clearInterval(idle)
      clearTimeout(late)
    },
  }
}

class NodeIncoming implements Incoming {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly #request: IncomingMessage
  #gone: (() => void)[] | null = []

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request
    response.on('close', () => {
      if (!response.writableFinished) this.#leave()
    })
    this.method = request.method!
    const url = request.url!
    const mark = url.indexOf('?')
    this.path = mark < 0 ? url : url.slice(0, mark)
    this.query = mark < 0 ? '' : url.slice(mark + 1)
  }

  get remoteAddress(): string | null {
    return this.#request.socket.remoteAddress ?? null
  }

  header(name: string): string | null {
    const value = this.#request.headers[name]
    return value === undefined ? null : typeof value === 'string' ? value : value.join(', ')
  }

  body(limitBytes: number): Promise<Uint8Array> {
    const request = this.#request
    return new Promise((resolve, reject) => {
      if (Number(request.headers['content-length'] ?? 0) > limitBytes) return reject(new BodyTooLarge())
      const chunks: Buffer[] = []
      let length = 0
      request.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length <= limitBytes) return void chunks.push(chunk)
        request.pause()
        reject(new BodyTooLarge())
      })
      request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)))
      this.onGone(() => reject(new BodyBroken()))
    })
  }

  onGone(callback: () => void): void {
    if (this.#gone === null) callback()
    else this.#gone.push(callback)
  }

  #leave(): void {
    const callbacks = this.#gone ?? []
    this.#gone = null
    for (const callback of callbacks) callback()
  }
}

function send(reply: Reply, response: ServerResponse, incoming: NodeIncoming): void {
  const { status, headers, body } = reply
  if (response.destroyed) return
  if (typeof body === 'function') {
    response.writeHead(status, headers)
    response.flushHeaders()
    return body(new NodeSink(response))
  }
  const unread = incoming.method !== 'GET' && !response.req.complete
  if (unread) headers.push('connection', 'close')
  headers.push('content-length', String(body.length))
  response.writeHead(status, headers)
  if (typeof body === 'string') response.end(body, 'latin1')
  else response.end(body)
  // What is left of a refused body is not read: the connection ends with the answer.
  if (unread) response.on('finish', () => response.req.destroy())
}

const CRLF = '\r\n'

/**
 * Writes each chunk with its chunked framing as one buffer straight to the socket: node's own framing makes four
 * writes of it, which costs more than all else that a chunk goes through.
 */
class NodeSink implements Sink {
  readonly #response: ServerResponse
  readonly #socket: Socket | null

  constructor(response: ServerResponse) {
    this.#response = response
    this.#socket = response.chunkedEncoding ? response.socket : null
  }

  write(chunk: Uint8Array): boolean {
    const socket = this.#socket
    if (chunk.length === 0) return true
    // A pipelined answer has no socket before its turn, an HTTP/1.0 one has no chunks: node knows what to do.
    if (socket === null) return this.#response.write(chunk)
    if (socket.destroyed) return true
    return socket.write(frame(chunk))
  }

  end(last?: Uint8Array): void {
    if (last !== undefined) this.write(last)
    this.#response.end()
  }

  onDrain(callback: () => void): void {
    const socket = this.#socket
    if (socket === null) this.#response.once('drain', callback)
    else socket.once('drain', callback)
  }
}

function frame(chunk: Uint8Array): Buffer {
  const size = chunk.length.toString(16)
  const head = size.length + 2
  const framed = Buffer.allocUnsafe(head + chunk.length + 2)
  framed.write(size + CRLF, 0, 'latin1')
  framed.set(chunk, head)
  framed[head + chunk.length] = 0x0d
  framed[head + chunk.length + 1] = 0x0a
  return framed
}
