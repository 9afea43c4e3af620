import { afterEach, beforeEach } from 'vitest'
import type { Kv } from '../../db/kv/kv.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import type { AlertEvent } from '../../db/model/alerts.ts'
import { type Credits, creditsCounterOf, type Limit } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import { PLANS } from '../../db/model/plans.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import type { Account, Deps, Principal } from '../../server/deps.ts'
import { HELLO, PROJECT_KEY, PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import type { AnswerOptions, Plan } from '../helpers/upstream-plan.ts'

/** What tests of holds and charges have in common. */

export const CHAT = '/v1/chat/completions'
export const START = Date.UTC(2026, 10, 21, 12, 0, 20)
/** A USD a million tokens of prompt, two of an answer. */
export const MODEL = 'gpt-4o-mini'
export const INPUT_PICO = 1_000_000
export const OUTPUT_PICO = 2_000_000

export let upstream: ScriptedUpstream
export let clock: HandClock
export let app: TestApp
export let kv: Kv
export let events: AlertEvent[] = []

/** To be called once a file. */
export function bench(): void {
  beforeEach(async () => {
    upstream = await startUpstream()
    clock = handClock(START)
    kv = memoryKv()
    events = []
  })
  afterEach(async () => {
    await app.close()
    await upstream.close()
  })
}

export interface Setup {
  readonly limits?: readonly Limit[]
  readonly credits?: Credits | null
  /** The project has an account of its own. */
  readonly own?: boolean
  readonly deps?: Partial<Deps>
}

export const PRICES = createPrices({
  overrides: { 'openai/gpt-4o-mini': { input: 1, output: 2 }, 'openai/unlisted-*': { input: 1, output: 2 } },
})

export function setUp({ limits = [], credits = null, own = false, deps = {} }: Setup): void {
  const account: Account = { id: 'own', own: true, apiKey: PROVIDER_KEY, origin: upstream.url, basePath: '/v1' }
  const principal: Principal = {
    ...{ keyId: 'key_one', kind: 'project', projectId: 'prj_one', organizationId: 'org_one' },
    plan: PLANS.find(({ id }) => id === 'unlimited')!,
    limits,
    credits,
    ...(own ? { accounts: { of: () => account } } : {}),
  }
  app = testApp({
    upstreamUrl: upstream.url,
    clock,
    deps: {
      directory: { lookup: (secret) => (secret === PROJECT_KEY ? principal : null) },
      ...{ kv, prices: PRICES, alerts: { raise: (event) => void events.push(event) } },
      ...deps,
    },
  })
}

export function limit(what: Limit['what'], period: Limit['period'], amount: number, more: Partial<Limit> = {}): Limit {
  const counter = `${what}:${period}:prj_one`
  return { of: 'project', by: 'settings', what, period, anchorMs: null, limit: amount, hard: true, counter, ...more }
}

export function credits(grantedNano: number, more: Partial<Credits> = {}): Credits {
  return { grantedNano, spentNano: 0, multiplier: 10_000, ...more }
}

/** What is counted of a limit, holds included. */
export async function usedOf({ counter, ...rule }: Limit): Promise<number> {
  const { endMs } = periodOf(rule, clock.now())
  return (await kv.read([{ key: counter, limit: rule.limit, endMs }], clock.now()))[0]!
}

export async function spentCredits(of: Kv = kv): Promise<number> {
  const counter = { key: creditsCounterOf('org_one'), limit: 0, endMs: Number.MAX_SAFE_INTEGER }
  return (await of.read([counter], clock.now()))[0]!
}

export function call(body: object = {}, headers: Record<string, string> = {}, path = CHAT): Promise<Response> {
  return app.fetch(post(path, { ...HELLO, max_tokens: 100, ...body }, headers))
}

export interface Usage {
  readonly prompt: number
  readonly completion: number
}

const usageOf = ({ prompt, completion }: Usage) => ({
  usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
})

/** A whole answer that used so much. */
export function whole(usage: Usage, options: AnswerOptions = {}): Plan {
  const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
  return json({ id: 'c', object: 'chat.completion', created: 1, model: MODEL, choices, ...usageOf(usage) }, options)
}

const HEAD = { id: 'c', object: 'chat.completion.chunk', created: 1, model: MODEL }

export function chunk(content: string, finish: string | null = null): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: finish }]
  return `data: ${JSON.stringify({ ...HEAD, choices, usage: null })}\n\n`
}

export function streamed(usage: Usage, options: AnswerOptions = {}): Plan {
  const last = `data: ${JSON.stringify({ ...HEAD, choices: [], ...usageOf(usage) })}\n\ndata: [DONE]\n\n`
  return sse(chunk('Hi') + chunk('', 'stop') + last, options)
}

/** Pico-dollars. */
export function costOf({ prompt, completion }: Usage): number {
  return prompt * INPUT_PICO + completion * OUTPUT_PICO
}
