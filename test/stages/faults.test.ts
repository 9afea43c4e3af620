import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Account } from '../../server/deps.ts'
import { PROJECT_KEY, PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { FAULTS, type Fault, HEAVY_FAULTS } from '../helpers/faults.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { huge, hugeFrame } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let clock: HandClock
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  clock = handClock()
  app = testApp({ upstreamUrl: upstream.url, clock, plan: 'pro' })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

interface Ask {
  readonly endpoint: string
  readonly stream: boolean
  readonly path: string
}

const ASKS: readonly Ask[] = ['chat/completions', 'completions', 'embeddings'].flatMap((name) =>
  (name === 'embeddings' ? [false] : [false, true]).map((stream) => ({
    endpoint: name.replace('/', '.'),
    stream,
    path: `/v1/${name}`,
  })),
)

function send(ask: Ask): Promise<Response> {
  const common = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hi' }], prompt: 'Hi', input: 'Hi' }
  return app.fetch(post(ask.path, { ...common, ...(ask.stream ? { stream: true } : {}) }))
}

/** Lets the clock run in steps until the call is settled. */
async function passTime(settled: Promise<unknown>, limitMs: number): Promise<void> {
  let over = false
  settled.then(() => {
    over = true
  })
  for (let passedMs = 0; !over && passedMs < limitMs; passedMs += 1000) {
    clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** No key, account, address or stack may be in what a caller reads, and no key in the log. */
function expectNoLeak(response: Response, text: string): void {
  const all = JSON.stringify([...response.headers]) + text
  expect(all).not.toMatch(/of[-_]the[-_]operator|127\.0\.0\.1|\n\s*at |\.[jt]s:\d|node:|undici|ECONN|<html/i)
  expect(all).not.toContain(PROVIDER_KEY)
  expect(all).not.toContain(`:${upstream.port}`)
  expect(JSON.stringify(app.logs)).not.toContain(PROVIDER_KEY)
  expect(JSON.stringify(app.logs)).not.toContain(PROJECT_KEY)
}

async function expectRefusal(fault: Fault, response: Response, ask: Ask): Promise<void> {
  const text = await response.text()
  const { error } = JSON.parse(text)
  expect([response.status, error.code, error.param]).toEqual([fault.status, fault.code, fault.param ?? null])
  expect(Object.keys(error).sort()).toEqual(['code', 'details', 'message', 'param', 'type'])
  expect(error.message).toMatch(fault.says ?? /^.{5,700}$/)
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('retry-after')).toBe(fault.retryAfter ?? null)
  expect(response.headers.get('x-watchllm-provider')).toBe('openai')
  expect(response.headers.get('x-ratelimit-limit')).toBe('600')
  expectNoLeak(response, text)
  expect(app.records).toHaveLength(1)
  expect(app.records[0]).toMatchObject({
    id: response.headers.get('x-request-id'),
    endpoint: ask.endpoint,
    stream: ask.stream,
    status: fault.status,
    outcome: 'error',
    errorCode: fault.code,
    usageSource: 'none',
    costPico: 0,
    provider: 'openai',
    attempts: 1,
  })
  if (response.status >= 500) expect(app.logs).toHaveLength(1)
}

describe.each(ASKS)('a provider that fails $endpoint, stream: $stream', (ask) => {
  const faults = FAULTS.filter(({ on }) => on === undefined || (on === 'stream') === ask.stream)

  it.each(faults)('with $name: $status $code, one record, nothing leaks, nothing hangs', async (fault) => {
    const stood = gate()
    upstream.script(fault.plan(stood))
    const answered = send(ask)
    if (fault.withinMs !== undefined) {
      await stood.reached
      await passTime(answered, fault.withinMs)
    }
    await expectRefusal(fault, await answered, ask)
    expect(upstream.requests).toHaveLength(1)
    if (fault.ended !== undefined) expect(await upstream.requests[0]!.ended).toBe(fault.ended)
    if (fault.withinMs !== undefined) expect(app.records[0]!.latencyUs).toBeLessThanOrEqual(fault.withinMs * 1000)
    expect(clock.timers).toBe(0)
  })
})

describe('a provider that answers far too much', () => {
  const [chat, chatStream] = ASKS as [Ask, Ask]

  it.each(HEAVY_FAULTS)('$name: $status $code', async (fault) => {
    upstream.script(fault.plan(gate()))
    await expectRefusal(fault, await send(chat), chat)
    // It was not unpacked to its end.
    expect(JSON.stringify(app.logs)).toContain('larger than 67108864 bytes')
  })

  it('256 MB of JSON: 502, and it is stopped long before the end', async () => {
    upstream.script(huge(256 * 1024 * 1024))
    await expectRefusal({ name: '', plan: () => huge(), status: 502, code: 'provider_error' }, await send(chat), chat)
    expect(await upstream.requests[0]!.ended).toBe('aborted')
  })

  it('256 MB in one frame of a stream: an error event, and it is stopped long before the end', async () => {
    upstream.script(hugeFrame(256 * 1024 * 1024))
    const response = await send(chatStream)
    const text = await response.text()
    expect(JSON.parse(text.slice('data: '.length)).error.code).toBe('provider_error')
    expect(text).not.toContain('[DONE]')
    expect(app.records).toMatchObject([{ outcome: 'cut', errorCode: 'provider_error', status: 200 }])
    expect(await upstream.requests[0]!.ended).toBe('aborted')
  })
})

describe('a provider that is not there', () => {
  async function unreachable(origin: string): Promise<void> {
    const account: Account = { id: 'env', own: false, apiKey: PROVIDER_KEY, origin, basePath: '/v1' }
    await app.close()
    app = testApp({ deps: { credentials: { of: () => account } }, plan: 'pro', clock })
    for (const ask of ASKS) {
      app.records.length = 0
      app.logs.length = 0
      const fault: Fault = {
        name: '',
        plan: () => huge(),
        status: 502,
        code: 'provider_error',
        says: /can not be reached/,
      }
      await expectRefusal(fault, await send(ask), ask)
    }
  }

  it('refuses connections: 502', async () => {
    await upstream.close()
    await unreachable(upstream.url)
    upstream = await startUpstream()
  })

  it('has no address: 502', async () => {
    await unreachable('http://no-such-host.invalid')
  })

  it('lets nobody in within the limit for connecting: 502', async () => {
    const account: Account = {
      id: 'env',
      own: false,
      apiKey: PROVIDER_KEY,
      origin: upstream.url.replace('http:', 'https:'),
      basePath: '/v1',
    }
    await app.close()
    app = testApp({ deps: { credentials: { of: () => account } }, plan: 'pro', clock, connectTimeoutMs: 50 })
    const fault: Fault = {
      name: '',
      plan: () => huge(),
      status: 502,
      code: 'provider_error',
      says: /can not be reached/,
    }
    await expectRefusal(fault, await send(ASKS[0]!), ASKS[0]!)
  })
})
