import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import { providerOf } from '../../server/providers/index.ts'
import type { Quirks } from '../../server/providers/provider.ts'
import { PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, openaiFailure } from '../helpers/upstream-answers.ts'
import { answer, type Gate, gate, type Plan } from '../helpers/upstream-plan.ts'

const PATH = '/v1/embeddings'
const MODEL = 'text-embedding-3-small'
const MOST = 3

let upstream: ScriptedUpstream
let app: TestApp
/** OpenAI's row with a limit that tests can reach. */
function open(quirks: Quirks = { maxEmbeddingInputs: { most: MOST, why: 'For the test' } }): void {
  const row = { ...providerOf('openai')!, quirks }
  app = testApp({
    upstreamUrl: upstream.url,
    deps: { providerOf: (id) => (id === 'openai' ? row : providerOf(id)) },
  })
}
beforeEach(async () => {
  upstream = await startUpstream()
  open()
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const texts = (count: number) => Array.from({ length: count }, (_, at) => String(at + 1))
/** A unit vector that tells its text. */
const vectorOf = (text: string): number[] => [Math.cos(Number(text) / 1000), Math.sin(Number(text) / 1000)]
const textsOf = (request: RecordedRequest) => request.json().input as string[]

/** Answers as OpenAI does, last input first, so that order must be mended; each part has a bill of its own. */
function embed(request: RecordedRequest, framing: Parameters<typeof json>[1] = {}): Plan {
  const input = textsOf(request)
  const base64 = request.json().encoding_format === 'base64'
  const written = (text: string) =>
    base64 ? Buffer.from(Float32Array.from(vectorOf(text)).buffer).toString('base64') : vectorOf(text)
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: written(text) }))
  const tokens = billOf(input)
  return json(
    { object: 'list', data: data.reverse(), model: MODEL, usage: { prompt_tokens: tokens, total_tokens: tokens } },
    framing,
  )
}
const billOf = (input: readonly string[]) => input.reduce((sum, text) => sum + Number(text), 0)

interface Body {
  readonly data: { index: number; embedding: number[] }[]
  readonly usage: object
  readonly error: { message: string; param: string | null; code: string }
}
const ask = async (body: object): Promise<{ status: number; headers: Headers; body: Body }> => {
  const response = await app.fetch(post(PATH, { model: MODEL, ...body }))
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
}

async function quiet(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}

describe('embeddings that one part of fails', () => {
  it.each([
    [429, 429, 'rate_limit_exceeded'],
    [400, 400, 'invalid_request'],
    [500, 502, 'provider_error'],
  ])(
    'with %i fail as a whole with %i %s, ask for nothing more, and cost what was answered',
    async (said, status, code) => {
      upstream.script((request) => (textsOf(request).includes('16') ? openaiFailure(said) : embed(request)))
      const { status: got, body } = await ask({ input: texts(60) })
      expect([got, body.error.code]).toEqual([status, code])
      expect(upstream.requests.length).toBeLessThan(14)
      const record = await app.settled(1)
      expect(record).toMatchObject({ status, outcome: 'error', errorCode: code, usageSource: 'provider' })
      expect(record.usage.input).toBeGreaterThanOrEqual(billOf(texts(6)))
      expect(record.costPico).toBe(costPico(record.usage, app.prices[0]!))
      expect(record.costPico).toBeGreaterThan(0)
      expect(app.records).toHaveLength(1)
    },
  )

  it('at once cost nothing: no part was answered', async () => {
    upstream.script(() => openaiFailure(500))
    expect((await ask({ input: texts(10) })).status).toBe(502)
    expect(await app.settled(1)).toMatchObject({ costPico: 0, usageSource: 'none' })
  })

  it('give up the parts that are on their way', async () => {
    const stood = gate()
    upstream.script((request) =>
      textsOf(request)[0] === '4'
        ? answer({ status: 500, stall: { at: 'start', gate: stood } })
        : embed(request, { stall: { at: 'start', gate: gate() } }),
    )
    const asked = ask({ input: texts(12) })
    const parts = await Promise.all([upstream.next(), upstream.next(), upstream.next(), upstream.next()])
    stood.open()
    expect((await asked).status).toBe(502)
    const others = parts.filter((request) => textsOf(request)[0] !== '4')
    for (const request of others) await request.aborted
    expect(others).toHaveLength(3)
  })

  it('by vectors that are missing fail: none may stand at a wrong place', async () => {
    upstream.script((request) => {
      const short = { ...request, json: () => ({ ...request.json(), input: textsOf(request).slice(1) }) }
      return embed(textsOf(request)[0] === '7' ? (short as RecordedRequest) : request)
    })
    const { status, body } = await ask({ input: texts(9) })
    expect([status, body.error.code]).toEqual([502, 'provider_error'])
  })

  it('are given up when the caller leaves: every part is aborted and one record says so', async () => {
    const stood: Gate = gate()
    upstream.script((request) =>
      textsOf(request)[0] === '1' ? embed(request) : embed(request, { stall: { at: 'headers', gate: stood } }),
    )
    const leaving = new AbortController()
    const asked = app.fetch(new Request(post(PATH, { model: MODEL, input: texts(30) }), { signal: leaving.signal }))
    // The first part is answered and a fifth took its place.
    const parts = []
    for (let at = 0; at < 5; at++) parts.push(await upstream.next())
    leaving.abort()
    await asked.catch(() => null)
    for (const part of parts) if (textsOf(part)[0] !== '1') await part.aborted
    const record = await app.settled(1)
    expect(record).toMatchObject({ outcome: 'aborted', status: 499, usageSource: 'provider' })
    expect(record.usage.input).toBe(billOf(texts(3)))
    await quiet()
    expect(upstream.requests).toHaveLength(5)
  })
})

describe('embeddings of tokens', () => {
  it.each([[[1, 2, 3]], [[[1, 2], [3]]]])(
    '%j are refused by name where the provider takes texts only',
    async (input) => {
      open({ textsOnly: 'For the test' })
      const { status, body } = await ask({ input })
      expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_request', 'input'])
      expect(upstream.requests).toHaveLength(0)
    },
  )

  it('are split like texts where the provider takes them', async () => {
    upstream.script((request) => {
      const input = (request.json().input as number[][]).map(String)
      return embed({ ...request, json: () => ({ ...request.json(), input }) } as RecordedRequest)
    })
    const { status, body } = await ask({ input: [[1], [2], [3], [4]] })
    expect(status).toBe(200)
    expect(body.data.map(({ index }) => index)).toEqual([0, 1, 2, 3])
    expect(upstream.requests.map((request) => request.json().input)).toEqual([[[1], [2], [3]], [[4]]])
  })
})

describe('embeddings of more inputs than the provider takes', () => {
  it.each([1, 2, 3, 4, 6, 7, 12, 25])('%i inputs come back in order, each once, on one bill', async (count) => {
    upstream.script((request) => embed(request))
    const input = texts(count)
    const { status, body, headers } = await ask({ input })
    expect(status).toBe(200)
    expect(body.data.map(({ index }) => index)).toEqual(input.map((_, at) => at))
    for (const [at, { embedding }] of body.data.entries()) expect(embedding).toEqual(vectorOf(input[at]!))
    expect(body.usage).toEqual({ prompt_tokens: billOf(input), total_tokens: billOf(input) })
    const sent = upstream.requests.map(textsOf)
    expect(sent.flat().sort((a, b) => Number(a) - Number(b))).toEqual(input)
    expect(sent).toHaveLength(Math.ceil(count / MOST))
    expect(app.records).toHaveLength(1)
    const [record] = app.records
    expect(record).toMatchObject({ endpoint: 'embeddings', outcome: 'done', usage: { input: billOf(input) } })
    expect(record!.costPico).toBe(costPico(record!.usage, app.prices[0]!))
    expect(record!.firstByteUs).toBeLessThanOrEqual(record!.latencyUs)
    expect(headers.get('x-watchllm-attempts')).toBe('1')
  })

  it('are asked at most four at a time', async () => {
    const stood = gate()
    upstream.script((request) => embed(request, { stall: { at: 'start', gate: stood } }))
    const asked = ask({ input: texts(30) })
    for (let at = 0; at < 4; at++) await upstream.next()
    await quiet()
    expect(upstream.requests).toHaveLength(4)
    stood.open()
    expect((await asked).body.data).toHaveLength(30)
    expect(upstream.requests).toHaveLength(10)
  })

  it('are refused by name when they would take more than 256 requests', async () => {
    upstream.script((request) => embed(request))
    const { status, body } = await ask({ input: texts(256 * MOST + 1) })
    expect([status, body.error.code, body.error.param]).toEqual([400, 'invalid_request', 'input'])
    expect(upstream.requests).toHaveLength(0)
    expect((await ask({ input: texts(256 * MOST) })).body.data).toHaveLength(256 * MOST)
    expect(upstream.requests).toHaveLength(256)
  })

  it('pass in one request, byte for byte, up to its limit', async () => {
    upstream.script((request) => embed(request))
    const text = `{"input": ["1", "2",\n"3"], "model":"${MODEL}"}`
    await app.fetch(post(PATH, text))
    expect(upstream.requests.map(({ body }) => Buffer.from(body).toString())).toEqual([text])
  })

  it.each(['float', 'base64'] as const)('reach the openai SDK, which asks for %s', async (encoding_format) => {
    upstream.script((request) => embed(request))
    const { port } = await app.listen()
    const client = new OpenAI({ apiKey: PROJECT_KEY, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 })
    const input = texts(8)
    const asked = encoding_format === 'float' ? { encoding_format } : {}
    const { data, usage } = await client.embeddings.create({ model: MODEL, input, ...asked })
    expect(data.map(({ index }) => index)).toEqual(input.map((_, at) => at))
    for (const [at, { embedding }] of data.entries())
      for (const [place, part] of vectorOf(input[at]!).entries()) expect(embedding[place]).toBeCloseTo(part, 6)
    expect(usage.total_tokens).toBe(billOf(input))
  })
})
