import { afterAll, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { rulesOf } from '../../db/model/key-rules.ts'
import { PLANS } from '../../db/model/plans.ts'
import { openBreaker } from '../../server/breaker.ts'
import type { Account, Deps, Principal } from '../../server/deps.ts'
import type { Upstream, UpstreamHandler } from '../../server/upstream.ts'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { Random } from '../helpers/random.ts'

/**
 * Hours of traffic over three instances and two providers, each good for 95 % of the time, on a clock that is moved by
 * hand: what the caller sees of it, and what the providers do.
 */

const INSTANCES = 3
const TENANTS = 5
const CALLS = 24_000
const EVERY_MS = 250
const MODEL = 'llama-3.1-8b-instant'
const PROVIDERS = ['groq', 'mistral'] as const
const ANSWER = new TextEncoder().encode(
  JSON.stringify({
    ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: MODEL },
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 },
  }),
)

type Draw = () => number

/** Whether a provider is good at a time; asked with times that only grow. */
type Weather = (nowMs: number) => boolean

/** Each call fails by itself. */
const drizzle = (draw: Draw): Weather => {
  return () => draw() >= 0.05
}

/** Good for 19 minutes and bad for one, on average. */
const storms = (draw: Draw): Weather => {
  let isUp = true
  let untilMs = 0
  return (nowMs) => {
    if (untilMs === 0) untilMs = nowMs
    while (nowMs >= untilMs) {
      isUp = !isUp || untilMs === nowMs
      untilMs += -Math.log(1 - draw()) * (isUp ? 19 * 60_000 : 60_000)
    }
    return isUp
  }
}

interface Sky {
  readonly clock: HandClock
  readonly weather: ReadonlyMap<string, Weather>
  /** Calls that came while the provider was bad. */
  vain: number
}

/** Answers in the next turn, good or bad. */
function skyUpstream(sky: Sky): Upstream {
  return {
    start({ origin }, handler: UpstreamHandler) {
      let isOver = false
      const isGood = sky.weather.get(origin)!(sky.clock.now())
      if (!isGood) sky.vain++
      queueMicrotask(() => {
        if (isOver) return
        handler.onHeaders(isGood ? 200 : 500, (name) => (name === 'content-type' ? 'application/json' : null))
        handler.onData(isGood ? ANSWER : new TextEncoder().encode('{}'))
        handler.onEnd()
      })
      return {
        abort() {
          isOver = true
        },
        pause() {},
        resume() {},
      }
    },
    close: async () => {},
  }
}

const apps: TestApp[] = []
afterAll(() => Promise.all(apps.map((app) => app.close())))

async function hours(make: (draw: Draw) => Weather) {
  const clock = handClock()
  const chance = new Random(7)
  const draw: Draw = () => chance.next()
  const random = { bytes: (length: number) => Uint8Array.from({ length }, () => chance.int(256)) }
  const origins = PROVIDERS.map((id) => `http://${id}.test`)
  const sky: Sky = { clock, weather: new Map(origins.map((origin) => [origin, make(draw)])), vain: 0 }
  const kv = memoryKv()
  const accounts = new Map<string, Account>(
    PROVIDERS.map((id, at) => [id, { id: 'env', own: false, apiKey: 'sk-1', origin: origins[at]!, basePath: '/v1' }]),
  )
  const rules = rulesOf({
    settings: {},
    projectSettings: { routing: { fallbacks: { [MODEL]: ['mistral/mistral-large-2512'] } } },
    defaultProvider: null,
  })
  const tenant = (name: string): Principal => ({
    ...{ keyId: `key_${name}`, kind: 'project', projectId: `prj_${name}`, organizationId: `org_${name}`, rules },
    plan: PLANS.find(({ id }) => id === 'unlimited')!,
  })
  const tenants = new Map(
    Array.from({ length: TENANTS }, (_, at) => [`lgw_proj_${at}`.padEnd(41, '0'), tenant(`${at}`)]),
  )
  const own = Array.from({ length: INSTANCES }, (): TestApp => {
    const log: Deps['log'] = { info() {}, warn() {}, error() {} }
    const deps: Partial<Deps> = {
      kv,
      breaker: openBreaker({ kv, clock, log }),
      upstream: skyUpstream(sky),
      directory: { lookup: (secret) => tenants.get(secret) ?? null },
      credentials: { of: (id) => accounts.get(id) ?? null },
      random,
    }
    return testApp({ clock, settings: { retries: 1 }, deps })
  })
  apps.push(...own)
  const good = new Map([...tenants.keys()].map((key) => [key, { good: 0, all: 0 }]))
  const keys = [...tenants.keys()]
  const running: Promise<void>[] = []
  for (let at = 0; at < CALLS; at++) {
    const key = keys[at % TENANTS]!
    const request = post('/v1/chat/completions', { model: MODEL, messages: [{ role: 'user', content: 'Hi' }] })
    request.headers.set('authorization', `Bearer ${key}`)
    const count = good.get(key)!
    running.push(
      own[at % INSTANCES]!.fetch(request).then(async (response) => {
        await response.text()
        count.all++
        if (response.status === 200) count.good++
      }),
    )
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(EVERY_MS)
  }
  for (let at = 0; at < 40; at++) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(EVERY_MS)
  }
  await Promise.all(running)
  return { good, sky }
}

describe.each([
  { name: 'each call of theirs fails by itself', weather: drizzle },
  { name: 'they are away for minutes at a time', weather: storms },
])('two providers that are good for 95 % of the time: $name', ({ weather }) => {
  it('answer 99.7 % of the calls of three instances together, and every tenant fares alike', {
    timeout: 120_000,
  }, async () => {
    const { good, sky } = await hours(weather)
    const all = [...good.values()]
    const share = all.reduce((sum, one) => sum + one.good, 0) / CALLS
    console.log(
      `in vain: ${sky.vain}; answered: ${(share * 100).toFixed(3)} %; by tenant ${all.map((one) => ((one.good / one.all) * 100).toFixed(2)).join(' ')}`,
    )
    expect(share).toBeGreaterThanOrEqual(0.997)
    for (const one of all) expect(one.good / one.all).toBeGreaterThanOrEqual(0.995)
    // Whoever is away is left alone: a call in twenty would go there, three open it, and then one in two seconds at most.
    expect(sky.vain).toBeLessThan(CALLS * (weather === storms ? 0.01 : 0.06))
  })
})
