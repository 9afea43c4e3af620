import { randomBytes } from 'node:crypto'
import type { Kysely } from 'kysely'
import { type Change, type Role, type ScopedChange, scopeOf } from '../../db/model/access.ts'
import { type IdPrefix, makeId } from '../../db/model/ids.ts'
import type { Schema } from '../../db/schema/index.ts'
import { NOON_MS } from './samples.ts'

export function newId(prefix: IdPrefix, atMs = NOON_MS): string {
  return makeId(prefix, atMs, randomBytes(16))
}

/** A change that somebody makes; each has an entry of its own. */
export function changeOf(changes: Partial<Change> = {}): Change {
  const atMs = changes.atMs ?? NOON_MS
  return {
    actor: { kind: 'user', id: 'usr_actor', name: 'actor@example.com' },
    action: 'nouns.verb',
    auditId: newId('aud', atMs),
    requestId: 'req_1',
    address: '192.0.2.1',
    ...changes,
    atMs,
  }
}

export function changeIn(organizationId: string, changes: Partial<Change> = {}): ScopedChange {
  return { ...changeOf(changes), ...scopeOf(organizationId) }
}

export async function addOrganization(db: Kysely<Schema>, name = 'Some organization'): Promise<string> {
  const id = newId('org')
  await db
    .insertInto('organizations')
    .values({ id, name, plan: 'free', created_at: new Date(NOON_MS) })
    .execute()
  return id
}

export interface TestPerson {
  readonly id: string
  readonly email: string
}

/** Somebody new, with these roles by organization. */
export async function addPerson(db: Kysely<Schema>, roles: Readonly<Record<string, Role>> = {}): Promise<TestPerson> {
  const id = newId('usr')
  const email = `${id}@example.com`
  const at = new Date(NOON_MS)
  const row = { id, email, name: 'Some Body', email_verified: true, image: null, two_factor_enabled: false }
  await db
    .insertInto('users')
    .values({ ...row, operator: false, created_at: at, updated_at: at })
    .execute()
  for (const [organizationId, role] of Object.entries(roles)) await setMember(db, { organizationId, userId: id, role })
  return { id, email }
}

/** Null: no member. */
export async function setMember(
  db: Kysely<Schema>,
  { organizationId, userId, role }: { organizationId: string; userId: string; role: Role | null },
): Promise<void> {
  if (role === null) {
    await db.deleteFrom('members').where('organization_id', '=', organizationId).where('user_id', '=', userId).execute()
    return
  }
  await db
    .insertInto('members')
    .values({ organization_id: organizationId, user_id: userId, role, created_at: new Date(NOON_MS) })
    .onConflict((conflict) => conflict.columns(['organization_id', 'user_id']).doUpdateSet({ role }))
    .execute()
}

export async function rolesIn(db: Kysely<Schema>, organizationId: string): Promise<Readonly<Record<string, Role>>> {
  const rows = await db.selectFrom('members').selectAll().where('organization_id', '=', organizationId).execute()
  return Object.fromEntries(rows.map((row) => [row.user_id, row.role]))
}

export function entriesOf(db: Kysely<Schema>, organizationId: string) {
  return db
    .selectFrom('audit_log')
    .select(['action', 'target_type', 'target_id', 'before', 'after'])
    .where('organization_id', '=', organizationId)
    .orderBy('id')
    .execute()
}
