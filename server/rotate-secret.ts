import { lockFolder } from '../db/embedded/lock.ts'
import type { Change } from '../db/model/access.ts'
import { makeId } from '../db/model/ids.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { createStores } from '../db/stores/index.ts'
import type { ResealCount } from '../db/stores/sealed.ts'
import { addSecret, createVault, dropOldSecrets } from '../db/vault.ts'
import { type Config, ConfigError, environment, readConfig } from './config.ts'
import { PROVIDERS } from './providers/index.ts'
import { systemClock, systemRandom } from './runtime/system.ts'

/** Envelopes between two looks at what is done. */
const AT_ONCE = 10_000

export interface Rotated {
  /** What was done, one line a column. */
  readonly report: string
  /** Nothing is sealed with an older secret any more. */
  readonly complete: boolean
}

/**
 * `watchllm rotate-secret`: seals everything in the database again with the newest master secret. With a data folder of
 * its own, whose secret was made by the gateway, it makes a new one first and forgets the old ones when all is done; no
 * gateway may use the folder meanwhile. Whoever sets WATCHLLM_SECRET puts the new one there before.
 * @throws ConfigError, FolderLockedError, and what keeps the database from being reached
 */
export async function rotateSecret(): Promise<Rotated> {
  const config = readConfig(environment(), PROVIDERS.values())
  const { databaseUrl, dataDir } = config
  // A PostgreSQL is shared: gateways go on beside this, and the folder isn't touched.
  if (databaseUrl !== null) return reseal(await openDatabase({ url: databaseUrl }), config.secrets)
  const lock = await lockFolder(dataDir)
  try {
    const secrets = config.secrets.length > 0 ? config.secrets : addSecret(dataDir)
    const rotated = await reseal(await openDatabase({ dataDir }), secrets)
    if (config.secrets.length === 0 && rotated.complete) dropOldSecrets(dataDir)
    return rotated
  } finally {
    lock.release()
  }
}

async function reseal(database: Database, secrets: Config['secrets']): Promise<Rotated> {
  if (secrets.length === 0) throw new ConfigError('WATCHLLM_SECRET', 'must be set when DATABASE_URL is')
  try {
    const { sealed } = createStores(database)
    const vault = createVault(secrets)
    const counts = new Map<string, ResealCount>()
    for (;;) {
      const { columns, done } = await sealed.reseal(operator(), vault, AT_ONCE)
      for (const one of columns) {
        const name = `${one.table}.${one.column}`
        counts.set(name, { ...one, resealed: one.resealed + (counts.get(name)?.resealed ?? 0) })
      }
      if (done) return reportOf(counts)
    }
  } finally {
    await database.close()
  }
}

/** Who is at the command line. */
function operator(): Change {
  const atMs = systemClock.now()
  return {
    actor: { kind: 'system', id: 'command-line', name: 'watchllm rotate-secret' },
    action: 'platform.resealSecrets',
    atMs,
    auditId: makeId('aud', atMs, systemRandom().bytes(16)),
    requestId: null,
    address: null,
  }
}

function reportOf(counts: ReadonlyMap<string, ResealCount>): Rotated {
  const lines = Array.from(counts, ([name, { resealed, unreadable }]) => {
    return `${name}: ${resealed} sealed anew${unreadable === 0 ? '' : `, ${unreadable} that no master secret opens`}`
  })
  const complete = Array.from(counts.values()).every(({ unreadable }) => unreadable === 0)
  const last = complete
    ? 'Everything is sealed with the newest master secret.'
    : 'Keep the older master secrets: add those that open the rest to WATCHLLM_SECRET, and run this again.'
  return { report: [...lines, last].join('\n'), complete }
}
