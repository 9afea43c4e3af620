import { once } from 'node:events'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { Listener } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { type WebSockets, webSockets } from '../../server/runtime/websocket.ts'
import { PROJECT_KEY } from '../helpers/app.ts'
import { handClock } from '../helpers/clock.ts'
import { openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'
import { MODELS, openResponses, parrot, type ResponsesBench, responsesFrames } from './responses-kit.ts'

let on: ResponsesBench
let listener: Listener
let sockets: WebSockets
beforeAll(async () => {
  on = await openResponses()
  sockets = webSockets(on.app.connect, { maxMessageBytes: 1024 * 1024 })
  listener = await listen(on.app.handle, { host: '127.0.0.1', port: 0, upgrade: sockets.upgrade })
}, 120_000)
afterAll(async () => {
  sockets?.close()
  await listener?.close(0)
  await on?.close()
})
beforeEach(() => on.upstream.script(parrot()))

interface Event {
  readonly type: string
  readonly status?: number
  readonly error?: { readonly code: string; readonly param: string | null; readonly message: string }
  readonly response?: {
    readonly id: string
    readonly status: string
    readonly store: boolean
    readonly output: unknown[]
  }
}

class Client {
  readonly socket: WebSocket
  readonly events: Event[] = []
  #waiting: (() => void)[] = []
  #read = 0

  constructor(headers: Record<string, string> = {}, url = listener.url, path = '/v1/responses') {
    const all = { authorization: `Bearer ${PROJECT_KEY}`, ...headers }
    this.socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers: all })
    this.socket.on('message', (data: unknown) => {
      this.events.push(JSON.parse(String(data)))
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  send(event: object | string): void {
    const text = typeof event === 'string' ? event : JSON.stringify({ type: 'response.create', ...event })
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text)
    else this.socket.once('open', () => this.socket.send(text))
  }

  async next(): Promise<Event> {
    while (this.#read >= this.events.length) await new Promise<void>((wake) => this.#waiting.push(wake))
    return this.events[this.#read++]!
  }

  /** The event that ends a turn. */
  async end(): Promise<Event> {
    for (;;) {
      const event = await this.next()
      if (event.type === 'error' || event.type === 'response.completed') return event
    }
  }

  async turn(event: object): Promise<Event> {
    this.send(event)
    return this.end()
  }

  async close(): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }
}

const textOf = (event: Event) => JSON.stringify(event.response?.output)

describe.each(MODELS)('turns on a WebSocket, $wire', ({ model }) => {
  it('follow each other on one connection, each a stream of events, and go on without being stored', async () => {
    const client = new Client()
    const calls = on.app.records.length
    const first = await client.turn({ model, input: 'one', store: false })
    expect(first.response?.id).toMatch(/^resp_[0-9a-z]{26}$/)
    expect(client.events[0]?.type).toBe('response.created')
    expect(client.events.map((event) => event.type)).toContain('response.output_text.delta')
    const second = await client.turn({ model, input: 'two', store: false, previous_response_id: first.response?.id })
    expect(textOf(second)).toContain('heard one|two')
    const third = await client.turn({ model, input: 'three', previous_response_id: second.response?.id })
    expect(textOf(third)).toContain('heard one|two|three')
    await client.close()
    expect(on.app.records.slice(calls).map(({ endpoint, stream, outcome }) => [endpoint, stream, outcome])).toEqual(
      Array.from({ length: 3 }, () => ['responses', true, 'done']),
    )
    // The last one was stored, with all that came before it on the connection: others can go on from it.
    const other = await on.openai.responses.create({ model, input: 'four', previous_response_id: third.response!.id })
    expect(other.output_text).toBe('heard one|two|three|four')
    const lost = new Client()
    expect(await lost.turn({ model, input: 'x', previous_response_id: first.response?.id })).toMatchObject({
      status: 400,
      error: { code: 'previous_response_not_found', param: 'previous_response_id' },
    })
    await lost.close()
  })
})

const [{ model }] = MODELS

describe('a WebSocket', () => {
  it('works with the official client', async () => {
    const client = new ResponsesWS(on.openai.withOptions({ baseURL: `${listener.url}/v1` }) as never)
    client.send({ type: 'response.create', model, input: 'one' } as never)
    const types: string[] = []
    for await (const message of client.stream() as unknown as AsyncIterable<{
      type: string
      message?: Event
      error?: unknown
    }>) {
      if (message.type === 'error') throw message.error
      if (message.type !== 'message') continue
      types.push(message.message!.type)
      if (message.message!.type === 'response.completed') break
    }
    client.close()
    expect(types[0]).toBe('response.created')
    expect(types.at(-1)).toBe('response.completed')
  })

  it('is refused with the error that HTTP would give', async () => {
    for (const [headers, path, status] of [
      [{ authorization: '' }, '/v1/responses', 401],
      [{ authorization: 'Bearer lgw_proj_unknown0123456789abcdef01234567' }, '/v1/responses', 401],
      [{}, '/v1/chat/completions', 404],
    ] as const) {
      const client = new Client(headers, listener.url, path)
      const [, response] = await once(
        client.socket.on('error', () => {}),
        'unexpected-response',
      )
      expect(response.statusCode).toBe(status)
      let body = ''
      for await (const chunk of response) body += chunk
      expect(JSON.parse(body).error.code).toBe(status === 401 ? 'invalid_api_key' : 'not_found')
    }
  })

  it('answers what it is not asked rightly with an error, and stays open', async () => {
    const client = new Client()
    for (const [sent, param] of [
      ['{', null],
      ['[]', null],
      ['{"type":"session.update"}', 'type'],
      [{ model, input: 'x', background: true }, 'background'],
      [{ model, input: 'x', stream_id: 's' }, 'stream_id'],
      [{ input: 'x' }, 'model'],
      [{ model, input: 5 }, 'input'],
    ] as const) {
      client.send(sent as object)
      expect(await client.next(), JSON.stringify(sent)).toMatchObject({
        type: 'error',
        status: 400,
        error: { code: 'invalid_request', param },
      })
    }
    expect((await client.turn({ model, input: 'one' })).type).toBe('response.completed')
    await client.close()
  })

  it('turns that are sent at once are answered one after the other', async () => {
    const client = new Client()
    for (const input of ['one', 'two', 'three']) client.send({ model, input })
    for (const input of ['one', 'two', 'three']) expect(textOf(await client.end())).toContain(`heard ${input}"`)
    await client.close()
  })

  it('warms up without asking a provider', async () => {
    const client = new Client()
    const before = on.upstream.requests.length
    const warm = await client.turn({ model, input: 'one', generate: false, store: false })
    expect(warm.response).toMatchObject({ status: 'completed', output: [] })
    expect(on.upstream.requests).toHaveLength(before)
    const next = await client.turn({ model, input: 'two', store: false, previous_response_id: warm.response?.id })
    expect(textOf(next)).toContain('heard one|two')
    await client.close()
  })

  it('a turn that fails is an error, and is no more to go on from, nor is what came before it', async () => {
    const client = new Client()
    const first = await client.turn({ model, input: 'one', store: false })
    on.upstream.script(openaiFailure(500))
    const on1 = { model, input: 'two', store: false, previous_response_id: first.response?.id }
    expect(await client.turn(on1)).toMatchObject({ type: 'error', status: 502, error: { code: 'provider_error' } })
    on.upstream.script(parrot())
    expect(await client.turn(on1)).toMatchObject({ error: { code: 'previous_response_not_found' } })
    const frames = responsesFrames('resp_x', 'one two')
    on.upstream.script(sse(frames.slice(0, frames.indexOf('event: response.output_text.done'))))
    expect(await client.turn({ model, input: 'x' })).toMatchObject({ type: 'error', status: 502 })
    await client.close()
  })

  it('who leaves in the middle is billed for what came, and the provider is given up', async () => {
    const until = gate()
    const frames = responsesFrames('resp_x', 'one two three')
    on.upstream.script(
      sse(frames, { split: 'frames', stall: { at: frames.indexOf('event: response.output_text.done'), gate: until } }),
    )
    const client = new Client()
    const settled = on.app.settled()
    client.send({ model, input: 'one' })
    for (;;) if ((await client.next()).type === 'response.output_text.delta') break
    const request = on.upstream.requests.at(-1)!
    client.socket.terminate()
    expect(await request.ended).toBe('aborted')
    until.open()
    expect((await settled).outcome).toBe('aborted')
  })

  it('a message that is too long closes it, and no other connection', async () => {
    const [client, other] = [new Client(), new Client()]
    client.socket.on('error', () => {})
    client.send({ model, input: 'x'.repeat(1024 * 1024) })
    const [code] = await once(client.socket, 'close')
    expect(code).toBe(1009)
    expect((await other.turn({ model, input: 'one' })).type).toBe('response.completed')
    await other.close()
  })

  it('sends long answers whole to a client that reads slowly', async () => {
    const text = 'word '.repeat(60_000).trim()
    const frames = responsesFrames('resp_x', text)
    const split = Array.from({ length: 200 }, (_, at) => Math.floor((frames.length * at) / 200))
    on.upstream.script(sse(frames, { split }))
    const client = new Client()
    client.send({ model, input: 'one', store: false })
    await client.next()
    client.socket.pause()
    setTimeout(() => client.socket.resume(), 300)
    const end = await client.end()
    expect(textOf(end)).toContain(text)
    expect(client.events.filter((event) => event.type === 'response.output_text.delta')).toHaveLength(60_000)
    await client.close()
  })
})

describe('an hour', () => {
  it('is what a connection lasts: then it says so and closes, after the turn under way', async () => {
    const clock = handClock()
    const mine = await openResponses({ clock })
    const ends = webSockets(mine.app.connect, { maxMessageBytes: 1024 * 1024 })
    const at = await listen(mine.app.handle, { host: '127.0.0.1', port: 0, upgrade: ends.upgrade })
    const until = gate()
    const frames = responsesFrames('resp_x', 'one two three')
    const stall = { at: frames.indexOf('event: response.output_text.done'), gate: until }
    mine.upstream.script(sse(frames, { split: 'frames', stall }))
    const [busy, idle] = [new Client({}, at.url), new Client({}, at.url)]
    for (const { socket } of [busy, idle]) if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open')
    clock.advance(3_590_000)
    busy.send({ model, input: 'one', store: false })
    for (;;) if ((await busy.next()).type === 'response.output_text.delta') break
    const over = { type: 'error', status: 400, error: { code: 'websocket_connection_limit_reached' } }
    const closed = once(idle.socket, 'close')
    clock.advance(10_000)
    expect(await idle.next()).toMatchObject(over)
    expect((await closed)[0]).toBe(1000)
    expect(busy.socket.readyState).toBe(WebSocket.OPEN)
    until.open()
    const last = once(busy.socket, 'close')
    await busy.end()
    await last
    expect(busy.events.at(-1)).toMatchObject(over)
    ends.close()
    await at.close(0)
    await mine.close()
  })
})
