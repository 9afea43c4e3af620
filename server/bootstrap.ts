import { displayPrefix, makeId } from '../db/model/ids.ts'
import { firstOf } from '../db/model/plans.ts'
import type { Stores } from '../db/stores/index.ts'
import type { Config } from './config.ts'
import type { Clock, Random } from './deps.ts'
import { sha256 } from './directory.ts'

/** The part of the stores that a start needs. */
export interface BootstrapStores {
  readonly bootstrap: {
    ensureDefaults(defaults: {
      organizationId: string
      organizationName: string
      projectId: string
      projectName: string
      plan: string | null
      firstPlan: string
      firstKey?: Secret
      nowMs: number
    }): Promise<{ readonly projectId: string; readonly created: boolean }>
    ensureKey(key: Secret & { projectId: string; nowMs: number }): Promise<{ readonly created: boolean }>
  }
}

interface Secret {
  readonly id: string
  readonly name: string
  readonly kind: 'project' | 'test'
  readonly secretSha256: string
  readonly displayPrefix: string
}

const SECRET_BYTES = 24

/**
 * Sees to the default organization with its plan, the default project and the operator's bootstrap key, however many
 * instances start at once. @returns the test key's secret on the very first start, when it is shown; null after that
 */
export async function bootstrap(
  stores: BootstrapStores,
  config: Pick<Config, 'bootstrapKey' | 'bootstrapPlan' | 'plans'>,
  parts: { readonly clock: Clock; readonly random: Random },
): Promise<string | null> {
  const nowMs = parts.clock.now()
  const id = (prefix: 'org' | 'prj' | 'key') => makeId(prefix, nowMs, parts.random.bytes(16))
  const testSecret = `lgw_test_${Buffer.from(parts.random.bytes(SECRET_BYTES)).toString('base64url')}`
  const { projectId, created } = await stores.bootstrap.ensureDefaults({
    organizationId: id('org'),
    organizationName: 'Default',
    projectId: id('prj'),
    projectName: 'Default',
    plan: config.bootstrapPlan?.id ?? null,
    firstPlan: firstOf(config.plans).id,
    firstKey: keyOf(id('key'), 'First test key', testSecret),
    nowMs,
  })
  const own = config.bootstrapKey
  if (own !== null) await stores.bootstrap.ensureKey({ ...keyOf(id('key'), 'Bootstrap key', own), projectId, nowMs })
  return created ? testSecret : null
}

function keyOf(id: string, name: string, secret: string): Secret {
  const kind = secret.startsWith('lgw_test_') ? 'test' : 'project'
  return { id, name, kind, secretSha256: sha256(secret), displayPrefix: displayPrefix(secret) }
}

export interface AdminParts {
  readonly clock: Clock
  readonly random: Random
  readonly hashPassword: (password: string) => Promise<string>
}

const SETUP_BYTES = 32

/**
 * Sees to the operator's admin, however many instances start at once; without one, and while nobody has an account,
 * makes a link that lets its holder make the first. @returns the link's secret, null where none is needed
 */
export async function bootstrapAdmin(
  people: Pick<Stores['people'], 'any' | 'isOperator' | 'ensureAdmin' | 'addSetupSecret'>,
  admin: Config['bootstrapAdmin'],
  { clock, random, hashPassword }: AdminParts,
): Promise<string | null> {
  if (admin === null) {
    if (await people.any()) return null
    const secret = Buffer.from(random.bytes(SETUP_BYTES)).toString('base64url')
    return (await people.addSetupSecret(sha256(secret))) ? secret : null
  }
  const { email, password } = admin
  // Hashing costs as much as the rest of the start.
  if (await people.isOperator(email)) return null
  const atMs = clock.now()
  const id = (prefix: 'usr' | 'aud') => makeId(prefix, atMs, random.bytes(16))
  const actor = { kind: 'system', id: 'start', name: 'WATCHLLM_BOOTSTRAP_ADMIN' } as const
  await people.ensureAdmin(
    { actor, action: 'setup.bootstrapAdmin', atMs, auditId: id('aud'), requestId: null, address: null },
    {
      id: id('usr'),
      accountId: Buffer.from(random.bytes(18)).toString('base64url'),
      name: email.slice(0, email.indexOf('@')),
      email,
      passwordHash: await hashPassword(password),
    },
  )
  return null
}
