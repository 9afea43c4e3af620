import { join } from 'node:path'
import { FolderLockedError, lockFolder } from '../db/embedded/lock.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { type ConversationStore, conversationStore } from '../db/stores/conversations.ts'
import { idempotencyStore } from '../db/stores/idempotency.ts'
import { createStores, type Stores } from '../db/stores/index.ts'
import { PLANS_CHANGED } from '../db/stores/plans.ts'
import { PLATFORM } from '../db/stores/provider-credentials.ts'
import { PROVIDER_LIMITS } from '../db/stores/provider-limits.ts'
import { type ResponseStore, responseStore } from '../db/stores/responses.ts'
import { createVault, readOrMakeSecrets } from '../db/vault.ts'
import { type OpenAlerts, openAlerts } from './alerts.ts'
import { type App, createApp } from './app.ts'
import { type BillingOptions, openBilling } from './billing.ts'
import { openBodies } from './bodies.ts'
import { bootstrap, bootstrapAdmin } from './bootstrap.ts'
import { openBreaker } from './breaker.ts'
import { type Config, ConfigError, environment, readConfig } from './config.ts'
import { hashPassword } from './console/people/password.ts'
import { createPeople } from './console/people.ts'
import { type OpenCredentials, openCredentials } from './credentials.ts'
import type { Control, Deps } from './deps.ts'
import type { OpenDirectory } from './directory.ts'
import { openJobs } from './jobs.ts'
import { type OpenJournal, openJournal } from './journal.ts'
import { openRecount } from './limits/recount.ts'
import { openMail } from './mail.ts'
import { directoryOf } from './main/directory.ts'
import { hearKeyChanges } from './main/key-changes.ts'
import { openKv } from './main/kv.ts'
import { plansOf, pricesOf } from './main/presets.ts'
import { sweepJobs } from './main/sweeping.ts'
import { type OpenMultipliers, openMultipliers } from './multipliers.ts'
import { openOverload } from './overload.ts'
import { type OpenPauses, openPauses } from './pauses.ts'
import { openPlans } from './plans.ts'
import { PROVIDERS, providersWith } from './providers/index.ts'
import { createSandbox } from './providers/sandbox.ts'
import { reconcileJob } from './reconcile.ts'
import { readAssets } from './runtime/assets.ts'
import { systemLog } from './runtime/log.ts'
import { hostGuard } from './runtime/public-address.ts'
import { currentRuntime, type Runtime } from './runtime/runtime.ts'
import { systemClock, systemMemory, systemRandom } from './runtime/system.ts'
import { webSockets } from './runtime/websocket.ts'
import { openSpeeds } from './speeds.ts'
import { VERSION } from './version.ts'

export { ConfigError, FolderLockedError }

/** A new process runs each of its functions for the first time: late for that, it isn't overloaded. */
const WARM_UP_MS = 10_000

/** How long a stop waits for calls under way. */
const DRAIN_MS = 30_000
const FLUSH_MS = 5_000
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
  const basePlans = plansOf(config)
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
    const idempotency = idempotencyStore(database.db, vault)
    const random = systemRandom()
    const kv = await openKv(config.kv, { random, log })
    closing.push(() => kv.close())
    const firstTestKey = await bootstrap(stores, config, { clock: systemClock, random })
    const adminParts = { clock: systemClock, random, hashPassword }
    const setupToken = await bootstrapAdmin(stores.people, config.bootstrapAdmin, adminParts)
    const credentials = openCredentials({
      ...{ store: stores.providerCredentials, vault, config, random, clock: systemClock, log },
    })
    closing.push(async () => credentials.close())
    const changed = (ids: readonly string[]) => ids.forEach((id) => void directory.invalidate(id))
    const plans = openPlans({ base: basePlans, store: stores.plans, changed, clock: systemClock, log })
    closing.push(async () => plans.close())
    const multipliers = openMultipliers({ store: stores.multipliers, clock: systemClock, log })
    closing.push(async () => multipliers.close())
    let alerts: Deps['alerts']
    const pauses = openPauses({
      ...{ limits: stores.providerLimits, seeds: stores.usageSeeds, kv, clock: systemClock, random, log },
      raise: (event) => alerts?.raise(event),
    })
    closing.push(async () => pauses.close())
    const directory = directoryOf({
      ...{ stores, plans, kv, clock: systemClock, log },
      accountsOf: credentials.accountsOf,
    })
    closing.push(() => directory.close())
    // Before anything is read: what changes from here on is heard.
    await hearKeyChanges({ database, kv, log }, (id) => {
      if (id === '' || id === PLATFORM) credentials.reload()
      if (id === '' || id === PLANS_CHANGED) void plans.reload()
      if (id === '') void multipliers.reload()
      if (id === '' || id === PROVIDER_LIMITS) void pauses.reload()
      directory.invalidate(id === '' ? undefined : id)
    })
    await credentials.load()
    await plans.reload()
    await multipliers.load()
    const runtime = await currentRuntime()
    const guard = hostGuard({ allowed: config.tenantHosts })
    const upstream = runtime.upstream({ connectTimeoutMs: config.connectTimeoutMs, guard })
    closing.push(() => upstream.close())
    let publicUrl = config.publicUrl ?? `http://${config.host}:${config.port}`
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
    const told = openAlerts({
      ...{ stores, mail, upstream, vault, random, log, clock: systemClock },
      publicUrl: () => publicUrl,
    })
    closing.push(() => told.close())
    alerts = told
    const breaker = openBreaker({ kv, clock: systemClock, log, raise: (event) => told.raise(event) })
    closing.push(async () => breaker.close())
    const bodies = openBodies({ store: stores.callBodies, vault, clock: systemClock, log })
    closing.push(() => bodies.close())
    const overload = openOverload({ clock: systemClock, log, memory: systemMemory(), warmUpMs: WARM_UP_MS })
    closing.push(async () => overload.close())
    const billing = billingOf(config, {
      ...{ stores, plans, kv, mail, random, log, clock: systemClock, publicUrl: () => publicUrl },
      alerts: told,
    })
    closing.push(async () => billing?.close())
    const control: Control = {
      stores,
      people,
      mail,
      vault,
      publicUrl: () => publicUrl,
      plans,
      tenantHosts: guard,
      accountFor: credentials.accountFor,
      billing,
    }
    const deps = await depsOf({
      control,
      kv,
      alerts: told,
      multipliers,
      pauses,
      line: {
        ...(config.breaker === 'on' && { breaker }),
        bodies,
        overload,
        speeds: openSpeeds({ clock: systemClock }),
      },
      credentials,
      config,
      prices,
      directory,
      database,
      stores,
      responses,
      conversations,
      idempotency,
      journal,
      log,
      upstream,
      random,
    })
    await pauses.load()
    const { payers, creditsOf } = stores.ledger
    const recount = openRecount({ kv, payers, creditsOf, journal, clock: systemClock, random, log })
    closing.push(async () => recount.close())
    const jobs = openJobs({
      jobs: [
        ...sweepJobs({ responses, idempotency, people: stores.people, callBodies: stores.callBodies }),
        ...(billing === null ? [] : [billing.job]),
        ...told.jobs,
        reconcileJob({ deps, control }),
        recount.job,
      ],
      ...{ lock: stores.jobRuns, clock: systemClock, random, log },
    })
    closing.push(() => jobs.close())
    const listensAt = (url: string): void => {
      publicUrl = config.publicUrl ?? url
    }
    return { app: createApp(deps), config, runtime, firstTestKey, setupToken, listensAt, close }
  } catch (error) {
    await close()
    throw error
  }
}

function billingOf({ stripe }: Config, parts: Omit<BillingOptions, keyof NonNullable<Config['stripe']>>) {
  return stripe === null ? null : openBilling({ ...stripe, ...parts })
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
  readonly alerts: OpenAlerts
  readonly multipliers: OpenMultipliers
  readonly pauses: OpenPauses
  readonly line: Pick<Deps, 'bodies' | 'breaker' | 'overload' | 'speeds'>
  readonly config: Config
  readonly prices: Deps['prices']
  readonly directory: OpenDirectory
  readonly database: Database
  readonly stores: Stores
  readonly responses: ResponseStore
  readonly conversations: ConversationStore
  readonly idempotency: Deps['idempotency']
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
    alerts: parts.alerts,
    multipliers: parts.multipliers,
    pauses: parts.pauses,
    ...parts.line,
    directory,
    credentials: parts.credentials.platform,
    upstream,
    journal,
    receipts: stores.calls,
    responses,
    conversations,
    idempotency: parts.idempotency,
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
      retries: config.retries,
      nanoPerToken: NANO_PER_TOKEN,
    },
    prices,
    providerOf: providersWith(createSandbox({ now: systemClock.now, timer: systemClock.timer })),
    assets: readAssets(join(BUILT, 'web')),
  }
}

let opened: Promise<Gateway> | null = null

/** The gateway as a fetch handler, for runtimes that listen by themselves; it opens on the first request. */
export default {
  async fetch(request: Request): Promise<Response> {
    opened ??= open()
    return (await opened).app.fetch(request)
  },
}
