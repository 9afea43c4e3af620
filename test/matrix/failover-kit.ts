import { afterAll, beforeAll, beforeEach, expect, vi } from 'vitest'
import { rulesOf } from '../../db/model/key-rules.ts'
import { PLANS } from '../../db/model/plans.ts'
import type { Account, Principal } from '../../server/deps.ts'
import { PROVIDER_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import type { Fault } from '../helpers/faults.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import type { Gate } from '../helpers/upstream-plan.ts'

/** What tests of going on elsewhere have in common: three providers, and what each is asked. */

/** Each speaks chat completions only, so that all other dialects are translated. */
export const PROVIDERS = ['groq', 'mistral', 'meta'] as const
export const MODEL = 'llama-3.1-8b-instant'
const OTHERS = ['mistral/mistral-large-2512', 'meta/Llama-4-Scout-17B-16E-Instruct-FP8']

interface ErrorBody {
  readonly error: { readonly code: string; readonly details: readonly { readonly reason: string }[] }
}

export interface Wire {
  readonly name: string
  request(stream: boolean): Request
  /** Our code in an error's body. */
  codeOf(body: ErrorBody): unknown
}

const MESSAGES = [{ role: 'user', content: 'Hi' }]
const openaiCode = (body: ErrorBody): unknown => body.error.code
export const WIRES: readonly Wire[] = [
  {
    name: 'chat',
    request: (stream) => post('/v1/chat/completions', { model: MODEL, messages: MESSAGES, stream }),
    codeOf: openaiCode,
  },
  {
    name: 'responses',
    request: (stream) => post('/v1/responses', { model: MODEL, input: 'Hi', store: false, stream }),
    codeOf: openaiCode,
  },
  {
    name: 'messages',
    request: (stream) => post('/v1/messages', { model: MODEL, max_tokens: 64, messages: MESSAGES, stream }),
    codeOf: openaiCode,
  },
  {
    name: 'generateContent',
    request: (stream) =>
      post(`/v1/models/${MODEL}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`, {
        contents: [{ role: 'user', parts: [{ text: 'Hi' }] }],
      }),
    codeOf: (body) => body.error.details[0]!.reason,
  },
]

/** The caller's own mistakes: nobody else is asked. */
export const CALLERS = new Set(['invalid_request', 'request_too_large'])

export let upstreams: ScriptedUpstream[]
export let clock: HandClock
export let app: TestApp
export let unhandled: unknown[]
const note = (reason: unknown): void => void unhandled.push(reason)
/** To be called once a file. */
export function bench(): void {
  beforeAll(async () => {
    upstreams = await Promise.all(PROVIDERS.map(() => startUpstream()))
    process.on('unhandledRejection', note)
  })
  afterAll(async () => {
    process.off('unhandledRejection', note)
    await Promise.all(upstreams.map((one) => one.close()))
  })
  beforeEach(() => {
    unhandled = []
  })
}

export function open(targets: number, retries = 0, hedgeAfterMs: number | null = null): void {
  clock = handClock()
  const accounts = new Map<string, Account>(
    PROVIDERS.slice(0, targets).map((id, at) => [
      id,
      { id: 'env', own: false, apiKey: PROVIDER_KEY, origin: upstreams[at]!.url, basePath: '/v1' },
    ]),
  )
  const projectSettings = { routing: { fallbacks: { [MODEL]: OTHERS }, hedgeAfterMs } }
  const principal: Principal = {
    ...{ keyId: 'key_1', kind: 'project', projectId: 'prj_1', organizationId: 'org_1' },
    plan: PLANS.find(({ id }) => id === 'unlimited')!,
    rules: rulesOf({ settings: {}, projectSettings, defaultProvider: null }),
  }
  const deps = { directory: { lookup: () => principal }, credentials: { of: (id: string) => accounts.get(id) ?? null } }
  app = testApp({ clock, settings: { retries }, deps })
}

async function passTime(settled: Promise<unknown>, stood: Gate, limitMs: number): Promise<void> {
  let over = false
  const end = (): void => {
    over = true
  }
  settled.then(end, end)
  await stood.reached
  for (let passedMs = 0; !over && passedMs < limitMs; passedMs += 1000) {
    clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How many requests each provider has got since they were counted last. */
export function counter(): () => number[] {
  const before = upstreams.map(({ requests }) => requests.length)
  return () => upstreams.map(({ requests }, at) => requests.length - before[at]!)
}

interface Seen {
  readonly response: Response
  readonly text: string
}

export async function ask(wire: Wire, stream: boolean, { fault, stood }: { fault: Fault; stood: Gate }): Promise<Seen> {
  const answered = app.fetch(wire.request(stream)).then(async (response) => ({ response, text: await response.text() }))
  if (fault.withinMs !== undefined) await passTime(answered, stood, 4 * fault.withinMs)
  return answered
}

/** What a provider still sends behind the last words of a stream is waited for. */
export async function expectNothingLeft(): Promise<void> {
  await vi.waitFor(() => expect(clock.timers).toBe(0))
  expect(unhandled).toEqual([])
  expect(app.records).toHaveLength(1)
}
