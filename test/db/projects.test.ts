import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import type { NewProject } from '../../db/stores/projects.ts'
import { addOrganization, changeIn, entriesOf, newId } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sampleCall, sha256 } from './samples.ts'

const HOUR_MS = 3_600_000
const MONTH_MS = Date.UTC(2026, 4)
const ALL = { after: null, limit: 100, sinceMs: MONTH_MS }

function newProject(changes: Partial<NewProject> = {}): NewProject {
  const id = changes.id ?? newId('prj')
  return {
    id,
    name: 'A project',
    provider: null,
    settings: {},
    firstKey: {
      id: newId('key'),
      name: 'First key',
      kind: 'project',
      secretSha256: sha256(id),
      displayPrefix: 'lgw_proj_a…',
      createdBy: 'usr_1',
    },
    ...changes,
  }
}

describe.each(ENGINES)('projects on $name', (engine) => {
  let on: TestDatabase
  let ours: string
  let theirs: string
  beforeAll(async () => {
    on = await engine.open()
    ours = await addOrganization(on.database.db)
    theirs = await addOrganization(on.database.db)
  }, 120_000)
  afterAll(() => on?.dispose())

  async function made(changes: Partial<NewProject> = {}): Promise<NewProject> {
    const project = newProject(changes)
    await on.stores.projects.create(changeIn(ours), project)
    return project
  }

  const keyOf = ({ id }: { readonly id: string }) => on.stores.keys.findBySecretHash(sha256(id))

  it('create() makes a project with a key that works, and one entry in the audit log without a secret', async () => {
    const { id, firstKey } = await made({ name: 'New', provider: 'openai' })
    expect(await keyOf({ id })).toMatchObject({ keyId: firstKey.id, projectId: id, organizationId: ours })
    expect(await on.stores.projects.find(scopeOf(ours), id)).toEqual({
      id,
      name: 'New',
      provider: 'openai',
      settings: {},
      createdAtMs: NOON_MS,
      archivedAtMs: null,
    })
    const entries = (await entriesOf(on.database.db, ours)).filter((entry) => entry.target_id === id)
    expect(entries).toMatchObject([
      { target_type: 'project', before: null, after: { name: 'New', provider: 'openai' } },
    ])
    expect(JSON.stringify(entries)).not.toContain(sha256(id))
  })

  it('create() makes nothing of a project whose key can not be made', async () => {
    const { firstKey } = await made()
    const broken = newProject({ firstKey: { ...firstKey, id: newId('key') } })
    await expect(on.stores.projects.create(changeIn(ours), broken)).rejects.toThrow('exists already')
    expect(await on.stores.projects.find(scopeOf(ours), broken.id)).toBeNull()
  })

  it('nothing of another organization is seen or changed', async () => {
    const { id } = await made({ name: 'Ours' })
    const { projects } = on.stores
    expect(await projects.find(scopeOf(theirs), id)).toBeNull()
    expect(await projects.list(scopeOf(theirs), ALL)).toEqual([])
    expect(await projects.list(scopeOf(theirs), { ...ALL, id })).toEqual([])
    expect(await projects.update(changeIn(theirs), id, { name: 'Theirs', archived: true })).toBeNull()
    expect(await projects.delete(changeIn(theirs), id)).toBeNull()
    expect(await projects.find(scopeOf(ours), id)).toMatchObject({ name: 'Ours', archivedAtMs: null })
    expect(await entriesOf(on.database.db, theirs)).toEqual([])
  })

  it('list() counts the calls of the month, of each project its own', async () => {
    const [one, two, idle] = [await made(), await made(), await made()]
    const call = (projectId: string, createdAtMs: number, costPico: number | null) =>
      sampleCall({ projectId, organizationId: ours, createdAtMs, costPico })
    await on.stores.calls.insertBatch(
      JSON.stringify([
        call(one.id, MONTH_MS - 1, 5_000),
        call(one.id, MONTH_MS, 9_000_000_000_000_000),
        call(one.id, MONTH_MS, 9_000_000_000_000_000),
        { ...call(one.id, MONTH_MS + 40 * HOUR_MS, 7), outcome: 'done', keyId: 'key_b' },
        call(one.id, NOON_MS, null),
        call(two.id, NOON_MS, 11),
      ]),
    )
    await on.database.db
      .updateTable('usage_daily')
      .set({ cached: 1 })
      .where('project_id', '=', one.id)
      .where('key_id', '=', 'key_b')
      .execute()
    const found = await on.stores.projects.list(scopeOf(ours), ALL)
    const totals = (id: string) => found.find((project) => project.id === id)?.totals
    // More than a number holds exactly.
    expect(totals(one.id)).toEqual({ requests: 4, cached: 1, costPico: 18_000_000_000_000_007n })
    expect(totals(two.id)).toEqual({ requests: 1, cached: 0, costPico: 11n })
    expect(totals(idle.id)).toEqual({ requests: 0, cached: 0, costPico: 0n })
    const [single] = await on.stores.projects.list(scopeOf(ours), { ...ALL, id: two.id })
    expect(single).toEqual(found.find((project) => project.id === two.id))
  })

  it('list() pages in the order of their making', async () => {
    const all = (await on.stores.projects.list(scopeOf(ours), ALL)).map((project) => project.id)
    expect(all).toEqual([...all].sort())
    const seen: string[] = []
    for (let after: string | null = null; ; after = seen.at(-1)!) {
      const page = await on.stores.projects.list(scopeOf(ours), { ...ALL, after, limit: 2 })
      if (page.length === 0) break
      seen.push(...page.map((project) => project.id))
    }
    expect(seen).toEqual(all)
  })

  it('update() changes what is given and tells every instance which project', async () => {
    const { id } = await made({ name: 'Old', provider: 'openai', settings: { allowedModels: ['gpt-4o'] } })
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    const settings = { limits: { requestsPerMinute: 7 } }
    await on.stores.projects.update(changeIn(ours), id, { name: 'New', settings })
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(id))
    const now = { name: 'New', provider: 'openai', settings: { allowedModels: ['gpt-4o'], ...settings } }
    expect(await on.stores.projects.find(scopeOf(ours), id)).toMatchObject(now)
    expect(await keyOf({ id })).toMatchObject({
      rules: { models: [new Set(['gpt-4o'])], prefers: { provider: 'openai', only: false, of: 'project' } },
      ownLimits: { project: { requestsPerMinute: 7 } },
    })
    expect(await on.stores.projects.update(changeIn(ours), id, { provider: null })).toMatchObject({
      ...now,
      provider: null,
    })
  })

  it('an archived project’s keys have ended; revived, those work that were not revoked', async () => {
    const { id } = await made()
    const key = (n: number) => ({ ...newProject().firstKey, id: newId('key'), secretSha256: sha256(`${id} ${n}`) })
    for (const n of [1, 2]) {
      await on.stores.keys.create(changeIn(ours), { ...key(n), id: `${id}_k${n}`, projectId: id, nowMs: NOON_MS })
    }
    await on.stores.keys.revoke(changeIn(ours, { atMs: NOON_MS + 1 }), { projectId: id, keyId: `${id}_k2` })
    const ends = async () => {
      const found = await Promise.all([1, 2].map((n) => on.stores.keys.findBySecretHash(sha256(`${id} ${n}`))))
      return found.map((one) => one?.revokedAtMs)
    }
    await on.stores.projects.update(changeIn(ours, { atMs: NOON_MS + 5 }), id, { archived: true })
    expect(await ends()).toEqual([NOON_MS + 5, NOON_MS + 1])
    // Once more changes nothing.
    await on.stores.projects.update(changeIn(ours, { atMs: NOON_MS + 9 }), id, { archived: true })
    expect(await ends()).toEqual([NOON_MS + 5, NOON_MS + 1])
    await on.stores.projects.update(changeIn(ours, { atMs: NOON_MS + 12 }), id, { archived: false })
    expect(await ends()).toEqual([null, NOON_MS + 1])
  })

  it('delete() takes all that is its own along, leaves calls, usage and audit, and touches no other project', async () => {
    const { db } = on.database
    const [gone, stays] = [await made(), await made()]
    const at = new Date(NOON_MS)
    for (const { id, firstKey } of [gone, stays]) {
      const own = { project_id: id, organization_id: ours, created_at: at }
      const rotated = { secretSha256: sha256(`${id} next`), displayPrefix: 'x…', graceMs: 1000 }
      await on.stores.keys.rotate(changeIn(ours), { projectId: id, keyId: firstKey.id }, rotated)
      await db
        .insertInto('responses')
        .values({
          ...own,
          id: `resp_${id}`,
          key_id: firstKey.id,
          conversation: null,
          conversation_up_to: null,
          previous_id: null,
          model: 'gpt-4o',
          status: 'completed',
          input: 'x',
          answer: 'x',
          item_ids: [],
          expires_at: at,
          alive_at: null,
        })
        .execute()
      await db
        .insertInto('conversations')
        .values({ ...own, id: `conv_${id}`, metadata: 'x' })
        .execute()
      await db
        .insertInto('conversation_items')
        .values({
          conversation_id: `conv_${id}`,
          position: 0,
          id: 'msg_1',
          added_by: null,
          item: 'x',
          bytes: 1,
          created_at: at,
        })
        .execute()
      await on.stores.providerObjects.add({ projectId: id, provider: 'openai' }, ['file-1'], NOON_MS)
      await db
        .insertInto('provider_credentials')
        .values({
          ...own,
          id: `crd_${id}`,
          provider: 'openai',
          name: 'x',
          sealed: 'x',
          hint: 'x',
          base_url: null,
          version: null,
          weight: 1,
          checked_at: null,
          check_result: null,
          updated_at: at,
        })
        .execute()
      await on.stores.calls.insertBatch(JSON.stringify([sampleCall({ projectId: id, organizationId: ours })]))
    }
    const counts = async ({ id, firstKey }: NewProject) => {
      const count = async (
        table: 'projects' | 'responses' | 'conversations' | 'calls' | 'usage_hourly',
        column: string,
      ) =>
        (
          await db
            .selectFrom(table)
            .select('created_at' as never)
            .where(column as never, '=', id as never)
            .execute()
        ).length
      const rows = async (query: { execute(): Promise<unknown[]> }) => (await query.execute()).length
      return {
        projects: await count('projects', 'id'),
        keys: await rows(db.selectFrom('api_keys').select('id').where('project_id', '=', id)),
        retired: await rows(db.selectFrom('retired_secrets').select('key_id').where('key_id', '=', firstKey.id)),
        responses: await count('responses', 'project_id'),
        conversations: await count('conversations', 'project_id'),
        items: await rows(db.selectFrom('conversation_items').select('id').where('conversation_id', '=', `conv_${id}`)),
        objects: await rows(db.selectFrom('provider_objects').select('id').where('project_id', '=', id)),
        credentials: await rows(db.selectFrom('provider_credentials').select('id').where('project_id', '=', id)),
        calls: await count('calls', 'project_id'),
        usage: await rows(db.selectFrom('usage_hourly').select('hour').where('project_id', '=', id)),
        days: await rows(db.selectFrom('usage_daily').select('day').where('project_id', '=', id)),
      }
    }
    const before = await counts(gone)
    expect(Object.values(before).every((count) => count === 1)).toBe(true)
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    expect(await on.stores.projects.delete(changeIn(ours, { action: 'projects.delete' }), gone.id)).toBe('deleted')
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(gone.id))
    const nothing = Object.fromEntries(Object.keys(before).map((name) => [name, 0]))
    expect(await counts(gone)).toEqual({ ...nothing, calls: 1, usage: 1, days: 1 })
    expect(await counts(stays)).toEqual(before)
    expect(await keyOf(gone)).toBeNull()
    expect(await keyOf(stays)).not.toBeNull()
    const entries = (await entriesOf(db, ours)).filter((entry) => entry.target_id === gone.id)
    const deleted = entries.filter((entry) => entry.action === 'projects.delete')
    expect(deleted).toMatchObject([{ before: { name: 'A project' }, after: null }])
    expect(await on.stores.projects.delete(changeIn(ours), gone.id)).toBeNull()
  })

  it('delete() leaves the project that the start works with', async () => {
    const { organizationId, projectId } = await on.stores.bootstrap.ensureDefaults({
      organizationId: newId('org'),
      organizationName: 'Default',
      projectId: newId('prj'),
      projectName: 'Default',
      plan: 'free',
      nowMs: NOON_MS,
    })
    expect(await on.stores.projects.delete(changeIn(organizationId), projectId)).toBe('default')
    expect(await on.stores.projects.find(scopeOf(organizationId), projectId)).not.toBeNull()
    expect(await on.stores.projects.delete(changeIn(ours), projectId)).toBeNull()
  })
})
