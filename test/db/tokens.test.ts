import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { addOrganization, addPerson, changeIn, newId, setMember } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sha256 } from './samples.ts'

describe.each(ENGINES)('access tokens on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  async function add(organizationId: string, userId: string): Promise<string> {
    const id = newId('tok')
    const more = { name: 'A token', scopes: ['keys:read', 'usage:read'], displayPrefix: 'lgw_pat_…' }
    const token = { ...more, id, userId, secretSha256: sha256(id), expiresAtMs: NOON_MS + 1000 }
    expect(await on.stores.tokens.create(changeIn(organizationId), token)).toBe(true)
    return id
  }

  it('a token is found by its hash with its person and what they are now', async () => {
    const { db } = on.database
    const organizationId = await addOrganization(db)
    const { id: userId, email } = await addPerson(db, { [organizationId]: 'member' })
    const id = await add(organizationId, userId)
    const found = {
      id,
      name: 'A token',
      organizationId,
      scopes: ['keys:read', 'usage:read'],
      expiresAtMs: NOON_MS + 1000,
      revokedAtMs: null,
      person: { id: userId, name: 'Some Body', email, emailVerified: true, operator: false },
      role: 'member',
    }
    expect(await on.stores.tokens.findBySecretHash(sha256(id))).toEqual(found)
    await setMember(db, { organizationId, userId, role: 'admin' })
    expect((await on.stores.tokens.findBySecretHash(sha256(id)))?.role).toBe('admin')
    await setMember(db, { organizationId, userId, role: null })
    expect((await on.stores.tokens.findBySecretHash(sha256(id)))?.role).toBeNull()
    expect(await on.stores.tokens.findBySecretHash(sha256('another'))).toBeNull()
  })

  it('nobody gets a token for an organization that they are not in', async () => {
    const { db } = on.database
    const organizationId = await addOrganization(db)
    const { id: userId } = await addPerson(db)
    const more = { name: 'A token', scopes: [], displayPrefix: '', expiresAtMs: NOON_MS }
    const token = { ...more, id: newId('tok'), userId, secretSha256: sha256(userId) }
    expect(await on.stores.tokens.create(changeIn(organizationId), token)).toBe(false)
    expect(await on.stores.tokens.findBySecretHash(sha256(userId))).toBeNull()
  })

  it('revoke() ends a token once; a foreign or unknown one stays as it is', async () => {
    const { db } = on.database
    const [org, foreign] = [await addOrganization(db), await addOrganization(db)]
    const { id: userId } = await addPerson(db, { [org]: 'member' })
    const id = await add(org, userId)
    const { tokens } = on.stores
    expect(await tokens.revoke(changeIn(foreign), { id, userId: null })).toBe(false)
    expect(await tokens.revoke(changeIn(org), { id, userId: 'usr_other' })).toBe(false)
    expect(await tokens.revoke(changeIn(org), { id: 'tok_none', userId: null })).toBe(false)
    expect((await tokens.findBySecretHash(sha256(id)))?.revokedAtMs).toBeNull()
    expect(await tokens.revoke(changeIn(org, { atMs: NOON_MS + 5 }), { id, userId })).toBe(true)
    expect(await tokens.revoke(changeIn(org), { id, userId })).toBe(false)
    expect((await tokens.findBySecretHash(sha256(id)))?.revokedAtMs).toBe(NOON_MS + 5)
  })

  it('touch() notes the latest use of each and of no others', async () => {
    const { db } = on.database
    const org = await addOrganization(db)
    const { id: userId } = await addPerson(db, { [org]: 'member' })
    const [one, two, three] = [await add(org, userId), await add(org, userId), await add(org, userId)]
    const { tokens } = on.stores
    await tokens.touch([one, two, 'tok_none'], NOON_MS + 9)
    await tokens.touch([two], NOON_MS + 20)
    await tokens.touch([one, two], NOON_MS + 10)
    await tokens.touch([], NOON_MS + 99)
    const listed = await tokens.list(scopeOf(org), { limit: 10, after: null, userId: null })
    const uses = Object.fromEntries(listed.map((token) => [token.id, token.lastUsedAtMs]))
    expect(uses).toEqual({ [one]: NOON_MS + 10, [two]: NOON_MS + 20, [three]: null })
  })
})
