import { join } from 'node:path'
import { FolderLockedError, lockFolder } from '../db/embedded/lock.ts'
import { memoryKv } from '../db/kv/memory.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { type ConversationStore, conversationStore } from '../db/stores/conversations.ts'
import { createStores, type Stores } from '../db/stores/index.ts'
import { KEYS_CHANNEL } from '../db/stores/keys.ts'
import { PLATFORM } from '../db/stores/provider-credentials.ts'
import { type ResponseStore, responseStore } from '../db/stores/responses.ts'
import { createVault, readOrMakeSecrets } from '../db/vault.ts'
import { type App, createApp } from './app.ts'
import { bootstrap, bootstrapAdmin } from './bootstrap.ts'
import { createPrices, overridesSchema } from './catalog/prices.ts'
import { type Config, ConfigError, environment, readConfig } from './config.ts'
import { hashPassword } from './console/people/password.ts'
import { createPeople } from './console/people.ts'
import { type OpenCredentials, openCredentials } from './credentials.ts'
import type { Control, Deps } from './deps.ts'
import { type OpenDirectory, openDirectory } from './directory.ts'
import { type OpenJournal, openJournal } from './journal.ts'
import { openMail } from './mail.ts'
import { PROVIDERS, providersWith } from './providers/index.ts'
import { createSandbox } from './providers/sandbox.ts'
import { readAssets } from './runtime/assets.ts'
import { systemLog } from './runtime/log.ts'
import { hostGuard } from './runtime/public-address.ts'
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
  /** Of the set-up link, while nobody has an account. */
  readonly setupToken: string | null
  /** Tells the gateway where it listens: its links go there unless the operator says otherwise. */
  listensAt(url: string): void
  close(): Promise<void>
}

export interface Running {
  readonly url: string
  readonly firstTestKey: string | null
  readonly setupToken: string | null
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
    gateway.listensAt(listener.url)
    return {
      url: gateway.config.publicUrl ?? listener.url,
      firstTestKey: gateway.firstTestKey,
      setupToken: gateway.setupToken,
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
    const secrets = config.secrets.length > 0 ? config.secrets : readOrMakeSecrets(config.dataDir)
    const vault = createVault(secrets)
    const responses = responseStore(database.db, vault)
    const conversations = conversationStore(database.db, vault)
    closing.push(sweeping({ responses, people: stores.people }, log))
    const random = systemRandom()
    const firstTestKey = await bootstrap(stores, config, { clock: systemClock, random })
    const adminParts = { clock: systemClock, random, hashPassword }
    const setupToken = await bootstrapAdmin(stores.people, config.bootstrapAdmin, adminParts)
    const credentials = openCredentials({
      ...{ store: stores.providerCredentials, vault, config, random, clock: systemClock, log },
    })
    closing.push(async () => credentials.close())
    await database.listen(KEYS_CHANNEL, (id) => void ((id === '' || id === PLATFORM) && credentials.reload()))
    await credentials.load()
    const directory = await directoryOf({ config, database, stores, credentials, log })
    closing.push(() => directory.close())
    const runtime = await currentRuntime()
    const guard = hostGuard({ allowed: config.tenantHosts })
    const upstream = runtime.upstream({ connectTimeoutMs: config.connectTimeoutMs, guard })
    closing.push(() => upstream.close())
    let publicUrl = config.publicUrl ?? `http://${config.host}:${config.port}`
    const kv = memoryKv()
    const mail = config.mail === null ? null : openMail({ ...config.mail, log })
    const people = createPeople({
      ...{ kv, clock: systemClock, random, log, mail, secrets },
      database: { db: database.db, type: 'postgres' },
      store: stores.people,
      signUp: config.signUp,
      clients: config.logins,
      publicUrl: () => publicUrl,
    })
    closing.push(() => people.settled())
    const deps = await depsOf({
      control: {
        stores,
        people,
        mail,
        vault,
        publicUrl: () => publicUrl,
        plans: config.plans,
        tenantHosts: guard,
        accountFor: credentials.accountFor,
      },
      kv,
      credentials,
      config,
      prices,
      directory,
      database,
      stores,
      responses,
      conversations,
      journal,
      log,
      upstream,
      random,
    })
    const listensAt = (url: string): void => {
      publicUrl = config.publicUrl ?? url
    }
    return { app: createApp(deps), config, runtime, firstTestKey, setupToken, listensAt, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Swept {
  sweep(nowMs: number): Promise<unknown>
}

/** Deletes what has expired, from now on and every hour. @returns the end of it */
function sweeping(stores: Readonly<Record<string, Swept>>, log: Deps['log']): () => undefined {
  const sweep = (): void => {
    for (const [name, store] of Object.entries(stores)) {
      store.sweep(systemClock.now()).catch((cause: unknown) => log.warn(`Expired ${name} stay`, { cause }))
    }
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
  readonly control: Control
  readonly credentials: OpenCredentials
  readonly kv: Deps['kv']
  readonly config: Config
  readonly prices: Deps['prices']
  readonly directory: OpenDirectory
  readonly database: Database
  readonly stores: Stores
  readonly responses: ResponseStore
  readonly conversations: ConversationStore
  readonly journal: OpenJournal
  readonly log: Deps['log']
  readonly upstream: Deps['upstream']
  readonly random: Deps['random']
}

async function depsOf(parts: Parts): Promise<Deps> {
  const { config, prices, directory, database, stores, responses, conversations, journal, log, upstream, random } =
    parts
  return {
    control: parts.control,
    kv: parts.kv,
    directory,
    credentials: parts.credentials.platform,
    upstream,
    journal,
    receipts: stores.calls,
    responses,
    conversations,
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
    assets: readAssets(join(BUILT, 'web')),
  }
}

async function directoryOf({
  config,
  database,
  stores,
  credentials,
  log,
}: Pick<Parts, 'config' | 'database' | 'stores' | 'credentials' | 'log'>): Promise<OpenDirectory> {
  const directory = openDirectory({
    clock: systemClock,
    log,
    async find(secretSha256) {
      const found = await stores.keys.findBySecretHash(secretSha256)
      if (found === null) return null
      const accounts = await credentials.accountsOf(found.projectId)
      return { ...found, plan: planOf(config, found.plan), accounts }
    },
    touch: (keyIds, nowMs) => stores.keys.touch(keyIds, nowMs),
  })
  await database.listen(KEYS_CHANNEL, (id) => directory.invalidate(id === '' ? undefined : id))
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
