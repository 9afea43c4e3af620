import type { Reply, StreamBody } from '../http.ts'
import type { BodyRoom } from './body-room.ts'
import { RequestError, type RequestHead } from './request-head.ts'
import { type RequestHandler, RequestReader } from './request-reader.ts'
import { type Carrier, ServerCall } from './server-call.ts'
import { hasBody, headOf, NOWHERE, type StreamOptions, StreamSink, writeWhole } from './server-reply.ts'
import type { Site } from './server-site.ts'
import { asNodeSocket, type ServerSocket } from './server-socket.ts'

/** What is read ahead of requests that wait for their turn, and of a body that nobody has asked for yet. */
const HOLD_BYTES = 128 * 1024
/** What is read, and thrown away, behind the last answer of a connection. */
const LINGER_BYTES = 64 * 1024 * 1024
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const CLOSE = 'connection: close\r\n'

/** One caller's connection: its requests are answered in order, one at a time. */
export class Connection implements RequestHandler, Carrier {
  readonly #socket: ServerSocket
  readonly #site: Site
  readonly #reader = new RequestReader(this)
  readonly #keepAlive: string
  /** The request that is read or answered. */
  #call: ServerCall | null = null
  /** The way out of its answer, where that is a stream. */
  #sink: StreamSink | null = null
  /** Bytes that came behind it. */
  #held: Buffer[] = []
  #heldBytes = 0
  #paused = false
  /** The answers before must leave before the next request is read. */
  #full = false
  /** The caller sends no more. */
  #ended = false
  /** Nobody wants the rest of the body. */
  #discards = false
  /** Our side is closed: what still comes is thrown away. */
  #leaving = false
  #thrownAway = 0
  /** When the caller last sent what was waited for. */
  #since: number
  /** What was left to send when that last changed. */
  #queued = 0
  #queuedSince: number

  constructor(socket: ServerSocket, site: Site) {
    this.#socket = socket
    this.#site = site
    this.#since = site.now
    this.#queuedSince = site.now
    this.#keepAlive = `connection: keep-alive\r\nkeep-alive: timeout=${Math.ceil(site.limits.idleMs / 1000)}\r\n`
    socket.setNoDelay(true)
    this.#attach()
  }

  get remoteAddress(): string | null {
    return this.#socket.remoteAddress ?? null
  }

  get bodies(): BodyRoom {
    return this.#site.bodies
  }

  /** Closes it unless a request is on its way. */
  closeIdle(): void {
    if (this.#leaving || this.#call !== null || !this.#reader.idle) return
    if (this.#socket.writableLength > 0) this.#leave()
    else this.#socket.destroy()
  }

  cut(): void {
    this.#call?.leave()
    this.#socket.destroy()
  }

  /** Ends what takes longer than its limit. */
  sweep(): void {
    const { now, limits } = this.#site
    const quietMs = now - this.#since
    const { writableLength } = this.#socket
    if (writableLength !== this.#queued || writableLength === 0) {
      this.#queued = writableLength
      this.#queuedSince = now
    } else if (now - this.#queuedSince >= limits.stuckMs) {
      return this.cut()
    }
    if (this.#leaving) {
      if (quietMs >= limits.lingerMs && writableLength === 0) this.#socket.destroy()
    } else if (this.#call === null) {
      if (this.#full) return
      if (this.#reader.idle) return quietMs >= limits.idleMs ? void this.#socket.destroy() : undefined
      if (quietMs >= limits.headMs) this.#refuse(408, 'The headers took too long')
    } else if (this.#ended) {
      if (quietMs >= limits.bodyMs) this.cut()
    } else if (!this.#reader.done && !this.#paused && !this.#discards && quietMs >= limits.bodyMs) {
      this.#refuse(408, 'The body took too long')
    }
  }

  onHead(head: RequestHead): void {
    this.#call = new ServerCall(head, this, this.#ended)
  }

  onData(chunk: Buffer): void {
    if (this.#discards) return this.#throwAway(chunk)
    this.#call!.take(chunk)
    if (this.#call!.heldBytes > HOLD_BYTES) this.#pause()
  }

  onEnd(): void {
    if (!this.#discards) this.#call!.complete()
  }

  wantBody(): void {
    const { head, hasBodyBytes } = this.#call!
    if (head.expectsContinue && !hasBodyBytes) this.#socket.write(CONTINUE, 'latin1')
    this.#resume()
  }

  /** It is not read on before the answer is there: then it is thrown away. */
  refuseBody(): void {
    this.#discards = true
    if (!this.#reader.done) this.#pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#leaving) return this.#throwAway(chunk)
    if (this.#call !== null || this.#reader.idle) this.#since = this.#site.now
    if (this.#full || (this.#call !== null && this.#reader.done)) this.#hold(chunk)
    else this.#read(chunk)
  }

  /** Its own half is closed, or the caller is: nobody can tell, and for a call that costs money it means the second. */
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#since = this.#site.now
    if (this.#leaving) return
    if (this.#call === null) {
      if (!this.#full) this.#leave()
      return
    }
    this.#call.leave()
    // An answer that is still to come in one piece is sent all the same.
    if (this.#sink !== null) this.#socket.destroy()
  }

  readonly #onDrain = (): void => {
    this.#sink?.drained()
    if (!this.#full) return
    this.#full = false
    this.#serveHeld()
  }

  readonly #onError = (): void => {
    this.#socket.destroy()
  }

  readonly #onClose = (): void => {
    this.#site.forget(this)
    this.#sink?.stop()
    this.#call?.leave()
  }

  #attach(): void {
    this.#socket
      .on('data', this.#onData)
      .on('end', this.#onEnd)
      .on('drain', this.#onDrain)
      .on('error', this.#onError)
      .on('close', this.#onClose)
  }

  #detach(): void {
    this.#socket
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('drain', this.#onDrain)
      .off('error', this.#onError)
      .off('close', this.#onClose)
    // As if nobody had ever listened: the next one to do so gets what comes.
    ;(this.#socket as { readableFlowing?: boolean | null }).readableFlowing = null
    this.#paused = false
  }

  #read(chunk: Buffer): void {
    let used: number
    try {
      used = this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof RequestError)) throw error
      return this.#refuse(error.status, error.message)
    }
    if (used < chunk.length) this.#hold(chunk.subarray(used))
    const call = this.#call
    if (call !== null && !call.started) this.#start(call)
  }

  #start(call: ServerCall): void {
    call.started = true
    if (call.head.asksUpgrade && this.#handOver(call)) return
    this.#site.handle(call).then(
      (reply) => this.#answer(call, reply),
      () => this.#abandon(call),
    )
  }

  #handOver({ head }: ServerCall): boolean {
    const { upgrade } = this.#site
    if (upgrade === null || head.length !== 0) return false
    const { method, path, query } = head
    const url = query === '' ? path : `${path}?${query}`
    this.#detach()
    if (upgrade({ method, url, headers: head.all() }, asNodeSocket(this.#socket), Buffer.concat(this.#held))) {
      this.#call = null
      this.#site.forget(this)
      return true
    }
    this.#attach()
    return false
  }

  #answer(call: ServerCall, reply: Reply): void {
    if (this.#call !== call || this.#socket.destroyed) return toNobody(reply)
    try {
      this.#send(call, reply)
    } catch {
      this.#socket.destroy()
    }
  }

  /** The handler has failed, and nothing is known that could be answered. */
  #abandon(call: ServerCall): void {
    if (this.#call === call) this.#socket.destroy()
  }

  #send(call: ServerCall, { status, headers, body, length: known }: Reply): void {
    const { head } = call
    const wanted = head.keepsAlive && !this.#site.closing && this.#reader.done
    const keeps = wanted && !(this.#ended && this.#held.length === 0)
    const start = headOf(status, headers) + this.#site.date
    const withBody = hasBody(head.method, status)
    if (typeof body === 'function') {
      const framing = !withBody ? 'none' : (known ?? (head.isModern ? 'chunked' : 'close'))
      return this.#stream(call, body, { start, framing, keeps: keeps && framing !== 'close' })
    }
    const length = status === 204 ? '' : `content-length: ${body.length}\r\n`
    const top = `${start}${length}${keeps ? this.#keepAlive : CLOSE}\r\n`
    writeWhole(this.#socket, top, withBody ? body : '')
    this.#answered(call, keeps)
  }

  #stream(
    call: ServerCall,
    body: StreamBody,
    { start, framing, keeps }: { start: string; framing: StreamOptions['framing']; keeps: boolean },
  ): void {
    // Who is gone can't be told apart from who waits: of a stream the second would never see the end.
    if (call.isGone) {
      this.#socket.destroy()
      return body(NOWHERE)
    }
    const size = typeof framing === 'number' ? `content-length: ${framing}\r\n` : ''
    const coding = framing === 'chunked' ? 'transfer-encoding: chunked\r\n' : size
    const top = `${start}${coding}${keeps ? this.#keepAlive : CLOSE}\r\n`
    const onEnd = () => {
      if (this.#call === call) this.#answered(call, keeps && !this.#site.closing)
    }
    const sink = new StreamSink(this.#socket, top, { framing, onEnd })
    this.#sink = sink
    if (!this.#reader.done) this.#discard()
    body(sink)
    sink.flush()
  }

  #answered(call: ServerCall, keeps: boolean): void {
    call.answered()
    this.#call = null
    this.#sink = null
    if (!keeps) return this.#leave()
    this.#reader.next()
    this.#discards = false
    this.#since = this.#site.now
    if (this.#socket.writableNeedDrain) this.#full = true
    else this.#serveHeld()
  }

  #serveHeld(): void {
    this.#resume()
    if (this.#heldBytes > 0) {
      const held = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held)
      this.#held = []
      this.#heldBytes = 0
      this.#read(held)
    }
    if (this.#call === null && this.#ended && !this.#leaving) this.#leave()
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes > HOLD_BYTES) this.#pause()
  }

  /** Tells a caller what it did wrong, and listens no more: where its next request begins is unknown. */
  #refuse(status: number, message: string): void {
    const call = this.#call
    this.#call = null
    call?.leave()
    if (this.#sink !== null || this.#socket.destroyed) return void this.#socket.destroy()
    const body = JSON.stringify({
      error: { message, type: 'invalid_request_error', param: null, code: 'invalid_request' },
    })
    const head = headOf(status, ['content-type', 'application/json', 'content-length', String(body.length)])
    writeWhole(this.#socket, `${head}${this.#site.date}${CLOSE}\r\n`, body)
    this.#leave()
  }

  /**
   * Nothing more is answered. The caller may be sending all the same: closing the connection would reset it, and the
   * many clients that send all before they read would never see their answer. So only our side of it is closed.
   */
  #leave(): void {
    this.#leaving = true
    this.#held = []
    this.#heldBytes = 0
    this.#since = this.#site.now
    this.#socket.end()
    this.#resume()
  }

  #discard(): void {
    this.#discards = true
    this.#resume()
  }

  #throwAway(chunk: Buffer): void {
    this.#since = this.#site.now
    this.#thrownAway += chunk.length
    if (this.#thrownAway > LINGER_BYTES) this.#socket.destroy()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#since = this.#site.now
    this.#socket.resume()
  }
}

/** A stream begins all the same, so that whoever makes it hears that nobody is there. */
function toNobody({ body }: Reply): void {
  if (typeof body === 'function') body(NOWHERE)
}
