import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import { counterOf, type Limit } from '../../db/model/limits.ts'
import { PLANS } from '../../db/model/plans.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import type { Upstream } from '../../server/upstream.ts'
import { HELLO, PROJECT_KEY, post, testApp } from '../helpers/app.ts'
import { Random } from '../helpers/random.ts'

/** One instance of the line over a shared store: calls of a crowd, as it is told on stdin; the books on stdout. */

interface Order {
  readonly organization: string
  readonly calls: number
  readonly seed: number
  readonly tokensADay: number
  readonly grantedNano: number
  /** Characters of a prompt, and tokens that an answer may have and has. */
  readonly prompt: number
  readonly most: number
  readonly used: number
}

const [url, token] = process.argv.slice(2) as [string, string | undefined]
// A machine that is busy with other tests is no store that is away.
const timeoutMs = 20_000
const store = token === undefined ? redisKv(url, { timeoutMs }) : upstashKv({ url, token, timeoutMs })
const kv = leasedKv(store, { id: randomBytes(16).toString('hex'), timeoutMs })

/** Answers after some milliseconds, with the usage that the request names as its user. */
const upstream: Upstream = {
  start(request, handler) {
    let isOver = false
    const { user } = JSON.parse(Buffer.from(request.body!).toString()) as { user: string }
    const [prompt, completion, afterMs] = user.split(',').map(Number) as [number, number, number]
    setTimeout(() => {
      if (isOver) return
      handler.onHeaders(200, (name) => (name === 'content-type' ? 'application/json' : null))
      const usage = { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
      const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
      handler.onData(Buffer.from(JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', choices, usage })))
      handler.onEnd()
    }, afterMs)
    return {
      abort: () => {
        isOver = true
      },
      pause() {},
      resume() {},
    }
  },
  close: async () => {},
}

async function run(order: Order): Promise<object> {
  const { organization, calls, seed, tokensADay, grantedNano, prompt, most, used } = order
  const counter = counterOf('tokens', 'day', organization)
  const limit: Limit = {
    ...{ of: 'organization', by: 'plan', what: 'tokens', period: 'day', anchorMs: null, limit: tokensADay, hard: true },
    counter,
  }
  const principal = {
    ...({ keyId: 'key_one', kind: 'project', projectId: 'prj_one', organizationId: organization } as const),
    ...{ plan: PLANS[0]!, limits: [limit], credits: { grantedNano, spentNano: 0, multiplier: 10_000 } },
  }
  const app = testApp({
    upstreamUrl: 'http://provider.test',
    deps: {
      ...{ kv, upstream, prices: createPrices({ overrides: { 'openai/gpt-4o-mini': { input: 1, output: 2 } } }) },
      directory: { lookup: () => principal },
    },
  })
  const random = new Random(seed)
  const before = kv.stats.roundTrips
  const statuses = await Promise.all(
    Array.from({ length: calls }, async () => {
      const user = `${Math.ceil(prompt / 4)},${used},${random.int(40)}`
      const content = 'lorem '.repeat(Math.ceil(prompt / 6))
      const body = { ...HELLO, messages: [{ role: 'user', content }], max_tokens: most, user }
      const response = await app.fetch(post('/v1/chat/completions', body, { authorization: `Bearer ${PROJECT_KEY}` }))
      await response.text()
      return response.status
    }),
  )
  await kv.settled()
  const charged = app.records.reduce((sum, record) => sum + (record.chargedPico ?? 0), 0)
  const tokens = app.records.reduce((sum, { usage }) => sum + usage.input + usage.output, 0)
  const count = (status: number): number => statuses.filter((one) => one === status).length
  const isOther = statuses.filter((one) => ![200, 402, 429].includes(one))
  return {
    ...{ ok: count(200), poor: count(402), spent: count(429), others: isOther, charged, tokens },
    roundTrips: kv.stats.roundTrips - before,
    away: kv.stats.away,
  }
}

process.stdout.write('{}\n')
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as Order))}\n`)
}
await kv.close()
