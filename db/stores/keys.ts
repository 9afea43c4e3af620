import { type Kysely, sql } from 'kysely'
import type { KeyKind } from '../model/ids.ts'
import type { Schema } from '../schema/index.ts'

/** Notified with a key's id when what is known of it has changed, or with '' when it may be any key. */
export const KEYS_CHANNEL = 'watchllm_keys'

export interface FoundKey {
  readonly keyId: string
  readonly name: string
  readonly kind: KeyKind
  readonly projectId: string
  readonly projectName: string
  readonly defaultProvider: string | null
  readonly organizationId: string
  /** Id of a Plan. */
  readonly plan: string
  /** Epoch milliseconds, null: never. */
  readonly expiresAtMs: number | null
  /** When the key was revoked or its project archived, whichever came first. */
  readonly revokedAtMs: number | null
}

export interface NewKey {
  readonly id: string
  readonly projectId: string
  readonly name: string
  readonly kind: KeyKind
  /** Lower-case hexadecimal SHA-256 of the secret. */
  readonly secretSha256: string
  readonly displayPrefix: string
  readonly expiresAtMs?: number | null
  readonly nowMs: number
}

export interface KeyStore {
  /**
   * The key of a secret with its project and plan, null when there is none. Also answers revoked and expired keys: the
   * caller decides.
   * @param secretSha256 of the whole secret: 32 bytes, or lower-case hexadecimal
   */
  findBySecretHash(secretSha256: string | Uint8Array): Promise<FoundKey | null>
  /** Adds a key and tells every instance. @throws when the project doesn't exist or the secret is taken */
  create(key: NewKey): Promise<void>
  /** Ends a key on every instance within a second. @returns false when there is no such key or it has ended already */
  revoke(keyId: string, nowMs: number): Promise<boolean>
}

export function keyStore(db: Kysely<Schema>): KeyStore {
  return {
    async findBySecretHash(secretSha256) {
      const row = await db
        .selectFrom('api_keys as k')
        .innerJoin('projects as p', 'p.id', 'k.project_id')
        .innerJoin('organizations as o', 'o.id', 'p.organization_id')
        .where('k.secret_sha256', '=', typeof secretSha256 === 'string' ? secretSha256 : hex(secretSha256))
        .select(['k.id as keyId', 'k.name', 'k.kind', 'k.expires_at'])
        .select(['p.id as projectId', 'p.name as projectName', 'p.default_provider as defaultProvider'])
        .select(['o.id as organizationId', 'o.plan'])
        .select(sql<Date | null>`least(k.revoked_at, p.archived_at)`.as('ended_at'))
        .executeTakeFirst()
      if (row === undefined) return null
      const { expires_at, ended_at, ...key } = row
      return { ...key, expiresAtMs: expires_at?.getTime() ?? null, revokedAtMs: ended_at?.getTime() ?? null }
    },

    async create(key) {
      if (!(await addKey(db, key))) throw new Error('A key with this secret exists already; make another secret')
    },

    async revoke(keyId, nowMs) {
      const { rows } = await sql<{ id: string }>`
        with revoked as (
          update api_keys set revoked_at = ${new Date(nowMs)} where id = ${keyId} and revoked_at is null returning id
        )
        select id, pg_notify(${KEYS_CHANNEL}, id) from revoked`.execute(db)
      return rows.length > 0
    },
  }
}

/** @returns false when the secret has a key already, whichever it is. @throws when the project doesn't exist */
export async function addKey(db: Kysely<Schema>, key: NewKey): Promise<boolean> {
  const project = await db
    .selectFrom('projects')
    .select('organization_id')
    .where('id', '=', key.projectId)
    .executeTakeFirst()
  if (project === undefined) throw new Error(`There is no project ${key.projectId}; create it before its keys`)
  const added = await db
    .insertInto('api_keys')
    .values({
      id: key.id,
      project_id: key.projectId,
      organization_id: project.organization_id,
      name: key.name,
      kind: key.kind,
      secret_sha256: key.secretSha256,
      display_prefix: key.displayPrefix,
      expires_at: typeof key.expiresAtMs === 'number' ? new Date(key.expiresAtMs) : null,
      revoked_at: null,
      last_used_at: null,
      created_at: new Date(key.nowMs),
    })
    .onConflict((conflict) => conflict.column('secret_sha256').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added === undefined) return false
  await notifyKeys(db, key.id)
  return true
}

export async function notifyKeys(db: Kysely<Schema>, keyId: string): Promise<void> {
  await sql`select pg_notify(${KEYS_CHANNEL}, ${keyId})`.execute(db)
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
