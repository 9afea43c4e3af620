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
import { AddressError } from './address.ts'

/** Longer than the idle time of the usual load balancers, so that it's never us who close first. */
const KEEP_ALIVE_MS = 75_000
/** Below this a caller who reads slowly holds no memory of ours. */
const HIGH_WATER_BYTES = 64 * 1024
/** What is read, and thrown away, of a refused body: see `linger`. */
const LINGER_BYTES = 64 * 1024 * 1024
const LINGER_QUIET_MS = 1000

/** Serves over node:http. @throws AddressError */
export async function listen(handle: Handle, options: ListenOptions): Promise<Listener> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true, highWaterMark: HIGH_WATER_BYTES })
  let closing = false
  let open = 0
  let whenIdle: (() => void) | null = null
  const onClose = () => {
    open--
    if (open === 0) whenIdle?.()
  }
  server.on('request', (request, response) => {
    if (closing) response.shouldKeepAlive = false
    open++
    const incoming = new NodeIncoming(request, response, onClose)
    handle(incoming).then(
      (reply) => {
        try {
          send(reply, response, incoming)
        } catch {
          response.destroy()
        }
      },
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new AddressError(options, error)))
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
      // Connections that were cut are closed before their calls hear of it, and each of these leaves a record.
      if (open > 0) await new Promise<void>((resolve) => (whenIdle = resolve))
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

class NodeIncoming implements Incoming {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly #request: IncomingMessage
  #gone: (() => void)[] | null = []

  /** @param onClose is called once, when the caller has all of its answer or is gone and everybody knows it. */
  constructor(request: IncomingMessage, response: ServerResponse, onClose: () => void) {
    this.#request = request
    response.on('close', () => {
      if (!response.writableFinished) this.#leave()
      onClose()
    })
    this.method = request.method!
    const url = originForm(request.url!)
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
      let chunks: Buffer[] = []
      let length = 0
      const collect = (chunk: Buffer) => {
        length += chunk.length
        if (length <= limitBytes) return void chunks.push(chunk)
        chunks = []
        request.off('data', collect).pause()
        reject(new BodyTooLarge())
      }
      request.on('data', collect)
      request.on('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
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

/** What an HTTP/1.1 server must understand as well: a target that names its host, as it is sent to proxies. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const slash = target.indexOf('/', target.indexOf('//') + 2)
  return slash < 0 ? '/' : target.slice(slash)
}

function send(reply: Reply, response: ServerResponse, incoming: NodeIncoming): void {
  const { status, headers, body } = reply
  if (response.destroyed) return
  if (typeof body === 'function') {
    response.writeHead(status, headers)
    response.flushHeaders()
    return body(new NodeSink(response))
  }
  headers.push('content-length', String(body.length))
  const whole = reply as WholeReply
  // What is quickly refused is answered before node knows that the body's end came with its head.
  if (incoming.method === 'GET' || response.req.complete) end(whole, response)
  else setImmediate(() => (response.req.complete ? end(whole, response) : linger(whole, response)))
}

interface WholeReply extends Reply {
  readonly body: Uint8Array | string
}

function end({ status, headers, body }: WholeReply, response: ServerResponse): void {
  response.writeHead(status, headers)
  if (typeof body === 'string') response.end(body, 'latin1')
  else response.end(body)
}

/**
 * Answers a caller who is still sending a body that nobody wants, then ends the connection. Ending it at once would
 * reset it, and the many clients that send all before they read would never see the answer: what they have under way
 * is thrown away as it comes, until they are done, pause, or have sent far too much.
 */
function linger({ status, headers, body }: WholeReply, response: ServerResponse): void {
  const request = response.req
  let thrownAway = 0
  const finish = () => void response.end()
  const quiet = setTimeout(finish, LINGER_QUIET_MS)
  response.on('close', () => clearTimeout(quiet))
  response.writeHead(status, [...headers, 'connection', 'close'])
  response.write(typeof body === 'string' ? Buffer.from(body, 'latin1') : body)
  request.on('end', finish)
  request.on('data', (chunk: Buffer) => {
    quiet.refresh()
    thrownAway += chunk.length
    if (thrownAway > LINGER_BYTES) request.destroy()
  })
  request.resume()
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
