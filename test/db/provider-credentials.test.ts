import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Change, type Scope, scopeOf } from '../../db/model/access.ts'
import { credentialContext, MAX_CREDENTIALS } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import { conversationStore } from '../../db/stores/conversations.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import type { Holder, NewCredential, ProviderCredentialStore } from '../../db/stores/provider-credentials.ts'
import { responseStore } from '../../db/stores/responses.ts'
import type { ResealCount } from '../../db/stores/sealed.ts'
import { createVault } from '../../db/vault.ts'
import { until } from '../helpers/client.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const KEY = 'sk-never-in-the-clear-0123456789'
const OLD = 'an older master secret of these tests'
const NEW = 'the newest master secret of these tests'

let changes = 0
function change(action = 'credentials.create'): Change {
  const atMs = NOON_MS + ++changes
  return {
    actor: { kind: 'user', id: 'usr_a', name: 'ada@example.com' },
    action,
    atMs,
    auditId: makeId('aud', atMs, randomBytes(16)),
    requestId: null,
    address: null,
  }
}

const vault = createVault([NEW])

function sample(more: Partial<NewCredential> = {}): NewCredential {
  const id = makeId('crd', NOON_MS, randomBytes(16))
  return {
    id,
    provider: 'openai',
    name: 'Ours',
    sealed: vault.seal(KEY, credentialContext(id)),
    hint: '6789',
    baseUrl: null,
    version: null,
    weight: 100,
    check: null,
    ...more,
  }
}

describe.each(ENGINES)('provider credentials on $name', { timeout: 60_000 }, (engine) => {
  let on: TestDatabase
  let store: ProviderCredentialStore
  let told: string[] = []
  const scope: Scope = scopeOf('org_a')
  const ours: Holder = { scope, projectId: 'prj_a' }

  beforeAll(async () => {
    on = await engine.open()
    store = on.stores.providerCredentials
    const { db } = on.database
    for (const organization of ['org_a', 'org_b']) {
      await db
        .insertInto('organizations')
        .values({ id: organization, name: 'One', plan: 'free', created_at: new Date() })
        .execute()
    }
    for (const [id, organization_id] of [
      ['prj_a', 'org_a'],
      ['prj_2', 'org_a'],
      ['prj_b', 'org_b'],
    ] as const) {
      const row = {
        id,
        organization_id,
        name: 'One',
        default_provider: null,
        created_at: new Date(),
        archived_at: null,
      }
      await db.insertInto('projects').values(row).execute()
    }
    await on.database.listen(KEYS_CHANNEL, (id) => void told.push(id))
  }, 120_000)
  afterAll(() => on.dispose())
  beforeEach(async () => {
    await on.database.db.deleteFrom('provider_credentials').execute()
    await on.database.db.deleteFrom('audit_log').execute()
    told = []
  })

  const entries = () => on.database.db.selectFrom('audit_log').selectAll().orderBy('id').execute()

  it('are listed and found by their holder only', async () => {
    const mine = sample()
    const platforms = sample()
    expect(await store.create(change(), ours, mine)).toBe('created')
    expect(await store.create(change(), 'platform', platforms)).toBe('created')
    expect((await store.list(ours))!.map(({ id }) => id)).toEqual([mine.id])
    expect((await store.list('platform'))!.map(({ id }) => id)).toEqual([platforms.id])
    expect((await store.find(ours, mine.id))!.sealed).toBe(mine.sealed)
    const others: Holder[] = [
      { scope, projectId: 'prj_2' },
      { scope: scopeOf('org_b'), projectId: 'prj_a' },
      { scope: scopeOf('org_b'), projectId: 'prj_b' },
      'platform',
    ]
    for (const holder of others) {
      expect(await store.find(holder, mine.id)).toBeNull()
      expect(await store.update(change(), holder, { id: mine.id, name: 'Theirs' })).toBeNull()
      expect(await store.delete(change(), holder, mine.id)).toEqual([])
      expect(await store.noteCheck(holder, mine.id, { atMs: 1, result: 'ok' })).toBeNull()
    }
    expect((await store.find(ours, mine.id))!.name).toBe('Ours')
    expect([await store.list(others[1]!), await store.create(change(), others[1]!, sample())]).toEqual([
      null,
      'missing',
    ])
  })

  it('never show what is sealed in a list', async () => {
    await store.create(change(), ours, sample())
    expect(JSON.stringify(await store.list(ours))).not.toMatch(/v1\.|sk-never/)
  })

  it('leave every change in the audit log and tell every instance, with nothing of the key', async () => {
    const one = sample()
    await store.create(change(), ours, one)
    const again = vault.seal('sk-another-key-abcdefgh', credentialContext(one.id))
    const edit = { id: one.id, name: 'Renamed', weight: 0, key: { sealed: again, hint: 'efgh' } }
    await store.update(change('credentials.update'), ours, edit)
    await store.delete(change('credentials.delete'), ours, one.id)
    const log = await entries()
    expect(log.map(({ action, target_id, organization_id }) => [action, target_id, organization_id])).toEqual([
      ['credentials.create', one.id, 'org_a'],
      ['credentials.update', one.id, 'org_a'],
      ['credentials.delete', one.id, 'org_a'],
    ])
    expect([log[1]!.before, log[1]!.after]).toEqual([
      { name: 'Ours', weight: 100 },
      { name: 'Renamed', weight: 0, key: 'changed' },
    ])
    expect(JSON.stringify(log)).not.toMatch(/v1\.[\w-]{8}\.|sk-|6789|efgh/)
    await until('every instance to be told', () => told.length === 3)
    expect(told).toEqual(['prj_a', 'prj_a', 'prj_a'])
    await store.create(change(), 'platform', sample())
    await until('every instance to be told', () => told.length === 4)
    expect(told[3]).toBe('platform')
  })

  it('keep what an edit does not name', async () => {
    const one = sample({
      baseUrl: 'https://a.example.com',
      version: '2024-10-21',
      check: { atMs: NOON_MS, result: 'ok' },
    })
    await store.create(change(), ours, one)
    const changed = await store.update(change(), ours, { id: one.id, weight: 7 })
    expect(changed).toMatchObject({
      name: 'Ours',
      baseUrl: one.baseUrl,
      version: one.version,
      weight: 7,
      checkResult: 'ok',
    })
    expect(await store.update(change(), ours, { id: one.id, baseUrl: null })).toMatchObject({
      baseUrl: null,
      weight: 7,
    })
  })

  it('are deleted by the name of their provider too', async () => {
    const all = [sample(), sample(), sample({ provider: 'groq' })]
    for (const one of all) await store.create(change(), ours, one)
    expect(new Set(await store.delete(change(), ours, 'openai'))).toEqual(new Set([all[0]!.id, all[1]!.id]))
    expect((await store.list(ours))!.map(({ provider }) => provider)).toEqual(['groq'])
  })

  it('are loaded without those switched off, a project apart from the platform', async () => {
    const [on1, off, platforms] = [sample(), sample({ weight: 0 }), sample()]
    await store.create(change(), ours, on1)
    await store.create(change(), ours, off)
    await store.create(change(), 'platform', platforms)
    const { id, sealed } = on1
    expect(await store.load('prj_a')).toEqual([
      { id, provider: 'openai', sealed, baseUrl: null, version: null, weight: 100 },
    ])
    expect((await store.load(null)).map((one) => one.id)).toEqual([platforms.id])
    expect(await store.load('prj_b')).toEqual([])
  })

  it('are never more than a holder may have, however many come at once', async () => {
    for (let i = 0; i < MAX_CREDENTIALS - 1; i++) await store.create(change(), ours, sample())
    const made = await Promise.all([1, 2, 3, 4].map(() => store.create(change(), ours, sample())))
    expect(made.filter((one) => one === 'created')).toHaveLength(1)
    expect((await store.list(ours))!.length).toBe(MAX_CREDENTIALS)
  })

  describe('sealing again', () => {
    const older = createVault([OLD])
    const both = createVault([NEW, OLD])

    async function fill(by: typeof vault, count: number): Promise<void> {
      const responses = responseStore(on.database.db, by)
      const conversations = conversationStore(on.database.db, by)
      for (let i = 0; i < count; i++) {
        const one = sample()
        await store.create(change(), i % 2 === 0 ? ours : 'platform', {
          ...one,
          sealed: by.seal(KEY, credentialContext(one.id)),
        })
        const name = `${makeId('req', Date.now(), randomBytes(16)).slice(4)}`
        const owner = { projectId: 'prj_a', organizationId: 'org_a' }
        await responses.save({
          ...{ id: `resp_${name}`, ...owner, keyId: 'key_a', conversation: null, previousId: null, model: 'm' },
          ...{ status: 'completed', inputJson: '["in"]', answerJson: '{"out":1}', itemIds: [], aliveAtMs: null },
          ...{ createdAtMs: NOON_MS, expiresAtMs: NOON_MS + 1e12 },
        })
        const items = [{ id: `msg_${name}`, itemJson: '{"said":1}' }]
        await conversations.create(
          { id: `conv_${name}`, ...owner, metadataJson: '{"a":1}', createdAtMs: NOON_MS },
          items,
        )
      }
    }

    /** `table.column` of every text in the database that looks sealed, by who sealed it. */
    async function envelopes(): Promise<Record<string, number>> {
      const { rows: columns } = await sql<{ table_name: string; column_name: string }>`
        select table_name, column_name from information_schema.columns
        where table_schema = 'public' and data_type = 'text' order by 1, 2`.execute(on.database.db)
      const found: Record<string, number> = {}
      for (const { table_name, column_name } of columns) {
        const column = sql.ref(column_name)
        const { rows } = await sql<{ at: string; n: number }>`
          select left(${column}, 12) as at, count(*)::int as n from ${sql.table(table_name)}
          where ${column} ~ '^v1[.][A-Za-z0-9_-]{8}[.]' group by 1`.execute(on.database.db)
        for (const { at, n } of rows) {
          const who = at === older.newestPrefix ? 'old' : 'new'
          found[`${table_name}.${column_name} ${who}`] = n
        }
      }
      return found
    }

    /** Of the columns that have something sealed: how many were sealed again, how many couldn't be opened. */
    const filled = (columns: readonly ResealCount[]) =>
      columns.map(({ resealed, unreadable }) => [resealed, unreadable]).filter(([a = 0, b = 0]) => a + b > 0)

    beforeEach(async () => {
      for (const table of ['responses', 'conversations'] as const) await on.database.db.deleteFrom(table).execute()
    })

    it('leaves nothing in any column that an older secret has sealed, and every text as it was', async () => {
      await fill(older, 45)
      await fill(both, 2)
      const before = await envelopes()
      expect(Object.keys(before).filter((one) => one.endsWith('old'))).toHaveLength(5)
      const { columns, done } = await on.stores.sealed.reseal(change(), both, 10_000)
      expect(done).toBe(true)
      expect(filled(columns)).toEqual(Array(5).fill([45, 0]))
      const after = await envelopes()
      expect(Object.entries(after).sort()).toEqual(
        Object.keys(after)
          .sort()
          .map((name) => [name, 47]),
      )
      expect(Object.keys(after).every((one) => one.endsWith('new'))).toBe(true)
      for (const { id, sealed } of await store.load(null)) expect(vault.open(sealed, credentialContext(id))).toBe(KEY)
      const rows = await on.database.db.selectFrom('responses').select('id').execute()
      const kept = await responseStore(on.database.db, vault).find('prj_a', rows[0]!.id, NOON_MS)
      expect([kept!.inputJson, kept!.answerJson]).toEqual(['["in"]', '{"out":1}'])
      const [conversation] = await on.database.db.selectFrom('conversations').select('id').execute()
      const past = await conversationStore(on.database.db, vault).past('prj_a', conversation!.id, 1e6)
      expect(past?.items?.[0]?.itemJson).toBe('{"said":1}')
    })

    it('goes on where it ended when it may do so much at a time only', async () => {
      await fill(older, 7)
      const steps: boolean[] = []
      let sum = 0
      do {
        const { columns, done } = await on.stores.sealed.reseal(change(), both, 10)
        sum += columns.reduce((all, one) => all + one.resealed, 0)
        steps.push(done)
      } while (!steps.at(-1))
      expect([sum, steps]).toEqual([35, [false, false, false, true]])
    })

    it('leaves what no secret opens as it is, and says so', async () => {
      await fill(createVault(['a master secret that is lost for good']), 3)
      await fill(older, 2)
      const { columns, done } = await on.stores.sealed.reseal(change(), both, 10_000)
      expect(done).toBe(true)
      expect(filled(columns)).toEqual(Array(5).fill([2, 3]))
    })

    it('overwrites nothing that is changed meanwhile', async () => {
      await fill(older, 1)
      const [{ id }] = (await on.database.db.selectFrom('provider_credentials').select('id').execute()) as [
        { id: string },
      ]
      const context = credentialContext(id)
      const key = { sealed: vault.seal('sk-changed-meanwhile', context), hint: '' }
      // The other one comes between reading and writing: when the vault is asked.
      const updates: Promise<unknown>[] = []
      const racing = {
        ...both,
        open(envelope: string, sealedFor: string) {
          if (sealedFor === context) updates.push(store.update(change(), ours, { id, key }))
          return both.open(envelope, sealedFor)
        },
      }
      const { columns } = await on.stores.sealed.reseal(change(), racing, 10_000)
      await Promise.all(updates)
      const [row] = await store.load('prj_a')
      expect(vault.open(row!.sealed, context)).toBe('sk-changed-meanwhile')
      expect(columns[0]!.resealed).toBeLessThanOrEqual(1)
    })
  })
})
