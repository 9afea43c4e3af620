import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../db/kv/memory.ts'
import type { AlertEvent } from '../db/model/alerts.ts'
import { OWN_KEY_CHARGE } from '../db/model/charge.ts'
import { KEYS_CHANNEL } from '../db/stores/keys.ts'
import { PROVIDER_LIMITS, type ProviderLimitStore } from '../db/stores/provider-limits.ts'
import type { Account, Accounts } from '../server/deps.ts'
import { openDirectory, sha256 } from '../server/directory.ts'
import { type OpenPauses, openPauses, spendCounterOf } from '../server/pauses.ts'
import { systemRandom } from '../server/runtime/system.ts'
import { changeOf } from './db/control.ts'
import { ENGINES, type TestDatabase } from './db/engines.ts'
import { sampleCall } from './db/samples.ts'
import { HELLO, PROVIDER_KEY, post, type TestApp, testApp } from './helpers/app.ts'
import { type HandClock, handClock } from './helpers/clock.ts'
import { type ScriptedUpstream, startUpstream } from './helpers/upstream.ts'
import { openaiProvider } from './helpers/upstream-openai.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NOON_MS = Date.UTC(2026, 4, 17, 12)
/** Of a project that has brought its own key for OpenAI. */
const OWNER_KEY = 'lgw_proj_owner0123456789abcdef0123456789'
const STOP_NANO = 100_000
const SOON = { timeout: 10_000 }

interface Instance {
  readonly app: TestApp
  readonly pauses: OpenPauses
  readonly alerts: AlertEvent[]
}

/** Two instances on one database and one kv. */
describe.each(ENGINES)('a day’s stop on $name', (engine) => {
  let on: TestDatabase
  let upstream: ScriptedUpstream
  let clock: HandClock
  let kv: ReturnType<typeof memoryKv>
  let instances: Instance[] = []
  beforeAll(async () => {
    on = await engine.open()
    await on.database.listen(KEYS_CHANNEL, (id) => {
      if (id === PROVIDER_LIMITS) for (const { pauses } of instances) void pauses.reload()
    })
  }, 120_000)
  afterAll(() => on?.dispose())
  beforeEach(async () => {
    upstream = await startUpstream()
    upstream.script(openaiProvider())
    clock = handClock(NOON_MS)
    kv = memoryKv()
    instances = [await instance(), await instance()]
  }, 120_000)
  afterEach(async () => {
    for (const { app, pauses } of instances) {
      pauses.close()
      await app.close()
    }
    instances = []
    await upstream.close()
    const { db } = on.database
    await sql`truncate provider_limits, usage_hourly, usage_daily, calls, audit_log`.execute(db)
  })

  async function instance(limits: Pick<ProviderLimitStore, 'list' | 'pauseReached'> = on.stores.providerLimits) {
    const alerts: AlertEvent[] = []
    const parts = { seeds: on.stores.usageSeeds, kv, clock, random: systemRandom(), log: SILENT }
    const pauses = openPauses({ ...parts, limits, raise: (event) => void alerts.push(event) })
    await pauses.load()
    const app = testApp({ upstreamUrl: upstream.url, clock, deps: { pauses, kv } })
    const { deps } = app
    const own: Accounts = { of: (provider) => (provider === 'openai' ? ownAccount(upstream.url) : null) }
    const find = async (hash: string) => {
      if (hash !== sha256(OWNER_KEY)) return null
      const principal = await deps.directory.lookup(KEY)
      return { ...principal!, keyId: 'key_owner', accounts: own, expiresAtMs: null, revokedAtMs: null }
    }
    const owners = openDirectory({ find, clock, log: SILENT })
    const directory = { lookup: (secret: string) => (secret === OWNER_KEY ? owners : deps.directory).lookup(secret) }
    await app.close()
    return { app: testApp({ upstreamUrl: upstream.url, clock, deps: { pauses, kv, directory } }), pauses, alerts }
  }

  const call = ({ app }: Instance, more: { key?: string; model?: string } = {}): Promise<Response> => {
    const headers: Record<string, string> = more.key === undefined ? {} : { authorization: `Bearer ${more.key}` }
    return app.fetch(post('/v1/chat/completions', { ...HELLO, model: more.model ?? 'gpt-4o-mini' }, headers))
  }
  const counted = async (provider = 'openai'): Promise<number> => {
    const counter = spendCounterOf(provider, { stopNano: STOP_NANO, nowMs: clock.now() })
    return (await kv.read([counter], clock.now()))[0]!
  }
  const setStop = async (stopNano: number | null) => {
    await on.stores.providerLimits.setStop(changeOf({ atMs: clock.now() }), 'openai', stopNano)
    for (const { pauses } of instances) await pauses.reload()
  }
  const areHeldUp = async () => Promise.all(instances.map(async (one) => (await call(one)).status))
  const limit = async () => (await on.stores.providerLimits.list()).find(({ provider }) => provider === 'openai')
  const raised = () => instances.flatMap(({ alerts }) => alerts)
  const spentPico = () =>
    instances.flatMap(({ app }) => app.records).reduce((sum, record) => sum + (record.costPico ?? 0), 0)

  it('pauses the provider everywhere when all instances together have reached it, and says so once', async () => {
    await setStop(STOP_NANO)
    let calls = 0
    while (spentPico() < STOP_NANO * 1_000) {
      expect((await call(instances[calls++ % 2]!)).status).toBe(200)
    }
    expect(calls).toBeGreaterThan(5)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    const response = await call(instances[0]!)
    expect([response.status, (await response.json()).error]).toEqual([
      429,
      {
        message: expect.stringContaining('OpenAI'),
        type: 'rate_limit_error',
        param: null,
        code: 'provider_paused',
        details: { provider: 'openai' },
      },
    ])
    expect(response.headers.get('x-should-retry')).toBe('false')
    expect(Number(response.headers.get('retry-after'))).toBe(60)
    const reason = expect.stringContaining('0.0001 USD')
    await expect.poll(limit, SOON).toMatchObject({ pausedAtMs: NOON_MS, pausedReason: reason })
    await expect.poll(raised, SOON).toHaveLength(1)
    expect(raised()).toEqual([
      { kind: 'provider_paused', organizationId: null, provider: 'openai', reason: (await limit())!.pausedReason },
    ])
    const entries = await on.database.db
      .selectFrom('audit_log')
      .selectAll()
      .where('actor_kind', '=', 'system')
      .execute()
    expect(entries).toHaveLength(1)
    expect(await counted()).toBe(Math.floor(spentPico() / 1_000))
  })

  it('many calls that reach it at once pause it once', async () => {
    await setStop(1)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call(instances[i % 2]!)))
    expect(answers.some(({ status }) => status === 200)).toBe(true)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    await expect.poll(raised, SOON).toHaveLength(1)
  })

  it('holds up nobody who brings a key of their own, and doesn’t count what they spend', async () => {
    await setStop(STOP_NANO)
    for (let i = 0; i < 30; i++) expect((await call(instances[i % 2]!, { key: OWNER_KEY })).status).toBe(200)
    expect(spentPico()).toBeGreaterThan(STOP_NANO * 1_000)
    expect(await counted()).toBe(0)
    await on.stores.providerLimits.pause(changeOf(), 'openai', 'By hand')
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    expect((await call(instances[0]!, { key: OWNER_KEY })).status).toBe(200)
  })

  it('other providers go on, and auto goes to them', async () => {
    await on.stores.providerLimits.pause(changeOf(), 'openai', 'By hand')
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    expect((await call(instances[0]!, { model: 'mistral/mistral-small-latest' })).status).toBe(200)
    const auto = await call(instances[1]!, { model: 'auto:fast' })
    expect(auto.headers.get('x-watchllm-provider')).not.toBe('openai')
    expect(auto.status).not.toBe(429)
  })

  it('GET /v1/providers/health says which are paused, to those whom it holds up', async () => {
    const health = async (key?: string) => {
      const headers = { authorization: `Bearer ${key ?? KEY}` }
      const response = await instances[0]!.app.fetch(
        new Request('http://gateway.test/v1/providers/health', { headers }),
      )
      expect(response.status).toBe(200)
      return response.json()
    }
    const well = { status: 'healthy', consecutive_failures: 0, last_failure: null }
    expect(await health()).toMatchObject({
      providers: { openai: well, anthropic: well },
      timestamp: new Date(NOON_MS).toISOString(),
    })
    await on.stores.providerLimits.pause(changeOf(), 'openai', 'By hand')
    await expect.poll(async () => (await health()).providers.openai, SOON).toEqual({ ...well, status: 'paused' })
    expect((await health()).providers.anthropic).toEqual(well)
    expect((await health(OWNER_KEY)).providers.openai).toEqual(well)
    expect((await health()).providers).not.toHaveProperty('sandbox')
    const none = new Request('http://gateway.test/v1/providers/health')
    expect((await instances[0]!.app.fetch(none)).status).toBe(401)
  })

  it('resumed, it goes on for the rest of the day, and the next day’s stop pauses it again', async () => {
    await setStop(1)
    await call(instances[0]!)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    const freeUntilMs = NOON_MS + 12 * HOUR_MS
    await on.stores.providerLimits.resume(changeOf({ atMs: NOON_MS }), 'openai', freeUntilMs)
    await expect.poll(areHeldUp, SOON).toEqual([200, 200])
    for (let i = 0; i < 4; i++) expect(await areHeldUp()).toEqual([200, 200])
    expect(await counted()).toBe(Math.floor(spentPico() / 1_000))
    clock.advance(12 * HOUR_MS)
    expect((await call(instances[1]!)).status).toBe(200)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    await expect.poll(raised, SOON).toHaveLength(2)
    // It stays paused until somebody says otherwise, whatever day it is.
    clock.advance(3 * DAY_MS)
    expect(await areHeldUp()).toEqual([429, 429])
  })

  it('a stop that is set counts what the day has cost before it, by what is stored', async () => {
    const spent = (changes: Parameters<typeof sampleCall>[0]) => sampleCall({ costPico: 60_000_000, ...changes })
    await on.stores.calls.insertBatch(
      JSON.stringify([
        spent({ createdAtMs: NOON_MS - 12 * HOUR_MS, organizationId: 'org_x', projectId: 'prj_x' }),
        spent({ createdAtMs: NOON_MS - 1 }),
        // Of the day before, of a key of their own, at another provider.
        spent({ createdAtMs: NOON_MS - 12 * HOUR_MS - 1 }),
        spent({ createdAtMs: NOON_MS - 1, charge: OWN_KEY_CHARGE }),
        spent({ createdAtMs: NOON_MS - 1, provider: 'anthropic' }),
      ]),
    )
    await setStop(120_001)
    expect(await counted()).toBe(120_000)
    expect(await areHeldUp()).toEqual([200, 200])
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    await on.stores.providerLimits.resume(changeOf({ atMs: NOON_MS }), 'openai', NOON_MS + 12 * HOUR_MS)
    await expect.poll(areHeldUp, SOON).toEqual([200, 200])
    // One that is reached already pauses at once.
    await setStop(120_000)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429])
    // Without a stop it goes on when it is resumed, for good.
    await setStop(null)
    await on.stores.providerLimits.resume(changeOf({ atMs: NOON_MS }), 'openai', NOON_MS)
    await expect.poll(areHeldUp, SOON).toEqual([200, 200])
    await expect.poll(areHeldUp, SOON).toEqual([200, 200])
  })

  it('a kv that has forgotten is told what is stored, within a minute', async () => {
    await setStop(STOP_NANO)
    await on.stores.calls.insertBatch(JSON.stringify([sampleCall({ createdAtMs: NOON_MS, costPico: 99_000_000 })]))
    await kv.close()
    clock.advance(60_000)
    await expect.poll(() => counted(), SOON).toBe(99_000)
  })

  it('holds here while the database can’t be told, and is told when it is back', async () => {
    let away = false
    const { providerLimits } = on.stores
    const reach = <T>(ask: () => Promise<T>): Promise<T> => (away ? Promise.reject(new Error('Away')) : ask())
    const third = await instance({
      list: () => reach(() => providerLimits.list()),
      pauseReached: (...given) => reach(() => providerLimits.pauseReached(...given)),
    })
    instances.push(third)
    await setStop(1)
    away = true
    expect((await call(third)).status).toBe(200)
    await expect.poll(async () => (await call(third)).status, SOON).toBe(429)
    expect((await limit())!.pausedAtMs).toBeNull()
    away = false
    clock.advance(5_000)
    await expect.poll(areHeldUp, SOON).toEqual([429, 429, 429])
    await expect.poll(async () => (await limit())!.pausedAtMs, SOON).not.toBeNull()
    await expect.poll(raised, SOON).toHaveLength(1)
  })

  it('without a stop nothing is counted', async () => {
    expect(await areHeldUp()).toEqual([200, 200])
    expect(await counted()).toBe(0)
  })
})

const SILENT = { info() {}, warn() {}, error() {} }
/** Of the app's own directory. */
const KEY = 'lgw_proj_0123456789abcdef0123456789abcdef'

function ownAccount(url: string): Account {
  return { id: 'crd_own', own: true, apiKey: PROVIDER_KEY, origin: url, basePath: '/v1' }
}
