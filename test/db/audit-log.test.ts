import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { audit } from '../../db/stores/audit-log.ts'
import { changeIn, changeOf } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const HOUR_MS = 3_600_000

describe.each(ENGINES)('the audit log on $name', (engine) => {
  let on: TestDatabase
  /** Of the organization `org_a`, newest first. */
  const mine: string[] = []

  beforeAll(async () => {
    on = await engine.open()
    const { db } = on.database
    for (let n = 0; n < 12; n++) {
      const noun = ['keys', 'keysets', 'members'][n % 3]!
      const action = `${noun}.${n % 2 === 0 ? 'create' : 'delete'}`
      const actor = { kind: 'user' as const, id: `usr_${n % 2}`, name: `${n % 2}@example.com` }
      const change = changeIn(n === 11 ? 'org_b' : 'org_a', { atMs: NOON_MS + n * HOUR_MS, action, actor })
      const target = {
        type: noun.slice(0, -1),
        id: `${noun}_${n}`,
        before: null,
        after: { n, list: [1], text: 'ü"\\' },
      }
      await audit(db, change, target)
      if (n !== 11) mine.unshift(target.id)
    }
    await audit(db, changeOf({ atMs: NOON_MS + 20 * HOUR_MS }), {
      type: 'plan',
      id: 'p',
      before: { a: 1 },
      after: null,
    })
  }, 120_000)
  afterAll(() => on?.dispose())

  const list = async (filters: object, limit = 100) =>
    (await on.stores.auditLog.list(scopeOf('org_a'), { limit, after: null, ...filters })).map((entry) => entry.id)
  const numbered = (...of: number[]) => mine.filter((id) => of.includes(Number(id.split('_')[1])))

  it('an entry comes back as it was written', async () => {
    const [entry] = await on.stores.auditLog.list(scopeOf('org_b'), { limit: 5, after: null })
    expect(entry).toEqual({
      auditId: expect.stringMatching(/^aud_/),
      organizationId: 'org_b',
      atMs: NOON_MS + 11 * HOUR_MS,
      actor: { kind: 'user', id: 'usr_1', name: '1@example.com' },
      action: 'members.delete',
      type: 'member',
      id: 'members_11',
      before: null,
      after: { n: 11, list: [1], text: 'ü"\\' },
      requestId: 'req_1',
      address: '192.0.2.1',
    })
  })

  it('pages of any size show each entry of the organization once, newest first', async () => {
    for (let limit = 1; limit <= 13; limit++) {
      const seen = []
      for (let after: string | null = null; ; ) {
        const page = await on.stores.auditLog.list(scopeOf('org_a'), { limit, after })
        if (page.length === 0) break
        seen.push(...page.map((entry) => entry.id))
        after = page.at(-1)!.auditId
      }
      expect(seen).toEqual(mine)
    }
  })

  it('filters choose by who, what, to what and when, all at once', async () => {
    expect(await list({})).toEqual(mine)
    expect(await list({ actor: 'usr_1' })).toEqual(numbered(1, 3, 5, 7, 9))
    expect(await list({ actor: '0@example.com' })).toEqual(numbered(0, 2, 4, 6, 8, 10))
    expect(await list({ action: 'keys.create' })).toEqual(numbered(0, 6))
    // The noun, and none that only begins like it.
    expect(await list({ action: 'keys' })).toEqual(numbered(0, 3, 6, 9))
    expect(await list({ action: 'key' })).toEqual([])
    expect(await list({ action: '%' })).toEqual([])
    expect(await list({ target: 'keyset' })).toEqual(numbered(1, 4, 7, 10))
    expect(await list({ target: 'keys_3' })).toEqual(numbered(3))
    expect(await list({ fromMs: NOON_MS + 2 * HOUR_MS, toMs: NOON_MS + 4 * HOUR_MS })).toEqual(numbered(2, 3))
    expect(await list({ fromMs: NOON_MS + 2 * HOUR_MS + 1, toMs: NOON_MS + 4 * HOUR_MS + 1 })).toEqual(numbered(3, 4))
    expect(await list({ fromMs: -1, toMs: 0 })).toEqual([])
    expect(await list({ actor: 'usr_1', action: 'keys', fromMs: NOON_MS + 4 * HOUR_MS })).toEqual(numbered(9))
  })

  it('listAll() shows the platform and every organization', async () => {
    const all = await on.stores.auditLog.listAll({ limit: 100, after: null })
    expect(all.map((entry) => entry.id)).toEqual(['p', 'members_11', ...mine])
    expect(all[0]!.organizationId).toBeNull()
    const some = await on.stores.auditLog.listAll({ limit: 100, after: null, organizationId: 'org_b' })
    expect(some.map((entry) => entry.id)).toEqual(['members_11'])
  })
})
