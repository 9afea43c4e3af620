import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { addOrganization, addPerson, changeIn, entriesOf, newId, rolesIn, setMember } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sha256 } from './samples.ts'

describe.each(ENGINES)('members on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  it('two owners who demote each other at the same moment leave one', async () => {
    const { db } = on.database
    const org = await addOrganization(db)
    const [one, two] = [await addPerson(db), await addPerson(db)]
    for (let round = 0; round < 20; round++) {
      for (const { id: userId } of [one, two]) await setMember(db, { organizationId: org, userId, role: 'owner' })
      const demote = (by: string, userId: string) =>
        round % 2 === 0
          ? on.stores.members.setRole(changeIn(org), { byUserId: by, userId, role: 'viewer' })
          : on.stores.members.remove(changeIn(org), { byUserId: by, userId })
      await Promise.all([demote(one.id, two.id), demote(two.id, one.id)])
      expect(Object.values(await rolesIn(db, org)).filter((role) => role === 'owner')).toHaveLength(1)
    }
  })

  it('all owners who leave at the same moment leave one', async () => {
    const { db } = on.database
    for (let round = 0; round < 10; round++) {
      const org = await addOrganization(db)
      const owners = []
      for (let n = 0; n < 5; n++) owners.push(await addPerson(db, { [org]: 'owner' }))
      const leave = ({ id }: { id: string }) => on.stores.members.remove(changeIn(org), { byUserId: id, userId: id })
      const answers = await Promise.all(owners.map(leave))
      expect(answers.filter((answer) => answer === null)).toHaveLength(4)
      expect(answers.filter((answer) => answer === 'last_owner')).toHaveLength(1)
      expect(Object.values(await rolesIn(db, org))).toEqual(['owner'])
    }
  })

  it('membershipOf() names the role asked for, or that of the organization joined first', async () => {
    const { db } = on.database
    const [first, second, other] = [await addOrganization(db), await addOrganization(db), await addOrganization(db)]
    const { id } = await addPerson(db, { [second]: 'viewer' })
    await db
      .insertInto('members')
      .values({ organization_id: first, user_id: id, role: 'admin', created_at: new Date(NOON_MS - 1) })
      .execute()
    const { members } = on.stores
    expect(await members.membershipOf(id, null)).toEqual({ organizationId: first, role: 'admin' })
    expect(await members.membershipOf(id, second)).toEqual({ organizationId: second, role: 'viewer' })
    expect(await members.membershipOf(id, other)).toBeNull()
    expect(await members.membershipOf('usr_none', null)).toBeNull()
  })

  it('who is removed loses their tokens there, and no others', async () => {
    const { db } = on.database
    const [here, there] = [await addOrganization(db), await addOrganization(db)]
    const owner = await addPerson(db, { [here]: 'owner' })
    const { id: userId, email } = await addPerson(db, { [here]: 'member', [there]: 'member' })
    const more = {
      userId,
      name: 'A token',
      scopes: ['usage:read'],
      displayPrefix: 'lgw_pat_…',
      expiresAtMs: NOON_MS + 9,
    }
    const tokens = []
    for (const organization of [here, there]) {
      const id = newId('tok')
      await on.stores.tokens.create(changeIn(organization), { ...more, id, secretSha256: sha256(id) })
      tokens.push(id)
    }
    const change = changeIn(here, { atMs: NOON_MS + 5 })
    expect(await on.stores.members.remove(change, { byUserId: owner.id, userId })).toBeNull()
    expect((await on.stores.tokens.findBySecretHash(sha256(tokens[0]!)))?.revokedAtMs).toBe(NOON_MS + 5)
    expect((await on.stores.tokens.findBySecretHash(sha256(tokens[1]!)))?.revokedAtMs).toBeNull()
    expect((await entriesOf(db, here)).at(-1)).toEqual({
      action: 'nouns.verb',
      target_type: 'member',
      target_id: userId,
      before: { role: 'member', email, revoked_tokens: [tokens[0]] },
      after: null,
    })
  })

  it('a change that the audit log can not take does not happen', async () => {
    const { db } = on.database
    const org = await addOrganization(db)
    const owner = await addPerson(db, { [org]: 'owner' })
    const { id: userId } = await addPerson(db, { [org]: 'viewer' })
    const change = changeIn(org)
    const target = { byUserId: owner.id, userId }
    await on.stores.members.setRole(change, { ...target, role: 'member' })
    await expect(on.stores.members.setRole(change, { ...target, role: 'admin' })).rejects.toThrow()
    expect((await rolesIn(db, org))[userId]).toBe('member')
  })

  it('giving the role that is there changes nothing and says nothing', async () => {
    const { db } = on.database
    const org = await addOrganization(db)
    const { id, email } = await addPerson(db, { [org]: 'owner' })
    const answer = await on.stores.members.setRole(changeIn(org), { byUserId: id, userId: id, role: 'owner' })
    expect(answer).toEqual({ userId: id, email, name: 'Some Body', role: 'owner', joinedAtMs: NOON_MS })
    expect(await entriesOf(db, org)).toEqual([])
  })

  it('list() goes through all members page by page, and through no others', async () => {
    const { db } = on.database
    const [org, foreign] = [await addOrganization(db), await addOrganization(db)]
    await addPerson(db, { [foreign]: 'owner' })
    const ids = []
    for (let n = 0; n < 7; n++) ids.push((await addPerson(db, { [org]: 'member', [foreign]: 'viewer' })).id)
    const seen = []
    for (let after: string | null = null; ; ) {
      const page: readonly { userId: string }[] = await on.stores.members.list(scopeOf(org), { limit: 3, after })
      if (page.length === 0) break
      seen.push(...page.map((one) => one.userId))
      after = page.at(-1)!.userId
    }
    expect(seen).toEqual(ids.sort())
  })
})
