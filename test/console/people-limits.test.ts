import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { networkOf } from '../../server/console/people/gate.ts'
import { openEmbedded } from '../db/engines.ts'
import { handClock } from '../helpers/clock.ts'
import { ADMIN, type PeopleHouse, peopleHouse } from '../helpers/people.ts'

const SIGN_IN = '/api/auth/sign-in/email'
const BAD = { password: 'not the password' }

describe('attempts', { timeout: 60_000 }, () => {
  let house: PeopleHouse
  beforeAll(async () => {
    house = await peopleHouse({ name: 'embedded', open: openEmbedded })
  }, 120_000)
  afterAll(() => house.close())

  const fresh = () => {
    const clock = handClock(Date.UTC(2026, 10, 21, 12, 0, 20))
    const limited = house.again({ kv: memoryKv(), clock })
    return { clock, limited }
  }

  it('are ten a minute from one address, whoever they are for', async () => {
    const { clock, limited } = fresh()
    const one = limited.visit({ address: '203.0.113.9' })
    const attempt = async (i: number) => (await one.post(SIGN_IN, { email: `some-${i}@example.com`, ...BAD })).status
    for (let i = 0; i < 10; i++) expect(await attempt(i)).toBe(401)
    const refused = await one.post(SIGN_IN, { email: 'some@example.com', ...BAD })
    expect([refused.status, refused.body?.code]).toEqual([429, 'TOO_MANY_REQUESTS'])
    // Minutes of the clock: 40 s are left of this one.
    expect(refused.headers.get('retry-after')).toBe('40')
    expect(
      (await limited.visit({ address: '203.0.113.10' }).post(SIGN_IN, { email: 'a@example.com', ...BAD })).status,
    ).toBe(401)
    clock.advance(39_999)
    expect(await attempt(11)).toBe(429)
    clock.advance(1)
    expect(await attempt(12)).toBe(401)
  })

  it('are five a minute for one e-mail, wherever they come from and however it is written', async () => {
    const { clock, limited } = fresh()
    const attempt = async (i: number, password: string) => {
      const one = limited.visit({ address: `203.0.113.${i}` })
      const email = i % 2 === 0 ? ADMIN.email : ADMIN.email.toUpperCase()
      return (await one.post(SIGN_IN, { email, password })).status
    }
    for (let i = 0; i < 5; i++) expect(await attempt(i, 'not the password')).toBe(401)
    expect(await attempt(6, 'not the password')).toBe(429)
    expect(await attempt(7, ADMIN.password)).toBe(429)
    clock.advance(40_000)
    expect(await attempt(8, ADMIN.password)).toBe(200)
  })

  const paths = ['sign-up/email', 'sign-in/email', 'sign-in/social', 'request-password-reset', 'reset-password']
  const more = ['send-verification-email', 'change-password', 'two-factor/verify-totp', 'two-factor/verify-backup-code']
  it.each([...paths, ...more, 'two-factor/disable'])('count at /%s', async (path) => {
    const { limited } = fresh()
    const one = limited.visit()
    const statuses: number[] = []
    for (let i = 0; i < 12; i++) statuses.push((await one.post(`/api/auth/${path}`, {})).status)
    expect(statuses.slice(0, 10)).not.toContain(429)
    expect(statuses.slice(10)).toEqual([429, 429])
  })

  it('of unknown addresses share one limit; asking for one’s session isn’t an attempt', async () => {
    const { limited } = fresh()
    const one = limited.visit({ address: null })
    for (let i = 0; i < 30; i++) expect((await one.get('/api/auth/get-session')).status).toBe(200)
    for (let i = 0; i < 10; i++) await one.post(SIGN_IN, { email: `some-${i}@example.com`, ...BAD })
    expect((await limited.visit({ address: null }).post(SIGN_IN, { email: 'x@example.com', ...BAD })).status).toBe(429)
  })

  it('are refused before their body is read', async () => {
    const { limited } = fresh()
    const one = limited.visit()
    for (let i = 0; i < 10; i++) await one.post(SIGN_IN, {})
    let pulled = 0
    const post = (address: string) => {
      const pull = (controller: ReadableStreamDefaultController) => {
        pulled++
        controller.enqueue(new Uint8Array(1024))
      }
      const body = new ReadableStream({ pull }, { highWaterMark: 0 })
      const init = { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } }
      return limited.people.handle(new Request(`http://gateway.test${SIGN_IN}`, init as RequestInit), address)
    }
    expect([(await post('203.0.113.7')).status, pulled]).toEqual([429, 0])
    expect((await post('203.0.113.99')).status).toBe(413)
    expect(pulled).toBeLessThan(70)
  })

  it('that never end are answered with 504', async () => {
    const clock = handClock()
    const stuck = house.again({ clock, kv: { ...memoryKv(), take: () => new Promise(() => {}) } })
    const answer = stuck.visit().post(SIGN_IN, {})
    clock.advance(20_000)
    expect((await answer).status).toBe(504)
    expect(clock.timers).toBe(0)
  })
})

describe('an address counts as', () => {
  const cases: [address: string, network: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ]
  it.each(cases)('%s: %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })
})
