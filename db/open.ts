import { join } from 'node:path'
import { Kysely } from 'kysely'
import { PostgresJSDialect } from 'kysely-postgres-js'
import postgres from 'postgres'
import { EmbeddedClient } from './embedded/client.ts'
import { EmbeddedDialect, EmbeddedDriver } from './embedded/driver.ts'
import { migrate } from './migrate.ts'
import { MIGRATIONS } from './migrations/index.ts'
import type { Schema } from './schema/index.ts'
import { withSentNotices } from './sent-notices.ts'

export type DatabaseOptions =
  | {
      /** `postgres://…` of a PostgreSQL 15 or later. */
      readonly url: string
    }
  | {
      /** The gateway's data folder, locked by the caller (lockFolder): two processes on one would lose rows. */
      readonly dataDir: string
      /** A file that makeTemplate wrote; null, missing or of another version: the first start takes 5 s longer. */
      readonly templatePath?: string | null
    }

/** An open, migrated database: the same behaviour on both engines (see Schema for types). */
export interface Database {
  readonly db: Kysely<Schema>
  readonly kind: 'embedded' | 'postgres'
  /** See LoadCalls in db/stores/calls.ts; null where the plain statement is the fastest way. */
  readonly loadCalls:
    | ((job: {
        readonly callsJson: string
        readonly copy: string
        readonly addSums: string
        readonly postUsage: string
      }) => Promise<number | null>)
    | null
  /**
   * Calls `onNotify` with the payload of each NOTIFY on the channel, from any instance, and with '' when some may have
   * been missed because the connection was lost. It must not throw.
   */
  listen(channel: string, onNotify: (payload: string) => void): Promise<void>
  /** Calls `hear` with the payload of each NOTIFY on the channel that this process itself has sent and committed. It must not throw. */
  onSent(channel: string, hear: (payload: string) => void): void
  /** Resolves when the database answers; rejects with what is wrong, within 3 s. */
  ping(): Promise<void>
  /** Lets what is under way end, then closes. Later use is refused. */
  close(): Promise<void>
}

const PING_MS = 3_000
/** How often the embedded database looks whether there is something to tidy. */
const UPKEEP_MS = 5_000

/** The embedded database's part of the data folder. */
export function databaseFolder(dataDir: string): string {
  return join(dataDir, 'postgres')
}

/**
 * Opens a database and brings its schema up to date. The embedded one takes 0.5 s, the first time about 1 s.
 * @throws NewerSchemaError, or what keeps the database from being reached
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const database = 'url' in options ? connect(options.url) : await embed(options.dataDir, options.templatePath ?? null)
  try {
    await migrate(database.db)
  } catch (error) {
    await database.close()
    throw error
  }
  return database
}

async function embed(dataDir: string, templatePath: string | null): Promise<Database> {
  const listeners = new Map<string, Set<(payload: string) => void>>()
  const tell = (channel: string, payload: string): void => {
    for (const onNotify of listeners.get(channel) ?? []) onNotify(payload)
  }
  const client = new EmbeddedClient(
    { folder: databaseFolder(dataDir), templatePath, migrations: MIGRATIONS.map((one) => one.name) },
    tell,
  )
  const driver = new EmbeddedDriver(client, async () => {
    for (const channel of listeners.keys()) {
      await client.ask({ do: 'listen', channel })
      tell(channel, '')
    }
  })
  await driver.alone(async () => {})
  const timer = setInterval(() => {
    // A thread that is gone is started by who needs it; a failure shows with the next query.
    if (client.isOpen && client.isUsed()) driver.alone(() => client.ask({ do: 'upkeep' })).catch(() => {})
  }, UPKEEP_MS)
  timer.unref()
  const sent = ears()
  const db = new Kysely<Schema>({ dialect: withSentNotices(new EmbeddedDialect(driver), sent.tell) })
  return {
    db,
    kind: 'embedded',
    loadCalls: (job) => driver.alone(() => client.ask<number | null>({ do: 'loadCalls', ...job })),
    async listen(channel, onNotify) {
      const known = listeners.get(channel)
      if (known === undefined) await driver.alone(() => client.ask({ do: 'listen', channel }))
      listeners.set(channel, (known ?? new Set()).add(onNotify))
    },
    onSent: sent.add,
    ping: () => inTime(driver.alone(() => client.ask({ do: 'query', sql: 'select 1', parameters: [] }))),
    close() {
      clearInterval(timer)
      return driver.destroy()
    },
  }
}

/** Leaves this long to what is under way when closing, in seconds. */
const CLOSE_S = 5

function connect(url: string): Database {
  const sql = postgres(url, {
    max: 10,
    connect_timeout: 10,
    onnotice: () => {},
    connection: {
      application_name: 'watchllm',
      statement_timeout: 60_000,
      idle_in_transaction_session_timeout: 60_000,
      // Compiling a report's plan takes longer than running it: 0.2 to 0.4 s of it.
      jit: 'off',
    },
    types: {
      int8: { to: 20, from: [20], serialize: String, parse: readInt8 },
      // A text given for JSON is JSON already: the driver's own way would make a JSON string of it.
      json: { to: 114, from: [114, 3802], serialize: writeJson, parse: (text: string): unknown => JSON.parse(text) },
      jsonb: { to: 3802, from: [], serialize: writeJson, parse: (text: string): unknown => JSON.parse(text) },
      bytea: { to: 17, from: [17], serialize: writeBytes, parse: readBytes },
    },
  })
  const sent = ears()
  const db = new Kysely<Schema>({ dialect: withSentNotices(new PostgresJSDialect({ postgres: sql }), sent.tell) })
  return {
    db,
    kind: 'postgres',
    loadCalls: null,
    async listen(channel, onNotify) {
      let isFirst = true
      await sql.listen(channel, onNotify, () => {
        if (!isFirst) onNotify('')
        isFirst = false
      })
    },
    onSent: sent.add,
    ping: () => inTime(sql`select 1`),
    close: () => sql.end({ timeout: CLOSE_S }),
  }
}

/** Who wants to hear what was sent, by channel. */
function ears() {
  const all = new Map<string, ((payload: string) => void)[]>()
  return {
    add: (channel: string, hear: (payload: string) => void) =>
      void all.set(channel, [...(all.get(channel) ?? []), hear]),
    tell(channel: string, payload: string) {
      for (const hear of all.get(channel) ?? []) hear(payload)
    },
  }
}

function readInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new RangeError(`A bigint of ${text} is more than a number holds; read it as text`)
  return value
}

async function inTime(answer: PromiseLike<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The database did not answer within ${PING_MS} ms`)), PING_MS)
  })
  try {
    await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function writeJson(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function writeBytes(bytes: Uint8Array): string {
  return `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`
}

function readBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.slice(2), 'hex'))
}
