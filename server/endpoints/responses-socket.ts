import type { Memory, Past } from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import { GatewayError, openaiFace } from '../errors.ts'
import type { Incoming, Peer, Reply, Sink, Talk } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { fromLatin1, latin1 } from '../wire/bytes.ts'
import { errorEvent, previousIn, requestIn, withStatus } from '../wire/openai-responses/socket.ts'
import { openaiResponses } from '../wire/openai-responses/wire.ts'
import { dataOf, splitFrames } from '../wire/sse.ts'
import { WireError } from '../wire/wire.ts'
import { callModel } from './call-model.ts'
import type { Place } from './endpoint.ts'

/** How long a connection lasts, as at OpenAI. */
const LIFE_MS = 60 * 60_000
/** Turns that may wait for the one under way. */
const MAX_WAITING = 16
/** More than that waits to be sent: the provider is asked to pause. */
const HIGH_WATER_BYTES = 1024 * 1024
const NORMAL = 1000
const ERROR = '"type":"error"'
/** What a provider's failure in the middle of a stream would have been before it. */
const FAILED = 502

/**
 * `GET /v1/responses` as a WebSocket: turns one after the other, each a call like any other, with the head of the request
 * that opened it. What was said last is remembered while it is open, stored or not.
 * @throws GatewayError `invalid_api_key` before it is opened
 */
export async function responsesSocket(incoming: Incoming, deps: Deps, place: Place): Promise<(peer: Peer) => Talk> {
  await principalOf(incoming, deps, 'responses')
  return (peer) => new Turns(peer, { incoming, deps, place })
}

interface Opened {
  readonly incoming: Incoming
  readonly deps: Deps
  readonly place: Place
}

class Turns implements Talk {
  readonly #peer: Peer
  readonly #opened: Opened
  readonly #memory = new LastTurn()
  readonly #waiting: string[] = []
  readonly #timer: Timer
  #turn: SocketTurn | null = null
  #closed = false
  #late = false

  constructor(peer: Peer, opened: Opened) {
    this.#peer = peer
    this.#opened = opened
    this.#timer = opened.deps.clock.timer(LIFE_MS, () => this.#expire())
  }

  onMessage(text: string): void {
    if (this.#closed || this.#late) return
    const waiting = this.#waiting.reduce((sum, { length }) => sum + length, 0)
    if (this.#waiting.length >= MAX_WAITING || waiting > this.#opened.deps.settings.maxBodyBytes) {
      this.#peer.send(refusal('rate_limit_exceeded', 'Too many turns wait on this connection; wait for their answers'))
      return
    }
    this.#waiting.push(text)
    if (this.#turn === null) void this.#next()
  }

  onClose(): void {
    this.#closed = true
    this.#waiting.length = 0
    this.#timer.cancel()
    this.#turn?.leave()
  }

  /** A turn under way may end. */
  #expire(): void {
    this.#late = true
    this.#waiting.length = 0
    if (this.#turn === null) this.#end()
  }

  #end(): void {
    const message = 'Responses websocket connection limit reached (60 minutes). Open a new connection to continue'
    const error = { type: 'invalid_request_error', code: 'websocket_connection_limit_reached', message, param: null }
    this.#peer.send(errorEvent(400, { error }))
    this.#peer.close(NORMAL, 'Connection limit reached')
  }

  async #next(): Promise<void> {
    for (let text = this.#waiting.shift(); text !== undefined; text = this.#waiting.shift()) await this.#answer(text)
    if (this.#late && !this.#closed) this.#end()
  }

  async #answer(text: string): Promise<void> {
    const { incoming, deps, place } = this.#opened
    let request: Uint8Array
    try {
      request = requestIn(text)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.#peer.send(refusal('invalid_request', error.message, error.param))
      return
    }
    const turn = new SocketTurn(incoming, request)
    this.#turn = turn
    const call = callModel({ name: 'responses', wire: openaiResponses, keeps: true }, undefined, this.#memory)
    await call(turn, deps, place).then((reply) => this.#send(reply))
    // Still there only when the turn failed, maybe because of what it went on from: the caller sends all of it anew.
    this.#memory.forget(previousIn(request))
    this.#turn = null
  }

  async #send({ status, body }: Reply): Promise<void> {
    if (typeof body === 'function') return new Promise((resolve) => body(new EventSink(this.#peer, resolve)))
    const text = Buffer.from(typeof body === 'string' ? fromLatin1(body) : body).toString()
    this.#peer.send(errorEvent(status, JSON.parse(text)))
  }
}

function refusal(
  code: 'invalid_request' | 'rate_limit_exceeded',
  message: string,
  param: string | null = null,
): string {
  const error = new GatewayError(code, message, { param })
  return errorEvent(error.status, openaiFace(error))
}

/** A call's request that came as a message: its head is that of the connection. */
class SocketTurn implements Incoming {
  readonly method = 'POST'
  readonly path: string
  readonly query: string
  readonly remoteAddress: string | null
  readonly #opened: Incoming
  readonly #request: Uint8Array
  #callbacks: (() => void)[] = []
  #isGone = false

  constructor(opened: Incoming, request: Uint8Array) {
    this.path = opened.path
    this.query = opened.query
    this.remoteAddress = opened.remoteAddress
    this.#opened = opened
    this.#request = request
  }

  header(name: string): string | null {
    if (name === 'content-type') return 'application/json'
    return name.startsWith('content-') ? null : this.#opened.header(name)
  }

  async body(): Promise<Uint8Array> {
    return this.#request
  }

  onGone(callback: () => void): void {
    if (this.#isGone) callback()
    else this.#callbacks.push(callback)
  }

  leave(): void {
    this.#isGone = true
    for (const callback of this.#callbacks.splice(0)) callback()
  }
}

/** A stream's events, a message each. */
class EventSink implements Sink {
  readonly #peer: Peer
  readonly #ended: () => void

  constructor(peer: Peer, ended: () => void) {
    this.#peer = peer
    this.#ended = ended
  }

  write(chunk: Uint8Array): boolean {
    for (const frame of splitFrames(latin1(chunk))) {
      const data = dataOf(frame)
      if (data === null || data === '[DONE]') continue
      const text = Buffer.from(data, 'latin1').toString()
      this.#peer.send(data.includes(ERROR) ? withStatus(text, FAILED) : text)
    }
    return this.#peer.waiting < HIGH_WATER_BYTES
  }

  onDrain(callback: () => void): void {
    this.#peer.onDrain(callback)
  }

  end(last?: Uint8Array): void {
    if (last !== undefined) this.write(last)
    this.#ended()
  }
}

/** The response of the last turn, and all that was said up to it. */
class LastTurn implements Memory {
  #id: string | null = null
  #past: Past | null = null

  turns(responseId: string): Past | null {
    return responseId === this.#id ? this.#past : null
  }

  remember(responseId: string, past: Past): void {
    this.#id = responseId
    this.#past = past
  }

  forget(responseId: string | null): void {
    if (responseId === this.#id) this.#past = null
  }
}
