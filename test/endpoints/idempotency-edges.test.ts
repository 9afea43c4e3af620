import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Claimed } from '../../db/model/idempotency.ts'
import type { KeyRules } from '../../db/model/key-rules.ts'
import { PLANS } from '../../db/model/plans.ts'
import type { Directory, Idempotency, Principal } from '../../server/deps.ts'
import type { Incoming } from '../../server/http.ts'
import { openEmbedded } from '../db/engines.ts'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp } from '../helpers/app.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { json } from '../helpers/upstream-answers.ts'
import { answer, type Gate, gate } from '../helpers/upstream-plan.ts'
import { CHAT, CHAT_STREAM, type IdempotencyBench, KINDS, openIdempotency, quiet } from './idempotency-kit.ts'

let bench: IdempotencyBench
let app: TestApp
let key: { 'idempotency-key': string }
let stood: Gate
let asked = 0
beforeAll(async () => {
  bench = await openIdempotency({ name: 'embedded', open: openEmbedded })
}, 120_000)
afterAll(() => bench?.close())
beforeEach(() => {
  app = bench.instance()
  key = bench.newKey()
  stood = gate()
  asked = bench.upstream.requests.length
  bench.upstream.script(CHAT.plan())
})
afterEach(() => stood.open())

const calls = () => bench.upstream.requests.length - asked

async function outcomeOf(response: Promise<Response> | Response) {
  const { status, headers, ...rest } = await response
  const text = await (await response).text()
  return { status, headers, text, replayed: headers.get('x-watchllm-replayed'), id: headers.get('x-request-id'), rest }
}

const ask = (headers: Record<string, string> = {}, on: TestApp = app) =>
  outcomeOf(on.fetch(CHAT.ask({ ...key, ...headers })))

describe('the header', () => {
  it.each([
    ['255 characters', 'k'.repeat(255), 200],
    ['every visible character', Array.from({ length: 94 }, (_, at) => String.fromCharCode(33 + at)).join(''), 200],
    ['256 characters', 'k'.repeat(256), 400],
    ['nothing', '', 400],
    ['a space', 'a b', 400],
    ['a tab', 'a\tb', 400],
    ['a letter beyond ASCII', 'schlüssel', 400],
  ])('of %s', async (_, value, status) => {
    const got = await ask({ 'idempotency-key': value })
    expect(got.status, got.text).toBe(status)
    expect(calls()).toBe(status === 200 ? 1 : 0)
    if (status === 400) expect(JSON.parse(got.text).error).toMatchObject({ param: 'idempotency-key' })
  })

  it.each<[string, Record<string, string>, boolean]>([
    ['anthropic-beta', { 'anthropic-beta': 'x' }, false],
    ['anthropic-version', { 'anthropic-version': '2023-06-01' }, false],
    ['x-watchllm-body', { 'x-watchllm-body': 'off' }, false],
    ['the same by its other name', { 'x-waddleai-body': 'off' }, false],
    ['another provider', { 'x-watchllm-route': 'p-anthropic-messages' }, false],
    ['x-request-id', { 'x-request-id': 'mine' }, true],
    ['x-watchllm-metadata', { 'x-watchllm-metadata': '{"a":1}' }, true],
    ['x-stainless-retry-count', { 'x-stainless-retry-count': '2' }, true],
    ['a content type in other words', { 'content-type': 'Application/JSON; charset=utf-8' }, true],
  ])('asked again with %s: it is the same request or a conflict', async (_, headers, isSame) => {
    const first = await ask()
    const again = await ask(headers)
    expect([again.status, again.replayed]).toEqual(isSame ? [200, first.id] : [409, null])
    expect(calls()).toBe(1)
  })

  it('in a query the API key makes no other request', async () => {
    const gemini = KINDS.find(({ name }) => name === 'Gemini on Gemini, JSON')!
    bench.upstream.script(gemini.plan())
    const by = (secret: string) => {
      const request = gemini.ask(key)
      const headers = new Headers(request.headers)
      headers.delete('authorization')
      return app.fetch(
        new Request(`${request.url}?key=${secret}`, {
          method: 'POST',
          headers,
          body: request.body,
          duplex: 'half',
        } as RequestInit),
      )
    }
    const first = await outcomeOf(by(PROJECT_KEY))
    const again = await outcomeOf(app.fetch(gemini.ask(key)))
    expect([first.status, again.replayed, calls()]).toEqual([200, first.id, 1])
  })

  it('counts for one endpoint, and test keys have keys of their own', async () => {
    const hello = (headers: Record<string, string> = {}) =>
      outcomeOf(app.fetch(post('/v1/chat/completions', HELLO, { ...key, ...headers })))
    const first = await hello()
    const embeddings = KINDS.find(({ name }) => name === 'embeddings')!
    bench.upstream.script(embeddings.plan())
    expect(await outcomeOf(app.fetch(embeddings.ask(key)))).toMatchObject({ status: 200, replayed: null })
    const sandbox = { authorization: `Bearer ${TEST_KEY}` }
    const played = await hello(sandbox)
    expect([played.status, played.replayed, played.text === first.text]).toEqual([200, null, false])
    expect((await hello(sandbox)).replayed).toBe(played.id)
    expect((await hello()).replayed).toBe(first.id)
  })

  it('on a list or a socket’s head asks for nothing', async () => {
    const head = { ...key, authorization: `Bearer ${PROJECT_KEY}` }
    bench.upstream.script(json({ object: 'list', data: [] }))
    for (let times = 0; times < 2; times++) {
      await app.fetch(new Request('http://gateway.test/v1/files', { headers: head }))
    }
    expect(calls()).toBe(2)
    const kind = KINDS.find(({ name }) => name === 'Responses on Responses, stream')!
    bench.upstream.script(kind.plan())
    const said: string[] = []
    const talk = await app.connect(socketHead({ ...head, 'x-watchllm-route': 'p-openai-responses' }))
    if (typeof talk !== 'function') throw new Error('No connection')
    const peer = { send: (text: string) => void said.push(text), waiting: 0, onDrain() {}, close() {} }
    const turns = talk(peer)
    for (const input of ['one', 'two']) {
      turns.onMessage(JSON.stringify({ type: 'response.create', model: 'some-model', input, store: false }))
    }
    await app.settled(4)
    await quiet()
    turns.onClose()
    expect(said.filter((text) => text.includes('"response.completed"'))).toHaveLength(2)
    expect(calls()).toBe(4)
  })
})

function socketHead(headers: Record<string, string>): Incoming {
  const at = { method: 'GET', path: '/v1/responses', query: '', remoteAddress: null, onGone() {} }
  return { ...at, header: (name) => headers[name] ?? null, body: () => Promise.reject(new Error('No body')) }
}

describe('what is refused before the call', () => {
  it('does not use the key up: limits, models, rules', async () => {
    const limited = bench.instance({ plan: 'free' })
    const unknown = new Request(CHAT.ask({ ...key, 'x-watchllm-route': 'nowhere' }))
    expect((await outcomeOf(limited.fetch(unknown))).status).toBe(400)
    const first = await ask({}, limited)
    expect([first.status, first.replayed]).toEqual([200, null])
    for (let times = 0; times < 8; times++) expect((await ask({}, limited)).replayed).toBe(first.id)
    expect(await ask({}, limited)).toMatchObject({ status: 429, replayed: null })
    expect((await ask()).replayed).toBe(first.id)
    expect(calls()).toBe(1)
  })

  it('a key that may not use the model gets no answer of it, and may not spoil the call of one that may', async () => {
    const rules: KeyRules = {
      ...{ models: [new Set(['openai/gpt-4o'])], endpoints: null, prefers: null },
      ...{ promptCache: 'respect', bodyAdditions: true, joinRetries: true, routing: null, bodies: null },
    }
    const directory = directoryOf({ free: principal('key_free'), bound: principal('key_bound', rules) })
    const other = bench.instance({ deps: { directory } })
    const as = (name: string) => ask({ authorization: `Bearer lgw_proj_${name}0123456789abcdef` }, other)
    expect((await as('bound')).status).toBe(403)
    const both = await Promise.all([as('bound'), as('free'), as('bound')])
    expect(both.map(({ status }) => status)).toEqual([403, 200, 403])
    expect((await as('bound')).status).toBe(403)
    expect((await as('free')).replayed).toBe(both[1]!.id)
    expect(calls()).toBe(1)
  })
})

function principal(keyId: string, rules: KeyRules | null = null): Principal {
  const plan = PLANS.find(({ id }) => id === 'unlimited')!
  return { keyId, kind: 'project', projectId: 'prj_rules', organizationId: 'org_rules', plan, rules }
}

function directoryOf(known: Readonly<Record<string, Principal>>): Directory {
  const named = (secret: string) => /^lgw_proj_([a-z]+)0/.exec(secret)?.[1] ?? ''
  return { lookup: (secret) => known[named(secret)] ?? null }
}

describe('the database', () => {
  const away: Idempotency = {
    claim: () => Promise.reject(new Error('away')),
    isRunning: () => Promise.reject(new Error('away')),
    beat: () => Promise.reject(new Error('away')),
    finish: () => Promise.reject(new Error('away')),
    release: () => Promise.reject(new Error('away')),
  }

  it('is away: rather no call than two, and calls without a key are none the wiser', async () => {
    const alone = bench.instance({ deps: { idempotency: away } })
    const got = await ask({}, alone)
    expect([got.status, got.headers.get('retry-after')]).toEqual([503, '2'])
    expect(calls()).toBe(0)
    expect((await outcomeOf(alone.fetch(CHAT.ask()))).status).toBe(200)
  })

  it('hangs: 503 after two seconds, and a claim that comes late is given back', async () => {
    const clock = handClock()
    let claimed: (claimed: Claimed) => void = () => {}
    const released: string[] = []
    const idempotency: Idempotency = {
      ...away,
      claim: () => new Promise((resolve) => (claimed = resolve)),
      release: async ({ requestId }) => void released.push(requestId),
    }
    const slow = bench.instance({ clock, deps: { idempotency } })
    const got = ask({}, slow)
    await quiet()
    clock.advance(1999)
    await quiet()
    clock.advance(1)
    const { status, id } = await got
    expect(status).toBe(503)
    claimed({ state: 'held' })
    await quiet()
    expect([released, calls()]).toEqual([[id], 0])
  })

  it.each([CHAT, CHAT_STREAM])(
    'goes away under $name: it is answered, kept in memory, and stored later',
    async (kind) => {
      bench.upstream.script(kind.plan())
      const clock = handClock(Date.now())
      let failures = 2
      const finish: Idempotency['finish'] = (...args) =>
        failures-- > 0 ? Promise.reject(new Error('away')) : bench.store.finish(...args)
      const idempotency = { ...bench.store, finish }
      const shaky = bench.instance({ clock, deps: { idempotency } })
      const first = await outcomeOf(shaky.fetch(kind.ask(key)))
      expect(first.status).toBe(200)
      const soon = await outcomeOf(shaky.fetch(kind.ask(key)))
      expect([soon.replayed, soon.text]).toEqual([first.id, first.text])
      for (let times = 0; failures >= 0 && times < 50; times++) await turn(clock)
      await turn(clock)
      const other = await outcomeOf(app.fetch(kind.ask(key)))
      expect([other.replayed, other.text, calls()]).toEqual([first.id, first.text, 1])
    },
  )
})

it.each([CHAT, CHAT_STREAM])('$name is stored before its last byte leaves', async (kind) => {
  bench.upstream.script(kind.plan())
  let stored: () => void = () => {}
  const isStoring = new Promise<void>((resolve) => {
    const finish: Idempotency['finish'] = async (...args) => {
      resolve()
      await new Promise<void>((go) => (stored = go))
      return bench.store.finish(...args)
    }
    app = bench.instance({ deps: { idempotency: { ...bench.store, finish } } })
  })
  let isRead = false
  const first = outcomeOf(app.fetch(kind.ask(key))).finally(() => (isRead = true))
  await isStoring
  await quiet()
  expect(isRead).toBe(false)
  stored()
  expect(await outcomeOf(bench.instance().fetch(kind.ask(key)))).toMatchObject({ replayed: (await first).id })
})

const NO_KEY = { id: 'none', projectId: 'none', nowMs: 0, deadBeforeMs: 0 }

/** Half a second, and all that the database has to say to it. */
async function turn(clock: HandClock): Promise<void> {
  clock.advance(500)
  for (let times = 0; times < 3; times++) {
    await quiet()
    await bench.store.isRunning(NO_KEY)
  }
}

describe('a call on another instance', () => {
  it.each([CHAT, CHAT_STREAM])('that lives is waited for, however long it takes: $name', async (kind) => {
    bench.upstream.script(kind.plan({ stall: { at: 'start', gate: stood } }))
    const clock = handClock(Date.now())
    const [one, other] = [bench.instance({ clock }), bench.instance({ clock })]
    const first = outcomeOf(one.fetch(kind.ask(key)))
    await stood.reached
    const waiting = outcomeOf(other.fetch(kind.ask(key)))
    for (let times = 0; times < 100; times++) await turn(clock)
    expect(calls()).toBe(1)
    stood.open()
    const { id, text } = await first
    for (let times = 0; times < 4; times++) await turn(clock)
    expect(await waiting).toMatchObject({ status: 200, replayed: id, text })
    expect(calls()).toBe(1)
  })

  it('that is dead is taken over after half a minute, and what it says later counts for nothing', async () => {
    bench.upstream.script(async (_, index) => {
      if (index > asked) return CHAT.plan()
      stood.reach()
      await stood.opened
      return CHAT.plan()
    })
    const clock = handClock(Date.now())
    const dead = bench.instance({ clock, deps: { idempotency: { ...bench.store, beat: async () => {} } } })
    const heir = bench.instance({ clock })
    const lost = ask({}, dead)
    await stood.reached
    const waiting = ask({}, heir)
    for (let times = 0; times < 58; times++) await turn(clock)
    expect(calls()).toBe(1)
    for (let times = 0; times < 6; times++) await turn(clock)
    const taken = await waiting
    expect([taken.status, taken.replayed, calls()]).toEqual([200, null, 2])
    stood.open()
    expect((await lost).status).toBe(200)
    expect(dead.logs.map(({ message }) => message)).toContain('An idempotency key was taken over while its call ran')
    expect((await ask()).replayed).toBe(taken.id)
  })

  it('that never ends is waited for as long as a call may take', async () => {
    const clock = handClock()
    const running: Claimed = { state: 'running', requestId: 'req_other', fingerprint: '' }
    const idempotency: Idempotency = {
      ...bench.store,
      claim: async ({ fingerprint }) => ({ ...running, fingerprint }),
      isRunning: async () => true,
    }
    const settings = { totalTimeoutMs: 5_000 }
    const got = ask({}, bench.instance({ clock, settings, deps: { idempotency } }))
    for (let times = 0; times < 14; times++) await turn(clock)
    const { status, headers, text } = await got
    expect([status, headers.get('retry-after')]).toEqual([503, '5'])
    expect(text).toContain('req_other')
  })

  it('nobody waits any more: it is not called in its place', async () => {
    const held = bench.instance({ deps: { idempotency: { ...bench.store, release: async () => {} } } })
    bench.upstream.script(CHAT.plan({ stall: { at: 'start', gate: stood } }))
    const first = ask({}, held)
    await stood.reached
    const leaving = new AbortController()
    const request = new Request(CHAT.ask(key), { signal: leaving.signal })
    const gone = outcomeOf(app.fetch(request)).catch(() => null)
    await quiet()
    leaving.abort()
    await gone
    stood.open()
    expect((await first).status).toBe(200)
    expect([calls(), app.records.map(({ outcome }) => outcome)]).toEqual([1, ['aborted']])
  })
})

describe('answers beyond 8 MiB', () => {
  const images = KINDS.find(({ name }) => name === 'images')!
  const sound = KINDS.find(({ name }) => name === 'sound in chunks')!
  const large = 'A'.repeat(8 * 1024 * 1024)
  it.each([
    ['whole', images, () => json({ created: 1, data: [{ b64_json: large }] })],
    ['bytes as they come', sound, () => answer({ headers: { 'content-type': 'audio/mpeg' }, body: `x${large}` })],
  ])(
    '%s: given once, never made again under that key',
    async (_, kind, plan) => {
      bench.upstream.script(plan())
      const first = await outcomeOf(app.fetch(kind.ask(key)))
      expect([first.status, first.text.length > large.length]).toEqual([200, true])
      for (const on of [app, bench.instance()]) {
        const again = await outcomeOf(on.fetch(kind.ask(key)))
        expect([again.status, again.headers.get('x-should-retry')]).toEqual([409, 'false'])
        expect(JSON.parse(again.text).error).toMatchObject({
          code: 'idempotency_conflict',
          details: { request_id: first.id },
        })
      }
      expect(calls()).toBe(1)
    },
    60_000,
  )
})

it('a response in the background is begun once, and everyone is told the same id', async () => {
  const kind = KINDS.find(({ name }) => name === 'stored responses, JSON')!
  bench.upstream.script(kind.plan())
  const begin = async (on: TestApp) => {
    const request = kind.ask(key)
    const body = JSON.stringify({ ...(await request.json()), background: true })
    return outcomeOf(on.fetch(new Request(request.url, { method: 'POST', headers: request.headers, body })))
  }
  const first = await begin(app)
  const [again, elsewhere] = [await begin(app), await begin(bench.instance())]
  expect(JSON.parse(first.text)).toMatchObject({ object: 'response', status: 'queued' })
  for (const { text, replayed } of [again, elsewhere]) expect([text, replayed]).toEqual([first.text, first.id])
  await app.settled(2)
  expect(calls()).toBe(1)
})
