import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openEmbedded } from '../db/engines.ts'
import { type OidcProvider, openOidcProvider } from '../helpers/oidc-provider.ts'
import { ADMIN, PASSWORD, type PeopleHouse, peopleHouse } from '../helpers/people.ts'
import type { Visitor } from '../helpers/visitor.ts'

describe('signing in with the operator’s own provider', { timeout: 60_000 }, () => {
  let house: PeopleHouse
  let provider: OidcProvider
  let count = 0
  beforeAll(async () => {
    provider = await openOidcProvider()
    house = await peopleHouse({ name: 'embedded', open: openEmbedded }, { clients: clientsOf(provider) })
  }, 120_000)
  afterAll(async () => {
    await house.close()
    await provider.close()
  })
  beforeEach(() => {
    count++
    provider.fault = 'none'
    provider.user = { sub: `sub-${count}`, email: `oidc-${count}@example.com`, email_verified: true, name: 'Some Body' }
  })

  const clientsOf = ({ issuer, clientId, clientSecret }: OidcProvider) => ({
    github: { clientId: 'gh-client', clientSecret: 'gh-secret' },
    google: { clientId: 'go-client', clientSecret: 'go-secret' },
    oidc: { issuer, clientId, clientSecret },
  })

  const begin = (visitor: Visitor, provider = 'oidc') =>
    visitor.post('/api/auth/sign-in/social', { provider, callbackURL: '/projects', errorCallbackURL: '/sign-in' })

  /** All of it, as a browser goes. @returns where it ends */
  async function signIn(visitor: Visitor): Promise<string> {
    const begun = await begin(visitor)
    if (begun.status !== 200) throw new Error(`Begin: ${begun.status} ${begun.text}`)
    const back = await provider.authorize(begun.body?.url as string)
    expect(back.origin + back.pathname).toBe('http://gateway.test/api/auth/callback/oidc')
    const ended = await visitor.get(back.pathname + back.search)
    expect(ended.status).toBe(302)
    return ended.headers.get('location')!
  }

  it('the first time makes an account, and every time after that is the same person', async () => {
    const one = house.visit()
    expect(await signIn(one)).toBe('/projects')
    const session = await house.people.sessionOf(one.headers())
    expect(session?.person).toEqual({
      id: expect.stringMatching(/^usr_/),
      name: 'Some Body',
      email: provider.user.email,
      emailVerified: true,
      operator: false,
    })
    provider.user = { ...provider.user, email: 'renamed@example.com' }
    const again = house.visit()
    expect(await signIn(again)).toBe('/projects')
    expect((await house.people.sessionOf(again.headers()))?.person.id).toBe(session?.person.id)
  })

  it('keeps none of the provider’s tokens: nothing here calls it on anybody’s behalf', async () => {
    await signIn(house.visit())
    await signIn(house.visit())
    const { db } = house.database.database
    const rows = await db.selectFrom('accounts').selectAll().where('provider_id', '=', 'oidc').execute()
    expect(rows.length).toBeGreaterThan(0)
    for (const { access_token, refresh_token, id_token } of rows) {
      expect([access_token, refresh_token, id_token]).toEqual([null, null, null])
    }
  })

  const faults = ['foreign key', 'other nonce', 'other audience', 'other issuer', 'expired'] as const
  it.each(faults)('an id_token with %s opens nothing and makes nobody', async (fault) => {
    provider.fault = fault
    const one = house.visit()
    const end = new URL(await signIn(one), 'http://gateway.test')
    expect([end.pathname, end.searchParams.has('error')]).toEqual(['/sign-in', true])
    expect(await house.people.sessionOf(one.headers())).toBeNull()
    const { db } = house.database.database
    expect(await db.selectFrom('users').select('id').where('email', '=', provider.user.email).execute()).toEqual([])
  })

  it('the way back works once, in the browser that began, and with its own state', async () => {
    const one = house.visit()
    const begun = await begin(one)
    const back = await provider.authorize(begun.body?.url as string)
    const other = house.visit()
    const stolen = await other.get(back.pathname + back.search)
    expect([stolen.status, await house.people.sessionOf(other.headers())]).toEqual([302, null])
    const changed = new URL(back)
    changed.searchParams.set('state', 'x'.repeat(32))
    await one.get(changed.pathname + changed.search)
    expect(await house.people.sessionOf(one.headers())).toBeNull()
  })

  it('an address that has an account is not taken over by whoever claims it at the provider', async () => {
    const { db } = house.database.database
    const owner = await house.member()
    const { person } = (await house.people.sessionOf(owner.headers()))!
    for (const verified of [false, true]) {
      provider.user = { ...provider.user, email: person.email, email_verified: verified }
      const one = house.visit()
      // The account's own address isn't verified: whoever made it may not be who the provider means.
      expect(await signIn(one)).toContain('error=')
      expect(await house.people.sessionOf(one.headers())).toBeNull()
    }
    provider.user = { ...provider.user, email: ADMIN.email, email_verified: false }
    expect(await signIn(house.visit())).toContain('error=')
    provider.user = { ...provider.user, email_verified: true }
    const admin = house.visit()
    expect(await signIn(admin)).toBe('/projects')
    expect((await house.people.sessionOf(admin.headers()))?.person.operator).toBe(true)
    await db.deleteFrom('accounts').where('provider_id', '=', 'oidc').execute()
  })

  it('with WATCHLLM_SIGN_UP=invite it makes an account for nobody who isn’t invited, or whose address isn’t proven', async () => {
    const closed = house.again({ signUp: 'invite' })
    expect(await signIn(closed.visit())).toContain('error=')
    const { db } = house.database.database
    const organization = await db.selectFrom('organizations').select('id').executeTakeFirstOrThrow()
    const times = {
      created_at: new Date(),
      accepted_at: null,
      revoked_at: null,
      expires_at: new Date(Date.now() + 60_000),
    }
    await db
      .insertInto('invitations')
      .values({
        id: 'inv_oidc',
        organization_id: organization.id,
        email: provider.user.email,
        role: 'member',
        secret_sha256: 'a'.repeat(64),
        invited_by: 'usr_x',
        ...times,
      })
      .execute()
    provider.user = { ...provider.user, email_verified: false }
    expect(await signIn(closed.visit())).toContain('error=')
    provider.user = { ...provider.user, email_verified: true }
    const one = closed.visit()
    expect(await signIn(one)).toBe('/projects')
    expect((await closed.people.sessionOf(one.headers()))?.person.email).toBe(provider.user.email)
  })

  it('a provider that is down keeps nobody from signing in otherwise, and works when it is back', async () => {
    provider.fault = 'down'
    const fresh = house.again()
    const one = fresh.visit()
    expect((await begin(one)).status).toBe(404)
    expect((await one.post('/api/auth/sign-in/email', ADMIN)).status).toBe(200)
    provider.fault = 'none'
    const other = fresh.visit()
    expect(await signIn(other)).toBe('/projects')
    expect(await fresh.people.sessionOf(other.headers())).not.toBeNull()
  })

  it('nobody is asked at the provider for a sign-in with a password', async () => {
    provider.asked.length = 0
    const fresh = house.again()
    await fresh.visit().post('/api/auth/sign-in/email', { email: ADMIN.email, password: PASSWORD })
    expect(provider.asked).toEqual([])
  })

  const social: [id: string, origin: string, client: string][] = [
    ['github', 'https://github.com', 'gh-client'],
    ['google', 'https://accounts.google.com', 'go-client'],
  ]
  it.each(social)('%s begins at %s with our client and PKCE where it has it', async (id, origin, client) => {
    const begun = await begin(house.visit(), id)
    const url = new URL(begun.body?.url as string)
    expect([url.origin, url.searchParams.get('client_id')]).toEqual([origin, client])
    expect(url.searchParams.get('redirect_uri')).toBe(`http://gateway.test/api/auth/callback/${id}`)
    expect(begun.text).not.toMatch(/gh-secret|go-secret/)
  })

  it('only what is configured is offered', async () => {
    expect(house.people.logins).toEqual({ signUp: 'open', providers: ['github', 'google', 'oidc'] })
    const none = house.again({ clients: { github: null, google: null, oidc: null } })
    expect(none.people.logins.providers).toEqual([])
    for (const id of ['github', 'google', 'oidc', 'apple'])
      expect([id, (await begin(none.visit(), id)).status]).toEqual([id, 404])
  })

  it('sends nobody to another site, neither there nor back', async () => {
    const one = house.visit()
    for (const name of ['callbackURL', 'errorCallbackURL', 'newUserCallbackURL']) {
      const answer = await one.post('/api/auth/sign-in/social', { provider: 'oidc', [name]: 'https://evil.test/x' })
      expect([name, answer.status]).toEqual([name, 403])
    }
  })
})
