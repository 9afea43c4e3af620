import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import type { Usage } from '../../db/model/usage.ts'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { PROVIDER_HEADERS, sse } from '../helpers/upstream-answers.ts'
import { answer, gate } from '../helpers/upstream-plan.ts'

let upstream: ScriptedUpstream
let clock: HandClock
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  clock = handClock()
  app = testApp({ upstreamUrl: upstream.url, clock })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const OFF = { 'x-watchllm-body': 'off' }

function ask(more: object = {}, path = CHAT, headers: Record<string, string> = {}): Promise<Response> {
  const body = {
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content: 'Hi' }],
    prompt: 'Hi',
    stream: true,
    ...more,
  }
  return app.fetch(post(path, body, headers))
}

const ASKED = { stream_options: { include_usage: true } }

type Chunk = { choices?: unknown[]; usage?: unknown; error?: { code: string; message: string } }

/** The data of all events, read by a parser that owes nothing to ours. */
function eventsOf(bytes: Uint8Array | string): (Chunk | '[DONE]')[] {
  const text = (typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString()).replace(/^\ufeff/, '')
  const events = text.split(/\r?\n\r?\n/).map((frame) =>
    frame
      .split(/\r?\n/)
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).replace(/^ /, ''))
      .join('\n'),
  )
  return events.filter((data) => data !== '').map((data) => (data.trim() === '[DONE]' ? '[DONE]' : JSON.parse(data)))
}

interface Expected {
  readonly usage: Usage | null
  readonly failure: string | null
  readonly finished?: boolean
}
const expected = JSON.parse(Buffer.from(fixture('expected.json')).toString()) as Record<string, Expected>
const streams = [...fixtures('openai-chat', '.sse'), ...fixtures('openai-completions', '.sse')]
const pathOf = (name: string) => (name.startsWith('openai-chat') ? CHAT : '/v1/completions')
const isGood = (name: string) => expected[name]!.failure === null && expected[name]!.finished === true

/** Offsets of cuts, the same in every run. */
function cuts(length: number, seed: number): number[] {
  let state = seed * 2_654_435_761
  return Array.from({ length: 12 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % length
  })
}

function withoutUsage(events: readonly (Chunk | '[DONE]')[]): unknown[] {
  const chunks = events.filter((event) => event !== '[DONE]')
  return chunks
    .filter(({ usage, choices, ...rest }) => !(usage && (choices ?? []).length === 0) && !('error' in rest))
    .map(({ usage: _usage, ...rest }) => rest)
}

describe('every recorded stream', () => {
  it.each(streams)('%s: nothing of it is lost, nothing is made up, whoever asked for usage', async (name) => {
    const given = fixture(name)
    for (const asked of [true, false]) {
      upstream.script(sse(given))
      const text = await (await ask(asked ? ASKED : {}, pathOf(name), OFF)).text()
      const events = eventsOf(text)
      if (isGood(name)) {
        expect(withoutUsage(events)).toEqual(withoutUsage(eventsOf(given)))
        expect(events.at(-1)).toBe('[DONE]')
        expect(events.filter((event) => event === '[DONE]')).toHaveLength(1)
      } else {
        expect(events.at(-1)).toMatchObject({ error: { code: 'provider_error', type: 'api_error' } })
        expect(text).not.toContain('[DONE]')
      }
      const told = events.filter((event) => event !== '[DONE]' && event.usage)
      if (!asked) expect(told).toEqual([])
      else if (isGood(name)) expect(told.length).toBeGreaterThan(0)
      expect(text).not.toMatch(/watchllm/i)
    }
  })

  it.each(streams)('%s: cut anywhere on the way, the caller reads the same bytes', async (name) => {
    const given = fixture(name)
    upstream.script(sse(given, { split: [] }))
    const whole = await (await ask(ASKED, pathOf(name), OFF)).text()
    for (const seed of [1, 2, 3]) {
      upstream.script(sse(given, { split: cuts(given.length, seed), framing: seed === 1 ? 'close' : 'chunked' }))
      expect(await (await ask(ASKED, pathOf(name), OFF)).text()).toBe(whole)
    }
    const [first, ...others] = app.records.map(({ usage, usageSource, outcome }) => ({ usage, usageSource, outcome }))
    for (const other of others) expect(other).toEqual(first)
  })

  it.each(streams)('%s: is recorded once, with the usage it tells and its exact price', async (name) => {
    upstream.script(sse(fixture(name)))
    await (await ask({}, pathOf(name))).text()
    const { usage } = expected[name]!
    expect(app.records).toHaveLength(1)
    const [record] = app.records
    expect(record).toMatchObject({ status: 200, stream: true, outcome: isGood(name) ? 'done' : 'cut' })
    if (usage !== null) expect(record).toMatchObject({ usage, usageSource: 'provider' })
    else expect(['estimated', 'none']).toContain(record!.usageSource)
    expect(record!.costPico).toBe(record!.usageSource === 'none' ? 0 : costPico(record!.usage, app.prices[0]!))
  })

  it('of OpenAI itself comes down byte for byte to a caller who asked for usage', async () => {
    upstream.script(sse(fixture('openai-chat/text.sse'), { split: 'bytes' }))
    const text = await (await ask(ASKED, CHAT, OFF)).text()
    expect(text).toBe(Buffer.from(fixture('openai-chat/text.sse')).toString())
  })
})

const frame = (text: string) => `data: {"choices":[{"index":0,"delta":{"content":"${text}"},"finish_reason":null}]}\n\n`
const TWO = frame('Hello ') + frame('world, how are you')
const THREE = TWO + frame(' today?')

describe('a stream that fails in the middle', () => {
  const failures: [name: string, plan: Parameters<ScriptedUpstream['script']>[0], ended: string, code?: string][] = [
    ['cut between frames', sse(THREE, { cut: { at: TWO.length } }), 'cut'],
    ['cut inside a frame', sse(THREE, { cut: { at: TWO.length + 9 } }), 'cut'],
    ['reset inside a frame', sse(THREE, { cut: { at: TWO.length + 9, how: 'reset' } }), 'cut'],
    ['ended in order, without an end', sse(TWO), 'sent'],
    ['ended by closing, without an end', sse(TWO, { framing: 'close' }), 'cut'],
    [
      'shorter than it said',
      answer({ body: TWO, declaredLength: 999, headers: { 'content-type': 'text/event-stream' } }),
      'cut',
    ],
    ['an error event', sse(`${TWO}data: {"error":{"message":"org-of-the-operator is out of luck"}}\n\n`), 'sent'],
    ['a named error event', sse(`${TWO}event: error\ndata: {"message":"out of luck"}\n\n`), 'sent'],
  ]

  it.each(failures)('%s: what came is passed on, then an error event, then the end', async (_name, plan, ended) => {
    upstream.script(plan)
    const response = await ask()
    const text = await response.text()
    expect(response.status).toBe(200)
    expect(text.startsWith(TWO)).toBe(true)
    const rest = text.slice(TWO.length)
    expect(rest).toMatch(/^data: \{"error":\{.*\}\}\n\n$/)
    expect(JSON.parse(rest.slice(6)).error).toMatchObject({ code: 'provider_error', type: 'api_error', param: null })
    expect(text).not.toMatch(/\[DONE\]|of-the-operator|of_the_operator/)
    expect(['aborted', ended]).toContain(await upstream.requests[0]!.ended)
  })

  it.each(failures)('%s: is billed for what came, as estimated', async (_name, plan) => {
    upstream.script(plan)
    await (await ask()).text()
    expect(app.records).toMatchObject([
      { outcome: 'cut', status: 200, errorCode: 'provider_error', usageSource: 'estimated', stream: true },
    ])
    const [{ usage, costPico: cost }] = app.records as [(typeof app.records)[0]]
    expect(usage.input).toBeGreaterThan(0)
    expect(usage.output).toBeGreaterThanOrEqual(4)
    expect(usage.output).toBeLessThanOrEqual(8)
    expect(cost).toBe(costPico(usage, app.prices[0]!))
  })

  it('is billed by what the provider has counted, when it has', async () => {
    const counted = 'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":77}}\n\n'
    upstream.script(sse(`${TWO}${counted}data: {"error":{"message":"late"}}\n\n`))
    await (await ask()).text()
    expect(app.records).toMatchObject([{ outcome: 'cut', usageSource: 'provider', usage: { input: 9, output: 77 } }])
  })

  it('costs nothing when nothing was produced', async () => {
    upstream.script(sse(': hold on\n\ndata: {"error":{"message":"no"}}\n\n'))
    const text = await (await ask()).text()
    expect(text).toContain('provider_error')
    expect(app.records).toMatchObject([{ outcome: 'cut', usageSource: 'none', costPico: 0 }])
  })

  it('by stalling is given up when the idle limit is over', async () => {
    upstream.script(sse(THREE, { stall: { at: TWO.length, gate: gate() } }))
    const reader = (await ask()).body!.getReader()
    let text = ''
    while (text.length < TWO.length) text += Buffer.from((await reader.read()).value!).toString()
    clock.advance(29_999)
    expect(app.records).toHaveLength(0)
    clock.advance(1)
    const { value } = await reader.read()
    expect(JSON.parse(Buffer.from(value!).toString().slice(6)).error.code).toBe('provider_timeout')
    expect((await reader.read()).done).toBe(true)
    expect(app.records).toMatchObject([{ outcome: 'cut', errorCode: 'provider_timeout', usageSource: 'estimated' }])
    expect(await upstream.requests[0]!.ended).toBe('aborted')
    expect(clock.timers).toBe(0)
  })

  it('by trickling on and on is given up when the total limit is over', async () => {
    const pieces = function* () {
      for (;;) yield Buffer.from(frame('a'))
    }
    upstream.script(answer({ headers: { 'content-type': 'text/event-stream' }, body: pieces, paceMs: 1 }))
    const reader = (await ask()).body!.getReader()
    const started = clock.monotonic()
    for (;;) {
      const { done, value } = await reader.read()
      if (done || Buffer.from(value).includes('"error"')) break
      clock.advance(20_000)
    }
    expect(clock.monotonic() - started).toBe(600_000)
    expect(app.records).toMatchObject([{ outcome: 'cut', errorCode: 'provider_timeout' }])
    expect(await upstream.requests[0]!.ended).toBe('aborted')
  })
})

describe('a stream', () => {
  it('is passed on frame by frame, as it comes', async () => {
    const stood = gate()
    upstream.script(sse(`${TWO}data: [DONE]\n\n`, { stall: { at: frame('Hello ').length, gate: stood } }))
    const reader = (await ask()).body!.getReader()
    expect(Buffer.from((await reader.read()).value!).toString()).toBe(frame('Hello '))
    stood.open()
    expect(Buffer.from((await reader.read()).value!).toString()).toContain('world')
    while (!(await reader.read()).done) {}
  })

  it('whose provider goes on behind [DONE] is whole all the same, and the provider is not listened to for ever', async () => {
    upstream.script(sse(`${TWO}data: [DONE]\n\n${frame('more')}`, { stall: { at: TWO.length + 14, gate: gate() } }))
    const text = await (await ask()).text()
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(app.records).toMatchObject([{ outcome: 'done' }])
    clock.advance(60_000)
    expect(await upstream.requests[0]!.ended).toBe('aborted')
    expect(app.records).toHaveLength(1)
    expect(clock.timers).toBe(0)
  })

  it("never shows the provider's headers or an end of its own", async () => {
    upstream.script(sse(`${TWO}data: [DONE]\n\n`, { headers: PROVIDER_HEADERS }))
    const response = await ask()
    await response.text()
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(app.records[0]!.upstreamId).toBe('req_of_the_provider')
  })
})
