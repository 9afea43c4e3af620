import { describe, expect, it, vi } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import { readTries } from '../../db/model/tries.ts'
import { FAULTS, type Fault } from '../helpers/faults.ts'
import type { Chooser } from '../helpers/upstream.ts'
import { hang, json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { type Gate, gate, type Plan } from '../helpers/upstream-plan.ts'
import {
  app,
  ask,
  bench,
  clock,
  counter,
  expectNothingLeft,
  MODEL,
  open,
  unhandled,
  upstreams,
  WIRES,
} from './failover-kit.ts'

bench()

const frame = (delta: object): string =>
  `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: MODEL, choices: [{ index: 0, delta, finish_reason: null }] })}\n\n`
const BEGUN = frame({ role: 'assistant', content: '' }) + frame({ content: 'Once upon' })

/** What goes wrong once the caller has read something. */
const LATER: readonly Fault[] = [
  { name: 'cut', plan: () => sse(BEGUN + frame({ content: ' a' }), { cut: { at: BEGUN.length } }) },
  { name: 'reset', plan: () => sse(BEGUN + frame({ content: ' a' }), { cut: { at: BEGUN.length, how: 'reset' } }) },
  { name: 'an end without a word', plan: () => sse(BEGUN) },
  { name: 'an error event', plan: () => sse(`${BEGUN}data: {"error":{"message":"boom","code":500}}\n\n`) },
  { name: 'what is no JSON', plan: () => sse(`${BEGUN}data: {"choices":[\n\n`) },
].map((fault) => ({ ...fault, status: 502, code: 'provider_error' as const }))
const STALL: Fault = {
  name: 'a stall',
  plan: (stood) => sse(BEGUN + frame({ content: ' a' }), { stall: { at: BEGUN.length, gate: stood } }),
  status: 504,
  code: 'provider_timeout',
  withinMs: 30_000,
}

describe.each(WIRES)('after the first content of $name', (wire) => {
  it.each([...LATER, STALL])(
    '$name ends it with an error, what came is billed, and nobody else is asked',
    async (fault) => {
      open(3, 2)
      const stood = gate()
      for (const [at, upstream] of upstreams.entries())
        upstream.script(at === 0 ? fault.plan(stood) : openaiProvider({ text: 'Another answer' }))
      const since = counter()
      const { response, text } = await ask(wire, true, { fault, stood })
      await expectNothingLeft()
      expect(since()).toEqual([1, 0, 0])
      expect(response.status).toBe(200)
      expect(response.headers.get('x-watchllm-attempts')).toBe('1')
      expect(text).toContain('Once upon')
      expect(text).toContain(fault.code)
      expect(text).not.toContain('Another')
      const [record] = app.records
      expect(record).toMatchObject({ outcome: 'cut', errorCode: fault.code, attempts: 1, tries: null, status: 200 })
      expect(record).toMatchObject({ usageSource: 'estimated', provider: 'groq' })
      expect(record!.usage.output).toBeGreaterThan(0)
      expect(record!.costPico).toBe(costPico(record!.usage, app.prices[0]!))
      await app.close()
    },
  )
})

describe.each(WIRES)('a stream of $name that fails in the place of its first content', (wire) => {
  const ROLE = frame({ role: 'assistant', content: '' })
  const EARLY = [
    { name: 'cut behind its role', plan: () => sse(ROLE + BEGUN, { cut: { at: ROLE.length } }) },
    { name: 'an error event behind its role', plan: () => sse(`${ROLE}data: {"error":{"message":"boom"}}\n\n`) },
    { name: 'an error event first', plan: () => sse('data: {"error":{"message":"overloaded","code":529}}\n\n') },
    { name: 'a comment and its end', plan: () => sse(': waiting\n\n') },
    { name: 'what is no JSON', plan: () => sse(`${ROLE}data: {"choices":[\n\n`) },
  ]

  it.each(EARLY)('$name: its caller sees nothing but the answer of the next', async ({ plan }) => {
    open(2)
    upstreams[0]!.script(plan())
    upstreams[1]!.script(openaiProvider({ text: 'Another answer' }))
    const response = await app.fetch(wire.request(true))
    const text = await response.text()
    await expectNothingLeft()
    expect([response.status, response.headers.get('x-watchllm-attempts')]).toEqual([200, '2'])
    expect(text).toContain('Another')
    expect(text).not.toMatch(/boom|overloaded|Once upon/)
    expect(app.records[0]).toMatchObject({ outcome: 'done', attempts: 2, provider: 'mistral' })
    await app.close()
  })
})

describe('a provider that is asked again', () => {
  const PASSING = ['429 with a date', '500', '503', '529', 'cut before the headers', 'a refusal cut off']
  const LASTING = [
    '401',
    '429 that asks for an hour',
    '429 that means an empty account',
    '400 with a param',
    'an array',
  ]
  const named = (name: string): Fault => FAULTS.find((fault) => fault.name === name)!

  it.each(PASSING)('answers at last after %s, within the wait that it asked for', async (name) => {
    open(1, 2)
    const plans = [named(name).plan(gate()), named(name).plan(gate())]
    let turn = 0
    upstreams[0]!.script((request, index) => plans[turn++] ?? openaiProvider()(request, index))
    const since = counter()
    const answered = app.fetch(WIRES[0]!.request(false))
    let isOver = false
    void answered.then(() => {
      isOver = true
    })
    let waitedMs = 0
    while (!isOver) {
      await new Promise((resolve) => setImmediate(resolve))
      if (clock.timers === 0 || upstreams[0]!.requests.length === 0) continue
      clock.advance(10)
      waitedMs += 10
    }
    const response = await answered
    expect([response.status, response.headers.get('x-watchllm-attempts')]).toEqual([200, '3'])
    expect(since()[0]).toBe(3)
    expect(waitedMs).toBeGreaterThanOrEqual(name.startsWith('429') ? 1000 : 375)
    expect(app.records[0]).toMatchObject({ attempts: 3, outcome: 'done' })
    await app.close()
  })

  it.each(LASTING)('is not asked again after %s', async (name) => {
    open(1, 3)
    upstreams[0]!.script(named(name).plan(gate()))
    const since = counter()
    const response = await app.fetch(WIRES[0]!.request(false))
    expect([response.status, since()[0]]).toEqual([named(name).status, 1])
    expect(clock.timers).toBe(0)
    await app.close()
  })
})

describe('a caller who leaves', () => {
  interface Leaving {
    readonly phase: string
    readonly stream: boolean
    /** Of the providers, in their order. */
    plans(stood: Gate): readonly (Plan | null)[]
    /** Requests that each has got by then. */
    readonly asked: readonly number[]
    readonly retries?: number
  }
  const FAILS = (): Plan => openaiFailure(500)
  const HELD = frame({ role: 'assistant', content: '' })
  const PHASES: readonly Leaving[] = [
    { phase: 'the first target is asked', stream: false, plans: (stood) => [hang(stood)], asked: [1, 0, 0] },
    { phase: 'the second is asked', stream: false, plans: (stood) => [FAILS(), hang(stood)], asked: [1, 1, 0] },
    {
      phase: 'a stream is held back',
      stream: true,
      plans: (stood) => [sse(HELD + BEGUN, { stall: { at: HELD.length, gate: stood } })],
      asked: [1, 0, 0],
    },
    {
      phase: 'the second stream is held back',
      stream: true,
      plans: (stood) => [FAILS(), sse(HELD + BEGUN, { stall: { at: HELD.length, gate: stood } })],
      asked: [1, 1, 0],
    },
    {
      phase: 'a body is on its way',
      stream: false,
      plans: (stood) => [json('{"choices":[]}', { stall: { at: 5, gate: stood } })],
      asked: [1, 0, 0],
    },
  ]

  it.each(PHASES)('while $phase is told to the provider within 100 ms, and nobody else is asked', async (leaving) => {
    open(3, leaving.retries ?? 0)
    const stood = gate()
    const plans = leaving.plans(stood)
    for (const [at, upstream] of upstreams.entries()) upstream.script(plans[at] ?? openaiProvider())
    const since = counter()
    const leave = new AbortController()
    const answered = app
      .fetch(new Request(WIRES[0]!.request(leaving.stream), { signal: leave.signal }))
      .catch(() => null)
    await stood.reached
    await new Promise((resolve) => setImmediate(resolve))
    const leftAt = performance.now()
    leave.abort()
    const last = upstreams[leaving.asked.lastIndexOf(1)]!.requests.at(-1)!
    expect((await last.aborted) - leftAt).toBeLessThan(100)
    await answered
    expect(since()).toEqual(leaving.asked)
    await vi.waitFor(() => expect(app.records).toMatchObject([{ outcome: 'aborted', status: 499, costPico: 0 }]))
    expect(app.records[0]!.tries === null).toBe(leaving.asked[1] === 0)
    expect(clock.timers).toBe(0)
    expect(unhandled).toEqual([])
    await app.close()
  })

  it('while a target is waited for before it is asked again leaves no timer and asks nobody', async () => {
    open(1, 3)
    upstreams[0]!.script(openaiFailure(500))
    const since = counter()
    const leave = new AbortController()
    const answered = app.fetch(new Request(WIRES[0]!.request(false), { signal: leave.signal })).catch(() => null)
    await vi.waitFor(() => expect([clock.timers, since()[0]]).toEqual([1, 1]))
    leave.abort()
    await answered
    expect(clock.timers).toBe(0)
    await vi.waitFor(() => expect(app.records).toMatchObject([{ outcome: 'aborted', attempts: 1 }]))
    expect(since()[0]).toBe(1)
    await app.close()
  })
})

describe('a second target beside a slow one', () => {
  const HEDGE_MS = 300
  const late = (stood: Gate): Chooser =>
    openaiProvider({ text: 'Late but here', answer: { stall: { at: 'start', gate: stood } } })

  async function start(stream: boolean): Promise<{ answered: Promise<Response>; since: () => number[] }> {
    const since = counter()
    const answered = app.fetch(WIRES[0]!.request(stream))
    await vi.waitFor(() => expect(since()[0]).toBe(1))
    return { answered, since }
  }

  describe.each([false, true])('stream: %s', (stream) => {
    it('is asked when the first has not answered by then, and its answer is taken', async () => {
      open(3, 0, HEDGE_MS)
      const stood = gate()
      upstreams[0]!.script(hang(stood))
      upstreams[1]!.script(openaiProvider({ text: 'The faster one' }))
      const { answered, since } = await start(stream)
      await stood.reached
      clock.advance(HEDGE_MS - 1)
      await new Promise((resolve) => setImmediate(resolve))
      expect(since()).toEqual([1, 0, 0])
      clock.advance(1)
      const response = await answered
      const text = await response.text()
      await expectNothingLeft()
      expect(text).toContain(stream ? 'faster' : 'The faster one')
      expect(response.headers.get('x-watchllm-provider')).toBe('mistral')
      expect(since()).toEqual([1, 1, 0])
      await upstreams[0]!.requests.at(-1)!.aborted
      expect(app.records[0]).toMatchObject({ provider: 'mistral', attempts: 2, outcome: 'done' })
      expect(readTries(app.records[0]!.tries)).toMatchObject([{ provider: 'groq', fault: 'outrun' }])
      expect(app.records[0]!.costPico).toBe(costPico(app.records[0]!.usage, app.prices[0]!))
      await app.close()
    })

    it('is given up when the first answers after all', async () => {
      open(3, 0, HEDGE_MS)
      const [first, second] = [gate(), gate()]
      upstreams[0]!.script(late(first))
      upstreams[1]!.script(hang(second))
      const { answered, since } = await start(stream)
      clock.advance(HEDGE_MS)
      await second.reached
      first.open()
      const response = await answered
      expect(await response.text()).toContain(stream ? 'Late' : 'Late but here')
      await expectNothingLeft()
      await upstreams[1]!.requests.at(-1)!.aborted
      expect(since()).toEqual([1, 1, 0])
      expect(app.records[0]).toMatchObject({ provider: 'groq', attempts: 2, outcome: 'done' })
      expect(readTries(app.records[0]!.tries)).toMatchObject([{ provider: 'mistral', fault: 'outrun' }])
      await app.close()
    })

    it('is not asked when the first answers in time, nor when it fails: then it is its turn', async () => {
      open(2, 0, HEDGE_MS)
      upstreams[0]!.script(openaiProvider())
      const quick = await start(stream)
      expect(await (await quick.answered).text()).toContain('provider')
      expect(quick.since()).toEqual([1, 0, 0])
      await expectNothingLeft()
      upstreams[0]!.script(openaiFailure(500))
      upstreams[1]!.script(openaiProvider())
      const failed = await start(stream)
      expect(await (await failed.answered).text()).toContain('provider')
      expect(failed.since()).toEqual([1, 1, 0])
      await vi.waitFor(() => expect(clock.timers).toBe(0))
      expect(readTries(app.records[1]!.tries)).toMatchObject([{ provider: 'groq', fault: 'provider' }])
      await app.close()
    })

    it('and the slow one may both fail: the third answers', async () => {
      open(3, 0, HEDGE_MS)
      const stood = gate()
      upstreams[0]!.script(openaiFailure(500, { stall: { at: 'start', gate: stood } }))
      upstreams[1]!.script(openaiFailure(503))
      upstreams[2]!.script(openaiProvider())
      const { answered, since } = await start(stream)
      await stood.reached
      clock.advance(HEDGE_MS)
      await vi.waitFor(() => expect(since()).toEqual([1, 1, 0]))
      await upstreams[1]!.requests.at(-1)!.ended
      await new Promise((resolve) => setImmediate(resolve))
      stood.open()
      const response = await answered
      expect(await response.text()).toContain('provider')
      await expectNothingLeft()
      expect(since()).toEqual([1, 1, 1])
      expect(response.headers.get('x-watchllm-attempts')).toBe('3')
      expect(new Set(readTries(app.records[0]!.tries).map(({ fault }) => fault))).toEqual(
        new Set(['overload', 'provider']),
      )
      await app.close()
    })
  })
})
