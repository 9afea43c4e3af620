import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '../../db/model/access.ts'
import { addOrganization, addPerson, changeIn, changeOf, entriesOf, newId, rolesIn } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS, sha256 } from './samples.ts'

describe.each(ENGINES)('invitations on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  async function invited(role: Role = 'member') {
    const { db } = on.database
    const organizationId = await addOrganization(db)
    const owner = await addPerson(db, { [organizationId]: 'owner' })
    const guest = await addPerson(db)
    const id = newId('inv')
    const invitation = { id, email: guest.email, role, secretSha256: sha256(id), byUserId: owner.id }
    const change = changeIn(organizationId)
    expect(await on.stores.invitations.create(change, { ...invitation, expiresAtMs: NOON_MS + 1000 })).toBeNull()
    return {
      organizationId,
      owner,
      guest,
      id,
      acceptance: { secretSha256: sha256(id), userId: guest.id, email: guest.email },
    }
  }

  it('of 20 acceptances at the same moment one succeeds', async () => {
    const { organizationId, acceptance, guest } = await invited()
    const accept = () => on.stores.invitations.accept(changeOf(), acceptance)
    const answers = await Promise.all(Array.from({ length: 20 }, accept))
    expect(answers.filter((answer) => typeof answer !== 'string')).toEqual([{ organizationId, role: 'member' }])
    expect(answers.filter((answer) => answer === 'used')).toHaveLength(19)
    expect((await rolesIn(on.database.db, organizationId))[guest.id]).toBe('member')
    const entries = (await entriesOf(on.database.db, organizationId)).filter((entry) => entry.target_type === 'member')
    expect(entries).toHaveLength(1)
  })

  it('of 10 invitations of one address at the same moment one stays open', async () => {
    const { organizationId, owner, guest } = await invited()
    const create = async () => {
      const id = newId('inv')
      const invitation = {
        id,
        email: guest.email,
        role: 'viewer' as const,
        secretSha256: sha256(id),
        byUserId: owner.id,
      }
      await on.stores.invitations.create(changeIn(organizationId), { ...invitation, expiresAtMs: NOON_MS + 1000 })
    }
    await Promise.all(Array.from({ length: 10 }, create))
    const open = await on.database.db
      .selectFrom('invitations')
      .select('id')
      .where('organization_id', '=', organizationId)
      .where('revoked_at', 'is', null)
      .execute()
    expect(open).toHaveLength(1)
  })

  it('an acceptance and a revocation at the same moment do not both succeed', async () => {
    for (let round = 0; round < 10; round++) {
      const { organizationId, acceptance, id, guest } = await invited()
      const [accepted, revoked] = await Promise.all([
        on.stores.invitations.accept(changeOf(), acceptance),
        on.stores.invitations.revoke(changeIn(organizationId), id),
      ])
      expect(revoked).toBe(accepted === 'revoked')
      expect((await rolesIn(on.database.db, organizationId))[guest.id]).toBe(revoked ? undefined : 'member')
    }
  })

  it('an inviter can not give by an invitation what they can no longer give themselves', async () => {
    const { stores, database } = on
    for (const [role, inviterBecomes, allowed] of [
      ['owner', 'admin', false],
      ['admin', 'admin', true],
      ['viewer', 'member', false],
      ['viewer', null, false],
    ] as const) {
      const { organizationId, acceptance, owner } = await invited(role)
      await addPerson(database.db, { [organizationId]: 'owner' })
      const target = { byUserId: owner.id, userId: owner.id }
      if (inviterBecomes === null) await stores.members.remove(changeIn(organizationId), target)
      else await stores.members.setRole(changeIn(organizationId), { ...target, role: inviterBecomes })
      const answer = await stores.invitations.accept(changeOf(), acceptance)
      expect(answer).toEqual(allowed ? { organizationId, role } : 'inviter_gone')
    }
  })

  it('an invitation ends at its very millisecond', async () => {
    const { acceptance, organizationId } = await invited()
    expect(await on.stores.invitations.accept(changeOf({ atMs: NOON_MS + 1000 }), acceptance)).toBe('expired')
    expect(await on.stores.invitations.accept(changeOf({ atMs: NOON_MS + 999 }), acceptance)).toMatchObject({
      organizationId,
    })
  })
})
