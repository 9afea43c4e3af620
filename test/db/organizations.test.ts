import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import { addOrganization, addPerson, changeIn, changeOf, entriesOf, newId, rolesIn } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sampleCall, sha256 } from './samples.ts'

describe.each(ENGINES)('organizations on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  async function addProject(organizationId: string, archivedAtMs: number | null = null): Promise<string> {
    const id = newId('prj')
    const row = { id, organization_id: organizationId, name: 'A project', default_provider: null }
    const archived_at = archivedAtMs === null ? null : new Date(archivedAtMs)
    await on.database.db
      .insertInto('projects')
      .values({ ...row, archived_at, created_at: new Date(NOON_MS) })
      .execute()
    const key = { id: newId('key'), project_id: id, organization_id: organizationId, name: 'A key' }
    const never = { expires_at: null, revoked_at: null, last_used_at: null, created_by: null }
    await on.database.db
      .insertInto('api_keys')
      .values({
        ...key,
        ...never,
        kind: 'project',
        secret_sha256: sha256(id),
        display_prefix: '',
        created_at: new Date(NOON_MS),
      })
      .execute()
    return id
  }

  /** How many rows name an organization or what it owned, by table. */
  async function rowsNaming(ids: readonly string[]): Promise<Readonly<Record<string, number>>> {
    const tables = await sql<{ name: string }>`
      select tablename as name from pg_tables where schemaname = 'public'`.execute(on.database.db)
    const counts: Record<string, number> = {}
    for (const { name } of tables.rows) {
      const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from ${sql.table(name)} as t
        where ${sql.join(
          ids.map((id) => sql`t::text like ${`%${id}%`}`),
          sql` or `,
        )}`.execute(on.database.db)
      if (rows[0]!.n > 0) counts[name] = rows[0]!.n
    }
    return counts
  }

  it('delete() leaves nothing of it but what was called and what was done', async () => {
    const { db } = on.database
    const organizationId = await addOrganization(db, 'Doomed')
    const owner = await addPerson(db, { [organizationId]: 'owner' })
    const projectId = await addProject(organizationId)
    const expiresAtMs = NOON_MS + 9
    const token = {
      id: newId('tok'),
      userId: owner.id,
      name: 'T',
      scopes: [],
      secretSha256: sha256('t'),
      displayPrefix: '',
    }
    await on.stores.tokens.create(changeIn(organizationId), { ...token, expiresAtMs })
    const guest = { id: newId('inv'), email: 'guest@example.com', role: 'viewer' as const, secretSha256: sha256('i') }
    await on.stores.invitations.create(changeIn(organizationId), { ...guest, byUserId: owner.id, expiresAtMs })
    await on.stores.providerObjects.add({ projectId, provider: 'openai' }, ['file_1'], NOON_MS)
    const at = { created_at: new Date(NOON_MS), expires_at: new Date(expiresAtMs) }
    const ofProject = { project_id: projectId, organization_id: organizationId }
    await db
      .insertInto('responses')
      .values({
        ...ofProject,
        ...at,
        id: 'resp_1',
        key_id: 'key_1',
        conversation: null,
        conversation_up_to: null,
        previous_id: null,
        model: 'm',
        status: 'completed',
        input: 'sealed',
        answer: 'sealed',
        item_ids: [],
        alive_at: null,
      })
      .execute()
    await sql`insert into conversations (id, project_id, organization_id, metadata, created_at)
      values ('conv_1', ${projectId}, ${organizationId}, '{}', ${at.created_at})`.execute(db)
    await sql`insert into provider_credentials
        (id, organization_id, project_id, provider, name, sealed, hint, weight, created_at, updated_at)
      values ('crd_1', ${organizationId}, ${projectId}, 'openai', '', '', '', 1, ${at.created_at}, ${at.created_at})`.execute(
      db,
    )
    await on.stores.calls.insertBatch(JSON.stringify([sampleCall({ organizationId, projectId })]))
    const before = Object.keys(await rowsNaming([organizationId, projectId])).sort()
    expect(before).toEqual([
      'access_tokens',
      'api_keys',
      'audit_log',
      'calls',
      'conversations',
      'invitations',
      'members',
      'organizations',
      'projects',
      'provider_credentials',
      'provider_objects',
      'responses',
      'usage_daily',
      'usage_hourly',
    ])
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    const change = changeIn(organizationId, { action: 'organizations.delete' })
    expect(await on.stores.organizations.delete(change, { byUserId: owner.id, confirm: 'Doomed' })).toBeNull()
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(''))
    expect(await on.stores.keys.findBySecretHash(sha256(projectId))).toBeNull()
    const after = Object.keys(await rowsNaming([organizationId, projectId])).sort()
    expect(after).toEqual(['audit_log', 'calls', 'usage_daily', 'usage_hourly'])
    expect(
      (await entriesOf(db, organizationId)).find((entry) => entry.action === 'organizations.delete'),
    ).toMatchObject({
      before: { name: 'Doomed', plan: 'free', projects: [projectId] },
      after: null,
    })
  })

  it('delete() keeps it without its name while it has projects, from others than owners, and the default one', async () => {
    const { db } = on.database
    const { organizations, bootstrap } = on.stores
    const { organizationId: org } = await bootstrap.ensureDefaults({
      organizationId: newId('org'),
      organizationName: 'Default',
      projectId: newId('prj'),
      projectName: 'Default',
      plan: 'free',
      nowMs: NOON_MS,
    })
    const keeper = await addPerson(db, { [org]: 'owner' })
    const ask = (id: string, byUserId: string, confirm: string | null) =>
      organizations.delete(changeIn(id), { byUserId, confirm })
    expect(await ask(org, keeper.id, 'Default')).toBe('default')
    const other = await addOrganization(db, 'Other')
    const owner = await addPerson(db, { [other]: 'owner' })
    const admin = await addPerson(db, { [other]: 'admin', [org]: 'owner' })
    await addProject(other)
    expect(await ask(other, owner.id, null)).toBe('has_projects')
    expect(await ask(other, owner.id, 'other')).toBe('name_differs')
    expect(await ask(other, admin.id, 'Other')).toBe('role_too_low')
    expect(await ask('org_none', owner.id, null)).toBe('not_found')
    expect(Object.keys(await rolesIn(db, other))).toHaveLength(2)
    expect(await entriesOf(db, other)).toEqual([])
    await db.updateTable('projects').set({ archived_at: new Date() }).where('organization_id', '=', other).execute()
    expect(await ask(other, owner.id, null)).toBeNull()
  })

  it('a project that comes while the organization goes is either counted or refused', async () => {
    const { db } = on.database
    for (let round = 0; round < 10; round++) {
      const id = await addOrganization(db)
      const { id: byUserId } = await addPerson(db, { [id]: 'owner' })
      const [gone, added] = await Promise.allSettled([
        on.stores.organizations.delete(changeIn(id), { byUserId, confirm: null }),
        addProject(id),
      ])
      const kept = gone.status === 'fulfilled' && gone.value === 'has_projects'
      expect(gone.status).toBe('fulfilled')
      expect(added.status).toBe(kept ? 'fulfilled' : 'rejected')
      expect((await on.stores.organizations.find(scopeOf(id))) !== null).toBe(kept)
    }
  })

  it.runIf(engine.name === 'postgres')('delete() waits for a project that is being made, and sees it', async () => {
    const { db } = on.database
    const id = await addOrganization(db)
    const { id: byUserId } = await addPerson(db, { [id]: 'owner' })
    const project = { id: newId('prj'), organization_id: id, name: 'Late', default_provider: null, archived_at: null }
    const deleted = await db.transaction().execute(async (trx) => {
      const created_at = new Date(NOON_MS)
      await trx
        .insertInto('projects')
        .values({ ...project, created_at })
        .execute()
      const deleting = on.stores.organizations.delete(changeIn(id), { byUserId, confirm: null })
      await vi.waitFor(async () => {
        const { rows } = await sql`select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
        expect(rows).toHaveLength(1)
      })
      return { deleting }
    })
    expect(await deleted.deleting).toBe('has_projects')
  })

  it('setPlan() is told to every listener once, and known to keys at once', async () => {
    const { db } = on.database
    const id = await addOrganization(db)
    const projectId = await addProject(id)
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    const { organizations, keys } = on.stores
    expect(await organizations.setPlan(changeOf({ action: 'platform.setPlan' }), id, 'pro')).toMatchObject({
      plan: 'pro',
    })
    expect(await organizations.setPlan(changeOf(), id, 'pro')).toMatchObject({ plan: 'pro' })
    expect(await organizations.setPlan(changeOf(), 'org_none', 'pro')).toBeNull()
    expect((await keys.findBySecretHash(sha256(projectId)))?.plan).toBe('pro')
    await sql`select pg_notify(${KEYS_CHANNEL}, 'after')`.execute(db)
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith('after'))
    expect(notified.mock.calls).toEqual([[id], ['after']])
    const told = { target_type: 'organization', target_id: id, before: { plan: 'free' }, after: { plan: 'pro' } }
    expect(await entriesOf(db, id)).toEqual([{ action: 'platform.setPlan', ...told }])
  })

  it('listAll() counts members, and calls since a time in the rollup', async () => {
    const { db } = on.database
    const [quiet, busy] = [await addOrganization(db), await addOrganization(db)]
    for (let n = 0; n < 3; n++) await addPerson(db, { [busy]: 'member' })
    const calls = [NOON_MS - 40 * 86_400_000, NOON_MS, NOON_MS + 1, NOON_MS + 3_600_000].map((createdAtMs, n) =>
      sampleCall({ createdAtMs, organizationId: busy, projectId: `prj_${n}` }),
    )
    await on.stores.calls.insertBatch(JSON.stringify(calls))
    const all = []
    for (let after: string | null = null; ; ) {
      const page = { limit: 2, after, sinceMs: Date.UTC(2026, 4) }
      const rows: Awaited<ReturnType<typeof on.stores.organizations.listAll>> =
        await on.stores.organizations.listAll(page)
      if (rows.length === 0) break
      all.push(...rows)
      after = rows.at(-1)!.id
    }
    expect(all.map((row) => row.id)).toEqual(
      all
        .map((row) => row.id)
        .sort()
        .reverse(),
    )
    expect(all.find((row) => row.id === quiet)).toMatchObject({ members: 0, calls: 0, isDefault: false })
    expect(all.find((row) => row.id === busy)).toMatchObject({ members: 3, calls: 3 })
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from organizations`.execute(db)
    expect(all).toHaveLength(rows[0]!.n)
  })

  it('listOf() shows what somebody is in, and nothing of others', async () => {
    const { db } = on.database
    const [one, two] = [await addOrganization(db, 'One'), await addOrganization(db, 'Two')]
    await addPerson(db, { [one]: 'owner', [two]: 'owner' })
    const { id } = await addPerson(db, { [one]: 'viewer', [two]: 'admin' })
    const list = (more: object) => on.stores.organizations.listOf(id, { limit: 10, after: null, ...more })
    const shown = (await list({})).map(({ name, role }) => [name, role])
    expect(shown.sort()).toEqual([
      ['One', 'viewer'],
      ['Two', 'admin'],
    ])
    expect(await list({ only: two })).toMatchObject([{ name: 'Two' }])
    const [first] = await list({ limit: 1 })
    expect(await list({ after: first!.id })).toHaveLength(1)
  })
})
