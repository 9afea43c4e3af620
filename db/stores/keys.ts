import type { Kysely, Selectable } from 'kysely'
import type { Scope, ScopedChange } from '../model/access.ts'
import type { KeyKind } from '../model/ids.ts'
import type { KeySettings } from '../model/settings.ts'
import type { ApiKeysTable } from '../schema/api-keys.ts'
import type { Schema } from '../schema/index.ts'
import { audit } from './audit-log.ts'
import { addKey, type FoundKey, findKey, type NewKey, notifyKeys } from './key-lookup.ts'

export { addKey, type FoundKey, KEYS_CHANNEL, keyIdOf, type NewKey, notifyKeys } from './key-lookup.ts'

/** A key as it is shown: never its secret, nor a hash of it. Times are epoch milliseconds. */
export interface StoredKey {
  readonly id: string
  readonly projectId: string
  readonly name: string
  readonly kind: KeyKind
  readonly displayPrefix: string
  readonly settings: Partial<KeySettings>
  /** A user's id, null: the start. */
  readonly createdBy: string | null
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
  /** To about a quarter of a minute. */
  readonly lastUsedAtMs: number | null
  /** The end of the last grace of a secret that was rotated out, past or to come; null: it never was rotated. */
  readonly graceUntilMs: number | null
}

export interface KeyPlace {
  readonly projectId: string
  readonly keyId: string
}

/** What is absent stays as it is; of `settings` as well. */
export interface KeyChanges {
  readonly name?: string
  readonly expiresAtMs?: number | null
  readonly settings?: Partial<KeySettings>
}

export interface NextSecret {
  readonly secretSha256: string
  readonly displayPrefix: string
  /** Until when the present one works as well. 0: it and all that went before it end now. */
  readonly graceMs: number
}

/** Ids of other organizations or projects are unknown ids: null. Every change reaches every instance within a second. */
export interface KeyStore {
  /**
   * The key of a secret with its project and plan, null when there is none. Also answers revoked and expired keys: the
   * caller decides.
   * @param secretSha256 of the whole secret: 32 bytes, or lower-case hexadecimal
   */
  findBySecretHash(secretSha256: string | Uint8Array): Promise<FoundKey | null>
  /** Notes that keys were used; never sets a later time back. */
  touch(keyIds: readonly string[], nowMs: number): Promise<void>
  /** In the order of their making, from after an id on. */
  list(scope: Scope, projectId: string, page: KeyPage): Promise<readonly StoredKey[]>
  find(scope: Scope, place: KeyPlace): Promise<StoredKey | null>
  /** @throws when the secret is taken */
  create(change: ScopedChange, key: NewKey): Promise<StoredKey | null>
  update(change: ScopedChange, place: KeyPlace, changes: KeyChanges): Promise<StoredKey | null>
  /** `rotated` is false when the key has ended: it stays as it is. */
  rotate(
    change: ScopedChange,
    place: KeyPlace,
    next: NextSecret,
  ): Promise<{ readonly key: StoredKey; readonly rotated: boolean } | null>
  /** Ends a key with all its secrets. One that has ended stays as it is. */
  revoke(change: ScopedChange, place: KeyPlace): Promise<StoredKey | null>
}

export interface KeyPage {
  /** Id of the last one known, null: from the first on. */
  readonly after: string | null
  readonly limit: number
}

/** So many ids go into one statement. */
const IDS = 1000

export function keyStore(db: Kysely<Schema>): KeyStore {
  return {
    findBySecretHash: (secret) => findKey(db, typeof secret === 'string' ? secret : hex(secret)),

    async touch(keyIds, nowMs) {
      const last_used_at = new Date(nowMs)
      for (let from = 0; from < keyIds.length; from += IDS) {
        const ids = keyIds.slice(from, from + IDS)
        await db
          .updateTable('api_keys')
          .set({ last_used_at })
          // Locked in one order, whichever instances write at once.
          .where('id', 'in', (eb) =>
            eb.selectFrom('api_keys').select('id').where('id', 'in', ids).orderBy('id').forNoKeyUpdate(),
          )
          .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', last_used_at)]))
          .execute()
      }
    },

    async list({ organizationId }, projectId, { after, limit }) {
      const rows = await keysIn(db)
        .where('k.organization_id', '=', organizationId)
        .where('k.project_id', '=', projectId)
        .$if(after !== null, (query) => query.where('k.id', '>', after))
        .orderBy('k.id')
        .limit(limit)
        .execute()
      return rows.map(storedKey)
    },

    async find({ organizationId }, { projectId, keyId }) {
      const row = await keysIn(db)
        .where('k.id', '=', keyId)
        .where('k.project_id', '=', projectId)
        .where('k.organization_id', '=', organizationId)
        .executeTakeFirst()
      return row === undefined ? null : storedKey(row)
    },

    create(change, key) {
      return db.transaction().execute(async (trx) => {
        const project = await trx
          .selectFrom('projects')
          .select('id')
          .where('id', '=', key.projectId)
          .where('organization_id', '=', change.organizationId)
          .forKeyShare()
          .executeTakeFirst()
        if (project === undefined) return null
        if (!(await addKey(trx, key))) throw new Error('A key with this secret exists already; make another secret')
        const { id, projectId, name, kind, displayPrefix, settings = {} } = key
        const after = { projectId, name, kind, prefix: displayPrefix, expiresAt: iso(key.expiresAtMs), settings }
        await audit(trx, change, { type: 'key', id, before: null, after })
        return reread(trx, id)
      })
    },

    update(change, place, changes) {
      return db.transaction().execute(async (trx) => {
        const old = await locked(trx, change, place)
        if (old === null) return null
        const { name = old.name, expiresAtMs = ms(old.expires_at), settings } = changes
        await trx
          .updateTable('api_keys')
          .set({ name, expires_at: date(expiresAtMs), settings: { ...old.settings, ...settings } })
          .where('id', '=', old.id)
          .execute()
        const was = { name: old.name, expiresAt: iso(ms(old.expires_at)), settings: old.settings }
        const is = { name, expiresAt: iso(expiresAtMs), settings: { ...old.settings, ...settings } }
        await audit(trx, change, { type: 'key', id: old.id, before: was, after: is })
        await notifyKeys(trx, old.id)
        return reread(trx, old.id)
      })
    },

    rotate(change, place, { secretSha256, displayPrefix, graceMs }) {
      return db.transaction().execute(async (trx) => {
        const old = await locked(trx, change, place)
        if (old === null) return null
        const isOver = old.expires_at !== null && old.expires_at.getTime() <= change.atMs
        if (old.revoked_at !== null || isOver) return { key: await reread(trx, old.id), rotated: false }
        const expires_at = new Date(change.atMs + graceMs)
        if (graceMs === 0) {
          await trx
            .updateTable('retired_secrets')
            .set({ expires_at })
            .where('key_id', '=', old.id)
            .where('expires_at', '>', expires_at)
            .execute()
        }
        await trx
          .insertInto('retired_secrets')
          .values({ secret_sha256: old.secret_sha256, key_id: old.id, expires_at })
          .execute()
        await trx
          .updateTable('api_keys')
          .set({ secret_sha256: secretSha256, display_prefix: displayPrefix })
          .where('id', '=', old.id)
          .execute()
        const after = { prefix: displayPrefix, previousUntil: expires_at.toISOString() }
        await audit(trx, change, { type: 'key', id: old.id, before: { prefix: old.display_prefix }, after })
        await notifyKeys(trx, old.id)
        return { key: await reread(trx, old.id), rotated: true }
      })
    },

    revoke(change, place) {
      return db.transaction().execute(async (trx) => {
        const old = await locked(trx, change, place)
        if (old === null) return null
        if (old.revoked_at === null) {
          const revoked_at = new Date(change.atMs)
          await trx.updateTable('api_keys').set({ revoked_at }).where('id', '=', old.id).execute()
          const after = { revokedAt: revoked_at.toISOString() }
          const before = { name: old.name, prefix: old.display_prefix, revokedAt: null }
          await audit(trx, change, { type: 'key', id: old.id, before, after })
          await notifyKeys(trx, old.id)
        }
        return reread(trx, old.id)
      })
    },
  }
}

/** Until the transaction ends, nobody else changes it. */
async function locked(
  trx: Kysely<Schema>,
  { organizationId }: Scope,
  { projectId, keyId }: KeyPlace,
): Promise<Selectable<ApiKeysTable> | null> {
  const row = await trx
    .selectFrom('api_keys')
    .selectAll()
    .where('id', '=', keyId)
    .where('project_id', '=', projectId)
    .where('organization_id', '=', organizationId)
    .forUpdate()
    .executeTakeFirst()
  return row ?? null
}

function keysIn(db: Kysely<Schema>) {
  return db
    .selectFrom('api_keys as k')
    .selectAll('k')
    .select((eb) =>
      eb
        .selectFrom('retired_secrets as r')
        .whereRef('r.key_id', '=', 'k.id')
        .select((of) => of.fn.max('r.expires_at').as('until'))
        .as('grace_until'),
    )
}

async function reread(trx: Kysely<Schema>, id: string): Promise<StoredKey> {
  return storedKey(await keysIn(trx).where('k.id', '=', id).executeTakeFirstOrThrow())
}

function storedKey(row: Selectable<ApiKeysTable> & { readonly grace_until: Date | null }): StoredKey {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    kind: row.kind,
    displayPrefix: row.display_prefix,
    settings: row.settings,
    createdBy: row.created_by,
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: ms(row.expires_at),
    revokedAtMs: ms(row.revoked_at),
    lastUsedAtMs: ms(row.last_used_at),
    graceUntilMs: ms(row.grace_until),
  }
}

function ms(date: Date | null): number | null {
  return date?.getTime() ?? null
}

function date(epochMs: number | null): Date | null {
  return epochMs === null ? null : new Date(epochMs)
}

function iso(epochMs: number | null | undefined): string | null {
  return typeof epochMs === 'number' ? new Date(epochMs).toISOString() : null
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
