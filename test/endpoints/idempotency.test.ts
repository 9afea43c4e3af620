import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ENGINES } from '../db/engines.ts'
import type { TestApp } from '../helpers/app.ts'
import { openaiFailure } from '../helpers/upstream-answers.ts'
import { type Gate, gate } from '../helpers/upstream-plan.ts'
import { type IdempotencyBench, KINDS, type Kind, openIdempotency, quiet, STREAMS } from './idempotency-kit.ts'

/** Calls with an idempotency key, of every kind there is: made once, and answered to everyone who asks. */

let bench: IdempotencyBench
let app: TestApp
let key: { 'idempotency-key': string }
let stood: Gate
beforeAll(async () => {
  // PostgreSQL where there is one: the store's own suite plays on both.
  bench = await openIdempotency(ENGINES.at(-1)!)
}, 120_000)
afterAll(() => bench?.close())

beforeEach(() => {
  app = bench.instance()
  key = bench.newKey()
  stood = gate()
  asked = bench.upstream.requests.length
})
afterEach(() => {
  stood.open()
  expect(bench.upstream.faults).toEqual([])
})

let asked = 0
const calls = () => bench.upstream.requests.length - asked

interface Got {
  readonly status: number
  readonly bytes: Buffer
  readonly headers: Headers
  readonly id: string | null
  readonly replayed: string | null
}

async function read(answered: Promise<Response> | Response): Promise<Got> {
  const response = await answered
  const { status, headers } = response
  const bytes = Buffer.from(await response.arrayBuffer())
  return { status, headers, bytes, id: headers.get('x-request-id'), replayed: headers.get('x-watchllm-replayed') }
}

const send = (kind: Kind, on: TestApp = app, say?: string) => on.fetch(kind.ask(key, say))

function expectReplay(again: Got, first: Got): void {
  expect(again.status, again.bytes.toString()).toBe(200)
  expect(again.bytes.equals(first.bytes)).toBe(true)
  expect(again.replayed).toBe(first.id)
  expect(again.id).toMatch(/^req_/)
  expect(again.id).not.toBe(first.id)
  const same = ['content-type', 'x-watchllm-provider', 'x-watchllm-model', 'x-watchllm-adapted', 'cache-control']
  for (const name of same) expect([name, again.headers.get(name)]).toEqual([name, first.headers.get(name)])
  expect(again.headers.get('x-watchllm-route')).toBe('replay')
}

/** In the log: the first as ever, all others without use or cost. */
async function expectOneBilled(on: readonly TestApp[], first: Got, count: number): Promise<void> {
  await quiet()
  const records = on.flatMap((instance) => instance.records)
  expect(records).toHaveLength(count)
  const original = records.find(({ id }) => id === first.id)!
  expect(original).toMatchObject({ outcome: 'done', status: 200 })
  expect(original.route).not.toBe('replay')
  for (const { provider, model, ...record } of records.filter(({ id }) => id !== first.id)) {
    expect(record).toMatchObject({ outcome: 'done', status: 200, route: 'replay', upstreamId: first.id, costPico: 0 })
    expect({ provider, model }).toEqual({ provider: original.provider, model: original.model })
    expect([record.usageSource, record.attempts, Object.values(record.usage).filter((used) => used !== 0)]).toEqual([
      'none',
      0,
      [],
    ])
  }
}

describe.each(KINDS)('$name', (kind) => {
  it('asked again: the same bytes, from no provider, billed once', async () => {
    bench.upstream.script(kind.plan())
    const first = await read(send(kind))
    expect([first.status, first.replayed], first.bytes.toString()).toEqual([200, null])
    const again = await read(send(kind))
    expectReplay(again, first)
    expectReplay(await read(send(kind)), first)
    expect(calls()).toBe(1)
    await expectOneBilled([app], first, 3)
  })

  it('asked again after a restart, and on another instance', async () => {
    bench.upstream.script(kind.plan())
    const first = await read(send(kind))
    const other = bench.instance()
    expectReplay(await read(send(kind, other)), first)
    expect(calls()).toBe(1)
    await expectOneBilled([app, other], first, 2)
  })

  it('asked five times at once: one call', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const all = Array.from({ length: 5 }, () => read(send(kind)))
    await stood.reached
    await quiet()
    stood.open()
    const got = await Promise.all(all)
    const first = got.find(({ replayed }) => replayed === null)!
    for (const again of got.filter((one) => one !== first)) expectReplay(again, first)
    expect(calls()).toBe(1)
    await expectOneBilled([app], first, 5)
  })

  it('asked on two instances at once: one call', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const other = bench.instance()
    const all = [app, other, app, other].map((on) => read(send(kind, on)))
    await stood.reached
    await quiet()
    stood.open()
    const got = await Promise.all(all)
    const first = got.find(({ replayed }) => replayed === null)!
    for (const again of got.filter((one) => one !== first)) expectReplay(again, first)
    expect(calls()).toBe(1)
    await expectOneBilled([app, other], first, 4)
  })

  it('another body under the same key: 409, while the first runs and after it, here and elsewhere', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const running = read(send(kind))
    await stood.reached
    const other = bench.instance()
    const early = [await read(send(kind, app, 'two')), await read(send(kind, other, 'two'))]
    stood.open()
    const first = await running
    const late = [await read(send(kind, app, 'two')), await read(send(kind, other, 'two'))]
    for (const { status, bytes, headers } of [...early, ...late]) {
      expect([status, headers.get('x-should-retry')]).toEqual([409, 'false'])
      expect(bytes.toString()).toContain('idempotency')
      expect(bytes.toString()).toContain(first.id)
    }
    expectReplay(await read(send(kind)), first)
    expect(calls()).toBe(1)
  })

  it('the first fails: who waits with it hears the same, who asks later calls again', async () => {
    const other = bench.instance()
    let at = 0
    bench.upstream.script(async () => {
      if (at++ > 0) return kind.plan()
      stood.reach()
      await stood.opened
      return openaiFailure(500)
    })
    const both = [read(send(kind)), read(send(kind))]
    await stood.reached
    await quiet()
    stood.open()
    for (const { status, replayed } of await Promise.all(both)) expect([status, replayed]).toEqual([502, null])
    expect(calls()).toBe(1)
    const first = await read(send(kind, other))
    expect([first.status, first.replayed]).toEqual([200, null])
    expect(calls()).toBe(2)
    expectReplay(await read(send(kind)), first)
    expect(app.records.map(({ outcome }) => outcome)).toEqual(['error', 'error', 'done'])
  })

  it('the first leaves alone: it is let go, and the next calls again', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const leaving = new AbortController()
    const gone = read(app.fetch(new Request(kind.ask(key), { signal: leaving.signal }))).catch(() => null)
    await stood.reached
    leaving.abort()
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
    await gone
    bench.upstream.script(kind.plan())
    const next = await read(send(kind))
    expect([next.status, next.replayed]).toEqual([200, null])
    expect(calls()).toBe(2)
    expect(app.records.map(({ outcome }) => outcome)).toEqual(['aborted', 'done'])
  })

  it('the first leaves while another waits: the call goes on for that one, and is billed once', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const leaving = new AbortController()
    const gone = read(app.fetch(new Request(kind.ask(key), { signal: leaving.signal }))).catch(() => null)
    await stood.reached
    const waiting = read(send(kind))
    await quiet()
    leaving.abort()
    await quiet()
    stood.open()
    const [got] = await Promise.all([waiting, gone])
    expect([got.status, calls()]).toEqual([200, 1])
    await quiet()
    expect(app.records.map(({ outcome, route }) => [outcome, route === 'replay'])).toEqual([
      ['done', false],
      ['done', true],
    ])
    expect(got.replayed).toBe(app.records[0]!.id)
    expect((await read(send(kind))).bytes.equals(got.bytes)).toBe(true)
    expect(calls()).toBe(1)
  })
})

describe.each(STREAMS)('$name', (kind) => {
  /** Stands still in the middle: what came before it has reached everybody. */
  const half = () => kind.plan({ stall: { at: 700, gate: stood } })

  async function begin(on: TestApp, signal?: AbortSignal) {
    const response = await on.fetch(new Request(kind.ask(key), signal === undefined ? {} : { signal }))
    const reader = response.body!.getReader()
    const { value } = await reader.read()
    return { response, reader, chunks: [Buffer.from(value!)] }
  }

  async function rest({ reader, chunks }: Awaited<ReturnType<typeof begin>>): Promise<Buffer> {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return Buffer.concat(chunks)
      chunks.push(Buffer.from(value))
    }
  }

  it('joined in the middle: from the first byte on, then as it comes', async () => {
    bench.upstream.script(half())
    const first = await begin(app)
    await stood.reached
    await quiet()
    const second = await begin(app)
    expect(second.response.headers.get('x-watchllm-replayed')).toBe(first.response.headers.get('x-request-id'))
    stood.open()
    const [one, two] = [await rest(first), await rest(second)]
    expect(two.equals(one)).toBe(true)
    const third = await read(send(kind))
    expect(third.bytes.equals(one)).toBe(true)
    expect(calls()).toBe(1)
    const ended = { ...third, id: first.response.headers.get('x-request-id') }
    await expectOneBilled([app], ended, 3)
  })

  it('the first leaves in the middle: with another in it it goes on, alone it ends and frees the key', async () => {
    bench.upstream.script(half())
    const leaving = new AbortController()
    const leaver = await begin(app, leaving.signal)
    await stood.reached
    const second = await begin(app)
    leaving.abort()
    await leaver.reader.read().catch(() => null)
    await quiet()
    stood.open()
    const whole = await rest(second)
    expect((await read(send(kind))).bytes.equals(whole)).toBe(true)
    expect(calls()).toBe(1)

    key = bench.newKey()
    stood = gate()
    bench.upstream.script(half())
    const again = new AbortController()
    await begin(app, again.signal)
    await stood.reached
    again.abort()
    expect(await bench.upstream.requests.at(-1)!.ended).toBe('aborted')
    bench.upstream.script(kind.plan())
    const next = await read(send(kind))
    expect([next.status, next.replayed, calls()]).toEqual([200, null, 3])
  })

  it('broken off in the middle: everybody in it is told, and the next calls again', async () => {
    bench.upstream.script(kind.plan({ stall: { at: 700, gate: stood }, cut: { at: 700 } }))
    const first = await begin(app)
    await stood.reached
    const second = await begin(app)
    stood.open()
    const [one, two] = await Promise.all([first, second].map((each) => rest(each).catch(() => null)))
    expect(two).toEqual(one)
    await quiet()
    expect(app.records.map(({ outcome }) => outcome)).toEqual(['cut', 'cut'])
    bench.upstream.script(kind.plan())
    const next = await read(send(kind))
    expect([next.status, next.replayed, calls()]).toEqual([200, null, 2])
  })
})
