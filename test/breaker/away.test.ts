import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { hasRedis, startRedis } from '../helpers/redis.ts'
import { allowed, fail, type Instance, instance, MINUTE_MS, mayTry } from './kit.ts'

const SOON = { timeout: 10_000 }
const broken = (): never => {
  throw new Error('Broken')
}
const away = () => Promise.reject(new Error('Away'))
const never = () => new Promise<never>(() => {})

/** Ways in which a kv can be no help. */
const AWAYS: readonly { readonly name: string; readonly does: () => Promise<never> }[] = [
  { name: 'rejects', does: away },
  { name: 'throws', does: broken },
  { name: 'never answers', does: never },
]

let opened: Instance[] = []
afterEach(() => {
  for (const one of opened) one.close()
  opened = []
})

function make(kv: Kv, clock: HandClock): Instance {
  const one = instance({ kv, clock })
  opened.push(one)
  return one
}

/** One whose every method does that. */
function useless(does: () => Promise<never>): Kv {
  const all = { take: does, takeAll: does, add: does, atLeast: does, read: does, publish: does, subscribe: does }
  return { ...all, ping: does, close: async () => {} }
}

describe.each(AWAYS)('with a kv that $name', ({ does }) => {
  /** Time goes by until it is answered. */
  async function inTime<T>(clock: HandClock, answer: Promise<T>): Promise<T> {
    let isDone = false
    void answer.finally(() => {
      isDone = true
    })
    for (let turn = 0; !isDone && turn < 20; turn++) {
      await new Promise(setImmediate)
      if (!isDone) clock.advance(100)
    }
    return answer
  }

  it('an instance goes by what it sees, with a probe of its own, and nothing throws', async () => {
    const clock = handClock()
    const one = make(useless(does), clock)
    expect(await inTime(clock, mayTry(one))).toBe(true)
    fail(one)
    expect([one.isOpen('openai', 'env'), await mayTry(one)]).toEqual([true, false])
    clock.advance(10 * MINUTE_MS)
    expect(await inTime(clock, allowed([one], 50))).toBe(1)
    one.released('openai', 'env')
    expect(await inTime(clock, allowed([one], 50))).toBe(1)
    one.failed('openai', 'env', 'late')
    expect(await mayTry(one)).toBe(false)
    clock.advance(10 * MINUTE_MS)
    expect(await inTime(clock, mayTry(one))).toBe(true)
    one.succeeded('openai', 'env')
    expect(await allowed([one], 50)).toBe(50)
    one.failed('openai', 'env', 'overload', { restMs: 1_000 })
    fail(one)
    one.reset()
    expect(await mayTry(one)).toBe(true)
    expect(await inTime(clock, one.health('mistral', ['env', 'crd_1']))).toMatchObject({ status: 'healthy' })
  })

  it('a call is held up for a second at most, and the next ones not at all', async () => {
    const clock = handClock()
    const one = make(useless(does), clock)
    const startMs = clock.now()
    expect(await inTime(clock, mayTry(one))).toBe(true)
    expect(clock.now() - startMs).toBeLessThanOrEqual(1_000)
    expect(one.mayTry('openai', 'env')).toBe(true)
  })

  it('it is told to the log once', async () => {
    const clock = handClock()
    const one = make(useless(does), clock)
    for (let i = 0; i < 20; i++) await inTime(clock, mayTry(one, `crd_${i}`))
    expect(one.logged.filter(({ message }) => message.includes('can not be told or asked'))).toHaveLength(1)
  })
})

it('a kv that refuses since it is away itself keeps nobody from probing', async () => {
  const clock = handClock()
  const one = make({ ...memoryKv(), takeAll: () => REFUSED, ping: away }, clock)
  fail(one)
  clock.advance(10 * MINUTE_MS)
  expect(await allowed([one], 50)).toBe(1)
})

const REFUSED = { allowed: false, refused: 0, resetMs: 0, remaining: [0, 0] }

/** A memory whose words to one listener can be lost, as with a broken connection. */
function lossy() {
  const kv = memoryKv()
  const lines: { isCut: boolean; missed: () => void }[] = []
  return {
    kv,
    lines,
    connect(): Kv {
      const line = { isCut: false, missed: () => {} }
      lines.push(line)
      return {
        ...kv,
        publish: (channel, text) => (line.isCut ? away() : kv.publish(channel, text)),
        subscribe(channel, hear, missed = () => {}) {
          line.missed = missed
          return kv.subscribe(channel, (text) => (line.isCut ? undefined : hear(text)))
        },
      }
    },
  }
}

describe('an instance that missed words', () => {
  it('looks for itself, and says again what the others may have missed', async () => {
    const clock = handClock()
    const net = lossy()
    const [a, b] = [make(net.connect(), clock), make(net.connect(), clock)]
    await new Promise(setImmediate)
    const [mine] = net.lines
    for (const one of [a, b]) for (const account of ['crd_1', 'crd_2']) expect(await mayTry(one, account)).toBe(true)
    mine!.isCut = true
    fail(a, 3, 'crd_1')
    fail(b, 3, 'crd_2')
    expect([await mayTry(b, 'crd_1'), await mayTry(a, 'crd_2')]).toEqual([true, true])
    mine!.isCut = false
    mine!.missed()
    expect([await mayTry(a, 'crd_2'), await mayTry(b, 'crd_1')]).toEqual([false, false])
  })

  it('looks for itself even where nobody is left who could tell it', async () => {
    const clock = handClock()
    const net = lossy()
    const [a, b] = [make(net.connect(), clock), make(net.connect(), clock)]
    await new Promise(setImmediate)
    await mayTry(b)
    net.lines[1]!.isCut = true
    fail(a)
    a.close()
    expect(await mayTry(b)).toBe(true)
    net.lines[1]!.isCut = false
    net.lines[1]!.missed()
    expect(await mayTry(b)).toBe(false)
  })

  it('does so too when it begins to listen', async () => {
    const clock = handClock()
    const kv = memoryKv()
    let listen = (): void => {}
    const listening = new Promise<void>((resolve) => {
      listen = resolve
    })
    const slow: Kv = { ...kv, subscribe: (...given) => listening.then(() => kv.subscribe(...given)) }
    const [a, b] = [make(kv, clock), make(slow, clock)]
    await mayTry(b)
    fail(a)
    expect(await mayTry(b)).toBe(true)
    listen()
    await new Promise(setImmediate)
    expect(await mayTry(b)).toBe(false)
  })

  it('hears what went wrong from those who saw it, where it had found the bare fact', async () => {
    const clock = handClock()
    const kv = memoryKv()
    fail(make(kv, clock), 4)
    await new Promise(setImmediate)
    const late = make(kv, clock)
    const open = { status: 'unhealthy', restsUntilMs: clock.now() + 10 * MINUTE_MS, lastFailureMs: clock.now() }
    expect(late.isOpen('openai', 'env')).toBe(true)
    await new Promise(setImmediate)
    expect(await late.accountHealth('openai', 'env')).toEqual({ ...open, consecutiveFailures: 4, fault: 'provider' })
  })

  it('is told what could not be said, as soon as it can', async () => {
    const clock = handClock()
    const net = lossy()
    const [a, b] = [make({ ...net.connect(), atLeast: () => {} }, clock), make(net.connect(), clock)]
    await new Promise(setImmediate)
    await mayTry(b)
    net.lines[0]!.isCut = true
    for (const account of ['env', 'crd_1', 'crd_2']) fail(a, 3, account)
    await new Promise(setImmediate)
    expect(clock.timers).toBe(1)
    for (let i = 0; i < 5; i++) {
      clock.advance(1_000)
      await new Promise(setImmediate)
    }
    expect(await mayTry(b)).toBe(true)
    net.lines[0]!.isCut = false
    clock.advance(10_000)
    await new Promise(setImmediate)
    expect([await mayTry(b), await mayTry(b, 'crd_2')]).toEqual([false, false])
    net.lines[0]!.isCut = true
    a.reset()
    await new Promise(setImmediate)
    expect(clock.timers).toBe(1)
    a.close()
    expect(clock.timers).toBe(0)
  })

  it('asks again at once for a probe that another gives back, and after a while if it didn’t hear of it', async () => {
    const clock = handClock()
    const net = lossy()
    const [a, b] = [make(net.connect(), clock), make(net.connect(), clock)]
    await new Promise(setImmediate)
    fail(a)
    clock.advance(10 * MINUTE_MS)
    expect([await allowed([a], 20), await allowed([b], 20)]).toEqual([1, 0])
    a.released('openai', 'env')
    expect([await allowed([b], 20), await allowed([a], 20)]).toEqual([1, 0])
    net.lines[0]!.isCut = true
    b.released('openai', 'env')
    clock.advance(4_999)
    expect(await allowed([a], 20)).toBe(0)
    clock.advance(1)
    expect(await allowed([a], 20)).toBe(1)
  })

  it('never lets a second probe go, nor a call after another’s probe has failed', async () => {
    const clock = handClock()
    const net = lossy()
    const [a, b] = [make(net.connect(), clock), make(net.connect(), clock)]
    await new Promise(setImmediate)
    for (const one of [a, b]) await mayTry(one)
    fail(a)
    expect(b.isOpen('openai', 'env')).toBe(true)
    net.lines[1]!.isCut = true
    clock.advance(10 * MINUTE_MS)
    expect(await allowed([a], 20)).toBe(1)
    expect(await allowed([b], 20)).toBe(0)
    a.failed('openai', 'env', 'provider')
    clock.advance(MINUTE_MS)
    expect(await allowed([b], 20)).toBe(0)
    clock.advance(9 * MINUTE_MS)
    expect(await allowed([b, a], 20)).toBe(1)
  })
})

it('words of another version, or of nobody, change nothing', async () => {
  const kv = memoryKv()
  const one = make(kv, handClock())
  await new Promise(setImmediate)
  const of = { provider: 'openai', account: 'env' }
  const words = [
    ...['', '{', 'null', '7', '[]', '{}', { is: 'phase' }, { is: 'phase', ...of }, { is: 'phase', ...of, phase: 'x' }],
    ...[
      { is: 'phase', ...of, phase: -1 },
      { is: 'phase', ...of, phase: 1.5 },
      { is: 'phase', ...of, phase: 2 ** 60 },
      { is: 'phase', ...of, phase: '7' },
      { is: 'rest', ...of, untilMs: '9e15' },
    ],
    ...[
      { is: 'rest', ...of, untilMs: null },
      { is: 'reset', phase: 4 },
      { is: 'other', ...of },
      { ...of, is: 'free' },
    ],
  ]
  for (const word of words) await kv.publish('breaker', typeof word === 'string' ? word : JSON.stringify(word))
  expect(await one.accountHealth('openai', 'env')).toMatchObject({ status: 'healthy', restsUntilMs: null })
})

it('a clock that is far ahead keeps nobody away for longer than ten minutes', async () => {
  const kv = memoryKv()
  const [early, late] = [handClock(), handClock()]
  early.advance(60 * MINUTE_MS)
  const [ahead, here] = [make(kv, early), make(kv, late)]
  await new Promise(setImmediate)
  fail(ahead)
  expect(here.isOpen('openai', 'env')).toBe(true)
  late.advance(10 * MINUTE_MS)
  expect(await allowed([here], 20)).toBe(1)
  here.succeeded('openai', 'env')
  expect(await allowed([ahead, here], 20)).toBe(20)
  fail(ahead)
  expect(await mayTry(here)).toBe(false)
  here.reset()
  expect(await allowed([ahead, here], 20)).toBe(20)
  fail(here)
  expect([await mayTry(ahead), await mayTry(here)]).toEqual([false, false])
  ahead.failed('openai', 'crd_1', 'overload', { restMs: 30_000 })
  late.advance(MINUTE_MS)
  expect(await mayTry(here, 'crd_1')).toBe(true)
})

describe.skipIf(!hasRedis())('Redis itself', () => {
  let dispose: (() => Promise<void>) | null = null
  afterAll(() => dispose?.())

  it('killed while an account is open: each instance probes for itself; back again, they agree', async () => {
    const redis = await startRedis()
    const clock = handClock()
    const kvs = [0, 1].map(() =>
      leasedKv(redisKv(redis.url, { timeoutMs: 1_000 }), { id: randomBytes(16).toString('hex'), timeoutMs: 1_000 }),
    )
    dispose = async () => {
      await Promise.all(kvs.map((kv) => kv.close()))
      await redis.kill()
    }
    await Promise.all(kvs.map((kv) => kv.ping()))
    const both = kvs.map((kv) => make(kv, clock))
    const [a, b] = both as [Instance, Instance]
    const agree = () => both.map((one) => one.isOpen('openai', 'env'))
    for (const one of both) await mayTry(one)
    await Promise.all(kvs.map((kv) => kv.subscribe('x', () => {})))
    fail(a)
    await expect.poll(agree, SOON).toEqual([true, true])
    await redis.kill()
    clock.advance(10 * MINUTE_MS)
    expect([await allowed([a], 50), await allowed([b], 50)]).toEqual([1, 1])
    a.failed('openai', 'env', 'network')
    b.succeeded('openai', 'env')
    expect(agree()).toEqual([true, false])
    // With nothing in it: they tell it, and each other.
    await redis.start()
    const heard = async () => {
      clock.advance(1_000)
      await mayTry(b)
      return agree()
    }
    await expect.poll(heard, { timeout: 20_000 }).toEqual([true, true])
  }, 40_000)
})
