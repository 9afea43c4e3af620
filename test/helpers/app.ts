import { memoryKv } from '../../db/kv/memory.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { rulesOf } from '../../db/model/key-rules.ts'
import type { Price } from '../../db/model/money.ts'
import { PLANS, type Plan } from '../../db/model/plans.ts'
import { type App, createApp } from '../../server/app.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import type {
  Account,
  Clock,
  Conversations,
  Deps,
  Idempotency,
  ObjectOwner,
  ProviderObjects,
  Responses,
  Settings,
} from '../../server/deps.ts'
import { type KeyEntry, openDirectory, sha256 } from '../../server/directory.ts'
import type { Listener } from '../../server/http.ts'
import { providersWith } from '../../server/providers/index.ts'
import { createSandbox } from '../../server/providers/sandbox.ts'
import { listen } from '../../server/runtime/server.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'

export const PROJECT_KEY = 'lgw_proj_0123456789abcdef0123456789abcdef'
export const TEST_KEY = 'lgw_test_0123456789abcdef0123456789abcdef'
export const REVOKED_KEY = 'lgw_proj_revoked0123456789abcdef01234567'
export const EXPIRED_KEY = 'lgw_proj_expired0123456789abcdef01234567'

/** What providers must never see and callers never get. */
export const PROVIDER_KEY = 'sk-provider-secret-0123456789'

export interface TestApp extends App {
  readonly deps: Deps
  /** Settled calls in the order of their settling. */
  readonly records: CallRecord[]
  readonly prices: (Price | null)[]
  readonly logs: { readonly level: string; readonly message: string; readonly fields: unknown }[]
  /** Resolves with the record of the next settled call, or of the nth. */
  settled(count?: number): Promise<CallRecord>
  /** Listens on a free port, as Node does in production. */
  listen(): Promise<Listener & { readonly port: number }>
  /** Closes what was opened here, listeners included. */
  close(): Promise<void>
}

export interface TestAppOptions {
  /** Base URL of the provider that stands for OpenAI, such as a scripted upstream's. */
  readonly upstreamUrl?: string
  readonly plan?: string
  readonly settings?: Partial<Settings>
  readonly deps?: Partial<Deps>
  readonly connectTimeoutMs?: number
  /** Default: the machine's own. */
  readonly clock?: Clock
  /** Says when a record is in the file: by default in the next turn of the loop. */
  readonly written?: (done: () => void) => void
}

const SETTINGS: Settings = {
  version: '0.0.0-test',
  firstByteTimeoutMs: 60_000,
  idleTimeoutMs: 30_000,
  totalTimeoutMs: 600_000,
  maxBodyBytes: 32 * 1024 * 1024,
  nanoPerToken: 1000,
  retries: 0,
}

/** The whole app on the parts that main.ts gives it, save for the journal and the store of keys, which are in memory. */
export function testApp(options: TestAppOptions = {}): TestApp {
  const records: CallRecord[] = []
  const prices: (Price | null)[] = []
  const logs: { level: string; message: string; fields: unknown }[] = []
  const waiting: { readonly count: number; readonly resolve: (record: CallRecord) => void }[] = []
  const say = (level: string) => (message: string, fields?: unknown) => void logs.push({ level, message, fields })
  const plan = PLANS.find((found) => found.id === (options.plan ?? 'unlimited'))!
  const keys = keyStore(plan)
  const clock = options.clock ?? systemClock
  const upstream = socketUpstream({ connectTimeoutMs: options.connectTimeoutMs ?? 5_000 })
  const listeners: Listener[] = []
  const log = { info: say('info'), warn: say('warn'), error: say('error') }
  const deps: Deps = {
    directory: openDirectory({ find: async (hash) => keys.get(hash) ?? null, clock, log }),
    credentials: { of: (provider) => accountOf(provider, options.upstreamUrl) },
    kv: memoryKv(),
    upstream,
    journal: {
      append(record, price, written) {
        records.push(record)
        prices.push(price)
        for (const waiter of waiting) if (waiter.count === records.length) waiter.resolve(record)
        if (options.written === undefined) setImmediate(written)
        else options.written(written)
      },
      drained: async () => {},
    },
    receipts: {
      async find(projectId, id) {
        const at = records.findIndex((record) => record.id === id && record.projectId === projectId)
        return at < 0 ? null : { call: records[at]!, price: prices[at]! }
      },
    },
    providerObjects: memoryObjects(),
    responses: noResponses(),
    conversations: noConversations(),
    idempotency: noIdempotency(),
    health: { database: async () => {}, journal: () => 'ok' },
    clock,
    random: systemRandom(),
    log,
    settings: { ...SETTINGS, ...options.settings },
    prices: createPrices(),
    providerOf: providersWith(createSandbox({ now: clock.now, paceMs: 0, slowMs: 1 })),
    control: null,
    assets: () => null,
    ...options.deps,
  }
  const app = createApp(deps)
  return {
    ...app,
    deps,
    records,
    prices,
    logs,
    settled(count = records.length + 1) {
      if (records.length >= count) return Promise.resolve(records[count - 1]!)
      return new Promise((resolve) => waiting.push({ count, resolve }))
    },
    async listen() {
      const listener = await listen(app.handle, { host: '127.0.0.1', port: 0 })
      listeners.push(listener)
      return { ...listener, port: Number(new URL(listener.url).port) }
    },
    async close() {
      await Promise.all(listeners.map((listener) => listener.close(0)))
      await upstream.close()
    },
  }
}

/** Tests that store responses bring a database with them: here there is none. */
function noResponses(): Responses {
  const away = () => Promise.reject(new Error('There is no database in this test'))
  return {
    save: away,
    finish: away,
    find: away,
    chain: away,
    findItem: away,
    delete: away,
    beat: away,
    prolong: away,
  }
}

function noConversations(): Conversations {
  const away = () => Promise.reject(new Error('There is no database in this test'))
  const all = { create: away, find: away, setMetadata: away, delete: away, append: away, removeTurn: away, size: away }
  return { ...all, past: away, page: away, findItem: away, findItemAnywhere: away, deleteItem: away }
}

/** Rather no call than two: requests with an idempotency key are refused. */
function noIdempotency(): Idempotency {
  const away = () => Promise.reject(new Error('There is no database in this test'))
  return { claim: away, isRunning: away, beat: away, finish: away, release: away }
}

function accountOf(provider: string, url: string | undefined): Account | null {
  if (url === undefined || provider === 'groq') return null
  const { origin, pathname } = new URL(url)
  return {
    id: 'env',
    own: false,
    apiKey: PROVIDER_KEY,
    origin,
    basePath: pathname === '/' ? '/v1' : pathname.replace(/\/$/, ''),
  }
}

function memoryObjects(): ProviderObjects {
  const known = new Set<string>()
  const key = ({ projectId, provider }: ObjectOwner, id: string) => JSON.stringify([projectId, provider, id])
  return {
    add: async (owner, ids) => ids.forEach((id) => void known.add(key(owner, id))),
    owned: async (owner, ids) => new Set(ids.filter((id) => known.has(key(owner, id)))),
    remove: async (owner, id) => void known.delete(key(owner, id)),
  }
}

/** One provider that fails is one error: tests of going on elsewhere say so themselves. */
const HERE_ONLY = rulesOf({ settings: {}, projectSettings: { routing: { equivalents: false } }, defaultProvider: null })

function keyStore(plan: Plan): Map<string, KeyEntry> {
  const entry = (name: string, more: Partial<KeyEntry> = {}): KeyEntry => ({
    keyId: `key_${name}`,
    kind: 'project',
    projectId: `prj_${name}`,
    organizationId: `org_${name}`,
    plan,
    expiresAtMs: null,
    revokedAtMs: null,
    rules: HERE_ONLY,
    ...more,
  })
  return new Map([
    [sha256(PROJECT_KEY), entry('one')],
    [sha256(TEST_KEY), entry('one', { keyId: 'key_test', kind: 'test' })],
    [sha256(REVOKED_KEY), entry('revoked', { revokedAtMs: 1 })],
    [sha256(EXPIRED_KEY), entry('expired', { expiresAtMs: 1 })],
  ])
}

/** A request as a client would send it through `app.fetch`. */
export function post(path: string, body: unknown, headers: Record<string, string> = {}): Request {
  return new Request(`http://gateway.test${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${PROJECT_KEY}`, ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
  })
}

export const HELLO = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello!' }] }
