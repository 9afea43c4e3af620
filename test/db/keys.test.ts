import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openDatabase } from '../../db/open.ts'
import { createStores } from '../../db/stores/index.ts'
import { KEYS_CHANNEL, type NewKey } from '../../db/stores/keys.ts'
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
    })
  })

  it('ensureDefaults() changes the plan and tells that any key may have changed', async () => {
    const notified = vi.fn()
    await on.database.listen(KEYS_CHANNEL, notified)
    await on.stores.bootstrap.ensureDefaults({ ...DEFAULTS, plan: 'pro' })
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(''))
    expect((await on.stores.keys.findBySecretHash(sha256('first')))?.plan).toBe('pro')
    notified.mockClear()
    await on.stores.bootstrap.ensureDefaults({ ...DEFAULTS, plan: 'pro' })
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    // The change back is notified; the call without a change before it wasn't.
    await vi.waitFor(() => expect(notified).toHaveBeenCalled())
    expect(notified.mock.calls).toEqual([['']])
    expect(await on.stores.settings.get('default_project')).toBe(projectId)
  })

  it('a key is found by its hash as text or bytes, and by no other', async () => {
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    await on.stores.keys.create(newKey({ projectId, expiresAtMs: NOON_MS + 1 }))
    const found = await on.stores.keys.findBySecretHash(sha256('key_1'))
    expect(found).toMatchObject({ keyId: 'key_1', projectId, expiresAtMs: NOON_MS + 1, revokedAtMs: null })
    expect(await on.stores.keys.findBySecretHash(Buffer.from(sha256('key_1'), 'hex'))).toEqual(found)
    expect(await on.stores.keys.findBySecretHash(sha256('key_2'))).toBeNull()
    expect(await on.stores.keys.findBySecretHash('')).toBeNull()
  })

  it('create() refuses an unknown project and a secret that is taken', async () => {
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    await expect(on.stores.keys.create(newKey({ id: 'key_x', projectId: 'prj_none' }))).rejects.toThrow('no project')
    const taken = newKey({ id: 'key_y', projectId, secretSha256: sha256('key_1') })
    await expect(on.stores.keys.create(taken)).rejects.toThrow('exists already')
  })

  it('ensureKey() makes a key once', async () => {
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    const asked = await Promise.all(
      ['key_e1', 'key_e2'].map((id) =>
        on.stores.bootstrap.ensureKey(newKey({ id, projectId, secretSha256: sha256('ensured') })),
      ),
    )
    expect(asked.map((one) => one.created).sort()).toEqual([false, true])
    expect(asked[0]?.keyId).toBe(asked[1]?.keyId)
  })

  it('revoke() ends a key once and tells every listener which', async () => {
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    await on.stores.keys.create(newKey({ id: 'key_r', projectId }))
    const notified = [vi.fn(), vi.fn()]
    await on.database.listen(KEYS_CHANNEL, notified[0]!)
    await on.database.listen(KEYS_CHANNEL, notified[1]!)
    expect(await on.stores.keys.revoke('key_r', NOON_MS + 5)).toBe(true)
    expect(await on.stores.keys.revoke('key_r', NOON_MS + 9)).toBe(false)
    expect(await on.stores.keys.revoke('key_none', NOON_MS)).toBe(false)
    for (const one of notified) await vi.waitFor(() => expect(one).toHaveBeenCalledWith('key_r'))
    expect((await on.stores.keys.findBySecretHash(sha256('key_r')))?.revokedAtMs).toBe(NOON_MS + 5)
  })

  it('the keys of an archived project end with it', async () => {
    const { projectId } = await on.stores.bootstrap.ensureDefaults(DEFAULTS)
    await on.stores.keys.create(newKey({ id: 'key_a', projectId }))
    const archived_at = new Date(NOON_MS + 7)
    await on.database.db.updateTable('projects').set({ archived_at }).where('id', '=', projectId).execute()
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
    await on.stores.keys.revoke(keyId, NOON_MS)
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith(keyId))
    await other.close()
  })
})
