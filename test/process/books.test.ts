import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Schema } from '../../db/schema/index.ts'
import { estimateTokens } from '../../server/wire/openai/usage.ts'
import { Random } from '../helpers/random.ts'
import { cleanUp, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { type Caller, callerOf, type Seen } from './books-caller.ts'
import { GRANTED, readBooks, setUp, type Written } from './books-office.ts'
import { chargeOf, costOf, ENDINGS, type Ending, PRICES, type Wanted, wanted } from './books-plan.ts'
import { type Bill, bookedProvider } from './books-provider.ts'

const CALLS = Number(process.env.WATCHLLM_CALLS ?? 10_000)
const CALLERS = 48
const SEED = Number(process.env.WATCHLLM_SEED ?? 20_261_121)
/** The gateway is killed when so many of the calls are over. */
const KILLS = [CALLS * 0.3, CALLS * 0.6]
/** A record is in the file at most so long after its caller has left. */
const RECORDED_MS = 1_500
/** Of idempotency keys whose database doesn't answer in time: asked again, as its callers are told to. */
const BUSY = 503
const TRIES = 20
/** Failures that speak against a provider: never two in a row, so that none is left out for them. */
const FAILING: ReadonlySet<Ending> = new Set(['cut', 'cut-before', 'provider-5xx', 'part-fails'])

const STATUSES: Readonly<Partial<Record<Ending, readonly number[]>>> = {
  'gone-before': [0],
  'twice-at-once': [200, BUSY],
  'twice-later': [200, BUSY],
  'cut-before': [502],
  'refused-model': [404],
  'refused-body': [400],
  'refused-key': [401],
  'refused-credits': [200, 402],
  'provider-4xx': [400],
  'provider-5xx': [502],
  'part-fails': [502],
}
const OUTCOMES: Readonly<Partial<Record<Ending, string>>> = {
  'gone-before': 'aborted',
  abort: 'aborted',
  cut: 'cut',
}

let upstream: ScriptedUpstream
beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(async () => {
  await cleanUp()
  await upstream.close()
})

/**
 * What the mock provider has on its bill is what the gateway has in its books:
 * - a call of which the provider told the usage costs that usage x price, whoever was there to read its end;
 * - a stream that broke off, or whose caller left, costs its prompt and the words that came until then. Both sides know
 *   the prompt by the provider's first event (Messages), else it is estimated. Where the provider broke off, all that it
 *   sent has come; where the caller left, at least what it has read and at most what was sent;
 * - what failed or was refused, and a second answer under one idempotency key, cost nothing;
 * - only what was under way when the gateway was killed may be on the provider's bill alone, and only if nobody was
 *   answered.
 */
it(`${CALLS} calls that end in every way, and a gateway that is killed twice: its books are the provider's own`, {
  timeout: 600_000,
}, async () => {
  const plans = planned()
  const provider = bookedProvider(plans)
  upstream.script(provider.choose)
  const dataDir = join(temporaryFolder(), 'data')
  const start = () => startServer({ dataDir, env: environment(dataDir) })
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  fs.writeFileSync(join(dataDir, '..', 'prices.json'), JSON.stringify(PRICES))
  expect(await (await start()).stop()).toEqual({ code: 0, signal: null })
  const payers = await setUp(dataDir)

  const began = performance.now()
  const run = await play(plans, start)
  const tookS = (performance.now() - began) / 1_000
  expect(upstream.faults).toEqual([])
  const written = await readBooks(dataDir)

  const sums = { cost: 0n, rich: 0n, poor: 0n, provider: 0n, lost: 0, alone: 0n }
  const wrong: string[] = []
  for (const [number, plan] of plans) {
    const seen = run.seen.get(number)!
    const rows = rowsOf(number, seen, written)
    const what = `call ${number}, ${plan.ending}, seed ${SEED}`
    const isLost = seen.some((one) => isUnsure(one, run.killedAt))
    const bills = provider.bills.get(number) ?? []
    const billed = expected(plan, { bills, rows, seen })
    const cost = rows.reduce((sum, row) => sum + BigInt(row.cost_pico ?? 0), 0n)
    const charged = rows.reduce((sum, row) => sum + BigInt(row.charged_pico ?? 0), 0n)
    if (isLost) sums.lost++
    if (isLost && rows.length === 0) {
      sums.alone += billed
      continue
    }
    sums.provider += billed
    sums.cost += cost
    if (plan.ending === 'refused-credits') sums.poor += charged
    else sums.rich += charged
    try {
      if (!isLost) checkEnds(plan, { seen, rows, what })
      expect(`${cost} pico-dollars`, what).toBe(`${billed} pico-dollars`)
      for (const row of rows) checkCharge(plan, row, what)
    } catch (error) {
      wrong.push((error as Error).message)
    }
  }
  expect(wrong.slice(0, 20), `${wrong.length} calls are not as they should be`).toEqual([])
  expect([...written.calls.keys()].filter((number) => number >= 0 && !plans.has(number))).toEqual([])

  expect(sums.lost).toBeLessThanOrEqual(KILLS.length * CALLERS)
  expect(sums.cost).toBe(sums.provider)
  expect(written.sums[0]).toMatchObject({ cost_pico: String(sums.cost), charged_pico: String(sums.rich + sums.poor) })
  expect(written.sums[1]).toEqual(written.sums[0])
  expect(written.sums[2]).toEqual(written.sums[0])
  expect(written.usagePico.get(payers.rich)).toBe(sums.rich)
  expect(written.usagePico.get(payers.poor) ?? 0n).toBe(sums.poor)
  expect(sums.poor).toBeLessThanOrEqual(GRANTED.poor)
  expect(written.unbalanced).toBe(0)
  expect(written.entriesPico).toBe('0')
  expect(written.books.differences).toEqual([])
  expect(written.books.balancePico).toBe(GRANTED.rich + GRANTED.poor - sums.rich - sums.poor)
  const ends = endsOf(plans)
  for (const ending of Object.keys(ENDINGS)) expect(ends.get(ending), ending).toBeGreaterThan(CALLS / 200)
  expect([...run.seen.values()].flat().filter(({ status }) => status === 402).length).toBeGreaterThan(0)
  console.log(
    `${run.requests} calls in ${tookS.toFixed(1)} s, of which ${sums.lost} were under way at ${KILLS.length} kills; ` +
      `${sums.cost} pico-dollars in both books, charged ${sums.rich + sums.poor}, ` +
      `${written.books.transactions} ledger transactions; ${JSON.stringify(Object.fromEntries(ends))}`,
  )
})

/** Those that the caller numbered, and those that it was told of. */
function rowsOf(number: number, seen: readonly Seen[], written: Written): readonly Schema['calls'][] {
  const told = seen.flatMap(({ id }) => (id === null ? [] : (written.byId.get(id) ?? [])))
  return [...new Set([...(written.calls.get(number) ?? []), ...told])]
}

function environment(dataDir: string): Record<string, string> {
  const at = (name: string): string => `${upstream.url}/${name}/v1`
  const names = ['OPENAI', 'GROQ', 'MISTRAL', 'DEEPSEEK', 'ANTHROPIC', 'QWEN']
  return {
    ...Object.fromEntries(names.map((name) => [`${name}_BASE_URL`, at(name.toLowerCase())])),
    ...Object.fromEntries(names.map((name) => [`${name === 'QWEN' ? 'DASHSCOPE' : name}_API_KEY`, `sk-${name}`])),
    WATCHLLM_PRICES: join(dataDir, '..', 'prices.json'),
  }
}

/** By their numbers, which their prompts name. After each that speaks against its provider comes one that does not. */
function planned(): Map<number, Wanted> {
  const random = new Random(SEED)
  const plans = new Map<number, Wanted>()
  // Some second requests are never made: their first one was lost.
  for (let requests = 0; requests < CALLS + KILLS.length * CALLERS; ) {
    const plan = wanted(random)
    plans.set(plans.size, plan)
    requests += plan.ending.startsWith('twice') ? 2 : 1
    if (!FAILING.has(plan.ending)) continue
    plans.set(plans.size, {
      ...plan,
      ending: plan.kind === 'embeddings' ? 'embeddings' : 'json',
      stream: false,
      inputs: 3,
    })
    requests++
  }
  return plans
}

function endsOf(plans: ReadonlyMap<number, Wanted>): Map<string, number> {
  const ends = new Map<string, number>()
  for (const { ending } of plans.values()) ends.set(ending, (ends.get(ending) ?? 0) + 1)
  return ends
}

interface Run {
  readonly seen: ReadonlyMap<number, readonly Seen[]>
  readonly requests: number
  readonly killedAt: readonly number[]
}

/** All calls, by many callers, while the gateway is killed and started again. */
async function play(plans: ReadonlyMap<number, Wanted>, start: () => Promise<TestServer>): Promise<Run> {
  const caller = callerOf(plans)
  const seen = new Map<number, readonly Seen[]>()
  const killedAt: number[] = []
  const turns = new Map<string, Promise<unknown>>()
  let server = await start()
  let isUp: Promise<unknown> = Promise.resolve()
  let requests = 0
  let next = 0

  async function again(): Promise<void> {
    killedAt.push(performance.now())
    expect(await server.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    server = await start()
  }

  async function one(number: number): Promise<void> {
    await isUp
    const all = await askAs(plans.get(number)!, { caller, url: server.url, number })
    seen.set(number, all)
    requests += all.length
    if (killedAt.length < KILLS.length && requests >= KILLS[killedAt.length]!) isUp = again()
  }

  async function work(): Promise<void> {
    while (next < plans.size) {
      const number = next++
      const plan = plans.get(number)!
      if (!FAILING.has(plan.ending)) {
        await one(number)
        continue
      }
      next++
      const before = turns.get(plan.provider)
      const turn = (async () => {
        await before
        await one(number)
        await one(number + 1)
      })()
      turns.set(plan.provider, turn)
      await turn
    }
  }

  await Promise.all(Array.from({ length: CALLERS }, work))
  await isUp
  caller.close()
  expect(await server.stop()).toEqual({ code: 0, signal: null })
  return { seen, requests, killedAt }
}

async function askAs(
  { ending }: Wanted,
  { caller, url, number }: { readonly caller: Caller; readonly url: string; readonly number: number },
): Promise<readonly Seen[]> {
  const idempotencyKey = `books-${number}`
  if (!ending.startsWith('twice')) return [await caller.ask(url, number)]
  const ask = async (): Promise<readonly Seen[]> => {
    const all: Seen[] = []
    do all.push(await caller.ask(url, number, { idempotencyKey }))
    while (all.at(-1)!.status === BUSY && all.length < TRIES)
    return all
  }
  if (ending === 'twice-at-once') return (await Promise.all([ask(), ask()])).flat()
  const first = await ask()
  return first.at(-1)!.isWhole ? [...first, ...(await ask())] : first
}

/** It broke off for its caller, or its caller left, about when the gateway was killed. */
function isUnsure({ isWhole, endedAt }: Seen, killedAt: readonly number[]): boolean {
  return !isWhole && killedAt.some((at) => Math.abs(endedAt - at) < RECORDED_MS)
}

interface Ended {
  readonly seen: readonly Seen[]
  readonly rows: readonly Schema['calls'][]
  readonly what: string
}

/** Each was answered as planned, and each answer has its row. */
function checkEnds({ ending }: Wanted, { seen, rows, what }: Ended): void {
  const statuses = STATUSES[ending] ?? [200]
  for (const { status, text } of seen) expect(statuses, `${what}: ${status} ${text.slice(0, 300)}`).toContain(status)
  if (ending === 'refused-key') return expect(rows, what).toEqual([])
  const leaves = ending === 'abort' || ending === 'gone-before'
  expect(
    seen.map(({ isWhole, left }) => [isWhole, left]),
    what,
  ).toEqual(seen.map(() => [!leaves, leaves]))
  const ids = rows.map(({ id }) => id)
  for (const { id } of seen) if (id !== null) expect(ids, what).toContain(id)
  expect(rows.length, what).toBe(seen.length)
  const outcomes = seen.map(({ status }) => OUTCOMES[ending] ?? (status === 200 ? 'done' : 'error'))
  expect(rows.map(({ outcome }) => outcome).sort(), what).toEqual(outcomes.sort())
}

/** What the provider's bills come to, pico-dollars. */
function expected(
  plan: Wanted,
  {
    bills,
    rows,
    seen,
  }: { readonly bills: readonly Bill[]; readonly rows: readonly Schema['calls'][]; readonly seen: readonly Seen[] },
): bigint {
  const name = `${plan.provider}/${plan.model}`
  let sum = 0n
  for (const bill of bills) {
    if (bill.is === 'counted') {
      sum += costOf(name, bill.counts)
      continue
    }
    const { prompt } = bill
    const counts =
      'messages' in prompt
        ? { fresh: estimateTokens([prompt.messages]), read: 0, write5m: 0, write1h: 0 }
        : { ...prompt }
    sum += costOf(name, { ...counts, out: plan.ending === 'abort' ? cameOf(bill.words, rows, seen) : bill.words })
  }
  return sum
}

/** Of a stream whose caller left: between what it read and what was sent. */
function cameOf(sent: number, rows: readonly Schema['calls'][], seen: readonly Seen[]): number {
  const came = rows[0]?.usage_output ?? 0
  return Math.min(sent, Math.max(came, seen[0]!.words))
}

/** Of the same provider, model and source of usage; charged as both multipliers say. */
function checkCharge(plan: Wanted, row: Schema['calls'], what: string): void {
  const cost = BigInt(row.cost_pico ?? 0)
  const owed = chargeOf(`${plan.provider}/${plan.model}`, cost)
  const charge = row.charge === null ? null : (JSON.parse(row.charge) as { waivedPico: number })
  const waived = BigInt(charge?.waivedPico ?? 0)
  if (plan.ending !== 'refused-credits') expect(waived, what).toBe(0n)
  expect(BigInt(row.charged_pico ?? 0) + waived, what).toBe(owed)
  if (cost === 0n) return
  const isText = !plan.tells || plan.ending === 'abort' || plan.ending === 'cut'
  expect([row.provider, row.model, row.usage_source], what).toEqual([
    ...[plan.provider, plan.model],
    isText ? 'estimated' : 'provider',
  ])
}
