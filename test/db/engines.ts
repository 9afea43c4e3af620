import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import postgres from 'postgres'
import { FolderLockedError, lockFolder } from '../../db/embedded/lock.ts'
import { makeTemplate } from '../../db/embedded/make-template.ts'
import { type Database, type DatabaseOptions, openDatabase } from '../../db/open.ts'
import { createStores, type Stores } from '../../db/stores/index.ts'

export interface TestDatabase {
  readonly database: Database
  readonly stores: Stores
  /** To open it again; the embedded one must be closed before. */
  readonly options: DatabaseOptions
  /** Closes it and leaves nothing behind. */
  dispose(): Promise<void>
}

export interface Engine {
  readonly name: 'embedded' | 'postgres'
  /** A new, empty, migrated database. */
  open(): Promise<TestDatabase>
}

const serverUrl = process.env.DATABASE_URL
if (serverUrl === undefined && process.env.WATCHLLM_REQUIRE_POSTGRES === '1') {
  throw new Error('DATABASE_URL must name a PostgreSQL for these tests, because WATCHLLM_REQUIRE_POSTGRES is 1')
}

/** The embedded engine always, PostgreSQL when DATABASE_URL names a server on which databases may be created. */
export const ENGINES: readonly Engine[] = [
  { name: 'embedded', open: openEmbedded },
  ...(serverUrl === undefined ? [] : [{ name: 'postgres' as const, open: () => openPostgres(serverUrl) }]),
]

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'watchllm-test-'))
}

export async function openEmbedded(): Promise<TestDatabase> {
  const dataDir = temporaryFolder()
  const options = { dataDir, templatePath: await sharedTemplate() }
  const database = await openDatabase(options)
  return {
    database,
    stores: createStores(database),
    options,
    async dispose() {
      await database.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

async function openPostgres(url: string): Promise<TestDatabase> {
  const name = `watchllm_test_${randomBytes(6).toString('hex')}`
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  await admin.unsafe(`create database ${name}`)
  const own = new URL(url)
  own.pathname = `/${name}`
  const options = { url: own.href }
  const database = await openDatabase(options)
  return {
    database,
    stores: createStores(database),
    options,
    async dispose() {
      await database.close()
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}

/** One template for all runs with the same migrations and engine, made by the first that needs it. */
export async function sharedTemplate(): Promise<string> {
  const root = join(import.meta.dirname, '../..')
  const hash = createHash('sha256')
  const migrations = join(root, 'db/migrations')
  for (const file of readdirSync(migrations).sort()) hash.update(readFileSync(join(migrations, file)))
  hash.update(readFileSync(join(root, 'db/embedded/template.ts')))
  hash.update(readFileSync(join(root, 'node_modules/@electric-sql/pglite/package.json')))
  const cache = join(root, 'node_modules/.cache/watchllm')
  const path = join(cache, `template-${hash.digest('hex').slice(0, 16)}.gz`)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const lock = await lockWhenFree(join(cache, 'making'))
  try {
    if (!existsSync(path)) await makeTemplate(path)
    return path
  } finally {
    lock.release()
  }
}

async function lockWhenFree(folder: string): ReturnType<typeof lockFolder> {
  for (;;) {
    try {
      return await lockFolder(folder)
    } catch (error) {
      if (!(error instanceof FolderLockedError)) throw error
      await pause(50)
    }
  }
}
