import { type Kysely, type Selectable, sql } from 'kysely'
import type { Change, Scope } from '../model/access.ts'
import { type Credential, MAX_CREDENTIALS, type SealedCredential } from '../model/credentials.ts'
import type { Schema } from '../schema/index.ts'
import type { ProviderCredentialsTable } from '../schema/provider-credentials.ts'
import { audit } from './audit-log.ts'
import { notifyKeys } from './keys.ts'

/** Whose credentials: those of a project of the organization that the caller was let into, or the platform's. */
export type Holder = { readonly scope: Scope; readonly projectId: string } | 'platform'

/** Notified on KEYS_CHANNEL when the platform's credentials have changed; a project's id when that project's have. */
export const PLATFORM = 'platform'

export interface NewCredential {
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly sealed: string
  readonly hint: string
  readonly baseUrl: string | null
  readonly version: string | null
  readonly weight: number
  readonly check: Check
}

/** What a test call has shown; null: none was made. */
export type Check = { readonly atMs: number; readonly result: string } | null

/** Absent members stay as they are. */
export interface CredentialEdit {
  readonly name?: string
  readonly key?: { readonly sealed: string; readonly hint: string }
  readonly baseUrl?: string | null
  readonly version?: string | null
  readonly weight?: number
  readonly check?: Check
}

/**
 * Keys at providers, sealed before they come here. Every instance is told of a change with its commit. What isn't the
 * holder's is as if it weren't there.
 */
export interface ProviderCredentialStore {
  /** By provider, the oldest first; null when there is no such project. */
  list(holder: Holder): Promise<readonly Credential[] | null>
  find(holder: Holder, id: string): Promise<(Credential & SealedCredential) | null>
  /** `full`: there are MAX_CREDENTIALS already. `missing`: there is no such project. */
  create(change: Change, holder: Holder, credential: NewCredential): Promise<'created' | 'full' | 'missing'>
  /** @returns the credential as it is now, null when there is none */
  update(change: Change, holder: Holder, edit: CredentialEdit & { readonly id: string }): Promise<Credential | null>
  /** Deletes one by its id, or all of a provider by its name. @returns those that are gone */
  delete(change: Change, holder: Holder, idOrProvider: string): Promise<readonly string[]>
  /** Notes a test call. @returns the credential as it is now, null when there is none */
  noteCheck(holder: Holder, id: string, check: NonNullable<Check>): Promise<Credential | null>
  /** For the line: those of a project, or the platform's (null), the oldest first, without those switched off. */
  load(projectId: string | null): Promise<readonly SealedCredential[]>
}

type Row = Selectable<ProviderCredentialsTable>

export function providerCredentialStore(db: Kysely<Schema>): ProviderCredentialStore {
  const of = (trx: Kysely<Schema>, holder: Holder) => {
    const all = trx.selectFrom('provider_credentials').selectAll().orderBy('provider').orderBy('id')
    if (holder === 'platform') return all.where('project_id', 'is', null)
    return all.where('project_id', '=', holder.projectId).where('organization_id', '=', holder.scope.organizationId)
  }

  return {
    async list(holder) {
      if (holder !== 'platform' && !(await hasProject(db, holder))) return null
      return (await of(db, holder).execute()).map(shown)
    },

    async find(holder, id) {
      const row = await of(db, holder).where('id', '=', id).executeTakeFirst()
      return row === undefined ? null : { ...shown(row), sealed: row.sealed }
    },

    create(change, holder, credential) {
      return db.transaction().execute(async (trx) => {
        if (holder !== 'platform' && !(await hasProject(trx, holder))) return 'missing'
        // One at a time for a holder: two that count at once would both find room.
        await sql`select pg_advisory_xact_lock(hashtextextended(${`credentials:${projectOf(holder) ?? ''}`}, 0))`.execute(
          trx,
        )
        if ((await of(trx, holder).execute()).length >= MAX_CREDENTIALS) return 'full'
        const { id, provider, name, baseUrl, version, weight } = credential
        await trx
          .insertInto('provider_credentials')
          .values({
            id,
            organization_id: holder === 'platform' ? null : holder.scope.organizationId,
            project_id: projectOf(holder),
            provider,
            name,
            sealed: credential.sealed,
            hint: credential.hint,
            base_url: baseUrl,
            version,
            weight,
            ...checkColumns(credential.check),
            created_at: new Date(change.atMs),
            updated_at: new Date(change.atMs),
          })
          .execute()
        const after = { ...ownerOf(holder), provider, name, base_url: baseUrl, version, weight }
        await note(trx, change, holder, { id, before: null, after })
        return 'created'
      })
    },

    update(change, holder, edit) {
      return db.transaction().execute(async (trx) => {
        const row = await of(trx, holder).where('id', '=', edit.id).forUpdate().executeTakeFirst()
        if (row === undefined) return null
        const set = columnsOf(edit)
        const changed = await trx
          .updateTable('provider_credentials')
          .set({
            ...set,
            ...('check' in edit ? checkColumns(edit.check ?? null) : {}),
            updated_at: new Date(change.atMs),
          })
          .where('id', '=', edit.id)
          .returningAll()
          .executeTakeFirstOrThrow()
        await note(trx, change, holder, { id: edit.id, ...difference(row, edit) })
        return shown(changed)
      })
    },

    delete(change, holder, idOrProvider) {
      return db.transaction().execute(async (trx) => {
        const rows = await of(trx, holder)
          .where((where) => where.or([where('id', '=', idOrProvider), where('provider', '=', idOrProvider)]))
          .forUpdate()
          .execute()
        if (rows.length === 0) return []
        const ids = rows.map(({ id }) => id)
        await trx.deleteFrom('provider_credentials').where('id', 'in', ids).execute()
        const before = {
          ...ownerOf(holder),
          credentials: rows.map(({ id, provider, name }) => ({ id, provider, name })),
        }
        await note(trx, change, holder, { id: idOrProvider, before, after: null })
        return ids
      })
    },

    async noteCheck(holder, id, check) {
      const row = await of(db, holder).where('id', '=', id).executeTakeFirst()
      if (row === undefined) return null
      const noted = await db
        .updateTable('provider_credentials')
        .set(checkColumns(check))
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      return noted === undefined ? null : shown(noted)
    },

    async load(projectId) {
      const rows = await db
        .selectFrom('provider_credentials')
        .select(['id', 'provider', 'sealed', 'base_url as baseUrl', 'version', 'weight'])
        .where('project_id', projectId === null ? 'is' : '=', projectId)
        .where('weight', '>', 0)
        .orderBy('id')
        .execute()
      return rows
    },
  }
}

async function hasProject(db: Kysely<Schema>, { scope, projectId }: Exclude<Holder, 'platform'>): Promise<boolean> {
  const found = await db
    .selectFrom('projects')
    .select('id')
    .where('id', '=', projectId)
    .where('organization_id', '=', scope.organizationId)
    .executeTakeFirst()
  return found !== undefined
}

interface Noted {
  readonly id: string
  readonly before: Readonly<Record<string, unknown>> | null
  readonly after: Readonly<Record<string, unknown>> | null
}

async function note(trx: Kysely<Schema>, change: Change, holder: Holder, noted: Noted): Promise<void> {
  const scoped = holder === 'platform' ? change : { ...change, ...holder.scope }
  await audit(trx, scoped, { type: 'credential', ...noted })
  await notifyKeys(trx, projectOf(holder) ?? PLATFORM)
}

function projectOf(holder: Holder): string | null {
  return holder === 'platform' ? null : holder.projectId
}

function ownerOf(holder: Holder): Record<string, unknown> {
  return holder === 'platform' ? {} : { project_id: holder.projectId }
}

function columnsOf({ name, key, baseUrl, version, weight }: CredentialEdit) {
  return {
    ...(name === undefined ? {} : { name }),
    ...(key === undefined ? {} : key),
    ...(baseUrl === undefined ? {} : { base_url: baseUrl }),
    ...(version === undefined ? {} : { version }),
    ...(weight === undefined ? {} : { weight }),
  }
}

/** What an edit changes, as the audit log tells it: of a key only that it is another. */
function difference(row: Row, edit: CredentialEdit): Pick<Noted, 'before' | 'after'> {
  const { key, ...columns } = { ...edit, ...columnsOf({ ...edit, key: undefined as never }) } as CredentialEdit
  const before: Record<string, unknown> = {}
  const after: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(columnsOf(columns))) {
    if (row[name as keyof Row] === value) continue
    before[name] = row[name as keyof Row]
    after[name] = value
  }
  if (key !== undefined) after.key = 'changed'
  return { before, after }
}

function checkColumns(check: Check): Pick<Row, 'checked_at' | 'check_result'> {
  return { checked_at: check === null ? null : new Date(check.atMs), check_result: check?.result ?? null }
}

function shown(row: Row): Credential {
  return {
    id: row.id,
    projectId: row.project_id,
    provider: row.provider,
    name: row.name,
    hint: row.hint,
    baseUrl: row.base_url,
    version: row.version,
    weight: row.weight,
    checkedAtMs: row.checked_at?.getTime() ?? null,
    checkResult: row.check_result,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}
