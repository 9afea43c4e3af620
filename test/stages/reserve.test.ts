import { describe, expect, it } from 'vitest'
import { readCharge } from '../../db/model/charge.ts'
import type { Limit } from '../../db/model/limits.ts'
import { inputTotal, outputTotal } from '../../db/model/usage.ts'
import { Random } from '../helpers/random.ts'
import { openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'
import {
  app,
  bench,
  call,
  chunk,
  clock,
  costOf,
  credits,
  events,
  limit,
  setUp,
  spentCredits,
  streamed,
  upstream,
  usedOf,
  whole,
} from './reserve-kit.ts'

bench()

const USAGE = { prompt: 40, completion: 7 }
const PLENTY = 1_000_000_000_000

/** Every way that a call ends; each resolves when it is settled. */
const EXITS: Record<string, () => Promise<unknown>> = {
  'a whole answer': async () => {
    upstream.script(whole(USAGE))
    await (await call()).text()
  },
  'a stream': async () => {
    upstream.script(streamed(USAGE))
    await (await call({ stream: true })).text()
  },
  'a stream that breaks off': async () => {
    upstream.script(sse(chunk('Hello') + chunk('you'), { cut: { at: chunk('Hello').length + 4, how: 'reset' } }))
    await (await call({ stream: true })).text().catch(() => {})
  },
  'a caller that leaves a stream': async () => {
    const stood = gate()
    const first = chunk('Hello there')
    upstream.script(sse(first + chunk('you'), { stall: { at: first.length, gate: stood } }))
    const response = await call({ stream: true })
    const reader = response.body!.getReader()
    await reader.read()
    const settled = app.settled(1)
    await reader.cancel()
    await settled
  },
  'a provider that fails': async () => {
    upstream.script(openaiFailure(500))
    await (await call()).text()
  },
  'a refusal before any provider': async () => {
    await (await call({ model: 'nobody-knows-me' })).text()
  },
  'a refusal in strict mode': async () => {
    await (await call({ model: 'o3', temperature: 1 }, { 'x-watchllm-strict': '1' })).text()
  },
}

const LIMITS: Limit[] = (['requests', 'tokens', 'spend'] as const).flatMap((what) =>
  (['minute', 'day', 'week', 'month', 'total'] as const).flatMap((period) =>
    [true, false].map((hard) => limit(what, period, PLENTY, { hard, counter: `${what}:${period}:${hard}` })),
  ),
)

describe('what is counted when a call is over', () => {
  describe.each(Object.keys(EXITS))('by %s', (exit) => {
    it('is what it used, of every limit, and no hold stays', async () => {
      setUp({ limits: LIMITS })
      await EXITS[exit]!()
      expect(app.records).toHaveLength(1)
      const { usage, costPico, provider } = app.records[0]!
      const wanted = { tokens: inputTotal(usage) + outputTotal(usage), spend: Math.ceil(costPico! / 1000) }
      for (const rule of LIMITS) {
        const requests = provider === null && rule.period !== 'minute' ? 0 : 1
        const used = rule.what === 'requests' ? requests : wanted[rule.what]
        expect([rule.counter, await usedOf(rule)]).toEqual([rule.counter, used])
      }
    })

    it('is charged to the credits to the pico-dollar, and says how', async () => {
      setUp({ credits: credits(PLENTY, { multiplier: 12_500 }), deps: { multipliers: { of: () => 8_001 } } })
      await EXITS[exit]!()
      const { costPico, chargedPico, charge, provider } = app.records[0]!
      if (provider === null) return expect([chargedPico, charge]).toEqual([null, null])
      const exact = (BigInt(costPico!) * 12_500n * 8_001n * 2n + 100_000_000n) / 200_000_000n
      expect(chargedPico).toBe(Number(exact))
      expect(await spentCredits()).toBe(Math.ceil(Number(exact) / 1000))
      expect(readCharge(charge)).toMatchObject({
        paidBy: 'credits',
        multipliers: { organization: 12_500, model: 8_001 },
        waivedPico: 0,
      })
    })
  })

  it('over many calls is never less than what was owed, and less than a nano-dollar more', async () => {
    const spend = limit('spend', 'month', PLENTY)
    setUp({ limits: [spend], credits: credits(PLENTY, { multiplier: 3_337 }) })
    const random = new Random(5)
    for (let n = 0; n < 60; n++) {
      upstream.script(whole({ prompt: 1 + random.int(50), completion: random.int(9) }))
      await (await call()).text()
    }
    const owed = app.records.reduce((sum, { chargedPico }) => sum + chargedPico!, 0)
    for (const used of [await spentCredits(), await usedOf(spend)]) {
      expect(used * 1000 - owed).toBeGreaterThanOrEqual(0)
      expect(used * 1000 - owed).toBeLessThan(1000)
    }
  })

  it('is not charged for an account of the project, but counted as spending', async () => {
    const spend = limit('spend', 'month', PLENTY)
    setUp({ limits: [spend], credits: credits(0), own: true })
    upstream.script(whole(USAGE))
    expect((await call()).status).toBe(200)
    expect(app.records[0]).toMatchObject({ chargedPico: null, charge: '{"paidBy":"own_key"}' })
    expect(await usedOf(spend)).toBe(costOf(USAGE) / 1000)
  })

  it('does not change a window that began while the call ran', async () => {
    const tokens = limit('tokens', 'minute', 10_000)
    setUp({ limits: [tokens] })
    const stood = gate()
    upstream.script(whole(USAGE, { stall: { at: 'start', gate: stood } }))
    const answered = call()
    await stood.reached
    clock.advance(41_000)
    upstream.script(whole(USAGE))
    await (await call()).text()
    stood.open()
    await (await answered).text()
    expect(await usedOf(tokens)).toBe(47)
  })
})

describe('near a cap', () => {
  const answers = { prompt: 20, completion: 10 }

  it('nobody is refused of many at once that all fit, and nothing overshoots', async () => {
    const tokens = limit('tokens', 'day', 30 * 60)
    const purse = credits((60 * costOf(answers)) / 1000)
    setUp({ limits: [tokens], credits: purse })
    upstream.script(whole(answers))
    const long = { messages: [{ role: 'user', content: 'x' }], max_tokens: 500 }
    const found = await Promise.all(Array.from({ length: 50 }, () => call(long)))
    expect(found.map(({ status }) => status)).toEqual(found.map(() => 200))
    expect(await usedOf(tokens)).toBe(50 * 30)
    expect(await spentCredits()).toBe((50 * costOf(answers)) / 1000)
  })

  it('the answer gets shorter before the call is refused, and is said to be', async () => {
    setUp({ limits: [limit('tokens', 'day', 200)] })
    upstream.script(whole(answers))
    const response = await call({ max_tokens: 5000 })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-watchllm-adapted')).toBe('max_tokens=clamped')
    const sent = upstream.requests[0]!.json().max_tokens as number
    expect(sent).toBeLessThan(190)
    expect(sent).toBeGreaterThan(100)
  })

  it('strict calls are refused instead', async () => {
    setUp({ limits: [limit('tokens', 'day', 200)] })
    const response = await call({ max_tokens: 5000 }, { 'x-watchllm-strict': '1' })
    expect([response.status, (await response.json()).error.code]).toEqual([429, 'quota_exceeded'])
  })

  it('what not even a short answer fits is refused: a budget tells until when, credits say 402', async () => {
    const budget = limit('spend', 'day', 20, { by: 'bud_1', counter: 'bud:bud_1:0' })
    setUp({ limits: [budget] })
    const refused = await call()
    expect(refused.status).toBe(429)
    expect(refused.headers.get('x-should-retry')).toBe('false')
    expect(refused.headers.get('retry-after')).toBe(String(12 * 3600 - 20))
    expect((await refused.json()).error).toMatchObject({
      code: 'quota_exceeded',
      message: 'A budget of this project allows 0.00000002 USD a day; it begins anew at 2026-11-22T00:00:00.000Z',
      details: {
        ...{ plan: 'Unlimited', limit: '0.00000002', reset_at: '2026-11-22T00:00:00.000Z', limit_of: 'project' },
        ...{ period: 'day', what: 'spend', budget: 'bud_1' },
      },
    })
    expect(await usedOf(budget)).toBe(0)
    await app.close()
    setUp({ credits: credits(20) })
    const poor = await call()
    expect([poor.status, (await poor.json()).error.code]).toEqual([402, 'insufficient_credits'])
    expect(poor.headers.get('x-should-retry')).toBe('false')
    expect(upstream.requests).toHaveLength(0)
  })

  it('a caller waits for others to give back, and leaves the line when it goes', async () => {
    const tokens = limit('tokens', 'day', 300)
    setUp({ limits: [tokens] })
    const stood = gate()
    upstream.script(whole(answers, { stall: { at: 'start', gate: stood } }))
    const first = call({ max_tokens: 150 })
    await stood.reached
    const gone = new AbortController()
    const leaving = app
      .fetch(
        new Request('http://gateway.test/v1/chat/completions', {
          ...requestOf({ max_tokens: 150 }),
          signal: gone.signal,
        }),
      )
      .catch(() => null)
    const second = call({ max_tokens: 150 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(upstream.requests).toHaveLength(1)
    gone.abort()
    stood.open()
    expect((await first).status).toBe(200)
    expect((await second).status).toBe(200)
    await leaving
    expect(upstream.requests).toHaveLength(2)
    expect(await usedOf(tokens)).toBe(60)
  })

  it('a wait ends with the window', async () => {
    const tokens = limit('tokens', 'minute', 300)
    setUp({ limits: [tokens] })
    const stood = gate()
    upstream.script(whole(answers, { stall: { at: 'start', gate: stood } }))
    clock.advance(35_000)
    const first = call({ max_tokens: 150 })
    await stood.reached
    upstream.script(whole(answers))
    const second = call({ max_tokens: 150 })
    await new Promise((resolve) => setTimeout(resolve, 20))
    for (let step = 0; step < 30; step++) {
      clock.advance(250)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await second).status).toBe(200)
    stood.open()
    await first
  })

  it('what is used beyond a hold is paid from what is left, and waived beyond that', async () => {
    const much = { prompt: 5_000, completion: 90 }
    setUp({ credits: credits(PLENTY) })
    upstream.script(whole(much))
    await (await call()).text()
    expect(app.records[0]).toMatchObject({ chargedPico: costOf(much) })
    await app.close()
    setUp({ credits: credits((await spentCredits()) + 400_000) })
    await (await call()).text()
    const { chargedPico, charge } = app.records[0]!
    expect(chargedPico).toBe(400_000_000)
    expect(readCharge(charge)).toMatchObject({ waivedPico: costOf(much) - 400_000_000 })
    expect(await spentCredits()).toBe(costOf(much) / 1000 + 400_000)
  })
})

describe('answers of which nobody knows how long they get', () => {
  const unlisted = { model: 'openai/unlisted-one', max_tokens: undefined }

  it('whole ones are told a longest', async () => {
    setUp({ limits: [limit('tokens', 'day', PLENTY)] })
    upstream.script(whole(USAGE))
    const response = await call(unlisted)
    expect(upstream.requests[0]!.json()).toMatchObject({ max_tokens: 8192 })
    expect(response.headers.get('x-watchllm-adapted')).toBe('max_tokens=clamped')
  })

  it('streams go on as long as more can be taken, and are cut cleanly where nothing is left', async () => {
    const tokens = limit('tokens', 'day', 20_000)
    setUp({ limits: [tokens] })
    const words = 'lorem '.repeat(400)
    upstream.script(sse(Array.from({ length: 100 }, () => chunk(words)).join('')))
    const response = await call({ ...unlisted, stream: true, stream_options: { include_usage: true } })
    const text = await response.text()
    const frames = text.split('\n\n').filter((frame) => frame.startsWith('data: {'))
    const values = frames.map((frame) => JSON.parse(frame.slice(6)))
    expect(values.some((value) => value.choices?.[0]?.finish_reason === 'length')).toBe(true)
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true)
    expect(values.at(-1).usage.completion_tokens).toBeGreaterThan(18_000)
    expect(app.records[0]).toMatchObject({ outcome: 'done', usageSource: 'estimated', adapted: 'max_tokens=clamped' })
    expect(Math.abs((await usedOf(tokens)) - 20_000)).toBeLessThan(500)
  })
})

describe('prices that nobody knows', () => {
  it('are refused where credits or a hard limit on spending would pay, and nowhere else', async () => {
    const body = { model: 'openai/nobody-knows-its-price' }
    for (const setup of [{ credits: credits(PLENTY) }, { limits: [limit('spend', 'month', PLENTY)] }]) {
      setUp(setup)
      const response = await call(body)
      expect([response.status, (await response.json()).error.code]).toEqual([400, 'unknown_model_pricing'])
      await app.close()
    }
    upstream.script(whole(USAGE))
    for (const setup of [
      { limits: [limit('spend', 'month', PLENTY, { hard: false })] },
      { credits: credits(PLENTY), own: true },
      { limits: [limit('tokens', 'month', PLENTY)] },
    ]) {
      setUp(setup)
      expect((await call(body)).status).toBe(200)
      await app.close()
    }
    setUp({})
    expect(events.filter(({ kind }) => kind === 'price_missing')).toHaveLength(3)
  })
})

describe('people are told', () => {
  it('once when half, four fifths and all of a limit are used, soft ones too, and when credits get low', async () => {
    const hard = limit('tokens', 'day', 470)
    const soft = limit('tokens', 'month', 94, { hard: false, by: 'bud_7', counter: 'bud:bud_7:0' })
    setUp({ limits: [hard, soft], credits: credits((costOf(USAGE) / 1000) * 10) })
    upstream.script(whole(USAGE))
    for (let n = 0; n < 9; n++) await (await call({ max_tokens: 10 })).text()
    const told = events.map((event) => ('percent' in event ? [event.counter, event.percent] : [event.kind]))
    expect(told).toEqual([
      ['bud:bud_7:0', 50],
      ['bud:bud_7:0', 80],
      ['bud:bud_7:0', 100],
      ['tokens:day:prj_one', 50],
      ['tokens:day:prj_one', 80],
      ['credits_low'],
    ])
    expect(events[0]).toMatchObject({
      kind: 'budget',
      projectId: 'prj_one',
      keyId: null,
      what: 'tokens',
      period: 'month',
    })
  })
})

describe('headers', () => {
  it('tell of tokens of a minute and a day', async () => {
    setUp({
      limits: [
        limit('tokens', 'minute', 5_000),
        limit('tokens', 'day', 40_000),
        limit('tokens', 'day', 30_000, { counter: 'x' }),
      ],
    })
    upstream.script(whole(USAGE))
    await (await call()).text()
    const { headers } = await call()
    const shown = ['limit-tokens', 'remaining-tokens', 'reset-tokens', 'limit-daily', 'remaining-daily']
    expect(shown.map((name) => headers.get(`x-ratelimit-${name}`))).toEqual(['5000', '4953', '40s', '30000', '29953'])
  })
})

it('random calls of all kinds at once leave the books as the provider has them', async () => {
  const rules = [limit('tokens', 'day', PLENTY), limit('spend', 'total', PLENTY), limit('requests', 'month', PLENTY)]
  setUp({ limits: rules, credits: credits(PLENTY) })
  const random = new Random(11)
  upstream.script((request) => {
    const { stream, user } = request.json() as { stream?: boolean; user: string }
    const [prompt, completion] = user.split(',').map(Number) as [number, number]
    if (completion === 0) return openaiFailure(503)
    return stream === true ? streamed({ prompt, completion }) : whole({ prompt, completion })
  })
  await Promise.all(
    Array.from({ length: 150 }, async () => {
      const user = `${1 + random.int(90)},${random.int(80)}`
      return (await call({ user, stream: random.int(2) === 1 })).text()
    }),
  )
  const sum = (of: (record: (typeof app.records)[number]) => number) =>
    app.records.reduce((all, one) => all + of(one), 0)
  expect(app.records).toHaveLength(150)
  expect(await usedOf(rules[0]!)).toBe(sum(({ usage }) => inputTotal(usage) + outputTotal(usage)))
  expect(await usedOf(rules[1]!)).toBe(sum(({ costPico }) => costPico!) / 1000)
  expect(await usedOf(rules[2]!)).toBe(150)
  expect(await spentCredits()).toBe(sum(({ chargedPico }) => chargedPico!) / 1000)
})

function requestOf(body: object): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer lgw_proj_0123456789abcdef0123456789abcdef' },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello!' }], ...body }),
  }
}
