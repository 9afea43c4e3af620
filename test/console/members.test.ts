import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAtLeast, ROLES, type Role } from '../../db/model/access.ts'
import type { Person } from '../../server/deps.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { as, entriesOf, messageOf, newMember, outcome } from './callers.ts'

let house: ConsoleApp
beforeAll(async () => {
  house = await consoleApp()
}, 120_000)
afterAll(() => house?.close())

const ACTIONS = [...ROLES.map((role) => `set ${role}` as const), 'remove', 'leave'] as const
type Action = (typeof ACTIONS)[number]

interface Case {
  readonly actor: Role
  /** Null: the actor. */
  readonly target: Role | null
  readonly action: Action
  /** There is a third person who is an owner. */
  readonly thirdOwner: boolean
}

function* cases(): Generator<Case> {
  for (const thirdOwner of [true, false]) {
    for (const actor of ROLES) {
      for (const target of [null, ...ROLES]) {
        for (const action of ACTIONS) {
          if (action !== 'leave' || target === null) yield { actor, target, action, thirdOwner }
        }
      }
    }
  }
}

/** The rules as they are told to people, in the order in which they are looked at. */
function expected({ actor, target, action, thirdOwner }: Case): string {
  const was = target ?? actor
  const becomes = action.startsWith('set ') ? (action.slice(4) as Role) : null
  if (action !== 'leave' && !isAtLeast(actor, 'admin')) return 'insufficient_permissions'
  if (becomes === 'owner' && actor !== 'owner') return 'insufficient_permissions'
  if (was === 'owner' && becomes !== 'owner' && actor !== 'owner') return 'insufficient_permissions'
  const otherOwners = (thirdOwner ? 1 : 0) + (target !== null && actor === 'owner' ? 1 : 0)
  if (was === 'owner' && becomes !== 'owner' && otherOwners === 0) return 'invalid_request'
  return 'ok'
}

describe('who may change whom', () => {
  let org: string
  let people: { readonly actor: Person; readonly target: Person; readonly third: Person }
  beforeAll(async () => {
    org = await house.organization()
    people = { actor: await house.person(), target: await house.person(), third: await house.person() }
  })

  async function roles(): Promise<Readonly<Record<string, Role>>> {
    const rows = await house.database.database.db
      .selectFrom('members')
      .selectAll()
      .where('organization_id', '=', org)
      .execute()
    return Object.fromEntries(rows.map((row) => [row.user_id, row.role]))
  }

  it.each([...cases()])('$actor to $target (null: oneself): $action, third owner: $thirdOwner', async (one) => {
    const { db } = house.database.database
    await db.deleteFrom('members').where('organization_id', '=', org).execute()
    await db.deleteFrom('audit_log').execute()
    await house.join(org, people.actor.id, one.actor)
    if (one.target !== null) await house.join(org, people.target.id, one.target)
    if (one.thirdOwner) await house.join(org, people.third.id, 'owner')
    const before = await roles()
    const { members } = await as(house, people.actor, { organizationId: org })
    const user_id = (one.target === null ? people.actor : people.target).id
    const act = (): Promise<unknown> => {
      if (one.action === 'leave') return members.leave({})
      if (one.action === 'remove') return members.remove({ user_id })
      return members.setRole({ user_id, role: one.action.slice(4) as Role })
    }
    expect(await outcome(act())).toBe(expected(one))
    const becomes = one.action.startsWith('set ') ? (one.action.slice(4) as Role) : null
    const { [user_id]: was, ...others } = before
    const changed = expected(one) === 'ok' && becomes !== was
    const after = becomes === null ? others : { ...others, [user_id]: becomes }
    expect(await roles()).toEqual(changed ? after : before)
    const entries = await entriesOf(house, org)
    if (!changed) return expect(entries).toEqual([])
    const action = one.action === 'leave' ? 'members.leave' : becomes === null ? 'members.remove' : 'members.setRole'
    const told = { action, actor_id: people.actor.id, target_id: user_id, request_id: 'req_test', address: '192.0.2.7' }
    expect(entries).toMatchObject([
      { ...told, before: { role: was }, after: becomes === null ? null : { role: becomes } },
    ])
  })
})

describe('members', () => {
  it('a role that was taken while the request was on its way is not used any more', async () => {
    const org = await house.organization()
    await newMember(house, org, 'owner')
    const admin = await newMember(house, org, 'admin')
    const { person } = await newMember(house, org, 'member')
    await house.join(org, admin.person.id, 'viewer')
    expect(await outcome(admin.api.members.remove({ user_id: person.id }))).toBe('insufficient_permissions')
    expect(await outcome(admin.api.members.setRole({ user_id: admin.person.id, role: 'admin' }))).toBe(
      'insufficient_permissions',
    )
  })

  it('two owners who demote each other through the procedures leave one, who is told why', async () => {
    const org = await house.organization()
    const [one, two] = [await newMember(house, org, 'owner'), await newMember(house, org, 'owner')]
    const outcomes = await Promise.all([
      outcome(one.api.members.setRole({ user_id: two.person.id, role: 'member' })),
      outcome(two.api.members.setRole({ user_id: one.person.id, role: 'member' })),
    ])
    expect(outcomes.sort()).toEqual(['insufficient_permissions', 'ok'])
    const { data } = await one.api.members.list({})
    expect(data.map((member) => member.role).sort()).toEqual(['member', 'owner'])
  })

  it('the last owner is told what to do before leaving', async () => {
    const org = await house.organization()
    const { api } = await newMember(house, org, 'owner')
    expect(await messageOf(api.members.leave({}))).toContain('make somebody else an owner first')
  })

  it('members of another organization are as unknown as nobody', async () => {
    const [org, foreign] = [await house.organization(), await house.organization()]
    const { api } = await newMember(house, org, 'owner')
    const { person } = await newMember(house, foreign, 'viewer')
    for (const user_id of [person.id, 'usr_nobody']) {
      expect(await outcome(api.members.remove({ user_id }))).toBe('not_found')
      expect(await outcome(api.members.setRole({ user_id, role: 'viewer' }))).toBe('not_found')
    }
    expect(await outcome((await as(house, person, { organizationId: org })).members.list({}))).toBe(
      'insufficient_permissions',
    )
    expect(await house.control.stores.members.membershipOf(person.id, foreign)).not.toBeNull()
  })

  it('list() pages through all members with their address and role', async () => {
    const org = await house.organization()
    const { api, person } = await newMember(house, org, 'viewer')
    const all = [person]
    for (let n = 0; n < 4; n++) all.push((await newMember(house, org, 'member')).person)
    const first = await api.members.list({ limit: 3 })
    const second = await api.members.list({ limit: 3, cursor: first.next_cursor! })
    expect(second.next_cursor).toBeNull()
    const seen = [...first.data, ...second.data]
    expect(seen.map((member) => member.email).sort()).toEqual(all.map(({ email }) => email).sort())
    expect(seen.find((member) => member.user_id === person.id)).toMatchObject({ role: 'viewer', name: person.name })
    expect(await outcome(api.members.list({ limit: 0 }))).toBe('invalid_request')
    expect(await outcome(api.members.list({ cursor: 'a\u0000b' }))).toBe('invalid_request')
  })
})
