import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES } from '../db/engines.ts'
import { ADMIN, MASTER, PASSWORD, type PeopleHouse, peopleHouse } from '../helpers/people.ts'

const SIGN_UP = '/api/auth/sign-up/email'
const SIGN_IN = '/api/auth/sign-in/email'
const OTHER_MASTER = 'another-master-secret-0123456789'

describe.each(ENGINES)('people on $name', { timeout: 60_000 }, (engine) => {
  let house: PeopleHouse
  beforeAll(async () => {
    house = await peopleHouse(engine)
  }, 120_000)
  afterAll(() => house.close())

  it('whoever signs up is signed in, and stays so until they sign out', async () => {
    const ada = house.visit()
    const made = await ada.post(SIGN_UP, { name: 'Ada', email: 'Ada@Example.com', password: PASSWORD })
    expect(made.status).toBe(200)
    const session = await house.people.sessionOf(ada.headers())
    expect(session?.person).toEqual({
      id: expect.stringMatching(/^usr_[0-9a-z]{26}$/),
      name: 'Ada',
      email: 'ada@example.com',
      emailVerified: false,
      operator: false,
    })
    expect(session?.sessionId).toMatch(/^[\w-]{24}$/)
    const held = ada.headers()
    expect((await ada.post('/api/auth/sign-out')).status).toBe(200)
    expect(ada.cookies.size).toBe(0)
    expect(await house.people.sessionOf(held)).toBeNull()

    expect((await ada.post(SIGN_IN, { email: 'ADA@example.com', password: PASSWORD })).status).toBe(200)
    const again = await house.people.sessionOf(ada.headers())
    expect(again?.person).toEqual(session?.person)
    expect(again?.sessionId).not.toBe(session?.sessionId)
  })

  it('a session is over when its time is, when it is revoked, and when its user is gone', async () => {
    const { db } = house.database.database
    const one = await house.member('over@example.com')
    const other = house.visit()
    await other.post(SIGN_IN, { email: 'over@example.com', password: PASSWORD })
    const listed = await one.get('/api/auth/list-sessions')
    expect((listed.body as unknown as unknown[]).length).toBe(2)
    expect((await one.post('/api/auth/revoke-other-sessions')).status).toBe(200)
    expect(await house.people.sessionOf(other.headers())).toBeNull()

    const session = await house.people.sessionOf(one.headers())
    const setExpiry = (at: number) =>
      db
        .updateTable('sessions')
        .set({ expires_at: new Date(at) })
        .where('id', '=', session!.sessionId)
        .execute()
    await setExpiry(Date.now() - 1)
    expect(await house.people.sessionOf(one.headers())).toBeNull()
    await setExpiry(Date.now() + 60_000)
    expect(await house.people.sessionOf(one.headers())).not.toBeNull()
    await db.deleteFrom('users').where('email', '=', 'over@example.com').execute()
    expect(await house.people.sessionOf(one.headers())).toBeNull()
  })

  it('a session lasts seven days, and a visit to get-session after the first of them begins them anew', async () => {
    const { db } = house.database.database
    const one = await house.member()
    const { sessionId } = (await house.people.sessionOf(one.headers()))!
    const expiry = async () =>
      (
        await db.selectFrom('sessions').select('expires_at').where('id', '=', sessionId).executeTakeFirstOrThrow()
      ).expires_at.getTime() - Date.now()
    const day = 24 * 3_600_000
    expect(Math.abs((await expiry()) - 7 * day)).toBeLessThan(60_000)
    const soon = new Date(Date.now() + 5 * day)
    await db.updateTable('sessions').set({ expires_at: soon }).where('id', '=', sessionId).execute()
    await house.people.sessionOf(one.headers())
    expect(await expiry()).toBeLessThan(6 * day)
    expect((await one.get('/api/auth/get-session')).status).toBe(200)
    expect(Math.abs((await expiry()) - 7 * day)).toBeLessThan(60_000)
  })

  it('a cookie that was changed at any place is nobody’s', async () => {
    const one = await house.member()
    const [[name, raw] = ['', '']] = one.cookies
    const cookie = (value: string) => new Headers({ cookie: `a=b; ${name}=${value}; c=d` })
    expect(await house.people.sessionOf(cookie(raw))).not.toBeNull()
    const value = decodeURIComponent(raw)
    for (let at = 0; at < value.length; at++) {
      const flipped = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
      expect(await house.people.sessionOf(cookie(encodeURIComponent(flipped))), `changed at ${at}`).toBeNull()
      expect(await house.people.sessionOf(cookie(encodeURIComponent(value.slice(0, at)))), `cut at ${at}`).toBeNull()
    }
    const bad = ['', '%', '%E0%A4%A', '.', 'x.', '.x', `${raw}x`, value.slice(0, value.indexOf('.'))]
    for (const one of bad) expect(await house.people.sessionOf(cookie(one)), one).toBeNull()
    expect(await house.people.sessionOf(new Headers())).toBeNull()
    expect(await house.people.sessionOf(new Headers({ cookie: `__Secure-${name}=${raw}` }))).toBeNull()
  })

  it('an instance with another master secret knows no session of this one', async () => {
    const one = await house.member()
    const stranger = house.again({ secrets: [OTHER_MASTER] })
    expect(await stranger.people.sessionOf(one.headers())).toBeNull()
    const answer = await stranger.people.handle(
      new Request('http://gateway.test/api/auth/get-session', { headers: one.headers() }),
      null,
    )
    expect(await answer.json()).toBeNull()
  })

  it('a rotated master secret keeps sessions, here and in better-auth, until the old one is taken out', async () => {
    const one = await house.member()
    const ask = (people: PeopleHouse) =>
      people.people
        .handle(new Request('http://gateway.test/api/auth/get-session', { headers: one.headers() }), null)
        .then((answer) => answer.json() as Promise<{ user: { id: string } } | null>)
    const before = await house.people.sessionOf(one.headers())
    const rotated = house.again({ secrets: [OTHER_MASTER, MASTER] })
    expect(await rotated.people.sessionOf(one.headers())).toEqual(before)
    expect((await ask(rotated))?.user.id).toBe(before?.person.id)
    const later = house.again({ secrets: [OTHER_MASTER] })
    expect(await later.people.sessionOf(one.headers())).toBeNull()
    expect(await ask(later)).toBeNull()
  })

  describe('cookies', () => {
    const cases: [publicUrl: string, name: string, secure: boolean][] = [
      ['http://gateway.test', 'watchllm.session_token', false],
      ['http://127.0.0.1:8787', 'watchllm.session_token', false],
      ['https://gateway.test', '__Secure-watchllm.session_token', true],
      ['https://gateway.test:8443/under/a/path', '__Secure-watchllm.session_token', true],
    ]
    it.each(cases)('at %s', async (publicUrl, name, secure) => {
      const there = house.again({ publicUrl: () => publicUrl })
      const one = there.visit()
      // A proxy in front takes the path off.
      const email = `${publicUrl.length}-${secure}@example.com`
      const made = await there.people.handle(
        new Request(`http://10.0.0.1/api/auth/sign-up/email`, {
          method: 'POST',
          headers: { origin: new URL(publicUrl).origin, 'content-type': 'application/json' },
          body: JSON.stringify({ name: 'X', email, password: PASSWORD }),
        }),
        null,
      )
      expect(made.status, await made.clone().text()).toBe(200)
      const lines = made.headers.getSetCookie()
      expect(lines.map((line) => line.slice(0, line.indexOf('=')))).toEqual([name])
      const flags = lines[0]!.split('; ').slice(1).sort()
      expect(flags).toEqual(['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax', ...(secure ? ['Secure'] : [])])
      one.cookies.set(name, lines[0]!.slice(name.length + 1, lines[0]!.indexOf(';')))
      expect((await there.people.sessionOf(one.headers()))?.person.email).toBe(email)
    })
  })

  describe('refused', () => {
    it('an unknown address and a wrong password get the same answer', async () => {
      await house.member('known@example.com')
      const visitor = house.visit()
      const wrong = await visitor.post(SIGN_IN, { email: 'known@example.com', password: 'not the password' })
      const unknown = await visitor.post(SIGN_IN, { email: 'unknown@example.com', password: 'not the password' })
      expect([wrong.status, wrong.text]).toEqual([unknown.status, unknown.text])
      expect(wrong.status).toBe(401)
      expect([...wrong.headers].filter(([name]) => name !== 'date')).toEqual([...unknown.headers])
    })

    it('an unknown address costs as much time as a wrong password', async () => {
      const time = async (email: string): Promise<number> => {
        const start = performance.now()
        await house.visit().post(SIGN_IN, { email, password: 'not the password' })
        return performance.now() - start
      }
      const times: Record<'known' | 'unknown', number[]> = { known: [], unknown: [] }
      for (let round = 0; round < 9; round++) {
        times.known.push(await time(ADMIN.email))
        times.unknown.push(await time('nobody-at-all@example.com'))
      }
      const median = (list: number[]) => list.sort((a, b) => a - b)[4]!
      // Hashing is what takes the time: without it an answer is there in a tenth of it.
      expect(median(times.unknown)).toBeGreaterThan(median(times.known) * 0.5)
      expect(median(times.unknown)).toBeLessThan(median(times.known) * 2)
    })

    const bodies: [what: string, body: unknown, status: number][] = [
      ['a short password', { name: 'X', email: 'x1@example.com', password: '123456789' }, 400],
      ['a long password', { name: 'X', email: 'x1@example.com', password: 'x'.repeat(129) }, 400],
      ['no address', { name: 'X', password: PASSWORD }, 400],
      ['no real address', { name: 'X', email: 'x1', password: PASSWORD }, 400],
      ['an empty name', { name: ' ', email: 'x1@example.com', password: PASSWORD }, 400],
      ['a name of a page', { name: 'X'.repeat(201), email: 'x1@example.com', password: PASSWORD }, 400],
      [
        'a picture that is a script',
        { name: 'X', email: 'x1@example.com', password: PASSWORD, image: 'javascript:1' },
        400,
      ],
      [
        'a foreign place to go on',
        { name: 'X', email: 'x1@example.com', password: PASSWORD, callbackURL: 'https://evil.test' },
        403,
      ],
      ['an array', [], 400],
      ['a number', 5, 400],
      ['half of it', '{"name":"X"', 400],
      ['too much', { name: 'X', email: 'x1@example.com', password: PASSWORD, more: 'x'.repeat(65_536) }, 413],
    ]
    it.each(bodies)('a sign-up with %s', async (_what, body, status) => {
      const answer = await house.visit().post(SIGN_UP, body)
      expect([answer.status, answer.text]).toEqual([status, expect.any(String)])
      expect(Object.keys(answer.body!).sort()).toEqual(['code', 'message'])
      const { db } = house.database.database
      expect(await db.selectFrom('users').select('id').where('email', '=', 'x1@example.com').execute()).toEqual([])
    })

    it('a taken address, in plain words, while addresses aren’t verified', async () => {
      const answer = await house.visit().post(SIGN_UP, { name: 'X', email: ADMIN.email, password: PASSWORD })
      expect(answer.status).toBe(422)
    })

    it('to be an operator by one’s own word', async () => {
      const one = house.visit()
      const input = { name: 'X', email: 'operator@example.com', password: PASSWORD, operator: true }
      expect((await one.post(SIGN_UP, input)).body?.user).toMatchObject({ operator: false })
      await one.post('/api/auth/update-user', { operator: true, name: 'Me' })
      await one.post('/api/auth/update-user', { operator: true })
      expect((await house.people.sessionOf(one.headers()))?.person.operator).toBe(false)
    })

    const types = [
      'application/x-www-form-urlencoded',
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/jsonx',
    ]
    it.each(types)('a body of %s: forms of other sites can send that', async (type) => {
      const answer = await house.visit().post(SIGN_IN, 'email=a&password=b', { 'content-type': type })
      expect([answer.status, answer.body?.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
    })

    it('whatever comes with a session’s cookie from a page of another site', async () => {
      const one = await house.member()
      for (const origin of ['https://evil.test', 'null', 'http://gateway.test.evil.test']) {
        const answer = await one.post('/api/auth/sign-out', {}, { origin })
        expect([answer.status, Object.keys(answer.body!).sort()]).toEqual([403, ['code', 'message']])
      }
      expect(await house.people.sessionOf(one.headers())).not.toBeNull()
    })

    it('every path of better-auth that isn’t meant, whatever it comes to have', async () => {
      const { makeAuth } = await import('../../server/console/people/auth.ts')
      const endpoints = Object.values(makeAuth(house.authOptions()).api) as {
        path?: string
        options: { method: unknown }
      }[]
      const all = endpoints.flatMap(({ path, options }) =>
        path === undefined ? [] : [options.method].flat().map((method) => `${method} ${path}`),
      )
      expect(all.length).toBeGreaterThan(35)
      const one = await house.member()
      const passed: string[] = []
      for (const line of all) {
        const [method, path = ''] = line.split(' ')
        const place = `/api/auth${path.replace(':id', 'github').replace(':token', 'x')}`
        const answer = method === 'GET' ? await one.get(place) : await one.post(place, {})
        if (answer.status !== 404 || answer.body?.code !== 'NOT_FOUND') passed.push(line)
      }
      expect(passed.sort()).toEqual([
        'GET /callback/:id',
        'GET /get-session',
        'GET /list-accounts',
        'GET /list-sessions',
        'GET /verify-email',
        'POST /change-password',
        'POST /link-social',
        'POST /request-password-reset',
        'POST /reset-password',
        'POST /revoke-other-sessions',
        'POST /revoke-session',
        'POST /revoke-sessions',
        'POST /send-verification-email',
        'POST /sign-in/email',
        'POST /sign-in/social',
        'POST /sign-out',
        'POST /sign-up/email',
        'POST /two-factor/disable',
        'POST /two-factor/enable',
        'POST /two-factor/generate-backup-codes',
        'POST /two-factor/get-totp-uri',
        'POST /two-factor/verify-backup-code',
        'POST /two-factor/verify-totp',
        'POST /unlink-account',
        'POST /update-user',
      ])
    })

    it('and a fault of ours says nothing of itself, but in the log', async () => {
      const broken = house.again({
        store: new Proxy(house.database.stores.people, {
          get: () => () => Promise.reject(new Error('password=hunter2 at 10.0.0.9')),
        }),
      })
      const answer = await broken.visit().post(SIGN_UP, { name: 'X', email: 'x2@example.com', password: PASSWORD })
      expect([answer.status, answer.body?.code]).toEqual([500, 'SERVER_ERROR'])
      expect(answer.text).not.toMatch(/hunter2|10\.0\.0\.9|\bat \b/)
      expect(broken.log.map(({ level }) => level)).toEqual(['error'])
    })
  })

  it('a page may call the gateway by any name that it was loaded from', async () => {
    const here = house.again({ publicUrl: () => 'http://127.0.0.1:8787' })
    const one = await here.member()
    const statusOf = async (origin: string, host: string) =>
      (await one.post('/api/auth/update-user', { name: 'N' }, { origin, host })).status
    for (const host of ['localhost:8787', '127.0.0.1:8787', '[::1]:8787', '192.168.1.5:8787']) {
      expect([host, await statusOf(`http://${host}`, host)]).toEqual([host, 200])
      for (const origin of ['http://localhost:8788', 'https://evil.test', 'null', `http://${host}.evil.test`]) {
        expect([origin, host, await statusOf(origin, host)]).toEqual([origin, host, 403])
      }
    }
  })

  it('nothing in the tables opens a session: cookies take the secret as well', async () => {
    const one = await house.member()
    const { db } = house.database.database
    const { sessionId } = (await house.people.sessionOf(one.headers()))!
    const { token } = await db
      .selectFrom('sessions')
      .select('token')
      .where('id', '=', sessionId)
      .executeTakeFirstOrThrow()
    const [name = ''] = one.cookies.keys()
    expect(await house.people.sessionOf(new Headers({ cookie: `${name}=${token}` }))).toBeNull()
  })

  it('better-auth finds the tables as it expects them', async () => {
    const { makeAuth } = await import('../../server/console/people/auth.ts')
    const { getMigrations } = await import('better-auth/db/migration')
    const auth = makeAuth(house.authOptions())
    const { toBeCreated, toBeAdded } = await getMigrations(auth.options)
    expect({ toBeCreated, toBeAdded }).toEqual({ toBeCreated: [], toBeAdded: [] })
  })
})
