import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { PROJECT_KEY, PROVIDER_KEY } from '../helpers/app.ts'
import { ask, chat, get, post } from '../helpers/client.ts'
import { empty, garbage, gzipBomb, html, json, openaiFailure, truncated } from '../helpers/upstream-answers.ts'
import { type BookEntry, openaiProvider } from '../helpers/upstream-openai.ts'
import { answer, gate } from '../helpers/upstream-plan.ts'
import { type Bench, CHAT } from './bench.ts'

/** Dollars of a call to gpt-4o-mini: $0.15 and $0.60 a million tokens. */
function dollars({ promptTokens, completionTokens }: BookEntry): number {
  return (promptTokens * 0.15 + completionTokens * 0.6) / 1e6
}

/** Calls that are answered whole: as they should be, and as they should be refused. */
export function callChecks(bench: Bench): void {
  const url = (path: string): string => bench.server.url + path

  it('says that it is well', async () => {
    const health = await get(url('/health'))
    expect(health.status).toBe(200)
    expect(health.json()).toMatchObject({ status: 'ok', dependencies: { database: 'ok', kv: 'ok', journal: 'ok' } })
    expect((await get(url('/livez'))).status).toBe(200)
    expect((await get(url('/readyz'))).status).toBe(200)
  })

  it('answers the printed test key from the sandbox', async () => {
    const answered = await ask(url(CHAT), chat('Hello!'), { key: bench.server.testKey! })
    expect(answered.status).toBe(200)
    expect(answered.json()).toMatchObject({ choices: [{ message: { role: 'assistant' } }] })
    expect(answered.headers.get('x-watchllm-provider')).toBe('sandbox')
  })

  it('passes an answer whole, under our id and without what is the provider’s own', async () => {
    bench.upstream.script(openaiProvider())
    const answered = await ask(url(CHAT), chat('Hello!', { seed: 7 }))
    expect(answered.json()).toMatchObject({
      choices: [{ message: { content: 'Hello from the provider' }, finish_reason: 'stop' }],
      watchllm: { provider: 'openai', model_used: 'gpt-4o-mini' },
    })
    expect(answered.headers.get('x-request-id')).toMatch(/^req_(?!of_the_provider)/)
    expect(answered.headers.get('set-cookie')).toBeNull()
    expect(answered.headers.get('openai-organization')).toBeNull()
    const sent = bench.upstream.requests.at(-1)!
    expect(sent.json()).toMatchObject({ seed: 7, model: 'gpt-4o-mini' })
    expect(sent.headers.authorization).toBe(`Bearer ${PROVIDER_KEY}`)
  })

  it('keeps a receipt that shows what the provider billed, to the last digit', async () => {
    const books: BookEntry[] = []
    bench.upstream.script(openaiProvider({ books }))
    const answered = await ask(url(CHAT), chat('What does this cost?'))
    const id = answered.headers.get('x-request-id')!
    const receipt = (await get(url(`/v1/requests/${id}`))).json<{ cost: { usd: string }; usage: object }>()
    expect(receipt).toMatchObject({ id, outcome: 'done', status: 200, provider: 'openai' })
    expect(receipt.usage).toMatchObject({
      input: books[0]!.promptTokens,
      output: books[0]!.completionTokens,
      source: 'provider',
    })
    expect(Number(receipt.cost.usd)).toBeCloseTo(dollars(books[0]!), 12)
    expect(answered.headers.get('x-watchllm-cost-usd')).toBe(receipt.cost.usd)
  })

  it('embeds in floats and in base64', async () => {
    bench.upstream.script(openaiProvider())
    const body = { model: 'text-embedding-3-small', input: ['one', 'two'] }
    const floats = (await ask(url('/v1/embeddings'), body)).json<{ data: { embedding: number[] }[] }>()
    expect(Math.hypot(...floats.data[1]!.embedding)).toBeCloseTo(1, 5)
    const packed = (await ask(url('/v1/embeddings'), { ...body, encoding_format: 'base64' })).json<{
      data: { embedding: string }[]
    }>()
    const bytes = Buffer.from(packed.data[1]!.embedding, 'base64')
    for (const [at, value] of floats.data[1]!.embedding.entries())
      expect(bytes.readFloatLE(at * 4)).toBeCloseTo(value, 6)
  })

  it('refuses bad requests with the contract’s status and code', async () => {
    const cases: [number, string, Promise<{ status: number; json(): unknown }>][] = [
      [401, 'invalid_api_key', ask(url(CHAT), chat('hi'), { key: 'lgw_proj_unknown0123456789abcdef' })],
      [404, 'invalid_model', ask(url(CHAT), { ...chat('hi'), model: 'no-such-model' })],
      [400, 'invalid_request', ask(url(CHAT), '{"model": "gpt-4o-mini", "messages": [')],
      [400, 'invalid_request', ask(url(CHAT), '')],
      [404, 'not_found', ask(url('/v1/nothing'), {})],
      [404, 'not_found', get(url('/v1/requests/req_nothing'))],
    ]
    for (const [status, code, asked] of cases) {
      const refused = await asked
      expect([refused.status, refused.json()]).toMatchObject([status, { error: { code } }])
    }
  })

  it('tells what went wrong at the provider, and nothing that is not the caller’s business', async () => {
    const cases = [
      [openaiFailure(429), 429, 'rate_limit_exceeded'],
      [openaiFailure(400), 400, 'invalid_request'],
      [openaiFailure(401), 502, 'provider_error'],
      [openaiFailure(500), 502, 'provider_error'],
      [html(), 502, 'provider_error'],
      [empty(), 502, 'provider_error'],
      [truncated('{"id":"x"'), 502, 'provider_error'],
      [garbage(), 502, 'provider_error'],
      [answer({ cut: { at: 'start', how: 'reset' } }), 502, 'provider_error'],
      [gzipBomb(128 * 1024 * 1024), 502, 'provider_error'],
    ] as const
    for (const [plan, status, code] of cases) {
      bench.upstream.script(plan)
      const failed = await ask(url(CHAT), chat('hi'))
      expect([failed.status, failed.json()]).toMatchObject([status, { error: { code } }])
      expect(failed.text).not.toMatch(/org-of-the|proj_of_the|sk-|ECONN|at \w+ \(/)
      expect(failed.headers.get('retry-after')).toBe(status === 429 ? '7' : null)
    }
  })

  it('reads a compressed answer of a provider that was asked for none', async () => {
    const { gzipSync } = await import('node:zlib')
    const body = gzipSync(JSON.stringify({ id: 'x', object: 'chat.completion', choices: [], usage: null }))
    bench.upstream.script(json(body, { headers: { 'content-encoding': 'gzip' } }))
    expect((await ask(url(CHAT), chat('hi'))).json()).toMatchObject({ id: 'x' })
  })

  it('refuses a body of 33 MB, announced or not, with an answer that arrives', async () => {
    const body = Buffer.alloc(33 * 1024 * 1024, 0x20)
    const headers = { authorization: `Bearer ${PROJECT_KEY}`, 'content-type': 'application/json' }
    const chunked = (): ReadableStream => new Blob([body]).stream()
    for (const sent of [{ body }, { body: chunked(), duplex: 'half' }]) {
      const refused = await fetch(url(CHAT), { method: 'POST', headers, ...sent } as RequestInit)
      expect(refused.status).toBe(413)
      expect(await refused.json()).toMatchObject({ error: { code: 'request_too_large' } })
    }
    expect((await get(url('/health'))).status).toBe(200)
  })

  it('gives the provider up when the caller leaves before the answer', async () => {
    const never = gate()
    bench.upstream.script(answer({ stall: { at: 'start', gate: never } }))
    const controller = new AbortController()
    const asked = post(url(CHAT), chat('hi'), { signal: controller.signal }).catch(() => 'left')
    await never.reached
    controller.abort()
    expect(await asked).toBe('left')
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
  })

  it('never asks the provider for a caller who leaves inside its body', async () => {
    const before = bench.upstream.requests.length
    const { hostname, port } = new URL(bench.server.url)
    const socket = connect(Number(port), hostname)
    const head = `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${PROJECT_KEY}\r\n`
    await new Promise<void>((resolve) => {
      socket.write(`${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{"model"`, () => resolve())
    })
    socket.resetAndDestroy()
    expect((await get(url('/health'))).status).toBe(200)
    expect(bench.upstream.requests.length).toBe(before)
  })

  it('answers 100 calls at once, each with its own answer', async () => {
    bench.upstream.script((request, index) =>
      json({ id: `id-${index}`, object: 'chat.completion', choices: [], echo: request.json().seed }),
    )
    const answers = await Promise.all(Array.from({ length: 100 }, (_, seed) => ask(url(CHAT), chat('hi', { seed }))))
    expect(answers.map((one) => one.json().echo)).toEqual(Array.from({ length: 100 }, (_, seed) => seed))
    expect(new Set(answers.map((one) => one.headers.get('x-request-id'))).size).toBe(100)
  })

  it('waits for 400 slow answers at once', async () => {
    const slow = gate()
    const before = bench.upstream.requests.length
    bench.upstream.script(openaiProvider({ answer: { stall: { at: 'start', gate: slow } } }))
    const asked = Array.from({ length: 400 }, () => ask(url(CHAT), chat('hi')))
    while (bench.upstream.requests.length < before + 400) await bench.upstream.next()
    slow.open()
    expect((await Promise.all(asked)).filter((one) => one.status === 200)).toHaveLength(400)
  })
}
