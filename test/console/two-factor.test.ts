import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES } from '../db/engines.ts'
import { MASTER, PASSWORD, type PeopleHouse, peopleHouse, totp } from '../helpers/people.ts'
import type { Visitor } from '../helpers/visitor.ts'

const SIGN_IN = '/api/auth/sign-in/email'

describe.each(ENGINES)('two factors on $name', { timeout: 60_000 }, (engine) => {
  let house: PeopleHouse
  let count = 0
  beforeAll(async () => {
    house = await peopleHouse(engine)
  }, 120_000)
  afterAll(() => house.close())

  interface Guarded {
    readonly email: string
    readonly uri: string
    readonly codes: readonly string[]
    readonly one: Visitor
  }

  async function guarded(): Promise<Guarded> {
    const email = `two-${++count}@example.com`
    const one = await house.member(email)
    const enabled = await one.post('/api/auth/two-factor/enable', { password: PASSWORD })
    const { totpURI, backupCodes } = enabled.body as { totpURI: string; backupCodes: string[] }
    expect((await one.post('/api/auth/two-factor/verify-totp', { code: totp(totpURI) })).status).toBe(200)
    return { email, uri: totpURI, codes: backupCodes, one }
  }

  const wrong = (uri: string) => String((Number(totp(uri)) + 500_000) % 1_000_000).padStart(6, '0')

  it('the password alone opens no session; with the code of the app it does', async () => {
    const { email, uri } = await guarded()
    expect(new URL(uri).pathname).toContain('WatchLLM')
    const one = house.visit()
    const half = await one.post(SIGN_IN, { email, password: PASSWORD })
    expect([half.status, half.body?.twoFactorRedirect]).toEqual([200, true])
    expect(await house.people.sessionOf(one.headers())).toBeNull()
    const no = await one.post('/api/auth/two-factor/verify-totp', { code: wrong(uri) })
    expect([no.status, Object.keys(no.body!).sort()]).toEqual([401, ['code', 'message']])
    expect(await house.people.sessionOf(one.headers())).toBeNull()
    expect((await one.post('/api/auth/two-factor/verify-totp', { code: totp(uri) })).status).toBe(200)
    expect((await house.people.sessionOf(one.headers()))?.person.email).toBe(email)
  })

  it('it isn’t on before a first code has shown that the app works', async () => {
    const one = await house.member()
    await one.post('/api/auth/two-factor/enable', { password: PASSWORD })
    const { person } = (await house.people.sessionOf(one.headers()))!
    expect((await house.database.stores.people.profile(person.id))?.twoFactorEnabled).toBe(false)
    const again = house.visit()
    await again.post(SIGN_IN, { email: person.email, password: PASSWORD })
    expect(await house.people.sessionOf(again.headers())).not.toBeNull()
  })

  it('a backup code works in place of the app, once', async () => {
    const { email, codes } = await guarded()
    const enter = async () => {
      const one = house.visit()
      await one.post(SIGN_IN, { email, password: PASSWORD })
      const answer = await one.post('/api/auth/two-factor/verify-backup-code', { code: codes[0] })
      return [answer.status, (await house.people.sessionOf(one.headers())) !== null]
    }
    expect(codes.length).toBe(10)
    expect(await enter()).toEqual([200, true])
    expect(await enter()).toEqual([401, false])
  })

  it('it is turned on and off with the password only', async () => {
    const one = await house.member()
    const bad = { password: 'not the password' }
    expect((await one.post('/api/auth/two-factor/enable', bad)).status).toBe(400)
    const { one: other, email } = await guarded()
    expect((await other.post('/api/auth/two-factor/disable', bad)).status).toBe(400)
    expect((await other.post('/api/auth/two-factor/disable', { password: PASSWORD })).status).toBe(200)
    const again = house.visit()
    await again.post(SIGN_IN, { email, password: PASSWORD })
    expect(await house.people.sessionOf(again.headers())).not.toBeNull()
  })

  it('guessing codes locks the second factor, whatever cookies the guesser has', async () => {
    const { email, uri } = await guarded()
    let last = 0
    for (let guess = 0; guess < 24 && last !== 429; guess++) {
      const one = house.visit()
      await one.post(SIGN_IN, { email, password: PASSWORD })
      last = (await one.post('/api/auth/two-factor/verify-totp', { code: wrong(uri) })).status
    }
    expect(last).toBe(429)
    const one = house.visit()
    await one.post(SIGN_IN, { email, password: PASSWORD })
    expect((await one.post('/api/auth/two-factor/verify-totp', { code: totp(uri) })).status).toBe(429)
    expect(await house.people.sessionOf(one.headers())).toBeNull()
  })

  it('neither its secret nor a backup code is in the tables, and a rotated master secret reads them still', async () => {
    const { email, uri, codes } = await guarded()
    const { db } = house.database.database
    const rows = JSON.stringify(await db.selectFrom('two_factors').selectAll().execute())
    for (const secret of [new URL(uri).searchParams.get('secret')!, ...codes]) expect(rows).not.toContain(secret)
    const enter = async (secrets: string[], path: string, code: string) => {
      const there = house.again({ secrets })
      const one = there.visit()
      await one.post(SIGN_IN, { email, password: PASSWORD })
      return (await one.post(`/api/auth/two-factor/${path}`, { code })).status
    }
    const other = 'a-newer-master-secret-9876543210'
    expect(await enter([other, MASTER], 'verify-totp', totp(uri))).toBe(200)
    expect(await enter([other, MASTER], 'verify-backup-code', codes[0]!)).toBe(200)
    // What the newer one has sealed anew since is read by it alone.
    expect(await enter([other], 'verify-backup-code', codes[1]!)).toBe(200)
    expect(await enter([other], 'verify-totp', totp(uri))).toBe(500)
  })
})
