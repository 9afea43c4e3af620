import { describe, expect, it } from 'vitest'
import { dayMs } from '../../db/model/reconcile.ts'
import { reconcileJob } from '../../server/reconcile.ts'
import type { RecordedRequest } from '../helpers/upstream.ts'
import { html, json } from '../helpers/upstream-answers.ts'
import { answer, type Plan } from '../helpers/upstream-plan.ts'
import { reportsOf } from '../helpers/usage-reports.ts'
import { reconciling, used } from './reconcile-kit.ts'

describe('what providers do wrong with their reports', { timeout: 120_000 }, () => {
  const books = reconciling()
  const { reports, waits, setKey, run, compared, stored } = books

  const day = '2026-03-01'
  const costs = (results: unknown, more: object = {}) =>
    json({
      object: 'page',
      data: [{ start_time: dayMs(day) / 1000, results }],
      has_more: false,
      next_page: null,
      ...more,
    })

  const odd: readonly (readonly [name: string, plan: Plan, said: RegExp])[] = [
    ['a page of a proxy', html(200), /can not be used/],
    ['nothing', answer({ body: '' }), /can not be used/],
    ['half of an answer', json('{"object":"page","data":[{"start_'), /can not be used/],
    ['a list', json([]), /documented/],
    ['no data', json({ object: 'page', has_more: false }), /"data"/],
    ['a bucket without a time', json({ data: [{ results: [] }], has_more: false }), /"data\.0\.start_time"/],
    ['a count below zero', costs([{ model: 'm', num_model_requests: -1 }]), /num_model_requests/],
    ['a count in text', costs([{ model: 'm', num_model_requests: '5' }]), /num_model_requests/],
    ['half a token', costs([{ model: 'm', num_model_requests: 1, input_tokens: 0.5 }]), /input_tokens/],
    ['more pages without a way to them', costs([], { has_more: true }), /"has_more" without "next_page"/],
    ['a circle of pages', costs([], { has_more: true, next_page: 'again' }), /circle/],
  ]
  const oddCosts: readonly (readonly [name: string, plan: Plan, said: RegExp])[] = [
    ['an amount of words', costs([{ amount: { value: 'much', currency: 'usd' } }]), /no amount of money/],
    ['an amount without end', costs([{ amount: { value: '1e300', currency: 'usd' } }]), /no amount of money/],
    ['an amount of euros', costs([{ amount: { value: 1, currency: 'eur' } }]), /Only USD/],
    ['an amount without a currency', costs([{ amount: { value: 1 } }]), /currency/],
  ]

  const good: ReturnType<typeof reportsOf> = (request, index) => reportsOf(reports)(request, index)
  const isCosts = ({ path }: RecordedRequest) => path.startsWith('/v1/organization/costs')

  it.each(odd)('%s as usage is told as that, and nothing is stored', async (_, plan, said) => {
    await setKey('openai')
    books.upstream.script((request, index) => (isCosts(request) ? good(request, index) : plan))
    await refusedWith(502, said)
  })

  it.each(oddCosts)('%s as costs is told as that, and nothing is stored', async (_, plan, said) => {
    await setKey('openai')
    books.upstream.script((request, index) => (isCosts(request) ? plan : good(request, index)))
    await refusedWith(502, said)
  })

  it('a refused key is told as that once, not shown, and noted on the key', async () => {
    const id = await setKey('openai', { key: 'sk-admin-wrong-9876543210', save_unchecked: true })
    const asked = books.upstream.requests.length
    await refusedWith(502, /^OpenAI refuses the admin key with 401: Incorrect API key provided/)
    expect(books.upstream.requests.length - asked).toBe(1)
    const { body, text } = await books.call('reconcile.credentials')
    expect(body).toMatchObject({
      data: [{ id, hint: '3210', check_result: expect.stringContaining('refuses the admin key') }],
    })
    expect(text).not.toContain('wrong-9876543210')
  })

  it('one that limits how often it is asked is asked again when it says so', async () => {
    await setKey('openai')
    let refusals = 2
    books.upstream.script((request, index) => {
      if (!isCosts(request) || refusals-- <= 0) return good(request, index)
      return json({ error: { message: 'Too many requests' } }, { status: 429, headers: { 'retry-after': '7' } })
    })
    reports.used = [used(day, 'gpt-4o', { input: 100 })]
    const [found] = await compared({ provider: 'openai', from: day })
    expect(waits).toEqual([7_000, 7_000])
    expect(found!.theirs.cost_usd).toBe('1')
  })

  it('one that is overloaded is asked four times, ever later; then it is told', async () => {
    await setKey('openai')
    books.upstream.script(json({ error: { message: 'Overloaded' } }, { status: 503 }))
    await refusedWith(502, /^OpenAI answered 503: Overloaded$/)
    expect(waits).toEqual([1_000, 2_000, 4_000])
  })

  it('one that wants to be asked in an hour isn’t waited for', async () => {
    await setKey('openai')
    books.upstream.script(json({ error: { message: 'Slow' } }, { status: 429, headers: { 'retry-after': '3600' } }))
    await refusedWith(502, /try again in 3600 s/)
    expect(waits).toEqual([])
  })

  it('an answer that never ends is given up', async () => {
    await setKey('openai')
    const block = new TextEncoder().encode(' '.repeat(1 << 20))
    function* endless() {
      for (;;) yield block
    }
    books.upstream.script(answer({ body: endless, headers: { 'content-type': 'application/json' } }))
    await refusedWith(502, /can not be used/)
  })

  it('a connection that breaks is tried again', async () => {
    await setKey('openai')
    let broken = false
    books.upstream.script((request, index) => {
      if (broken) return good(request, index)
      broken = true
      return answer({ body: '{}', cut: { at: 'start', how: 'reset' } })
    })
    await compared({ provider: 'openai', from: day })
    expect(waits).toEqual([1_000])
  })

  async function refusedWith(status: number, said: RegExp): Promise<void> {
    const { status: got, body, text } = await run({ provider: 'openai', from: day })
    expect(got, text).toBe(status)
    expect((body as { error: { message: string } }).error.message).toMatch(said)
    expect(await stored()).toEqual([])
    expect(text).not.toContain('sk-admin')
  }

  describe('the daily job', () => {
    const nowMs = Date.UTC(2026, 2, 10, 6)
    const days = ['2026-03-08', '2026-03-09']
    const job = () => reconcileJob({ deps: books.house.deps, control: books.house.control })
    const signal = () => new AbortController().signal

    it('compares yesterday and the day before at each provider with a key, once a day', async () => {
      await setKey('openai')
      await setKey('anthropic')
      await job().run(nowMs, signal())
      await job().run(nowMs + 1_000, signal())
      const found = (await stored()).map(({ provider, day, created_by }) => [provider, day, created_by])
      expect(found.sort()).toEqual(
        ['anthropic', 'openai'].flatMap((provider) => days.map((day) => [provider, day, 'daily job'])),
      )
      await job().run(nowMs + 86_400_000, signal())
      expect(await stored()).toHaveLength(8)
    })

    it('does without providers that have no key', async () => {
      await job().run(nowMs, signal())
      expect(await stored()).toEqual([])
    })

    it('tells what one provider didn’t give, has the other’s all the same, and asks only the one again', async () => {
      await setKey('openai')
      await setKey('anthropic')
      let away = true
      books.upstream.script((request, index) => {
        const isOpenai = request.path.startsWith('/v1/organization/')
        if (away && isOpenai) return json({ error: { message: 'No' } }, { status: 403 })
        return reportsOf(reports)(request, index)
      })
      await expect(job().run(nowMs, signal())).rejects.toThrow('OpenAI refuses the admin key with 403')
      expect((await stored()).map(({ provider }) => provider)).toEqual(['anthropic', 'anthropic'])
      away = false
      await job().run(nowMs + 60_000, signal())
      expect((await stored()).map(({ provider }) => provider).sort()).toEqual([
        'anthropic',
        'anthropic',
        'openai',
        'openai',
      ])
    })

    it('stops asking when it is told to', async () => {
      await setKey('openai')
      const stop = new AbortController()
      books.upstream.script((request, index) => {
        stop.abort()
        return reportsOf(reports)(request, index)
      })
      await expect(job().run(nowMs, stop.signal)).rejects.toThrow('The reading was stopped')
      expect(await stored()).toEqual([])
    })
  })
})
