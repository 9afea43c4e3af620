import { afterEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import type { Fault } from '../../db/model/tries.ts'
import { allowed, fail, type Instance, instance, MINUTE_MS, mayTry } from './kit.ts'

let opened: Instance[] = []
afterEach(() => {
  for (const one of opened) {
    one.close()
    // Nothing that was waited for is left waiting.
    expect(one.clock.timers).toBe(0)
  }
  opened = []
})

function make(options: Parameters<typeof instance>[0] = {}): Instance {
  const one = instance(options)
  opened.push(one)
  return one
}

const COUNTED: readonly Fault[] = ['overload', 'provider', 'network', 'late', 'nonsense']
const ALL: readonly Fault[] = [...COUNTED, 'account', 'caller', 'model']

describe('an account that fails', () => {
  it.each(COUNTED)('is open after three failures in a row of %s, and not before', async (fault) => {
    const one = make()
    for (const isOpen of [false, false, true]) {
      one.failed('openai', 'env', fault)
      expect([one.isOpen('openai', 'env'), await mayTry(one)]).toEqual([isOpen, !isOpen])
    }
  })

  it('answers at once, without a promise, before and after', () => {
    const one = make()
    expect(one.mayTry('openai', 'env')).toBe(true)
    fail(one)
    expect(one.mayTry('openai', 'env')).toBe(false)
  })

  it('one success makes the count begin anew', async () => {
    const one = make()
    for (let i = 0; i < 10; i++) {
      fail(one, 2)
      one.succeeded('openai', 'env')
    }
    fail(one, 2)
    expect(await mayTry(one)).toBe(true)
    fail(one, 1)
    expect(await mayTry(one)).toBe(false)
  })

  it.each(['caller', 'model'] as const)('never opens by faults of %s, which say nothing of it', async (fault) => {
    const one = make()
    for (let i = 0; i < 10; i++) one.failed('openai', 'env', fault)
    expect(await mayTry(one)).toBe(true)
    expect(await one.accountHealth('openai', 'env')).toMatchObject({ consecutiveFailures: 0, lastFailureMs: null })
  })

  it('takes no other account of its provider with it, and no account of the same name elsewhere', async () => {
    const one = make()
    fail(one)
    expect([await mayTry(one, 'crd_2'), await mayTry(one, 'env', 'mistral')]).toEqual([true, true])
  })

  it('a key that is refused is open at once, and only that key', async () => {
    const one = make()
    one.failed('openai', 'crd_1', 'account')
    expect([await mayTry(one, 'crd_1'), await mayTry(one, 'env')]).toEqual([false, true])
  })

  it('stays so for ten minutes to the millisecond, however much still fails that left before', async () => {
    const one = make()
    fail(one)
    one.clock.advance(5 * MINUTE_MS)
    fail(one, 20)
    one.clock.advance(5 * MINUTE_MS - 1)
    expect([one.isOpen('openai', 'env'), await allowed([one], 50)]).toEqual([true, 0])
    one.clock.advance(1)
    expect([one.isOpen('openai', 'env'), await mayTry(one)]).toEqual([false, true])
  })

  it('is not closed by an answer to a call that left before', async () => {
    const one = make()
    fail(one)
    one.succeeded('openai', 'env')
    expect(await mayTry(one)).toBe(false)
  })
})

describe('the probe', () => {
  function due(): Instance {
    const one = make()
    fail(one)
    one.clock.advance(10 * MINUTE_MS)
    return one
  }

  it('is one call of all that ask, at once and later', async () => {
    const one = due()
    expect(await allowed([one], 200)).toBe(1)
    expect(one.isOpen('openai', 'env')).toBe(true)
    one.clock.advance(MINUTE_MS)
    expect(await allowed([one], 200)).toBe(0)
  })

  it('closes it by its success, as if nothing had been', async () => {
    const one = due()
    await mayTry(one)
    one.succeeded('openai', 'env')
    expect(await allowed([one], 50)).toBe(50)
    fail(one, 2)
    expect(await mayTry(one)).toBe(true)
  })

  it.each([...COUNTED, 'account'] as const)('opens it for ten minutes more by a failure of %s', async (fault) => {
    const one = due()
    await mayTry(one)
    one.failed('openai', 'env', fault)
    one.clock.advance(10 * MINUTE_MS - 1)
    expect(await allowed([one], 50)).toBe(0)
    one.clock.advance(1)
    expect(await allowed([one], 50)).toBe(1)
  })

  it('goes to the next when it was never made', async () => {
    const one = due()
    for (let i = 0; i < 5; i++) {
      expect(await allowed([one], 20)).toBe(1)
      one.released('openai', 'env')
    }
  })

  it('can be given back by its own call only', async () => {
    const one = due()
    one.released('openai', 'env')
    expect(await mayTry(one)).toBe(true)
    one.succeeded('openai', 'env')
    one.released('openai', 'env')
    expect(await allowed([one], 5)).toBe(5)
  })

  it('is sent again when nobody has heard of it for two minutes', async () => {
    const one = due()
    await mayTry(one)
    one.clock.advance(2 * MINUTE_MS - 1)
    expect(await allowed([one], 50)).toBe(0)
    one.clock.advance(1)
    expect(await allowed([one], 50)).toBe(1)
  })

  it('that comes late is alone for a minute at least all the same', async () => {
    const one = due()
    one.clock.advance(MINUTE_MS - 1)
    expect(await mayTry(one)).toBe(true)
    one.clock.advance(MINUTE_MS)
    expect(await allowed([one], 50)).toBe(0)
    one.clock.advance(1)
    expect(await allowed([one], 50)).toBe(1)
  })

  it('that is asked to come back later does so, and not ten minutes after', async () => {
    const one = due()
    await mayTry(one)
    one.failed('openai', 'env', 'overload', { restMs: 20_000 })
    one.clock.advance(19_999)
    expect(await allowed([one], 50)).toBe(0)
    one.clock.advance(1)
    expect(await allowed([one], 50)).toBe(1)
    one.succeeded('openai', 'env')
    expect(await allowed([one], 50)).toBe(50)
  })
})

describe('an account whose provider says when to come back', () => {
  const busy = (one: Instance, restMs: number) => one.failed('openai', 'env', 'overload', { restMs })

  it('rests until then and no longer, whatever comes meanwhile', async () => {
    const one = make()
    for (let i = 0; i < 20; i++) busy(one, 3_000)
    expect([await mayTry(one), one.isOpen('openai', 'env')]).toEqual([false, true])
    one.clock.advance(2_999)
    expect(await mayTry(one)).toBe(false)
    one.clock.advance(1)
    expect([await allowed([one], 50), one.isOpen('openai', 'env')]).toEqual([50, false])
  })

  it('never rests for more than a minute', async () => {
    const one = make()
    busy(one, 3_600_000)
    one.clock.advance(MINUTE_MS)
    expect(await mayTry(one)).toBe(true)
  })

  it('is no failure: neither counted, nor one that begins the count anew', async () => {
    const one = make()
    fail(one, 2)
    busy(one, 1_000)
    one.clock.advance(1_000)
    expect(await one.health('openai', ['env'])).toMatchObject({ status: 'healthy', consecutiveFailures: 2 })
    fail(one, 1)
    expect(await mayTry(one)).toBe(false)
    expect(await one.health('openai', ['env'])).toMatchObject({ status: 'unhealthy', consecutiveFailures: 3 })
  })

  it('rests longer each time that it is still busy, up to a minute, until it answers once', async () => {
    const one = make()
    const rests: number[] = []
    const restAgain = async (): Promise<void> => {
      busy(one, 1_000)
      const { restsUntilMs } = await one.accountHealth('openai', 'env')
      rests.push(restsUntilMs! - one.clock.now())
      one.clock.advance(rests.at(-1)!)
    }
    for (let i = 0; i < 8; i++) await restAgain()
    one.succeeded('openai', 'env')
    await restAgain()
    expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 1_000])
    one.reset()
    await restAgain()
    expect(rests.at(-1)).toBe(1_000)
  })

  it('without such a word overload counts like any failure', async () => {
    const one = make()
    for (let i = 0; i < 3; i++) one.failed('openai', 'env', 'overload', { restMs: 0 })
    one.clock.advance(9 * MINUTE_MS)
    expect(await mayTry(one)).toBe(false)
  })
})

it('memory is bounded: what has not been asked for in a long time is forgotten, and looked up again', async () => {
  const kv = memoryKv()
  let looks = 0
  const one = make({
    kv: {
      ...kv,
      read(...asked) {
        looks++
        return kv.read(...asked)
      },
    },
  })
  // It listens from now on, and takes what it knew until then for old.
  await new Promise(setImmediate)
  fail(one)
  await mayTry(one)
  for (let i = 0; i < 9_999; i++) one.isOpen('openai', `crd_${i}`)
  looks = 0
  expect([await mayTry(one, 'crd_0'), looks]).toEqual([true, 0])
  one.isOpen('openai', 'crd_more')
  looks = 0
  expect([await mayTry(one), looks]).toEqual([false, 1])
  one.clock.advance(10 * MINUTE_MS)
  expect(await allowed([one], 50)).toBe(1)
})

it('nothing that is said of an account throws, in whatever order', async () => {
  const one = make()
  const acts = [
    () => one.succeeded('openai', 'env'),
    () => one.released('openai', 'env'),
    () => one.reset('openai', 'env'),
    () => one.mayTry('openai', 'env'),
    () => one.clock.advance(4 * MINUTE_MS),
    ...ALL.flatMap((fault) => [
      () => one.failed('openai', 'env', fault),
      () => one.failed('openai', 'env', fault, { restMs: 2_000 }),
    ]),
  ]
  let seed = 7
  for (let i = 0; i < 20_000; i++) {
    seed = (seed * 48_271) % 2_147_483_647
    await acts[seed % acts.length]!()
  }
})
