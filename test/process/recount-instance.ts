import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { PLANS } from '../../db/model/plans.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import { openRecount } from '../../server/limits/recount.ts'
import type { Upstream, UpstreamHandler } from '../../server/upstream.ts'
import { HELLO, PROJECT_KEY, post, testApp } from '../helpers/app.ts'

/**
 * One instance of the line on a shared store, whose journal leads to the process that has started it: orders come on
 * stdin; on stdout go its records, when it wants them to be in the ledger, and the statuses of its calls.
 */

interface Order {
  /** `hold`: the provider doesn't answer until `release`, which resolves when all of them are over. */
  readonly do: 'calls' | 'hold' | 'release' | 'drained'
  readonly calls: number
  readonly most: number
  readonly used: number
}

const [url, organizationId, granted] = process.argv.slice(2) as [string, string, string]
const timeoutMs = 20_000
const kv = leasedKv(redisKv(url, { timeoutMs }), { id: randomBytes(16).toString('hex'), timeoutMs, beatMs: 200 })
const say = (word: object): void => void process.stdout.write(`${JSON.stringify(word)}\n`)

const waiting: (() => void)[] = []
let isHeld = false
let arrived = (): void => {}

function answer(handler: UpstreamHandler, used: number): void {
  handler.onHeaders(200, (name) => (name === 'content-type' ? 'application/json' : null))
  const usage = { prompt_tokens: 10, completion_tokens: used, total_tokens: 10 + used }
  const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
  handler.onData(Buffer.from(JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', choices, usage })))
  handler.onEnd()
}

const upstream: Upstream = {
  start(request, handler) {
    const { user, max_tokens } = JSON.parse(Buffer.from(request.body!).toString()) as {
      user: string
      max_tokens: number
    }
    const used = Math.min(Number(user), max_tokens)
    if (isHeld) waiting.push(() => answer(handler, used))
    else setTimeout(() => answer(handler, used), 2)
    arrived()
    return { abort() {}, pause() {}, resume() {} }
  },
  close: async () => {},
}

const drains: (() => void)[] = []
const journal = {
  append: (record: object, _price: unknown, written: () => void): void => {
    say({ record })
    setImmediate(written)
  },
  drained(): Promise<void> {
    say({ drain: true })
    return new Promise((resolve) => void drains.push(resolve))
  },
}

const principal = {
  ...({ keyId: 'key_one', kind: 'project', projectId: 'prj_one', organizationId } as const),
  ...{ plan: PLANS[0]!, limits: [], credits: { grantedNano: Number(granted), spentNano: 0, multiplier: 10_000 } },
}
const app = testApp({
  upstreamUrl: 'http://provider.test',
  deps: {
    ...{ kv, upstream, journal, directory: { lookup: () => principal } },
    prices: createPrices({ overrides: { 'openai/gpt-4o-mini': { input: 1, output: 2 } } }),
  },
})
const { clock, random, log } = app.deps
openRecount({
  ...{ kv, journal, clock, random, log, payers: async () => [], creditsOf: async () => null },
})

async function call({ most, used }: Order): Promise<number> {
  const body = { ...HELLO, max_tokens: most, user: String(used) }
  const response = await app.fetch(post('/v1/chat/completions', body, { authorization: `Bearer ${PROJECT_KEY}` }))
  await response.text()
  return response.status
}

let held: Promise<number>[] = []

async function obey(order: Order): Promise<void> {
  if (order.do === 'drained') return drains.shift()!()
  if (order.do === 'release') {
    isHeld = false
    for (const go of waiting.splice(0)) go()
    return say({ statuses: await Promise.all(held) })
  }
  isHeld = order.do === 'hold'
  const all = Array.from({ length: order.calls }, () => call(order))
  if (!isHeld) return say({ statuses: await Promise.all(all) })
  held = all
  let over = 0
  const isThere = new Promise<void>((resolve) => {
    arrived = () => {
      if (++over === order.calls) resolve()
    }
  })
  for (const one of all) void one.then(() => arrived())
  await isThere
  say({ statuses: [] })
}

say({ statuses: [] })
for await (const line of createInterface({ input: process.stdin })) void obey(JSON.parse(line) as Order)
await kv.close()
process.exit(0)
