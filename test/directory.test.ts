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
/** What was noted as used, with when. */
let touched: { ids: readonly string[]; atMs: number }[]
let touchFails: boolean
let directory: OpenDirectory

beforeEach(() => {
  clock = handClock()
  store = new Map([[sha256(SECRET), entry()]])
  asked = []
  fails = false
  logged = []
  touched = []
  touchFails = false
  const say = (message: string) => void logged.push(message)
  directory = openDirectory({
    clock,
    log: { info: say, warn: say, error: say },
    async find(hash) {
      asked.push(hash)
      if (fails) throw new Error('The database is away')
      return store.get(hash) ?? null
    },
    async touch(ids, atMs) {
      if (touchFails) throw new Error('The database is away')
      touched.push({ ids, atMs })
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

  it.each(['prj_1', 'org_1'])(
    'makes what has changed for all keys of %s take effect at once, and of no other',
    async (id) => {
      const ids = { projectId: 'prj_2', organizationId: 'org_2' }
      store.set(sha256(OTHER), entry({ keyId: 'key_2', ...ids }))
      await directory.lookup(SECRET)
      await directory.lookup(OTHER)
      store.set(sha256(SECRET), entry({ revokedAtMs: 1 }))
      store.set(sha256(OTHER), entry({ keyId: 'key_2', ...ids, revokedAtMs: 1 }))
      directory.invalidate(id)
      await settle()
      expect(directory.lookup(SECRET)).toBeNull()
      expect(directory.lookup(OTHER)).not.toBeNull()
    },
  )

  it('makes both secrets of a rotated key follow it', async () => {
    await directory.lookup(SECRET)
    store.set(sha256(SECRET), entry({ expiresAtMs: clock.now() + 1000 }))
    store.set(sha256(OTHER), entry())
    directory.invalidate('key_1')
    await settle()
    expect(await directory.lookup(OTHER)).toMatchObject({ keyId: 'key_1' })
    clock.advance(999)
    expect(directory.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
    clock.advance(1)
    expect(directory.lookup(SECRET)).toBeNull()
    expect(directory.lookup(OTHER)).toMatchObject({ keyId: 'key_1' })
    store.set(sha256(SECRET), entry({ expiresAtMs: 1, revokedAtMs: 1 }))
    store.set(sha256(OTHER), entry({ revokedAtMs: 1 }))
    directory.invalidate('key_1')
    await settle()
    expect(directory.lookup(OTHER)).toBeNull()
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

describe('a flood of guesses', () => {
  const guess = (index: number) => `lgw_proj_guess${String(index).padStart(16, '0')}`
  let answers: (() => void)[]
  let slow: OpenDirectory
  beforeEach(() => {
    answers = []
    const silent = { info() {}, warn() {}, error() {} }
    slow = openDirectory({
      clock,
      log: silent,
      async find(hash) {
        asked.push(hash)
        if (store.has(hash)) return store.get(hash)!
        await new Promise<void>((resolve) => answers.push(resolve))
        return null
      },
    })
  })

  it('asks the store for 64 at a time and refuses the others at once', async () => {
    const results = Array.from({ length: 500 }, (_, index) => Promise.resolve(slow.lookup(guess(index))))
    const refused = await Promise.allSettled(results.slice(64))
    expect(refused.every((one) => one.status === 'rejected')).toBe(true)
    expect(asked).toHaveLength(64)
    for (const answer of answers) answer()
    expect(await Promise.all(results.slice(0, 64))).toEqual(Array(64).fill(null))
    const next = slow.lookup(guess(1000))
    await settle()
    answers.at(-1)!()
    expect(await next).toBeNull()
  })

  it('leaves room for many callers with the same unknown key', async () => {
    const same = Array.from({ length: 500 }, () => slow.lookup(guess(0)))
    expect(asked).toHaveLength(1)
    const others = Array.from({ length: 63 }, (_, index) => slow.lookup(guess(index + 1)))
    await settle()
    for (const answer of answers) answer()
    expect(await Promise.all([...same, ...others])).toEqual(Array(563).fill(null))
  })

  it('touches no known key: it is answered, and looked up again', async () => {
    await slow.lookup(SECRET)
    for (let index = 0; index < 500; index++) Promise.resolve(slow.lookup(guess(index))).catch(() => {})
    expect(slow.lookup(SECRET)).toMatchObject({ keyId: 'key_1' })
    store.set(sha256(SECRET), entry({ revokedAtMs: 1 }))
    slow.invalidate('key_1')
    await settle()
    expect(slow.lookup(SECRET)).toBeNull()
  })
})

describe('what was used', () => {
  it('is noted a quarter of a minute later, once for all uses of all secrets of a key', async () => {
    store.set(sha256(OTHER), entry({ keyId: 'key_2' }))
    const [startMs, timers] = [clock.now(), clock.timers]
    for (let calls = 0; calls < 100; calls++) await directory.lookup(SECRET)
    await directory.lookup(OTHER)
    expect(clock.timers).toBe(timers + 1)
    clock.advance(14_999)
    expect(touched).toEqual([])
    clock.advance(1)
    expect(touched).toEqual([{ ids: ['key_1', 'key_2'], atMs: startMs + 15_000 }])
    clock.advance(120_000)
    expect(touched).toHaveLength(1)
    expect(clock.timers).toBe(timers)
    directory.lookup(OTHER)
    clock.advance(15_000)
    expect(touched[1]?.ids).toEqual(['key_2'])
  })

  it('is not a key that was refused', async () => {
    store.set(sha256(SECRET), entry({ revokedAtMs: 1 }))
    await directory.lookup(SECRET)
    await directory.lookup(OTHER)
    directory.lookup(SECRET)
    clock.advance(60_000)
    expect(touched).toEqual([])
  })

  it('stays known while the store fails, and is noted when it is back', async () => {
    await directory.lookup(SECRET)
    touchFails = true
    for (let tries = 0; tries < 3; tries++) {
      clock.advance(15_000)
      await settle()
    }
    expect(touched).toEqual([])
    touchFails = false
    clock.advance(15_000)
    await settle()
    expect(touched).toMatchObject([{ ids: ['key_1'] }])
    expect(clock.timers).toBe(0)
  })

  it('is noted when the directory is closed, and nothing after that', async () => {
    await directory.lookup(SECRET)
    await directory.close()
    expect(touched).toMatchObject([{ ids: ['key_1'] }])
    expect(clock.timers).toBe(0)
    directory.lookup(SECRET)
    expect(clock.timers).toBe(0)
    touchFails = true
    await expect(directory.close()).resolves.toBeUndefined()
  })
})
