import { beforeEach, describe, expect, it } from 'vitest'
import { PLANS } from '../db/model/plans.ts'
import { type KeyEntry, type OpenDirectory, openDirectory, sha256 } from '../server/directory.ts'
import { type HandClock, handClock } from './helpers/clock.ts'

const SECRET = 'lgw_proj_0123456789abcdef'
const OTHER = 'lgw_proj_fedcba9876543210'

let clock: HandClock
let store: Map<string, KeyEntry>
let asked: string[]
let fails: boolean
let logged: string[]
let directory: OpenDirectory

beforeEach(() => {
  clock = handClock()
  store = new Map([[sha256(SECRET), entry()]])
  asked = []
  fails = false
  logged = []
  const say = (message: string) => void logged.push(message)
  directory = openDirectory({
    clock,
    log: { info: say, warn: say, error: say },
    async find(hash) {
      asked.push(hash)
      if (fails) throw new Error('The database is away')
      return store.get(hash) ?? null
    },
  })
})

function entry(more: Partial<KeyEntry> = {}): KeyEntry {
  const plan = PLANS[0]!
  const ids = { keyId: 'key_1', projectId: 'prj_1', organizationId: 'org_1' }
  return { ...ids, kind: 'project', plan, expiresAtMs: null, revokedAtMs: null, ...more }
}

/** Lets answers of the store arrive. */
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('lookup()', () => {
  it('asks the store by the hash, never by the secret, and once for many at a time', async () => {
    const found = await Promise.all(Array.from({ length: 20 }, () => directory.lookup(SECRET)))
    expect(found.every((one) => one?.keyId === 'key_1')).toBe(true)
    expect(asked).toEqual([sha256(SECRET)])
  })

  it('answers a known key without a promise', async () => {
    await directory.lookup(SECRET)
    expect(directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
    expect(asked).toHaveLength(1)
  })

  it('keeps answering for known keys while the store fails, and says so', async () => {
    await directory.lookup(SECRET)
    fails = true
    for (let minutes = 0; minutes < 60; minutes++) {
      clock.advance(61_000)
      expect(await directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
      await settle()
    }
    expect(logged.length).toBeGreaterThan(0)
    expect(logged.join()).not.toContain(SECRET)
  })

  it('does not ask a failing store at every call', async () => {
    await directory.lookup(SECRET)
    fails = true
    clock.advance(61_000)
    for (let calls = 0; calls < 100; calls++) {
      directory.lookup(SECRET)
      await settle()
    }
    expect(asked).toHaveLength(2)
  })

  it('rejects for an unknown key while the store fails, and asks again at the next call', async () => {
    fails = true
    await expect(directory.lookup(SECRET)).rejects.toThrow('The database is away')
    fails = false
    expect(await directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
  })

  it('asks for an unknown key once in five seconds', async () => {
    for (let calls = 0; calls < 50; calls++) expect(await directory.lookup(OTHER)).toBeNull()
    expect(asked).toHaveLength(1)
    clock.advance(5_001)
    expect(await directory.lookup(OTHER)).toBeNull()
    expect(asked).toHaveLength(2)
  })

  it('finds a key that was made after it was asked for in vain', async () => {
    expect(await directory.lookup(OTHER)).toBeNull()
    store.set(sha256(OTHER), entry({ keyId: 'key_2' }))
    expect(await directory.lookup(OTHER)).toBeNull()
    clock.advance(5_001)
    expect(await directory.lookup(OTHER)).toMatchObject({ keyId: 'key_2' })
  })

  it('remembers a bounded number of unknown keys: the oldest is forgotten', async () => {
    const unknown = (index: number) => `lgw_proj_unknown${String(index).padStart(16, '0')}`
    await directory.lookup(unknown(0))
    for (let index = 1; index <= 10_000; index++) await directory.lookup(unknown(index))
    asked = []
    await directory.lookup(unknown(10_000))
    expect(asked).toHaveLength(0)
    await directory.lookup(unknown(0))
    expect(asked).toHaveLength(1)
  })

  it('refuses a key from the millisecond at which it expires', async () => {
    store.set(sha256(SECRET), entry({ expiresAtMs: clock.now() + 1000 }))
    expect(await directory.lookup(SECRET)).not.toBeNull()
    clock.advance(999)
    expect(directory.lookup(SECRET)).not.toBeNull()
    clock.advance(1)
    expect(directory.lookup(SECRET)).toBeNull()
    expect(asked).toHaveLength(1)
  })

  it('looks a known key up again after a minute, behind the answer', async () => {
    await directory.lookup(SECRET)
    store.set(sha256(SECRET), entry({ revokedAtMs: 1 }))
    clock.advance(60_001)
    expect(directory.lookup(SECRET)).not.toBeNull()
    await settle()
    expect(directory.lookup(SECRET)).toBeNull()
  })

  it('forgets a key that the store no longer has', async () => {
    await directory.lookup(SECRET)
    store.clear()
    clock.advance(60_001)
    directory.lookup(SECRET)
    await settle()
    expect(await directory.lookup(SECRET)).toBeNull()
  })
})

describe('invalidate()', () => {
  it('makes a revocation of one key take effect at once', async () => {
    await directory.lookup(SECRET)
    store.set(sha256(SECRET), entry({ revokedAtMs: 1 }))
    directory.invalidate('key_1')
    await settle()
    expect(directory.lookup(SECRET)).toBeNull()
  })

  it('leaves other keys alone', async () => {
    await directory.lookup(SECRET)
    directory.invalidate('key_2')
    await settle()
    expect(asked).toHaveLength(1)
  })

  it('without a key looks all of them up again', async () => {
    store.set(sha256(OTHER), entry({ keyId: 'key_2' }))
    await directory.lookup(SECRET)
    await directory.lookup(OTHER)
    directory.invalidate()
    await settle()
    expect(asked).toHaveLength(4)
  })

  it('makes a key that was just made known at once', async () => {
    expect(await directory.lookup(OTHER)).toBeNull()
    store.set(sha256(OTHER), entry({ keyId: 'key_2' }))
    directory.invalidate('key_2')
    expect(await directory.lookup(OTHER)).toMatchObject({ keyId: 'key_2' })
  })

  it('keeps a key working when the store can not be asked', async () => {
    await directory.lookup(SECRET)
    fails = true
    directory.invalidate('key_1')
    await settle()
    expect(directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
  })
})
