import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'
import type { UpstreamError, UpstreamExchange, UpstreamRequest } from '../../server/upstream.ts'
import { until } from '../helpers/client.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { garbage, hang, json, sse } from '../helpers/upstream-answers.ts'
import { answer, gate, type Plan, type Step, steps } from '../helpers/upstream-plan.ts'

let provider: ScriptedUpstream
let out: ReturnType<typeof socketUpstream>
beforeEach(async () => {
  provider = await startUpstream()
  out = socketUpstream({ connectTimeoutMs: 5_000 })
})
afterEach(async () => {
  await out.close()
  await provider.close()
})

interface Told {
  readonly events: string[]
  readonly status: number
  header(name: string): string | null
  readonly body: string
  readonly error: UpstreamError | null
}

const HEADERS = ['content-type', 'application/json', 'authorization', 'Bearer sk-1']

/** One exchange to its end. `begun` gets the exchange, and is called again on its first bytes. */
function exchange(
  more: Partial<UpstreamRequest> = {},
  on: { data?: (of: UpstreamExchange) => void } = {},
): Promise<Told> {
  const request: UpstreamRequest = {
    origin: provider.url,
    path: '/v1/chat/completions?x=1',
    method: 'POST',
    headers: HEADERS,
    body: Buffer.from('{"ä":1}'),
    ...more,
  }
  return new Promise((resolve) => {
    const events: string[] = []
    const parts: Uint8Array[] = []
    let status = 0
    let header: Told['header'] = () => null
    const end = (error: UpstreamError | null): void => {
      events.push(error === null ? 'end' : error.kind)
      // Whatever else is told comes within the turn.
      setImmediate(() => resolve({ events, status, header, body: Buffer.concat(parts).toString(), error }))
    }
    const started = out.start(request, {
      onHeaders(code, read) {
        events.push('headers')
        status = code
        header = read
      },
      onData(chunk) {
        if (events.at(-1) !== 'data') events.push('data')
        parts.push(chunk)
        on.data?.(started)
      },
      onEnd: () => end(null),
      onError: end,
    })
    events.push('started')
  })
}

const raw = (text: string, then: Step[] = []): Plan =>
  steps({ do: 'write', bytes: Buffer.from(text, 'latin1') }, ...then)
const CLOSE: Step = { do: 'cut', how: 'close' }

describe('a request', () => {
  it('goes out as it was given, with its length and its host', async () => {
    await exchange()
    const [sent] = provider.requests
    expect(sent!.method + sent!.path).toBe('POST/v1/chat/completions?x=1')
    expect(sent!.rawHeaders).toEqual([...['host', new URL(provider.url).host, ...HEADERS, 'content-length', '8']])
    expect(Buffer.from(sent!.body).toString()).toBe('{"ä":1}')
  })

  it('without a body has no length', async () => {
    await exchange({ method: 'GET', body: null })
    expect(provider.requests[0]!.headers['content-length']).toBeUndefined()
  })

  it('can’t smuggle another one in its headers', async () => {
    const told = await exchange({ headers: ['x-a', 'b\r\nx-c: d'] })
    expect(told.events).toEqual(['started', 'connect'])
    expect(provider.requests).toHaveLength(0)
  })

  it('of 8 MB arrives whole', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'x')
    expect((await exchange({ body })).status).toBe(200)
    expect(Buffer.compare(body, provider.requests[0]!.body)).toBe(0)
  })
})

describe('an answer', () => {
  const plans: readonly [string, Plan, string][] = [
    ['with a length', json({ a: 1 }), '{"a":1}'],
    ['in chunks', answer({ framing: 'chunked', body: 'one two three', split: [3, 5] }), 'one two three'],
    ['that ends with the connection', answer({ framing: 'close', body: 'all' }), 'all'],
    ['without a body', answer({ body: '' }), ''],
    ['of 204', raw('HTTP/1.1 204 No Content\r\n\r\n'), ''],
    ['after interim ones', answer({ interim: [103, 102], body: 'late' }), 'late'],
    [
      'with extensions and trailers',
      raw('HTTP/1.1 200 OK\r\nTransfer-Encoding:  chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nx-t: 1\r\n\r\n'),
      'abc',
    ],
    ['without a reason', raw('HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok'), 'ok'],
    ['of HTTP/1.0', raw('HTTP/1.0 200 OK\r\n\r\nold', [CLOSE]), 'old'],
  ]

  it.each(plans)('%s is read, whole and byte by byte', async (_, plan, body) => {
    provider.script(plan)
    const whole = await exchange()
    expect([whole.events, whole.body]).toEqual([['started', 'headers', ...(body === '' ? [] : ['data']), 'end'], body])
    provider.script({ steps: () => bytewise(plan) })
    const split = await exchange()
    expect([split.status, split.body, split.events.at(-1)]).toEqual([whole.status, body, 'end'])
  })

  it('gives its headers by lower-case name, whatever their case and spaces', async () => {
    provider.script(
      raw('HTTP/1.1 429 No\r\nX-Request-ID: \t req_1 \r\nRetry-After:7\r\nContent-Length: 0\r\nx-empty:\r\n\r\n'),
    )
    const { header, status } = await exchange()
    expect(status).toBe(429)
    const names = ['x-request-id', 'retry-after', 'x-empty', 'request-id', 'x']
    expect(names.map(header)).toEqual(['req_1', '7', '', null, null])
  })

  const odd: readonly [string, Plan, string][] = [
    ['is no HTTP', garbage(), 'protocol'],
    ['has no number as its length', raw('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'), 'protocol'],
    ['has two lengths', raw('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'), 'protocol'],
    ['has an unknown coding', raw('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'), 'protocol'],
    [
      'has no number as a chunk’s size',
      raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n'),
      'protocol',
    ],
    [
      'has a chunk longer than it says',
      raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n'),
      'protocol',
    ],
    ['changes the protocol', raw('HTTP/1.1 101 Switching\r\n\r\n'), 'protocol'],
    ['has an endless head', raw(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(10_000)}`), 'protocol'],
    ['ends before its head', raw('HTTP/1.1 200 OK\r\n', [CLOSE]), 'network'],
    ['ends before its length', raw('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc', [CLOSE]), 'network'],
    ['ends inside a chunk', raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab', [CLOSE]), 'network'],
    [
      'ends before the last chunk',
      raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n', [CLOSE]),
      'network',
    ],
    [
      'breaks where the connection should end',
      answer({ framing: 'close', body: 'ab', cut: { at: 1, how: 'reset' } }),
      'network',
    ],
    ['never begins', answer({ cut: { at: 'start' } }), 'network'],
  ]

  it.each(odd)(
    'that %s is an error, told once and last, and the connection isn’t used again',
    async (_, plan, kind) => {
      provider.script(plan)
      const told = await exchange()
      expect(told.events.at(-1)).toBe(kind)
      expect(told.events.filter((event) => ['end', 'protocol', 'network'].includes(event))).toHaveLength(1)
      provider.script(json({}))
      await exchange()
      expect(provider.requests[1]!.connection).toBe(1)
    },
  )
})

describe('connections', () => {
  it('are used again, one after the other, and never by two at once', async () => {
    provider.script(json({}))
    for (let call = 0; call < 3; call++) await exchange()
    await Promise.all([exchange(), exchange(), exchange()])
    expect(provider.requests.map((request) => request.connection).slice(0, 3)).toEqual([0, 0, 0])
    expect(new Set(provider.requests.slice(3).map((request) => request.connection)).size).toBe(3)
  })

  it('are not used again when the provider says so, or sends more than it announced', async () => {
    const unusable = [
      json({}, { headers: { connection: 'close' } }),
      json({}, { headers: { 'keep-alive': 'timeout=1' } }),
      raw('HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na'),
      raw('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged'),
      raw('HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'),
    ]
    for (const [at, plan] of unusable.entries()) {
      provider.script(plan)
      const told = await exchange()
      expect([told.events.at(-1), provider.requests.at(-1)!.connection]).toEqual(['end', at])
    }
  })

  it('that the provider closed while they were idle are forgotten', async () => {
    provider.script(json({}, { declaredLength: 2 }))
    await exchange()
    await until('the connection to be closed', () => provider.openConnections === 0)
    provider.script(json({}))
    expect((await exchange()).events.at(-1)).toBe('end')
  })

  it('that can’t be made are told as such', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    expect((await exchange({ origin: `http://127.0.0.1:${port}` })).events).toEqual(['started', 'connect'])
    expect((await exchange({ origin: 'http://no-such-host.invalid' })).error!.kind).toBe('connect')
  })

  it('that take too long are given up', async () => {
    // Accepts, and never says a word of TLS.
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const hasty = socketUpstream({ connectTimeoutMs: 50 })
    const error = await new Promise<UpstreamError>((resolve) => {
      const request = { path: '/', method: 'GET', headers: [], body: null } as const
      const handler = { onHeaders() {}, onData() {}, onEnd() {}, onError: resolve }
      hasty.start({ ...request, origin: `https://127.0.0.1:${port}` }, handler)
    })
    expect(error).toMatchObject({ kind: 'connect', message: expect.stringContaining('within 50 ms') })
    await hasty.close()
    silent.close()
  })
})

describe('an exchange', () => {
  it('tells nothing after abort, and the provider sees it go', async () => {
    const told: string[] = []
    const handler = {
      onHeaders: () => told.push('headers'),
      onData: () => told.push('data'),
      onEnd: () => told.push('end'),
      onError: () => told.push('error'),
    } as never
    for (const plan of [hang(), sse('data: a\n\ndata: b\n\n', { stall: { at: 9, gate: gate() } })]) {
      provider.script(plan)
      const before = told.length
      const started = out.start(
        { origin: provider.url, path: '/', method: 'POST', headers: [], body: Buffer.from('{}') },
        handler,
      )
      const request = await provider.next()
      await request.received
      started.abort()
      expect(await request.ended).toBe('aborted')
      expect(told.slice(before).filter((event) => event === 'end' || event === 'error')).toEqual([])
    }
  })

  it('aborted from its own first bytes stops at once', async () => {
    provider.script(sse('data: a\n\ndata: b\n\n', { split: [] }))
    let calls = 0
    void exchange(
      {},
      {
        data(started) {
          calls++
          started.abort()
        },
      },
    )
    const request = await provider.next()
    await request.ended
    await exchange()
    expect(calls).toBe(1)
  })

  it('holds the provider back while it is paused, and then gets every byte', { timeout: 30_000 }, async () => {
    let made = 0
    const piece = Buffer.alloc(64 * 1024, 'x')
    provider.script(
      answer({
        *body() {
          for (made = 1; made <= 512; made++) yield piece
        },
      }),
    )
    let paused: UpstreamExchange | null = null
    const told = exchange(
      {},
      {
        data(started) {
          if (paused !== null) return
          paused = started
          started.pause()
        },
      },
    )
    let seen = -1
    let same = 0
    await until('the provider to be held back', () => {
      same = made === seen && paused !== null ? same + 1 : 0
      seen = made
      return same === 10
    })
    expect(made).toBeLessThan(400)
    paused!.resume()
    expect((await told).body.length).toBe(512 * piece.length)
  })

  it('breaks when the way out is closed under it', async () => {
    provider.script(hang())
    const told = exchange()
    await provider.next()
    await out.close()
    expect((await told).events).toEqual(['started', 'network'])
    expect((await exchange()).events).toEqual(['started', 'connect'])
  })
})

/** The same plan, each byte written by itself. */
function* bytewise(plan: Plan): Generator<Step> {
  for (const step of plan.steps()) {
    if (step.do !== 'write') yield step
    else for (const byte of step.bytes) yield { do: 'write', bytes: Uint8Array.of(byte) }
  }
}
