import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Scope, scopeOf } from '../../db/model/access.ts'
import { openDatabase } from '../../db/open.ts'
import { createStores } from '../../db/stores/index.ts'
import { KEYS_CHANNEL, type NewKey } from '../../db/stores/keys.ts'
import { Random } from '../helpers/random.ts'
import { changeIn } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, samplePrice, sha256 } from './samples.ts'

const DEFAULTS = {
  organizationId: 'org_1',
  organizationName: 'Default',
  projectId: 'prj_1',
  projectName: 'Default',
  plan: 'free',
  nowMs: NOON_MS,
}

async function auditOf({ database }: TestDatabase, ids: readonly string[]) {
  return database.db.selectFrom('audit_log').selectAll().where('target_id', 'in', ids).orderBy('id').execute()
}

function newKey(changes: Partial<NewKey> = {}): NewKey {
  const id = changes.id ?? 'key_1'
  return {
    id,
    projectId: 'prj_1',
    name: 'A key',
    kind: 'project',
    secretSha256: sha256(id),
    displayPrefix: 'lgw_proj_abc…',
    nowMs: NOON_MS,
    ...changes,
  }
}

describe.each(ENGINES)('keys and their project on $name', (engine) => {
  let on: TestDatabase
  let scope: Scope
  let projectId: string
  const change = (atMs = NOON_MS) => changeIn(scope.organizationId, { atMs })
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  it('ensureDefaults() makes organization, project and first key once, whoever asks how often at once', async () => {
    const firstKey = {
      id: 'key_first',
      name: 'First',
      kind: 'test' as const,
      secretSha256: sha256('first'),
      displayPrefix: 'lgw_test_f…',
    }
    const asked = await Promise.all(
      [1, 2, 3].map((n) =>
        on.stores.bootstrap.ensureDefaults({
          ...DEFAULTS,
          organizationId: `org_${n}`,
          projectId: `prj_${n}`,
          firstKey,
        }),
      ),
    )
    expect(asked.filter((one) => one.created)).toHaveLength(1)
    const [first, ...others] = asked
    for (const one of others) expect({ ...one, created: true }).toEqual({ ...first, created: true })
    expect(await on.database.db.selectFrom('organizations').select('id').execute()).toHaveLength(1)
    expect(await on.stores.keys.findBySecretHash(sha256('first'))).toEqual({
      keyId: 'key_first',
      name: 'First',
      kind: 'test',
      projectId: first?.projectId,
      projectName: 'Default',
      defaultProvider: null,
      organizationId: first?.organizationId,
      plan: 'free',
      expiresAtMs: null,
      revokedAtMs: null,
      rules: null,
      ownLimits: {},
    })
    scope = scopeOf(first!.organizationId)
    projectId = first!.projectId
  })

  it('ensureDefaults() changes the plan and tells that any key may have changed', async () => {
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    await on.stores.bootstrap.ensureDefaults({ ...DEFAULTS, plan: 'pro' })
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(''))
    expect((await on.stores.keys.findBySecretHash(sha256('first')))?.plan).toBe('pro')
    notified.mockClear()
    await on.stores.bootstrap.ensureDefaults({ ...DEFAULTS, plan: 'pro' })
    // An operator's later choice stays where the start names no plan.
    await on.stores.bootstrap.ensureDefaults({ ...DEFAULTS, plan: null })
    expect((await on.stores.keys.findBySecretHash(sha256('first')))?.plan).toBe('pro')
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    // The change back is notified; the call without a change before it wasn't.
    await vi.waitFor(() => expect(notified).toHaveBeenCalled())
    expect(notified.mock.calls).toEqual([['']])
    expect(await on.stores.settings.get('default_project')).toBe(projectId)
  })

  it('a key is found by its hash as text or bytes, and by no other', async () => {
    await on.stores.keys.create(change(), newKey({ projectId, expiresAtMs: NOON_MS + 1 }))
    const found = await on.stores.keys.findBySecretHash(sha256('key_1'))
    expect(found).toMatchObject({ keyId: 'key_1', projectId, expiresAtMs: NOON_MS + 1, revokedAtMs: null, rules: null })
    expect(await on.stores.keys.findBySecretHash(Buffer.from(sha256('key_1'), 'hex'))).toEqual(found)
    expect(await on.stores.keys.findBySecretHash(sha256('key_2'))).toBeNull()
    expect(await on.stores.keys.findBySecretHash('')).toBeNull()
  })

  it('create() answers null for a project of nobody or of others, and refuses a secret that is taken', async () => {
    const { keys } = on.stores
    expect(await keys.create(change(), newKey({ id: 'key_x', projectId: 'prj_none' }))).toBeNull()
    expect(await keys.create({ ...change(), ...scopeOf('org_other') }, newKey({ id: 'key_x', projectId }))).toBeNull()
    const taken = newKey({ id: 'key_y', projectId, secretSha256: sha256('key_1') })
    await expect(keys.create(change(), taken)).rejects.toThrow('exists already')
    expect(await auditOf(on, ['key_x', 'key_y'])).toEqual([])
  })

  it('ensureKey() makes a key once', async () => {
    const asked = await Promise.all(
      ['key_e1', 'key_e2'].map((id) =>
        on.stores.bootstrap.ensureKey(newKey({ id, projectId, secretSha256: sha256('ensured') })),
      ),
    )
    expect(asked.map((one) => one.created).sort()).toEqual([false, true])
    expect(asked[0]?.keyId).toBe(asked[1]?.keyId)
  })

  it('revoke() ends a key once and tells every listener which', async () => {
    await on.stores.keys.create(change(), newKey({ id: 'key_r', projectId }))
    const notified = [vi.fn(), vi.fn()]
    await on.database.listen(KEYS_CHANNEL, notified[0]!)
    await on.database.listen(KEYS_CHANNEL, notified[1]!)
    const place = { projectId, keyId: 'key_r' }
    const others = { ...change(NOON_MS + 3), ...scopeOf('org_other') }
    expect(await on.stores.keys.revoke(others, place)).toBeNull()
    expect(await on.stores.keys.revoke(change(NOON_MS + 4), { ...place, projectId: 'prj_other' })).toBeNull()
    expect(await on.stores.keys.revoke(change(NOON_MS + 5), place)).toMatchObject({ revokedAtMs: NOON_MS + 5 })
    expect(await on.stores.keys.revoke(change(NOON_MS + 9), place)).toMatchObject({ revokedAtMs: NOON_MS + 5 })
    for (const one of notified) await vi.waitFor(() => expect(one).toHaveBeenCalledWith('key_r'))
    expect((await on.stores.keys.findBySecretHash(sha256('key_r')))?.revokedAtMs).toBe(NOON_MS + 5)
    expect((await auditOf(on, ['key_r'])).map((entry) => entry.after)).toMatchObject([
      { name: 'A key' },
      { revokedAt: new Date(NOON_MS + 5).toISOString() },
    ])
  })

  it('update() changes what is given, and what is left out stays', async () => {
    const { keys } = on.stores
    const settings = { allowedModels: ['gpt-4o'], promptCache: 'auto' as const }
    await keys.create(change(), newKey({ id: 'key_u', projectId, settings, createdBy: 'usr_1' }))
    const place = { projectId, keyId: 'key_u' }
    const changed = await keys.update(change(), place, {
      name: 'Another',
      settings: { limits: { requestsPerMinute: 5 } },
    })
    const now = { ...settings, limits: { requestsPerMinute: 5 } }
    expect(changed).toMatchObject({ name: 'Another', expiresAtMs: null, createdBy: 'usr_1', settings: now })
    expect(await keys.update(change(), place, { expiresAtMs: NOON_MS + 9 })).toMatchObject({
      name: 'Another',
      settings: now,
    })
    expect(await keys.find(scope, place)).toMatchObject({ name: 'Another', expiresAtMs: NOON_MS + 9, settings: now })
    const found = (await keys.findBySecretHash(sha256('key_u')))!
    expect(found.rules).toMatchObject({ models: [new Set(['gpt-4o'])] })
    expect(found.ownLimits).toEqual({ key: { requestsPerMinute: 5 } })
    expect(await keys.update(change(), { ...place, keyId: 'key_none' }, { name: 'x' })).toBeNull()
    expect(await keys.find({ ...scopeOf('org_other') }, place)).toBeNull()
  })

  it('list() pages through the keys of one project in the order of their making', async () => {
    const ids = Array.from({ length: 7 }, (_, at) => `key_page_${at}`)
    for (const id of ids) await on.stores.keys.create(change(), newKey({ id, projectId }))
    const seen: string[] = []
    for (let after: string | null = 'key_page_'; ; ) {
      const page = await on.stores.keys.list(scope, projectId, { after, limit: 3 })
      seen.push(...page.map((key) => key.id))
      if (page.length < 3) break
      after = page.at(-1)!.id
    }
    expect(seen.filter((id) => id.startsWith('key_page_'))).toEqual(ids)
    expect(JSON.stringify(await on.stores.keys.list(scope, projectId, { after: null, limit: 100 }))).not.toMatch(
      /[0-9a-f]{64}/,
    )
    expect(await on.stores.keys.list(scopeOf('org_other'), projectId, { after: null, limit: 9 })).toEqual([])
  })

  it('touch() notes a use, and never sets a later one back', async () => {
    await on.stores.keys.create(change(), newKey({ id: 'key_t', projectId }))
    const used = async () => (await on.stores.keys.find(scope, { projectId, keyId: 'key_t' }))?.lastUsedAtMs
    expect(await used()).toBeNull()
    await on.stores.keys.touch(['key_t', 'key_none'], NOON_MS + 20)
    expect(await used()).toBe(NOON_MS + 20)
    await on.stores.keys.touch(['key_t'], NOON_MS + 10)
    expect(await used()).toBe(NOON_MS + 20)
    await on.stores.keys.touch([], NOON_MS + 30)
    expect(await used()).toBe(NOON_MS + 20)
  })

  it('rotations in any order leave each secret valid just until its own grace is over, or the first without one', async () => {
    const { keys } = on.stores
    const random = new Random(11)
    for (let run = 0; run < 8; run++) {
      const id = `key_rot_${run}`
      const first = `${id} 0`
      await keys.create(change(), newKey({ id, projectId, secretSha256: sha256(first) }))
      /** Each secret's end as the rotations promise it. */
      const ends = new Map<string, number | null>([[first, null]])
      let nowMs = NOON_MS
      for (let step = 1; step <= 6; step++) {
        nowMs += random.int(40)
        const graceMs = random.once(3) ? 0 : random.int(100)
        const secret = `${id} ${step}`
        for (const [old, end] of ends) {
          if (graceMs === 0) ends.set(old, Math.min(end ?? nowMs, nowMs))
          else if (end === null) ends.set(old, nowMs + graceMs)
        }
        ends.set(secret, null)
        const next = { secretSha256: sha256(secret), displayPrefix: `lgw_proj_${step}…`, graceMs }
        const done = await keys.rotate(change(nowMs), { projectId, keyId: id }, next)
        expect(done).toMatchObject({ rotated: true, key: { id, displayPrefix: next.displayPrefix } })
        for (const [one, end] of ends) {
          expect(await keys.findBySecretHash(sha256(one))).toMatchObject({ keyId: id, expiresAtMs: end })
        }
      }
      await keys.revoke(change(nowMs), { projectId, keyId: id })
      for (const one of ends.keys()) expect((await keys.findBySecretHash(sha256(one)))?.revokedAtMs).toBe(nowMs)
    }
  })

  it('a rotated secret never outlives its key', async () => {
    await on.stores.keys.create(change(), newKey({ id: 'key_short', projectId, expiresAtMs: NOON_MS + 50 }))
    const next = { secretSha256: sha256('key_short 2'), displayPrefix: 'x…', graceMs: 1000 }
    await on.stores.keys.rotate(change(), { projectId, keyId: 'key_short' }, next)
    expect((await on.stores.keys.findBySecretHash(sha256('key_short')))?.expiresAtMs).toBe(NOON_MS + 50)
  })

  it('rotate() leaves a key alone that has ended', async () => {
    const { keys } = on.stores
    await keys.create(change(), newKey({ id: 'key_over', projectId, expiresAtMs: NOON_MS + 50 }))
    const next = { secretSha256: sha256('key_over 2'), displayPrefix: 'x…', graceMs: 1000 }
    const place = { projectId, keyId: 'key_over' }
    expect(await keys.rotate(change(NOON_MS + 50), place, next)).toMatchObject({ rotated: false })
    await keys.revoke(change(), place)
    expect(await keys.rotate(change(), place, next)).toMatchObject({ rotated: false })
    expect(await keys.findBySecretHash(sha256('key_over 2'))).toBeNull()
    expect(await keys.rotate(change(), { projectId, keyId: 'key_none' }, next)).toBeNull()
  })

  it('two rotations of a key at once both hold', async () => {
    const { keys } = on.stores
    await keys.create(change(), newKey({ id: 'key_twice', projectId }))
    const place = { projectId, keyId: 'key_twice' }
    const rotate = (n: number) =>
      keys.rotate(change(), place, { secretSha256: sha256(`twice ${n}`), displayPrefix: 'x…', graceMs: 1000 })
    await Promise.all([rotate(1), rotate(2), rotate(3)])
    for (const one of ['key_twice', 'twice 1', 'twice 2', 'twice 3']) {
      expect((await keys.findBySecretHash(sha256(one)))?.keyId).toBe('key_twice')
    }
  })

  it('a secret that was rotated out makes no key again, not by ensureKey() either', async () => {
    await on.stores.keys.create(change(), newKey({ id: 'key_boot', projectId }))
    const next = { secretSha256: sha256('key_boot 2'), displayPrefix: 'x…', graceMs: 0 }
    await on.stores.keys.rotate(change(), { projectId, keyId: 'key_boot' }, next)
    const again = await on.stores.bootstrap.ensureKey(
      newKey({ id: 'key_new', projectId, secretSha256: sha256('key_boot') }),
    )
    expect(again).toEqual({ keyId: 'key_boot', created: false })
    expect((await on.stores.keys.findBySecretHash(sha256('key_boot')))?.expiresAtMs).toBe(NOON_MS)
  })

  it('the keys of an archived project end with it', async () => {
    await on.stores.keys.create(change(), newKey({ id: 'key_a', projectId }))
    await on.stores.projects.update(change(NOON_MS + 7), projectId, { archived: true })
    expect((await on.stores.keys.findBySecretHash(sha256('key_a')))?.revokedAtMs).toBe(NOON_MS + 7)
    // The earlier end counts.
    expect((await on.stores.keys.findBySecretHash(sha256('key_r')))?.revokedAtMs).toBe(NOON_MS + 5)
  })

  it('a price never changes once it is there', async () => {
    await on.stores.prices.ensure([])
    await on.stores.prices.ensure([samplePrice({ id: 'p1' }), samplePrice({ id: 'p2' })])
    await on.stores.prices.ensure([samplePrice({ id: 'p1', perCall: 99 }), samplePrice({ id: 'p3' })])
    const rows = await on.database.db.selectFrom('prices').select(['id', 'content']).orderBy('id').execute()
    expect(rows.map((row) => row.id)).toEqual(['p1', 'p2', 'p3'])
    expect(rows[0]?.content).toEqual(samplePrice({ id: 'p1' }))
  })

  it.runIf(engine.name === 'postgres')('a notification reaches another instance', async () => {
    const other = await openDatabase(on.options)
    const notified = vi.fn()
    await other.listen(KEYS_CHANNEL, notified)
    const { keyId } = (await createStores(other).keys.findBySecretHash(sha256('key_1'))) ?? { keyId: '' }
    await on.stores.keys.revoke(change(), { projectId, keyId })
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(keyId))
    await other.close()
  })
})
