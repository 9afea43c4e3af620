import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAtLeast, ROLES, scopeOf } from '../../db/model/access.ts'
import { handClock } from '../helpers/clock.ts'
import { type ConsoleApp, consoleApp, PUBLIC_URL } from '../helpers/console.ts'
import { as, auditText, entriesOf, messageOf, newMember, outcome } from './callers.ts'

const DAY_MS = 86_400_000
const clock = handClock(Date.now())
let house: ConsoleApp
beforeAll(async () => {
  house = await consoleApp({ clock, deps: { clock } })
}, 120_000)
afterAll(() => house?.close())

function secretOf(link: string): string {
  return new URL(link).searchParams.get('secret')!
}

async function scene() {
  const org = await house.organization({ name: 'The Guild' })
  const owner = await newMember(house, org, 'owner')
  const guest = await house.person()
  const invitation = await owner.api.invitations.create({ email: guest.email, role: 'member' })
  const nobody = await as(house, null)
  clock.advance(1)
  return { org, owner, guest, invitation, secret: secretOf(invitation.link), nobody, api: await as(house, guest) }
}

describe('invitations', () => {
  it('a guest follows the mailed link and is a member, once', async () => {
    const { org, owner, guest, invitation, secret, nobody, api } = await scene()
    expect(invitation).toMatchObject({ email: guest.email, role: 'member', mailed: true })
    expect(Date.parse(invitation.expires_at)).toBe(clock.now() - 1 + 7 * DAY_MS)
    expect(invitation.link).toBe(`${PUBLIC_URL}/invitation?secret=${secret}`)
    expect(secret).toMatch(/^[\w-]{43}$/)
    const mail = house.mails.at(-1)!
    expect(mail).toMatchObject({ to: guest.email, subject: 'Invitation to The Guild' })
    expect(mail.text).toContain(invitation.link)
    expect(mail.text).toContain(owner.person.email)
    const offer = { organization_name: 'The Guild', email: guest.email, role: 'member', status: 'open' }
    expect(await nobody.invitations.preview({ secret })).toMatchObject(offer)
    expect(await api.invitations.accept({ secret })).toEqual({ organization_id: org, role: 'member' })
    expect(await house.control.stores.members.membershipOf(guest.id, org)).toMatchObject({ role: 'member' })
    expect(await messageOf(api.invitations.accept({ secret }))).toContain('used already')
    expect(await nobody.invitations.preview({ secret })).toMatchObject({ status: 'used' })
    const entries = await entriesOf(house, org)
    expect(entries).toMatchObject([
      {
        action: 'invitations.create',
        target_id: invitation.id,
        before: null,
        after: { email: guest.email, role: 'member', expires_at: invitation.expires_at },
      },
      { action: 'invitations.accept', actor_id: guest.id, target_type: 'member', after: { invitation: invitation.id } },
    ])
    expect(await auditText(house)).not.toContain(secret)
  })

  it('20 acceptances at once make one membership', async () => {
    const { org, secret, api } = await scene()
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(api.invitations.accept({ secret }))))
    expect(outcomes.filter((one) => one === 'ok')).toHaveLength(1)
    expect(await house.control.stores.members.list(scopeOf(org), { limit: 9, after: null })).toHaveLength(2)
  })

  it('who has the link but another address is refused, and so is an address that is not confirmed', async () => {
    const { org, guest, secret } = await scene()
    const other = await house.person()
    expect(await messageOf((await as(house, other)).invitations.accept({ secret }))).toContain('another e-mail address')
    const doubtful = { ...guest, emailVerified: false }
    expect(await messageOf((await as(house, doubtful)).invitations.accept({ secret }))).toContain('Confirm your e-mail')
    expect(await house.control.stores.members.membershipOf(guest.id, org)).toBeNull()
    const withoutMail = await as(house, doubtful, { control: { mail: null } })
    expect(await outcome(withoutMail.invitations.accept({ secret }))).toBe('ok')
  })

  it('an invitation is over after seven days, when revoked, and when replaced', async () => {
    const { owner, guest, secret, invitation, nobody, api } = await scene()
    const status = async (of: string) => (await nobody.invitations.preview({ secret: of })).status
    const second = await owner.api.invitations.create({ email: guest.email.toUpperCase(), role: 'viewer' })
    expect(await status(secret)).toBe('revoked')
    expect(await messageOf(api.invitations.accept({ secret }))).toContain('revoked or replaced')
    expect(await outcome(owner.api.invitations.revoke({ id: invitation.id }))).toBe('not_found')
    expect(await outcome(owner.api.invitations.revoke({ id: second.id }))).toBe('ok')
    expect(await status(secretOf(second.link))).toBe('revoked')
    expect(await messageOf(api.invitations.accept({ secret: secretOf(second.link) }))).toContain('revoked')
    clock.advance(1)
    const third = await owner.api.invitations.create({ email: guest.email, role: 'viewer' })
    clock.advance(7 * DAY_MS)
    expect(await status(secretOf(third.link))).toBe('expired')
    expect(await messageOf(api.invitations.accept({ secret: secretOf(third.link) }))).toContain('expired')
    const { data } = await owner.api.invitations.list({})
    expect(data.map((one) => one.status)).toEqual(['expired', 'revoked', 'revoked'])
  })

  it('who was removed can not come back by the old link, nor by one of somebody who was removed', async () => {
    const { org, owner, guest, secret, api } = await scene()
    await api.invitations.accept({ secret })
    await owner.api.members.remove({ user_id: guest.id })
    expect(await messageOf(api.invitations.accept({ secret }))).toContain('used already')
    const admin = await newMember(house, org, 'admin')
    const { link } = await admin.api.invitations.create({ email: guest.email, role: 'viewer' })
    await owner.api.members.remove({ user_id: admin.person.id })
    expect(await messageOf(api.invitations.accept({ secret: secretOf(link) }))).toContain('no longer')
    expect(await house.control.stores.members.membershipOf(guest.id, org)).toBeNull()
  })

  it.each(ROLES.flatMap((inviter) => ROLES.map((role) => ({ inviter, role }))))(
    '$inviter invites $role only when they may give it',
    async ({ inviter, role }) => {
      const { api } = await newMember(house, await house.organization(), inviter)
      const may = isAtLeast(inviter, 'admin') && isAtLeast(inviter, role)
      const mails = house.mails.length
      const call = api.invitations.create({ email: 'someone@example.com', role })
      expect(await outcome(call)).toBe(may ? 'ok' : 'insufficient_permissions')
      expect(house.mails.length - mails).toBe(may ? 1 : 0)
    },
  )

  it('members can not be invited again; what is no address or secret is refused', async () => {
    const { owner, guest, secret, api, nobody } = await scene()
    await api.invitations.accept({ secret })
    const again = owner.api.invitations.create({ email: guest.email, role: 'admin' })
    expect(await messageOf(again)).toContain('member already')
    for (const email of ['', 'nobody', 'a@b', 'a@example.com\nbcc: x@example.com', `${'a'.repeat(250)}@example.com`]) {
      expect(await outcome(owner.api.invitations.create({ email, role: 'viewer' }))).toBe('invalid_request')
    }
    expect(await outcome(nobody.invitations.preview({ secret: 'x'.repeat(43) }))).toBe('not_found')
    expect(await outcome(api.invitations.accept({ secret: 'x'.repeat(43) }))).toBe('not_found')
    expect(await outcome(api.invitations.accept({ secret: 'x\u0000' }))).toBe('invalid_request')
    expect(await outcome(nobody.invitations.accept({ secret }))).toBe('invalid_api_key')
  })

  it('a mail server that is away or missing leaves the link to be given by hand', async () => {
    const { org, owner } = await scene()
    const away = { send: () => Promise.reject(new Error('The mail server is away')) }
    for (const mail of [away, null]) {
      const api = await as(house, owner.person, { organizationId: org, control: { mail } })
      const made = await api.invitations.create({ email: 'b@example.com', role: 'viewer' })
      expect(made.mailed).toBe(false)
      expect((await api.invitations.preview({ secret: secretOf(made.link) })).status).toBe('open')
    }
  })

  it('invitations of another organization can be neither seen nor revoked', async () => {
    const { invitation, secret, nobody } = await scene()
    const { api } = await newMember(house, await house.organization(), 'owner')
    expect(await outcome(api.invitations.revoke({ id: invitation.id }))).toBe('not_found')
    expect((await api.invitations.list({})).data).toEqual([])
    expect((await nobody.invitations.preview({ secret })).status).toBe('open')
  })
})
