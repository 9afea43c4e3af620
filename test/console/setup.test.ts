import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bootstrapAdmin } from '../../server/bootstrap.ts'
import { me } from '../../server/console/me.ts'
import { hashPassword } from '../../server/console/people/password.ts'
import { setup } from '../../server/console/setup.ts'
import { type Caller, type Context, createCallerFactory, router } from '../../server/console/trpc.ts'
import type { Deps } from '../../server/deps.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { ENGINES } from '../db/engines.ts'
import { ADMIN, makeDefaults, PASSWORD, type PeopleHouse, peopleHouse } from '../helpers/people.ts'

const SIGN_UP = '/api/auth/sign-up/email'
const SIGN_IN = '/api/auth/sign-in/email'
const parts = { clock: systemClock, random: systemRandom(), hashPassword }
const app = createCallerFactory(router({ setup, me }))

describe.each(ENGINES)('the first admin on $name', { timeout: 120_000 }, (engine) => {
  let first: PeopleHouse
  let house: PeopleHouse
  beforeAll(async () => {
    first = await peopleHouse(engine, { withoutAdmin: true })
  })
  afterAll(() => first.close())

  /** As after the very first start. */
  const empty = async (options: Parameters<PeopleHouse['again']>[0] = {}) => {
    const { db } = first.database.database
    for (const table of ['users', 'invitations', 'audit_log'] as const) await db.deleteFrom(table).execute()
    await db.deleteFrom('settings').where('name', '=', 'setup_secrets').execute()
    house = first.again(options)
  }

  /** Procedures as a request of that caller sees them. */
  function call(options: { readonly isLocal?: boolean; readonly caller?: Caller } = {}) {
    const control = { stores: house.database.stores, people: house.people, mail: null } as unknown as Context['control']
    return app({
      deps: { clock: parts.clock, random: parts.random } as unknown as Deps,
      control,
      caller: options.caller ?? { kind: 'nobody' },
      organizationId: null,
      membership: null,
      requestId: 'req_test',
      address: '203.0.113.7',
      isLocal: options.isLocal ?? false,
    } as Context)
  }

  const input = { email: 'First@Example.com', password: PASSWORD, name: 'First' }
  const people = () => house.database.stores.people
  const link = () => bootstrapAdmin(people(), null, parts)
  const users = () => house.database.database.db.selectFrom('users').selectAll().execute()
  const audited = () =>
    house.database.database.db.selectFrom('audit_log').selectAll().where('action', 'like', 'setup.%').execute()

  it('is made with the link’s token, once; then signs in and is operator and owner', async () => {
    await empty()
    const token = (await link())!
    expect(token).toMatch(/^[\w-]{43}$/)
    expect(await call().setup.status({})).toEqual({
      needs_admin: true,
      needs_token: true,
      sign_up: 'open',
      providers: [],
      mail: false,
    })
    const made = await call().setup.createAdmin({ ...input, token })
    expect(made).toEqual({ id: expect.stringMatching(/^usr_/), email: 'first@example.com', name: 'First' })
    expect(await call().setup.status({})).toMatchObject({ needs_admin: false, needs_token: false })
    await expect(call().setup.createAdmin({ ...input, email: 'second@example.com', token })).rejects.toThrow(
      /admin already/,
    )

    const one = house.visit()
    expect((await one.post(SIGN_IN, { email: input.email, password: PASSWORD })).status).toBe(200)
    const session = (await house.people.sessionOf(one.headers()))!
    expect(session.person).toMatchObject({ id: made.id, operator: true, emailVerified: true })
    const mine = await call({ caller: { kind: 'user', ...session } }).me.get({})
    expect(mine).toEqual({
      id: made.id,
      name: 'First',
      email: 'first@example.com',
      email_verified: true,
      operator: true,
      two_factor_enabled: false,
      organizations: [{ id: expect.stringMatching(/^org_/), name: 'Default', role: 'owner' }],
    })
    const foreign = {
      kind: 'token',
      person: session.person,
      tokenId: 't',
      tokenName: 't',
      organizationId: 'org_other',
    } as const
    const seen = await call({ caller: { ...foreign, scopes: ['organization:read'] } }).me.get({})
    expect(seen.organizations).toEqual([])
    await expect(call().me.get({})).rejects.toThrow(/Sign in/)
  })

  it('leaves an entry in the audit log and no secret anywhere', async () => {
    await empty()
    const token = (await link())!
    const { db } = house.database.database
    const before = JSON.stringify(await db.selectFrom('settings').selectAll().execute())
    expect(before).toContain(createHash('sha256').update(token).digest('hex'))
    expect(before).not.toContain(token)
    const made = await call().setup.createAdmin({ ...input, token })
    const entries = await audited()
    expect(entries).toMatchObject([
      { action: 'setup.createAdmin', actor_id: made.id, target_type: 'user', target_id: made.id, before: null },
    ])
    expect(entries[0]).toMatchObject({ request_id: 'req_test', address: '203.0.113.7' })
    const after = JSON.stringify([await db.selectFrom('settings').selectAll().execute(), entries, await users()])
    for (const secret of [token, PASSWORD, 'setup_secrets']) expect(after).not.toContain(secret)
  })

  it('is refused to everybody else: without a token, with a wrong one, with the hash of the right one', async () => {
    await empty()
    const token = (await link())!
    const wrong = [
      undefined,
      '',
      'x',
      `${token}x`,
      token.slice(1),
      createHash('sha256').update(token).digest('hex'),
      randomBytes(32).toString('base64url'),
    ]
    for (const one of wrong) {
      await expect(
        call().setup.createAdmin({ ...input, ...(one === undefined ? {} : { token: one }) }),
      ).rejects.toThrow(/set-up link/)
    }
    expect(await users()).toEqual([])
  })

  it('is refused with input that is none', async () => {
    await empty()
    const bad = [{ password: 'short' }, { password: 'x'.repeat(129) }, { email: 'nobody' }, { name: ' ' }]
    for (const one of bad)
      await expect(call({ isLocal: true }).setup.createAdmin({ ...input, ...one })).rejects.toThrow()
    expect(await users()).toEqual([])
  })

  it('is made by a visitor on this machine without any token', async () => {
    await empty()
    expect(await call({ isLocal: true }).setup.status({})).toMatchObject({ needs_admin: true, needs_token: false })
    await call({ isLocal: true }).setup.createAdmin(input)
    expect((await users()).length).toBe(1)
    expect(await call({ isLocal: true }).setup.status({})).toMatchObject({ needs_admin: false, needs_token: false })
    await expect(call({ isLocal: true }).setup.createAdmin({ ...input, email: 'b@example.com' })).rejects.toThrow(
      /already/,
    )
  })

  it('is one of many who try at once', async () => {
    await empty()
    const token = (await link())!
    const tries = Array.from({ length: 6 }, (_, i) =>
      call().setup.createAdmin({ ...input, email: `a${i}@example.com`, token }),
    )
    const ended = await Promise.allSettled(tries)
    expect(ended.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    expect([(await users()).length, (await audited()).length]).toEqual([1, 1])
  })

  it('each start prints a link that works, until there is an admin', async () => {
    await empty()
    const tokens = [await link(), await link(), ...(await Promise.all([link(), link()]))]
    expect(new Set(tokens).size).toBe(4)
    await call().setup.createAdmin({ ...input, token: tokens[2]! })
    expect(await link()).toBeNull()
    expect(await people().setupSecrets()).toEqual([])
  })

  it('comes before everybody: nobody signs up while there is none', async () => {
    await empty()
    const early = await house.visit().post(SIGN_UP, { name: 'Early', email: 'early@example.com', password: PASSWORD })
    expect([early.status, early.body?.code]).toEqual([403, 'SETUP_REQUIRED'])
    await call({ isLocal: true }).setup.createAdmin(input)
    expect(
      (await house.visit().post(SIGN_UP, { name: 'Late', email: 'l@example.com', password: PASSWORD })).status,
    ).toBe(200)
  })

  describe('WATCHLLM_BOOTSTRAP_ADMIN', () => {
    const admin = { email: ADMIN.email, password: ADMIN.password }
    const start = () => bootstrapAdmin(people(), admin, parts)

    it('makes it, however often and by however many instances it is started', async () => {
      await empty()
      expect(await Promise.all([start(), start(), start()])).toEqual([null, null, null])
      await start()
      const all = await users()
      expect(all).toMatchObject([{ email: ADMIN.email, operator: true, email_verified: true }])
      expect((await audited()).map(({ actor_name }) => actor_name)).toEqual(['WATCHLLM_BOOTSTRAP_ADMIN'])
      expect((await house.visit().post(SIGN_IN, ADMIN)).status).toBe(200)
      expect((await people().profile(all[0]!.id))?.organizations).toMatchObject([{ role: 'owner' }])
      expect(await call().setup.status({})).toMatchObject({ needs_admin: false })
    })

    it('leaves a password that was changed since', async () => {
      await empty()
      await start()
      const one = house.visit()
      await one.post(SIGN_IN, ADMIN)
      const changed = { currentPassword: ADMIN.password, newPassword: PASSWORD }
      expect((await one.post('/api/auth/change-password', changed)).status).toBe(200)
      await start()
      expect((await one.post(SIGN_IN, { email: ADMIN.email, password: PASSWORD })).status).toBe(200)
      expect((await one.post(SIGN_IN, ADMIN)).status).toBe(401)
    })

    it('takes the address back from whoever signed up with it before: their password and sessions are over', async () => {
      await empty()
      await call({ isLocal: true }).setup.createAdmin(input)
      const squatter = house.visit()
      const made = await squatter.post(SIGN_UP, { name: 'Squatter', email: ADMIN.email, password: PASSWORD })
      expect(made.status).toBe(200)
      await start()
      expect(await house.people.sessionOf(squatter.headers())).toBeNull()
      expect((await squatter.post(SIGN_IN, { email: ADMIN.email, password: PASSWORD })).status).toBe(401)
      expect((await squatter.post(SIGN_IN, ADMIN)).status).toBe(200)
      expect((await users()).filter(({ operator }) => operator).length).toBe(2)
    })
  })

  it('WATCHLLM_SIGN_UP=invite lets in whose address has an open invitation, and nobody else', async () => {
    await empty({ signUp: 'invite' })
    expect(await call().setup.status({})).toMatchObject({ sign_up: 'invite' })
    await call({ isLocal: true }).setup.createAdmin(input)
    const { db } = house.database.database
    const organizationId = await makeDefaults(house.database)
    const invite = async (email: string, change: { accepted_at?: Date; revoked_at?: Date; expires_at?: Date } = {}) => {
      const id = `inv_${randomBytes(8).toString('hex')}`
      const times = {
        created_at: new Date(),
        accepted_at: null,
        revoked_at: null,
        expires_at: new Date(Date.now() + 60_000),
      }
      await db
        .insertInto('invitations')
        .values({
          id,
          organization_id: organizationId,
          email,
          role: 'member',
          secret_sha256: createHash('sha256').update(id).digest('hex'),
          invited_by: 'usr_x',
          ...times,
          ...change,
        })
        .execute()
    }
    const now = new Date()
    await invite('open@example.com')
    await invite('accepted@example.com', { accepted_at: now })
    await invite('revoked@example.com', { revoked_at: now })
    await invite('expired@example.com', { expires_at: new Date(now.getTime() - 1) })
    const statusOf = async (email: string) => {
      const answer = await house.visit().post(SIGN_UP, { name: 'X', email, password: PASSWORD })
      return [answer.status, answer.body?.code]
    }
    for (const who of ['nobody', 'accepted', 'revoked', 'expired', 'first']) {
      expect([who, ...(await statusOf(`${who}@example.com`))]).toEqual([who, 403, 'INVITATION_REQUIRED'])
    }
    expect(await statusOf('Open@Example.com')).toEqual([200, undefined])
  })
})
