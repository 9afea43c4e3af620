import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { createStores } from '../../db/stores/index.ts'
import { KEYS_CHANNEL } from '../../db/stores/key-lookup.ts'
import { creditsOf, type LedgerItem } from '../../db/stores/ledger.ts'
import { type Entry, post } from '../../db/stores/ledger-posting.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { change, entries, ledgerKit, newId, topUp } from './ledger-kit.ts'
import { NOON_MS, sampleCall } from './samples.ts'

const USD = 1_000_000_000_000n

describe.each(ENGINES)('the ledger on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())
  const { organization, balance, list } = ledgerKit(() => on)

  it('post() adds to the balance, once for a reference', async () => {
    const org = await organization()
    const posting = topUp(org, 5n * USD)
    expect(await on.stores.ledger.post(posting)).toBe(true)
    expect(await on.stores.ledger.post({ ...posting, id: newId('txn') })).toBe(false)
    expect(await balance(org)).toEqual({ grantedPico: 5n * USD, spentPico: 0n, balancePico: 5n * USD })
    expect(await list(org)).toEqual([
      {
        id: posting.id,
        createdAtMs: NOON_MS,
        kind: 'top_up',
        amountPico: 5n * USD,
        reference: posting.reference,
        note: null,
      },
    ])
  })

  it('post() of one reference by eight at once posts it once', async () => {
    const org = await organization()
    const posting = topUp(org, 3n)
    const all = await Promise.all(
      Array.from({ length: 8 }, () => on.stores.ledger.post({ ...posting, id: newId('txn') })),
    )
    expect(all.filter(Boolean)).toHaveLength(1)
    expect((await balance(org)).balancePico).toBe(3n)
  })

  it('post() in a transaction that fails leaves nothing', async () => {
    const org = await organization()
    const posting = topUp(org, 3n)
    const failing = on.database.db.transaction().execute(async (trx) => {
      expect(await post(trx, posting)).toBe(true)
      throw new Error('No')
    })
    await expect(failing).rejects.toThrow('No')
    expect(await list(org)).toEqual([])
    expect(await on.stores.ledger.post(posting)).toBe(true)
  })

  it.each<[string, (org: string) => Entry[]]>([
    ['that do not sum to zero', (org) => [...entries(org, 5n).slice(0, 1), { account: 'stripe', amountPico: -4n }]],
    ['that are none', () => []],
    ['of which there is one', (org) => entries(org, 5n).slice(0, 1)],
    ['of nothing', (org) => entries(org, 0n)],
    ['of one account twice', (org) => [...entries(org, 5n), ...entries(org, 1n)]],
  ])('post() refuses entries %s', async (_, make) => {
    const org = await organization()
    expect(() => on.stores.ledger.post(topUp(org, 1n, { entries: make(org) }))).toThrow(RangeError)
    expect(await list(org)).toEqual([])
  })

  it('tells every instance when an organization has other credits, and not of usage', async () => {
    const org = await organization()
    const heard: string[] = []
    await on.database.listen(KEYS_CHANNEL, (id) => heard.push(id))
    await on.stores.ledger.post(topUp(org, 5n))
    await on.stores.ledger.post(topUp(org, -2n, { kind: 'usage', entries: entries(org, -2n, 'revenue') }))
    await on.stores.ledger.post(topUp(org, -1n, { kind: 'refund' }))
    await expect.poll(() => heard.filter((id) => id === org)).toHaveLength(2)
    expect(await balance(org)).toEqual({ grantedPico: 4n, spentPico: 2n, balancePico: 2n })
  })

  describe('the database itself refuses', () => {
    const raw = (id: string, of: number, amounts: readonly number[]) => async () => {
      await on.database.db.transaction().execute(async (trx) => {
        await sql`insert into ledger_transactions (id, created_at, kind, organization_id, reference, entries)
          values (${id}, now(), 'grant', 'org_raw', ${id}, ${of})`.execute(trx)
        for (const [i, amount] of amounts.entries()) {
          await sql`insert into ledger_entries values (${id}, ${`a${i}`}, ${amount})`.execute(trx)
        }
      })
    }

    it.each([
      ['entries that do not sum to zero', 2, [5, -4]],
      ['fewer entries than there should be', 3, [5, -5]],
      ['no entries', 2, []],
      ['more entries than there should be', 2, [5, -4, -1]],
    ])('%s', async (_, of, amounts) => {
      const id = newId('txn')
      await expect(raw(id, of, amounts)()).rejects.toThrow(/must sum to zero|append-only/)
      const found = await on.database.db.selectFrom('ledger_transactions').select('id').where('id', '=', id).execute()
      expect(found).toEqual([])
    })

    it('entries that are added to a transaction later, even in balance', async () => {
      const id = newId('txn')
      await raw(id, 2, [5, -5])()
      const more = sql`insert into ledger_entries values (${id}, 'b', 1), (${id}, 'c', -1)`.execute(on.database.db)
      await expect(more).rejects.toThrow('append-only')
    })

    it.each([
      "update ledger_transactions set note = 'x'",
      'update ledger_entries set amount_pico = 0',
      "update ledger_entries set amount_pico = 0 where account = 'nobody'",
      'delete from ledger_entries',
      'delete from ledger_transactions',
      'truncate ledger_entries',
      'truncate ledger_transactions, ledger_entries',
    ])('%s', async (statement) => {
      await expect(sql.raw(statement).execute(on.database.db)).rejects.toThrow('append-only')
    })
  })

  it('list() leads through all transactions by pages, newest first, and filters', async () => {
    const org = await organization()
    const other = await organization()
    await on.stores.ledger.post(topUp(other, 1n))
    const kinds = ['top_up', 'grant', 'correction', 'refund'] as const
    for (let i = 0; i < 20; i++) {
      await on.stores.ledger.post(topUp(org, BigInt(i + 1), { kind: kinds[i % 4]!, atMs: NOON_MS + Math.floor(i / 3) }))
    }
    const all = await list(org)
    expect(all).toHaveLength(20)
    const order = (a: LedgerItem, b: LedgerItem) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1)
    expect(all).toEqual([...all].sort(order))
    const paged: LedgerItem[] = []
    for (let after: LedgerItem | null = null; ; ) {
      const page: readonly LedgerItem[] = await on.stores.ledger.list(scopeOf(org), {}, { limit: 3, after })
      paged.push(...page)
      if (page.length < 3) break
      after = page.at(-1)!
    }
    expect(paged).toEqual(all)
    const page = { limit: 100, after: null }
    const filter = { kind: 'grant', fromMs: NOON_MS + 1, toMs: NOON_MS + 4 } as const
    expect(await on.stores.ledger.list(scopeOf(org), filter, page)).toEqual(
      all.filter((one) => one.kind === 'grant' && one.createdAtMs > NOON_MS && one.createdAtMs < NOON_MS + 4),
    )
  })

  describe('by hand', () => {
    const posting = (organizationId: string, amountPico: bigint, reference: string | null = null) => ({
      ...{ id: newId('txn'), organizationId, amountPico, reference },
      note: 'By hand',
    })

    it('grants are given once for a reference and an organization, and audited', async () => {
      const org = await organization()
      const other = await organization()
      const grant = (to: string, reference: string | null) =>
        on.stores.ledger.grant(change(), posting(to, USD, reference))
      expect(await grant(org, 'invoice-1')).toBe('posted')
      expect(await grant(org, 'invoice-1')).toBe('repeated')
      expect(await grant(other, 'invoice-1')).toBe('posted')
      expect(await grant(org, null)).toBe('posted')
      expect(await grant(org, null)).toBe('posted')
      expect((await balance(org)).balancePico).toBe(3n * USD)
      expect(await grant('org_nobody', null)).toBeNull()
      const audited = await on.stores.auditLog.list(scopeOf(org), { limit: 10, after: null })
      expect(audited).toHaveLength(3)
      expect(audited[0]).toMatchObject({
        type: 'ledger_transaction',
        after: { kind: 'grant', amountPico: String(USD) },
      })
    })

    it('corrections never take more than is left, unless they are forced', async () => {
      const org = await organization()
      await on.stores.ledger.grant(change(), posting(org, 10n))
      const correct = (amount: bigint, force = false) =>
        on.stores.ledger.correct(change(), posting(org, amount), { force })
      expect(await correct(-11n)).toBe('overdrawn')
      expect((await balance(org)).balancePico).toBe(10n)
      expect(await correct(-10n)).toBe('posted')
      expect(await correct(-1n)).toBe('overdrawn')
      expect(await correct(-1n, true)).toBe('posted')
      expect((await balance(org)).balancePico).toBe(-1n)
      expect(await correct(1n)).toBe('posted')
    })

    it('of eight corrections at once that take half each, two succeed', async () => {
      const org = await organization()
      await on.stores.ledger.grant(change(), posting(org, 10n))
      const all = await Promise.all(
        Array.from({ length: 8 }, () => on.stores.ledger.correct(change(), posting(org, -5n), { force: false })),
      )
      expect(all.filter((one) => one === 'posted')).toHaveLength(2)
      expect((await balance(org)).balancePico).toBe(0n)
    })
  })

  describe('usage', () => {
    const insert = (calls: readonly unknown[]) => on.stores.calls.insertBatch(JSON.stringify(calls))
    const paid = (organizationId: string, chargedPico: number | null, more = {}) =>
      sampleCall({ organizationId, chargedPico, ...more })

    it('is posted with the calls that are new: one transaction for each organization of a batch', async () => {
      const [one, two] = [await organization(), await organization()]
      const calls = [paid(one, 5), paid(two, 7), paid(one, 11), paid(one, 0), paid(one, null)]
      expect(await insert(calls)).toBe(5)
      expect(await balance(one)).toEqual({ grantedPico: 0n, spentPico: 16n, balancePico: -16n })
      expect((await balance(two)).spentPico).toBe(7n)
      const ids = [calls[0]!.id, calls[2]!.id].sort()
      expect(await list(one)).toEqual([
        {
          id: `txn_${ids[0]!.slice(4)}`,
          createdAtMs: NOON_MS,
          kind: 'usage',
          amountPico: -16n,
          reference: `usage:${ids[0]}:${ids[1]}:2`,
          note: '2 calls',
        },
      ])
      expect((await list(two))[0]!.note).toBe('1 call')
    })

    it('is posted the same, whichever way the rows go in', async () => {
      const [one, two] = [await organization(), await organization()]
      const known = paid(one, 1)
      await insert([known])
      const first = [paid(one, 5, { createdAtMs: NOON_MS + 3 }), paid(one, 6), paid(one, Number.MAX_SAFE_INTEGER)]
      const second = first.map((call) => paid(two, call.chargedPico, { createdAtMs: call.createdAtMs }))
      // One that is there already sends the batch the other way.
      await insert([known, ...first])
      await insert(second)
      const shape = async (org: string) =>
        (await list(org))
          .filter(({ amountPico }) => amountPico !== -1n)
          .map(({ id: _, reference: __, ...item }) => item)
      expect(await shape(one)).toEqual(await shape(two))
      expect((await shape(one))[0]).toMatchObject({ createdAtMs: NOON_MS + 3, note: '3 calls' })
    })

    it('of a batch that is given again, alone or among others, is posted once', async () => {
      const org = await organization()
      const calls = Array.from({ length: 30 }, (_, i) => paid(org, i + 1))
      await insert(calls.slice(0, 20))
      await insert(calls.slice(0, 20))
      await insert(calls.slice(10))
      await insert([...calls, ...calls])
      expect((await balance(org)).spentPico).toBe(465n)
      expect(await list(org)).toHaveLength(2)
    })

    it('by eight at once, whose batches overlap, is exact', async () => {
      const orgs = await Promise.all(Array.from({ length: 5 }, () => organization()))
      const calls = Array.from({ length: 400 }, (_, i) => paid(orgs[i % 5]!, 1 + (i % 9), { keyId: `key_${i % 7}` }))
      const stores = [on.stores, createStores(on.database)]
      const parts = Array.from({ length: 8 }, (_, n) => {
        const some = calls.slice(n * 40, n * 40 + 120)
        return n % 2 === 0 ? some : some.toReversed()
      })
      await Promise.all(parts.map((part, n) => stores[n % 2]!.calls.insertBatch(JSON.stringify(part))))
      for (const org of orgs) {
        const expected = calls
          .filter((call) => call.organizationId === org)
          .reduce((sum, call) => sum + call.chargedPico!, 0)
        expect((await balance(org)).spentPico).toBe(BigInt(expected))
      }
    })

    it('and top-ups by eight at once for one organization are exact', async () => {
      const org = await organization()
      await Promise.all(
        Array.from({ length: 8 }, async (_, n) => {
          for (let i = 0; i < 5; i++) {
            await insert(Array.from({ length: 4 }, () => paid(org, 3)))
            await on.stores.ledger.post(topUp(org, BigInt(n + 1)))
          }
        }),
      )
      expect(await balance(org)).toEqual({ grantedPico: 180n, spentPico: 480n, balancePico: -300n })
    })

    it('that is less than nothing is refused by name, and all others are stored', async () => {
      const org = await organization()
      const wrong = paid(org, -1)
      await expect(insert([paid(org, 2), wrong, paid(org, 3)])).rejects.toMatchObject({
        refused: [wrong.id],
        inserted: 2,
      })
      expect((await balance(org)).spentPico).toBe(5n)
    })
  })

  describe('creditsOf()', () => {
    it('is null for who pays nothing, and for nobody', async () => {
      expect(await creditsOf(on.database.db, await organization('none'))).toBeNull()
      expect(await creditsOf(on.database.db, 'org_nobody')).toBeNull()
    })

    it('rounds what was granted down and what was spent up', async () => {
      const org = await organization()
      expect(await creditsOf(on.database.db, org)).toEqual({ grantedNano: 0, spentNano: 0, multiplier: 10_000 })
      await on.stores.ledger.post(topUp(org, 5_999n))
      await on.stores.calls.insertBatch(JSON.stringify([sampleCall({ organizationId: org, chargedPico: 2_001 })]))
      expect(await creditsOf(on.database.db, org)).toEqual({ grantedNano: 5, spentNano: 3, multiplier: 10_000 })
      await on.stores.ledger.post(topUp(org, -6_000n, { kind: 'correction' }))
      expect((await creditsOf(on.database.db, org))!.grantedNano).toBe(-1)
      await on.stores.multipliers.setOrganization(change(), org, 12_500)
      expect((await creditsOf(on.database.db, org))!.multiplier).toBe(12_500)
    })
  })
})
