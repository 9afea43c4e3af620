import { type Kysely, sql } from 'kysely'
import type { KeyKind } from '../model/ids.ts'
import { type KeyRules, rulesOf } from '../model/key-rules.ts'
import type { KeySettings, OwnLimits } from '../model/settings.ts'
import type { Schema } from '../schema/index.ts'

/** Notified with the id of a key, project or organization when what is known of its keys has changed; '' means any. */
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
  /** Epoch milliseconds, null: never. When the secret has been rotated out, the end of its grace at the latest. */
  readonly expiresAtMs: number | null
  /** When the key was revoked or its project archived, whichever came first. */
  readonly revokedAtMs: number | null
  /** Of the key's and its project's settings; null: there are none. The plan may have more of them. */
  readonly rules: KeyRules | null
  /** What the two limit themselves to. */
  readonly ownLimits: { readonly key?: OwnLimits; readonly project?: OwnLimits }
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
  readonly settings?: Partial<KeySettings>
  /** The user who makes it, null: the start. */
  readonly createdBy?: string | null
  readonly nowMs: number
}

/** The key of a secret, be it the present one or one that was rotated out; null when there is none. */
export async function findKey(db: Kysely<Schema>, secretSha256: string): Promise<FoundKey | null> {
  const row = await db
    .with('secret', (with_) =>
      with_
        .selectFrom('api_keys')
        .select(['id', sql<Date | null>`null::timestamptz`.as('until')])
        .where('secret_sha256', '=', secretSha256)
        .unionAll(
          with_
            .selectFrom('retired_secrets')
            .select(['key_id as id', 'expires_at as until'])
            .where('secret_sha256', '=', secretSha256),
        ),
    )
    .selectFrom('secret as s')
    .innerJoin('api_keys as k', 'k.id', 's.id')
    .innerJoin('projects as p', 'p.id', 'k.project_id')
    .innerJoin('organizations as o', 'o.id', 'p.organization_id')
    .select(['k.id as keyId', 'k.name', 'k.kind', 'k.settings', 'p.settings as projectSettings'])
    .select(['p.id as projectId', 'p.name as projectName', 'p.default_provider as defaultProvider'])
    .select(['o.id as organizationId', 'o.plan'])
    .select(sql<Date | null>`least(k.expires_at, s.until)`.as('expires_at'))
    .select(sql<Date | null>`least(k.revoked_at, p.archived_at)`.as('ended_at'))
    .executeTakeFirst()
  if (row === undefined) return null
  const { expires_at, ended_at, settings, projectSettings, ...key } = row
  return {
    ...key,
    expiresAtMs: expires_at?.getTime() ?? null,
    revokedAtMs: ended_at?.getTime() ?? null,
    rules: rulesOf({ ...key, settings, projectSettings }),
    ownLimits: {
      ...(settings.limits === undefined ? {} : { key: settings.limits }),
      ...(projectSettings.limits === undefined ? {} : { project: projectSettings.limits }),
    },
  }
}

/**
 * @returns false when the secret has a key already, whichever it is, or had one that has another secret now
 * @throws when the project doesn't exist
 */
export async function addKey(db: Kysely<Schema>, key: NewKey): Promise<boolean> {
  const project = await db
    .selectFrom('projects')
    .select('organization_id')
    .where('id', '=', key.projectId)
    .executeTakeFirst()
  if (project === undefined) throw new Error(`There is no project ${key.projectId}; create it before its keys`)
  if ((await keyIdOf(db, key.secretSha256)) !== null) return false
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
      settings: key.settings ?? {},
      created_by: key.createdBy ?? null,
    })
    .onConflict((conflict) => conflict.column('secret_sha256').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added === undefined) return false
  await notifyKeys(db, key.id)
  return true
}

/** Which key has this secret, or had it: a secret that was rotated out is never a key's again. */
export async function keyIdOf(db: Kysely<Schema>, secretSha256: string): Promise<string | null> {
  const now = db.selectFrom('api_keys').select('id').where('secret_sha256', '=', secretSha256)
  const before = db.selectFrom('retired_secrets').select('key_id as id').where('secret_sha256', '=', secretSha256)
  return (await now.unionAll(before).executeTakeFirst())?.id ?? null
}

/** @param id of a key, a project or an organization; '': of any */
export async function notifyKeys(db: Kysely<Schema>, id: string): Promise<void> {
  await sql`select pg_notify(${KEYS_CHANNEL}, ${id})`.execute(db)
}
