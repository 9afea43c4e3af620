import { join } from 'node:path'
import { FolderLockedError, lockFolder } from '../db/embedded/lock.ts'
import { memoryKv } from '../db/kv/memory.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { createStores, type Stores } from '../db/stores/index.ts'
import { KEYS_CHANNEL } from '../db/stores/keys.ts'
import { type ResponseStore, responseStore } from '../db/stores/responses.ts'
import { createVault, readOrMakeSecret } from '../db/vault.ts'
import { type App, createApp } from './app.ts'
import { bootstrap } from './bootstrap.ts'
import { createPrices, overridesSchema } from './catalog/prices.ts'
import { type Config, ConfigError, environment, readConfig } from './config.ts'
import type { Deps } from './deps.ts'
import { openDirectory } from './directory.ts'
import { type OpenJournal, openJournal } from './journal.ts'
import { PROVIDERS, providersWith } from './providers/index.ts'
import { createSandbox } from './providers/sandbox.ts'
import { readAssets } from './runtime/assets.ts'
import { systemLog } from './runtime/log.ts'
import { currentRuntime, type Runtime } from './runtime/runtime.ts'
import { systemClock, systemRandom } from './runtime/system.ts'
import { webSockets } from './runtime/websocket.ts'
import { VERSION } from './version.ts'

export { ConfigError, FolderLockedError }

/** How long a stop waits for calls under way. */
const DRAIN_MS = 30_000
const FLUSH_MS = 5_000
const SWEEP_MS = 3_600_000
const NANO_PER_TOKEN = 1_000

/** Where the build puts its results, whether this file is one of them or a source. */
const BUILT = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '../dist' : '..')

/** The running parts; closing happens in the reverse order of opening. */
interface Gateway {
  readonly app: App
  readonly config: Config
  readonly runtime: Runtime
  /** The secret of the test key that the very first start has made. */
  readonly firstTestKey: string | null
  close(): Promise<void>
}

export interface Running {
  readonly url: string
  readonly firstTestKey: string | null
  /** Stops accepting, finishes calls under way, flushes the journal, stops the database. */
  close(): Promise<void>
}

/** Starts the gateway and listens. @throws ConfigError, FolderLockedError and whatever else stops a start */
export async function start(): Promise<Running> {
  const gateway = await open()
  try {
    const sockets = webSockets(gateway.app.connect, { maxMessageBytes: gateway.config.maxBodyBytes })
    const options = { ...gateway.config, upgrade: sockets.upgrade }
    const listener = await gateway.runtime.listen(gateway.app.handle, options)
    return {
      url: gateway.config.publicUrl ?? listener.url,
      firstTestKey: gateway.firstTestKey,
      async close() {
        sockets.close()
        await listener.close(DRAIN_MS)
        await gateway.close()
      },
    }
  } catch (error) {
    await gateway.close()
    throw error
  }
}

async function open(): Promise<Gateway> {
  const config = readConfig(environment(), PROVIDERS.values())
  const prices = pricesOf(config)
  const log = systemLog()
  for (const name of config.unused) log.warn(`${name} is set, but nothing in this version uses it`)
  const closing: (() => Promise<unknown> | undefined)[] = []
  const close = async () => {
    for (const step of closing.reverse()) await step()
  }
  try {
    const lock = await lockFolder(config.dataDir)
    closing.push(async () => lock.release())
    const database = await openDatabase(databaseOptions(config))
    closing.push(() => database.close())
    const stores = createStores(database)
    const journal = await openJournal({
      folder: join(config.dataDir, 'journal'),
      sink: sinkOf(stores),
      log,
      clock: systemClock,
      fsync: config.journalFsync,
    })
    closing.push(() => journal.close(FLUSH_MS))
    const secrets = config.secrets.length > 0 ? config.secrets : [readOrMakeSecret(config.dataDir)]
    const responses = responseStore(database.db, createVault(secrets))
    closing.push(sweeping(responses, log))
    const random = systemRandom()
    const firstTestKey = await bootstrap(stores, config, { clock: systemClock, random })
    const runtime = await currentRuntime()
    const upstream = runtime.upstream({ connectTimeoutMs: config.connectTimeoutMs })
    closing.push(() => upstream.close())
    const deps = await depsOf({ config, prices, database, stores, responses, journal, log, upstream, random })
    return { app: createApp(deps), config, runtime, firstTestKey, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Deletes expired responses, from now on and every hour. @returns the end of it */
function sweeping(responses: ResponseStore, log: Deps['log']): () => undefined {
  const sweep = (): void => {
    responses.sweep(systemClock.now()).catch((cause: unknown) => log.warn('Expired responses stay', { cause }))
  }
  sweep()
  const timer = setInterval(sweep, SWEEP_MS)
  timer.unref()
  return () => clearInterval(timer) as undefined
}

function databaseOptions(config: Config): Parameters<typeof openDatabase>[0] {
  if (config.databaseUrl !== null) return { url: config.databaseUrl }
  return { dataDir: config.dataDir, templatePath: join(BUILT, 'server', 'database-template.gz') }
}

function sinkOf(stores: Stores): Parameters<typeof openJournal>[0]['sink'] {
  return async ({ callsJson, prices }) => {
    await stores.prices.ensure(prices)
    await stores.calls.insertBatch(callsJson)
  }
}

interface Parts {
  readonly config: Config
  readonly prices: Deps['prices']
  readonly database: Database
  readonly stores: Stores
  readonly responses: ResponseStore
  readonly journal: OpenJournal
  readonly log: Deps['log']
  readonly upstream: Deps['upstream']
  readonly random: Deps['random']
}

async function depsOf(parts: Parts): Promise<Deps> {
  const { config, prices, database, stores, responses, journal, log, upstream, random } = parts
  const kv = memoryKv()
  return {
    directory: await directoryOf(config, database, stores, log),
    credentials: { of: (provider) => config.accounts.get(provider) ?? null },
    kv,
    upstream,
    journal,
    receipts: stores.calls,
    responses,
    providerObjects: stores.providerObjects,
    health: {
      database: () => database.ping(),
      journal: () => (journal.status().degraded ? 'down' : 'ok'),
    },
    clock: systemClock,
    random,
    log,
    settings: {
      version: VERSION,
      firstByteTimeoutMs: config.firstByteTimeoutMs,
      idleTimeoutMs: config.idleTimeoutMs,
      totalTimeoutMs: config.totalTimeoutMs,
      maxBodyBytes: config.maxBodyBytes,
      nanoPerToken: NANO_PER_TOKEN,
    },
    prices,
    providerOf: providersWith(createSandbox({ now: systemClock.now, timer: systemClock.timer })),
    control: null,
    assets: readAssets(join(BUILT, 'web')),
  }
}

async function directoryOf(
  config: Config,
  database: Database,
  stores: Stores,
  log: Deps['log'],
): Promise<Deps['directory']> {
  const directory = openDirectory({
    clock: systemClock,
    log,
    async find(secretSha256) {
      const found = await stores.keys.findBySecretHash(secretSha256)
      return found === null ? null : { ...found, plan: planOf(config, found.plan) }
    },
  })
  await database.listen(KEYS_CHANNEL, (keyId) => directory.invalidate(keyId === '' ? undefined : keyId))
  return directory
}

/** A plan that is in no file any more holds its customers to the smallest one, never to none. */
function planOf(config: Config, id: string): Config['plans'][number] {
  return config.plans.find((plan) => plan.id === id) ?? config.plans.find((plan) => plan.id === 'free')!
}

function pricesOf(config: Config): Deps['prices'] {
  if (config.prices === null) return createPrices()
  const parsed = overridesSchema.safeParse(config.prices)
  if (parsed.success) return createPrices({ overrides: parsed.data })
  const issue = parsed.error.issues[0]!
  const at = issue.path.length === 0 ? 'the file' : `"${issue.path.join('.')}"`
  throw new ConfigError('WATCHLLM_PRICES', `must hold price overrides: ${at}: ${issue.message}`)
}

let opened: Promise<Gateway> | null = null

/** The gateway as a fetch handler, for runtimes that listen by themselves; it opens on the first request. */
export default {
  async fetch(request: Request): Promise<Response> {
    opened ??= open()
    return (await opened).app.fetch(request)
  },
}
