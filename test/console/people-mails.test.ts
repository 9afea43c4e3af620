import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { openMail } from '../../server/mail.ts'
import { ENGINES } from '../db/engines.ts'
import { linkIn, type Mailbox, openMailbox } from '../helpers/mailbox.ts'
import { ADMIN, PASSWORD, type PeopleHouse, peopleHouse } from '../helpers/people.ts'
import type { Visitor } from '../helpers/visitor.ts'

const SIGN_UP = '/api/auth/sign-up/email'
const SIGN_IN = '/api/auth/sign-in/email'
const NEW_PASSWORD = 'another good password'

describe.each(ENGINES)('people with mail on $name', { timeout: 60_000 }, (engine) => {
  let house: PeopleHouse
  let mailbox: Mailbox
  let visit: Visitor
  let email = ''
  let count = 0
  beforeAll(async () => {
    mailbox = await openMailbox()
    const log = { info() {}, warn() {}, error() {} }
    house = await peopleHouse(engine, {
      mail: openMail({ smtpUrl: mailbox.url, from: 'WatchLLM <gw@test.example>', log }),
    })
  }, 120_000)
  afterAll(async () => {
    await house.close()
    await mailbox.close()
  })
  beforeEach(() => {
    visit = house.visit()
    email = `mail-${++count}@example.com`
  })

  /** Follows a link of a mail as a browser does. */
  const follow = async (to: string) => {
    await house.people.settled()
    const link = linkIn(mailbox.last(to))
    expect(link.origin).toBe('http://gateway.test')
    return visit.get(link.pathname + link.search)
  }
  const signUp = () => visit.post(SIGN_UP, { name: 'New http://evil.test Person', email, password: PASSWORD })
  const signIn = (password = PASSWORD) => visit.post(SIGN_IN, { email, password })

  it('an account works when the link in the mail was opened, not before', async () => {
    const made = await signUp()
    expect([made.status, made.body?.token, visit.cookies.size]).toEqual([200, null, 0])
    const early = await signIn()
    expect([early.status, early.body?.code, visit.cookies.size]).toEqual([403, 'EMAIL_NOT_VERIFIED', 0])
    const followed = await follow(email)
    expect([followed.status, followed.headers.get('location')]).toEqual([302, '/'])
    expect((await signIn()).status).toBe(200)
    expect((await house.people.sessionOf(visit.headers()))?.person).toMatchObject({ email, emailVerified: true })
  })

  it('the mail is plain text, from us to them, without a word of whoever signed up', async () => {
    await signUp()
    await house.people.settled()
    const mail = mailbox.last(email)
    expect([mail.from, mail.to]).toEqual(['gw@test.example', [email]])
    expect(mail.raw).toMatch(/^content-type: text\/plain/im)
    expect(mail.raw).not.toMatch(/text\/html|multipart/i)
    expect(mail.text).not.toContain('evil.test')
    expect(mail.text).not.toContain(PASSWORD)
  })

  it('a link with a changed token verifies nothing', async () => {
    await signUp()
    await house.people.settled()
    const link = linkIn(mailbox.last(email))
    const token = link.searchParams.get('token')!
    for (const bad of [
      `${token}x`,
      token.slice(1),
      `${token.slice(0, -3)}AAA`,
      '',
      token.split('.').slice(0, 2).join('.'),
    ]) {
      link.searchParams.set('token', bad)
      const answer = await visit.get(link.pathname + link.search)
      expect(answer.headers.get('location') ?? answer.text).toMatch(/error=|code/)
    }
    expect((await signIn()).status).toBe(403)
  })

  it('a sign-up with a taken address answers as one with a free one; its owner is told by mail', async () => {
    const free = await signUp()
    const taken = await house
      .visit()
      .post(SIGN_UP, { name: 'New http://evil.test Person', email: ADMIN.email, password: PASSWORD })
    const shape = (answer: typeof free) => {
      const user = answer.body?.user as Record<string, unknown>
      const kinds = Object.entries(user).map(([name, value]) => [name, typeof value])
      return [answer.status, answer.body?.token, kinds, user.emailVerified, user.name, user.operator]
    }
    expect(shape(taken)).toEqual(shape(free))
    expect(taken.body?.user).toMatchObject({ id: expect.stringMatching(/^usr_[0-9a-z]{26}$/) })
    await house.people.settled()
    expect(mailbox.last(ADMIN.email).text).toContain('http://gateway.test/sign-in')
    expect((await visit.post(SIGN_IN, ADMIN)).status).toBe(200)
  })

  it('an answer doesn’t wait for the mail server: how long it takes would tell who has an account', async () => {
    let sent = 0
    const slow = house.again({
      mail: { send: () => new Promise((resolve) => setImmediate(() => resolve(void sent++))) },
    })
    let release = (): void => {}
    const never = house.again({ mail: { send: () => new Promise((resolve) => (release = resolve)) } })
    expect((await slow.visit().post(SIGN_UP, { name: 'N', email, password: PASSWORD })).status).toBe(200)
    await slow.people.settled()
    expect(sent).toBe(1)
    const answer = await never.visit().post('/api/auth/request-password-reset', { email: ADMIN.email })
    expect(answer.status).toBe(200)
    release()
    await never.people.settled()
  })

  it('a mail server that fails fails no sign-up, and the next sign-in sends the mail again', async () => {
    const broken = house.again({ mail: { send: () => Promise.reject(new Error('connect ECONNREFUSED')) } })
    const one = broken.visit()
    expect((await one.post(SIGN_UP, { name: 'N', email, password: PASSWORD })).status).toBe(200)
    await broken.people.settled()
    expect(broken.log.map(({ message }) => message)).toEqual(['A mail could not be sent'])
    expect((await signIn()).status).toBe(403)
    expect((await follow(email)).status).toBe(302)
    expect((await signIn()).status).toBe(200)
  })

  it('a forgotten password is chosen anew once, which ends every session', async () => {
    const one = await house.member(email)
    const asked = await visit.post('/api/auth/request-password-reset', { email: email.toUpperCase() })
    expect(asked.status).toBe(200)
    await house.people.settled()
    const link = linkIn(mailbox.last(email))
    expect([link.origin, link.pathname]).toEqual(['http://gateway.test', '/reset-password'])
    const token = link.searchParams.get('token')!
    const { db } = house.database.database
    expect(JSON.stringify(await db.selectFrom('verifications').selectAll().execute())).not.toContain(token)

    const reset = (newPassword: string) => visit.post('/api/auth/reset-password', { token, newPassword })
    expect((await reset('too short')).status).toBe(400)
    expect((await reset(NEW_PASSWORD)).status).toBe(200)
    expect((await reset('yet another password')).status).toBe(400)
    expect(await house.people.sessionOf(one.headers())).toBeNull()
    expect((await signIn()).status).toBe(401)
    expect((await signIn(NEW_PASSWORD)).status).toBe(200)
  })

  it('asking for a new password answers the same whether the address is known or not', async () => {
    await house.member(email)
    const known = await visit.post('/api/auth/request-password-reset', { email })
    const unknown = await visit.post('/api/auth/request-password-reset', { email: 'nobody-here@example.com' })
    expect([known.status, known.text]).toEqual([unknown.status, unknown.text])
    await house.people.settled()
    expect(() => mailbox.last('nobody-here@example.com')).toThrow()
  })

  it('a mail to verify can be asked for again, and goes to none who has no account', async () => {
    await signUp()
    await house.people.settled()
    const before = mailbox.mails.length
    const again = await visit.post('/api/auth/send-verification-email', { email })
    const nobody = await visit.post('/api/auth/send-verification-email', { email: 'nobody-there@example.com' })
    expect([again.status, again.text]).toEqual([nobody.status, nobody.text])
    await house.people.settled()
    expect(mailbox.mails.length).toBe(before + 1)
  })

  it('nobody makes us write more than five mails a minute to an address, wherever they ask from', async () => {
    const limited = house.again({ kv: memoryKv() })
    await house.member(email)
    await house.people.settled()
    const before = mailbox.mails.length
    const statuses: number[] = []
    for (let i = 0; i < 8; i++) {
      const one = limited.visit({ address: `203.0.113.${i}` })
      statuses.push((await one.post('/api/auth/request-password-reset', { email })).status)
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429])
    await limited.people.settled()
    expect(mailbox.mails.length).toBe(before + 5)
  })
})

it('without mail there is nothing to reset a password with, and it says so', async () => {
  const house = await peopleHouse(ENGINES[0]!)
  const answer = await house.visit().post('/api/auth/request-password-reset', { email: ADMIN.email })
  expect([answer.status, answer.body?.code]).toEqual([400, 'RESET_PASSWORD_DISABLED'])
  await house.close()
}, 120_000)
