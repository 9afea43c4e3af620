import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CallRecord } from '../../db/model/calls.ts'
import { costPico } from '../../db/model/money.ts'
import type { Journal } from '../../server/deps.ts'
import { HELLO, PROJECT_KEY, post, type TestApp, type TestAppOptions, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { type BookEntry, openaiProvider } from '../helpers/upstream-openai.ts'
import { type Gate, gate } from '../helpers/upstream-plan.ts'

const CHAT = '/v1/chat/completions'
const STREAM = { ...HELLO, stream: true }

let upstream: ScriptedUpstream
let clock: HandClock
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  clock = handClock()
  app = testApp({ upstreamUrl: upstream.url, clock })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

async function restart(options: TestAppOptions): Promise<void> {
  await app.close()
  app = testApp({ upstreamUrl: upstream.url, clock, ...options })
}

describe('the record of a call', () => {
  it('says everything of it', async () => {
    const body = { ...HELLO, model: 'openai/gpt-4o-mini', user: 'u_1' }
    const headers = { 'x-request-id': 'trace-7', 'x-watchllm-metadata': '{"team":"a"}' }
    const response = await app.fetch(post(CHAT, body, headers))
    const { usage } = await response.json()
    const price = app.prices[0]!
    expect(app.records).toEqual([
      {
        id: response.headers.get('x-request-id')!,
        createdAtMs: clock.now(),
        organizationId: 'org_one',
        projectId: 'prj_one',
        keyId: 'key_one',
        endpoint: 'chat.completions',
        modelRequested: 'openai/gpt-4o-mini',
        model: 'gpt-4o-mini',
        provider: 'openai',
        stream: false,
        status: 200,
        outcome: 'done',
        errorCode: null,
        usage: {
          input: usage.prompt_tokens,
          cacheRead: 0,
          cacheWrite5m: 0,
          cacheWrite1h: 0,
          output: usage.completion_tokens,
          reasoning: 0,
          audioInput: 0,
          audioOutput: 0,
          imageInput: 0,
          imageOutput: 0,
        },
        usageSource: 'provider',
        priceId: price.id,
        costPico: usage.prompt_tokens * price.rates.input + usage.completion_tokens * price.rates.output,
        chargedPico: null,
        latencyUs: 0,
        overheadUs: 0,
        firstByteUs: 0,
        attempts: 1,
        route: 'pinned',
        adapted: null,
        upstreamId: 'req_of_the_provider',
        clientRequestId: 'trace-7',
        endUser: 'u_1',
        metadata: '{"team":"a"}',
        charge: null,
        tries: null,
      } satisfies CallRecord,
    ])
    expect(JSON.stringify(app.records)).not.toContain(PROJECT_KEY)
  })

  it("splits a call's time into the provider's and ours", async () => {
    const stood = gate()
    upstream.script(json({ choices: [], usage: { prompt_tokens: 1 } }, { stall: { at: 'start', gate: stood } }))
    const answered = app.fetch(post(CHAT, HELLO))
    await stood.reached
    clock.advance(250)
    stood.open()
    const response = await answered
    expect(app.records).toMatchObject([{ latencyUs: 250_000, firstByteUs: 250_000, overheadUs: 0 }])
    expect(response.headers.get('x-watchllm-latency-ms')).toBe('250')
    expect(response.headers.get('x-watchllm-overhead-ms')).toBe('0')
  })

  it("does not call a provider's slow refusal overhead of ours", async () => {
    const stood = gate()
    upstream.script(openaiFailure(500, { stall: { at: 'start', gate: stood } }))
    const answered = app.fetch(post(CHAT, HELLO))
    await stood.reached
    clock.advance(2000)
    stood.open()
    await answered
    expect(app.records).toMatchObject([{ latencyUs: 2_000_000, overheadUs: 0 }])
  })

  it("counts the whole stream as the provider's time", async () => {
    const stood = gate()
    const frame = 'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
    upstream.script(sse(`${frame}data: [DONE]\n\n`, { stall: { at: frame.length, gate: stood } }))
    const response = await app.fetch(post(CHAT, STREAM))
    await stood.reached
    clock.advance(1500)
    stood.open()
    await response.text()
    expect(app.records).toMatchObject([{ latencyUs: 1_500_000, overheadUs: 0, firstByteUs: 0 }])
  })

  it('keeps only the beginning of what a caller or a provider sends as an id', async () => {
    upstream.script(
      json({ choices: [], usage: { prompt_tokens: 1 } }, { headers: { 'x-request-id': 'p'.repeat(5000) } }),
    )
    await app.fetch(post(CHAT, HELLO, { 'x-request-id': 'c'.repeat(5000) }))
    expect(app.records[0]!.clientRequestId).toBe('c'.repeat(256))
    expect(app.records[0]!.upstreamId).toBe('p'.repeat(256))
  })

  it("adds up to the provider's own books over many calls of all kinds", async () => {
    const books: BookEntry[] = []
    upstream.script(openaiProvider({ books }))
    const bodies: [string, object][] = [
      [CHAT, HELLO],
      [CHAT, STREAM],
      [CHAT, { ...STREAM, stream_options: { include_usage: true } }],
      ['/v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi' }],
      ['/v1/completions', { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi', stream: true }],
      ['/v1/embeddings', { model: 'text-embedding-3-small', input: ['a', 'b'] }],
    ]
    const calls = Array.from({ length: 60 }, (_, index) => bodies[index % bodies.length]!)
    await Promise.all(
      calls.map(async ([path, body], index) =>
        (await app.fetch(post(path, { ...body, user: 'x'.repeat(index) }))).text(),
      ),
    )
    const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0)
    expect(app.records).toHaveLength(60)
    expect(sum(app.records.map(({ usage }) => usage.input))).toBe(sum(books.map(({ promptTokens }) => promptTokens)))
    expect(sum(app.records.map(({ usage }) => usage.output))).toBe(
      sum(books.map(({ completionTokens }) => completionTokens)),
    )
    for (const [index, record] of app.records.entries())
      expect(record.costPico).toBe(costPico(record.usage, app.prices[index]!))
  })

  it('estimates, and says so, where a provider counts nothing', async () => {
    upstream.script(openaiProvider({ usage: 'none' }))
    for (const [path, body] of [
      [CHAT, HELLO],
      [CHAT, STREAM],
      ['/v1/embeddings', { model: 'text-embedding-3-small', input: 'Hello' }],
    ] as const) {
      const text = await (await app.fetch(post(path, body))).text()
      if (body === HELLO) expect(JSON.parse(text).usage.watchllm_source).toBe('estimated')
    }
    for (const { usageSource, usage, costPico: cost } of app.records) {
      expect(usageSource).toBe('estimated')
      expect(usage.input).toBeGreaterThan(0)
      expect(cost).toBeGreaterThan(0)
    }
  })
})

describe('a call', () => {
  it.each([
    ['a whole answer', HELLO],
    ['a stream', STREAM],
  ])('is answered only when its record is in the file: %s', async (_name, body) => {
    const writing = gate()
    await restart({ written: hold(writing) })
    let isOver = false
    const answered = app.fetch(post(CHAT, body)).then((response) => response.text())
    answered.then(() => {
      isOver = true
    })
    await writing.reached
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    writing.open()
    expect(await answered).toMatch(body === STREAM ? /\[DONE\]\n\n$/ : /"choices"/)
  })

  it('that is refused is answered only when its record is in the file', async () => {
    const writing = gate()
    await restart({ written: hold(writing) })
    let isOver = false
    const answered = app.fetch(post(CHAT, { ...HELLO, model: 'nobody-knows-me' }))
    answered.then(() => {
      isOver = true
    })
    await writing.reached
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(isOver).toBe(false)
    writing.open()
    expect((await answered).status).toBe(404)
  })
})

function hold(writing: Gate): (done: () => void) => void {
  return (done) => {
    writing.reach()
    void writing.opened.then(done)
  }
}

describe('a journal that is full', () => {
  let appended = 0
  const journal: Journal = {
    append() {
      appended++
      throw new Error('The journal is full')
    },
    drained: async () => {},
  }
  beforeEach(async () => {
    appended = 0
    await restart({ deps: { journal } })
  })

  it('refuses a whole answer: nothing unrecorded is given away', async () => {
    const response = await app.fetch(post(CHAT, HELLO))
    const text = await response.text()
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(JSON.parse(text).error.code).toBe('service_unavailable')
    expect(text).not.toMatch(/journal|Hello from/)
    expect(appended).toBe(1)
  })

  it('does not break a stream that has begun: its record goes to the log', async () => {
    const text = await (await app.fetch(post(CHAT, STREAM))).text()
    expect(text).toMatch(/\[DONE\]\n\n$/)
    expect(app.logs).toMatchObject([{ level: 'error', fields: { record: { outcome: 'done', stream: true } } }])
    expect(appended).toBe(1)
  })

  it('does not hide why a call was refused', async () => {
    const response = await app.fetch(post(CHAT, { ...HELLO, model: 'nobody-knows-me' }))
    expect(response.status).toBe(404)
    expect(app.logs).toMatchObject([{ level: 'error', fields: { record: { status: 404 } } }])
  })
})
