import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import OpenAI4 from 'openai-4'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { KEY_DEFAULTS } from '../../db/model/settings.ts'
import { idempotencyStore } from '../../db/stores/idempotency.ts'
import { createVault } from '../../db/vault.ts'
import type { Directory } from '../../server/deps.ts'
import type { Listener } from '../../server/http.ts'
import { openEmbedded, type TestDatabase } from '../db/engines.ts'
import { PROJECT_KEY, type TestApp, type TestAppOptions, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { type Gate, gate } from '../helpers/upstream-plan.ts'
import { PROVIDERS } from '../matrix/providers.ts'
import { TEXT } from '../matrix/scenes.ts'
import { failureOf } from './kit.ts'

/** The official clients' own retries: when a proxy loses an answer under way, the call isn't made twice. */

let on: TestDatabase
let upstream: ScriptedUpstream
let app: TestApp
let listener: Listener
let stood: Gate
beforeAll(async () => {
  on = await openEmbedded()
}, 120_000)
afterAll(() => on?.dispose())
beforeEach(async () => {
  upstream = await startUpstream()
  stood = gate()
  await open()
})
afterEach(async () => {
  stood.open()
  await app.close()
  await upstream.close()
})

async function open(options: TestAppOptions = {}): Promise<void> {
  const idempotency = idempotencyStore(on.database.db, createVault(['a master secret for these tests']))
  app = testApp({ upstreamUrl: upstream.url, ...options, deps: { idempotency, ...options.deps } })
  listener = await app.listen()
}

const heads: Headers[] = []

/** The way to the gateway, on which the first answer is lost: the gateway isn't told that nobody waits for it. */
function lossy(): typeof fetch {
  heads.length = 0
  let attempts = 0
  return async (url, init = {}) => {
    const { signal: _, ...sent } = init
    heads.push(new Headers(init.headers))
    const answered = fetch(url, sent)
    if (attempts++ > 0) return answered
    answered.catch(() => {})
    await stood.reached
    throw new TypeError('fetch failed')
  }
}

interface Judge {
  readonly name: string
  readonly end: (typeof PROVIDERS)[number]
  /** What it understood. */
  call(stream: boolean, headers?: Record<string, string>, retries?: number): Promise<string>
}

type Ways = {
  readonly fetch: typeof fetch
  readonly maxRetries: number
  readonly defaultHeaders: Record<string, string>
}

const asked = [{ role: 'user' as const, content: 'Hi' }]

function openaiJudge(name: string, Client: typeof OpenAI): Judge {
  return {
    name,
    end: PROVIDERS.find((end) => end.name === 'chat')!,
    async call(stream, headers = {}, retries = 2) {
      const ways: Ways = { fetch: lossy(), maxRetries: retries, defaultHeaders: headers }
      const client = new Client({ apiKey: PROJECT_KEY, baseURL: `${listener.url}/v1`, ...ways })
      const { completions } = client.chat
      if (!stream) {
        const answer = await completions.create({ model: 'gpt-4o-mini', messages: asked })
        return answer.choices[0]!.message.content ?? ''
      }
      let text = ''
      const chunks = await completions.create({ model: 'gpt-4o-mini', messages: asked, stream: true })
      for await (const { choices } of chunks) text += choices[0]?.delta.content ?? ''
      return text
    },
  }
}

const anthropic: Judge = {
  name: 'anthropic',
  end: PROVIDERS.find((end) => end.name === 'Messages')!,
  async call(stream, headers = {}, retries = 2) {
    const ways: Ways = { fetch: lossy(), maxRetries: retries, defaultHeaders: headers }
    const client = new Anthropic({ apiKey: PROJECT_KEY, authToken: null, baseURL: listener.url, ...ways })
    const body = { model: 'claude-sonnet-4-6', max_tokens: 100, messages: asked }
    const answer = stream ? await client.messages.stream(body).finalMessage() : await client.messages.create(body)
    return answer.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
  },
}

const JUDGES: readonly Judge[] = [
  openaiJudge('openai 7', OpenAI),
  openaiJudge('openai 4', OpenAI4 as unknown as typeof OpenAI),
  anthropic,
]
const CASES = JUDGES.flatMap((judge) => [false, true].map((stream) => ({ ...judge, judge, stream })))

function script(judge: Judge, stream: boolean, at: 'start' | number = 'start'): void {
  const options = { stall: { at, gate: stood } }
  upstream.script(
    stream ? sse(judge.end.stream('text'), { ...options, framing: 'chunked' }) : json(judge.end.whole('text'), options),
  )
}

/** Opens the gate when the gateway has got the retry. */
async function openOnRetry(): Promise<void> {
  while (heads.length < 2) await new Promise((resolve) => setImmediate(resolve))
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve))
  stood.open()
}

describe.each(CASES)('$name, stream: $stream', ({ judge, stream }) => {
  it('a retry while the first attempt still runs joins it: one call, billed once', async () => {
    script(judge, stream)
    const [said] = await Promise.all([judge.call(stream), openOnRetry()])
    expect(said).toBe(TEXT)
    expect(heads.map((head) => head.get('x-stainless-retry-count'))).toEqual(['0', '1'])
    await app.settled(2)
    expect(upstream.requests).toHaveLength(1)
    expect(app.records.map(({ route }) => route === 'replay').sort()).toEqual([false, true])
    const [first, retry] = [...app.records].sort((a, b) => a.id.localeCompare(b.id))
    expect([first!.costPico! > 0, retry!.costPico, retry!.upstreamId]).toEqual([true, 0, first!.id])
  })

  it('with an idempotency key the same, and the answer is there for another day', async () => {
    const headers = { 'Idempotency-Key': `sdk-${judge.name}-${stream}`.replaceAll(' ', '-') }
    script(judge, stream)
    const [said] = await Promise.all([judge.call(stream, headers), openOnRetry()])
    expect(said).toBe(TEXT)
    await app.settled(2)
    await app.close()
    await open()
    const again = await Promise.all([judge.call(stream, headers), stood.reach()])
    expect(again[0]).toBe(TEXT)
    expect(upstream.requests).toHaveLength(1)
  })

  it('where the key says so, a retry is a call of its own', async () => {
    const { lookup } = app.deps.directory
    const promptCache = KEY_DEFAULTS.promptCache
    const switches = { promptCache, bodyAdditions: true, joinRetries: false }
    const open_ = { models: [], endpoints: null, prefers: null, routing: null, bodies: null, ...switches }
    const directory: Directory = { lookup: async (secret) => ({ ...(await lookup(secret))!, rules: open_ }) }
    await app.close()
    await open({ deps: { directory } })
    script(judge, stream)
    const [said] = await Promise.all([judge.call(stream), openOnRetry()])
    expect([said, upstream.requests.length]).toEqual([TEXT, 2])
  })

  it('when the first attempt fails, the joined one hears it, and the next calls again', async () => {
    upstream.script(async (_, index) => {
      if (index > 0) return stream ? sse(judge.end.stream('text')) : json(judge.end.whole('text'))
      stood.reach()
      await stood.opened
      return json(judge.end.refusal('Down'), { status: 500 })
    })
    const [said] = await Promise.all([judge.call(stream), openOnRetry()])
    expect([said, upstream.requests.length]).toEqual([TEXT, 2])
    expect(heads.map((head) => head.get('x-stainless-retry-count'))).toEqual(['0', '1', '2'])
  })
})

it('an answer that has begun is not joined: its first bytes may have been used', async () => {
  const judge = JUDGES[0]!
  script(judge, true, 400)
  const [said] = await Promise.all([judge.call(true), openOnRetry()])
  expect([said, upstream.requests.length]).toEqual([TEXT, 2])
})

it('another body, another key’s or another endpoint’s is not joined', async () => {
  const judge = JUDGES[0]!
  script(judge, false)
  const send = (path: string, content: string, headers: Record<string, string> = {}) =>
    fetch(`${listener.url}${path}`, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', authorization: `Bearer ${PROJECT_KEY}` },
        ...{ 'x-stainless-retry-count': '0', ...headers },
      },
      body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content }] }),
    })
  const retry = { 'x-stainless-retry-count': '1' }
  const first = send('/v1/chat/completions', 'one')
  await stood.reached
  const others = [
    send('/v1/chat/completions', 'two', retry),
    send('/v1/openai/chat/completions', 'one', retry),
    send('/v1/chat/completions', 'one', { ...retry, 'x-watchllm-body': 'off' }),
    send('/v1/chat/completions', 'one'),
  ]
  while (upstream.requests.length < 5) await new Promise((resolve) => setImmediate(resolve))
  const joined = send('/v1/chat/completions', 'one', { 'x-stainless-retry-count': '2' })
  for (let turns = 0; turns < 200; turns++) await new Promise((resolve) => setImmediate(resolve))
  stood.open()
  const answers = await Promise.all([first, ...others, joined])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
  expect(upstream.requests).toHaveLength(5)
  expect(answers.map(({ headers }) => headers.get('x-watchllm-replayed') !== null)).toEqual([
    ...Array(5).fill(false),
    true,
  ])
})

it('a conflict is not tried again by the clients', async () => {
  upstream.script(json(JUDGES[0]!.end.whole('text')))
  const client = (content: string) =>
    new OpenAI({
      apiKey: PROJECT_KEY,
      baseURL: `${listener.url}/v1`,
      maxRetries: 2,
      fetch: counted,
    }).chat.completions.create(
      { model: 'gpt-4o-mini', messages: [{ role: 'user', content }] },
      { headers: { 'Idempotency-Key': 'conflict' } },
    )
  let attempts = 0
  const counted: typeof fetch = (...args) => {
    attempts++
    return fetch(...args)
  }
  await client('one')
  expect(await failureOf(client('two'))).toMatchObject({ status: 409, code: 'idempotency_conflict' })
  expect(attempts).toBe(2)
})
