import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../helpers/random.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { change, ledgerKit, topUp } from './ledger-kit.ts'
import { NOON_MS, sampleCall } from './samples.ts'

describe.each(ENGINES)('the books on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())
  const { organization, balance } = ledgerKit(() => on)

  it('after a thousand random calls and postings, everything agrees with everything', async () => {
    const random = new Random(11)
    const orgs = await Promise.all(Array.from({ length: 4 }, () => organization()))
    const spent = new Map(orgs.map((org) => [org, 0n]))
    const granted = new Map(orgs.map((org) => [org, 0n]))
    const said: string[] = []
    for (let batch = 0; batch < 25; batch++) {
      const calls = Array.from({ length: random.int(80) }, () => {
        const org = random.pick(orgs)
        const chargedPico = random.pick([null, 0, 1, random.int(1e9), 2 ** 45 + random.int(1e9)])
        spent.set(org, spent.get(org)! + BigInt(chargedPico ?? 0))
        return sampleCall({
          organizationId: org,
          chargedPico,
          createdAtMs: NOON_MS + random.int(7_200_000),
          outcome: random.pick(['done', 'error', 'aborted', 'cut'] as const),
        })
      })
      const text = JSON.stringify(calls)
      said.push(text)
      await on.stores.calls.insertBatch(text)
      if (random.once(3)) await on.stores.calls.insertBatch(random.pick(said))
      const org = random.pick(orgs)
      const amount = BigInt(random.int(2 ** 31)) * 1_000_000n + 1n
      granted.set(org, granted.get(org)! + amount)
      await on.stores.ledger.post(topUp(org, amount))
    }
    for (const org of orgs) {
      const has = { grantedPico: granted.get(org)!, spentPico: spent.get(org)! }
      expect(await balance(org)).toEqual({ ...has, balancePico: has.grantedPico - has.spentPico })
    }
    const { differences } = await on.stores.ledger.verify()
    const wrong = differences.filter(({ check, of }) => check !== 'overdrawn' && (of === '' || orgs.includes(of)))
    expect(wrong).toEqual([])
  })

  describe('verify()', () => {
    const about = async (org: string) =>
      (await on.stores.ledger.verify()).differences.filter(({ of }) => of === org).map(({ check }) => check)
    const spoil = (statement: ReturnType<typeof sql>) => statement.execute(on.database.db)

    it('finds a balance that is not what its entries add up to, and recount() mends it', async () => {
      const org = await organization()
      await on.stores.ledger.post(topUp(org, 100n))
      expect(await about(org)).toEqual([])
      await spoil(sql`update credit_balances set granted_pico = 90 where organization_id = ${org}`)
      expect((await on.stores.ledger.verify()).differences).toContainEqual({
        ...{ check: 'balance', of: org, expectedPico: 100n, foundPico: 90n },
      })
      expect(await on.stores.ledger.recount(change())).toEqual([org])
      expect(await about(org)).toEqual([])
      expect(await on.stores.ledger.recount(change())).toEqual([])
    })

    it('finds a balance that is lost, and one of nobody', async () => {
      const org = await organization()
      await on.stores.ledger.post(topUp(org, 100n))
      await spoil(sql`delete from credit_balances where organization_id = ${org}`)
      await spoil(sql`insert into credit_balances values ('org_ghost', 5, 0)`)
      expect(await about(org)).toEqual(['balance'])
      expect(await about('org_ghost')).toEqual(['balance'])
      expect(await on.stores.ledger.recount(change())).toEqual([org, 'org_ghost'].sort())
      expect((await balance(org)).balancePico).toBe(100n)
      expect((await balance('org_ghost')).balancePico).toBe(0n)
    })

    it('finds calls whose charge is not in the ledger, and hours and days that are wrong', async () => {
      const org = await organization()
      await on.stores.ledger.post(topUp(org, 100n))
      const call = sampleCall({ organizationId: org, chargedPico: 7 })
      await on.stores.calls.insertBatch(JSON.stringify([call]))
      expect(await about(org)).toEqual([])
      await spoil(sql`update calls set charged_pico = 8 where id = ${call.id}`)
      expect((await about(org)).sort()).toEqual(['calls', 'days', 'hours'])
      await spoil(sql`update calls set charged_pico = 7 where id = ${call.id}`)
      await spoil(sql`update usage_hourly set charged_pico = 9 where organization_id = ${org}`)
      expect(await about(org)).toEqual(['hours'])
      await spoil(sql`update usage_hourly set charged_pico = 7 where organization_id = ${org}`)
      await spoil(sql`update usage_daily set charged_pico = 9 where organization_id = ${org}`)
      expect(await about(org)).toEqual(['days'])
      await spoil(sql`update usage_daily set charged_pico = 7 where organization_id = ${org}`)
    })

    it('finds who is below zero', async () => {
      const org = await organization()
      await on.stores.ledger.post(topUp(org, -1n, { kind: 'correction' }))
      expect(await about(org)).toEqual(['overdrawn'])
    })

    it('finds entries that do not sum to zero', async () => {
      const org = await organization()
      const posting = topUp(org, 100n)
      await on.stores.ledger.post(posting)
      await on.database.db.transaction().execute(async (trx) => {
        await sql`alter table ledger_entries disable trigger append_only`.execute(trx)
        await sql`update ledger_entries set amount_pico = -99 where transaction_id = ${posting.id} and account = 'stripe'`.execute(
          trx,
        )
        await sql`alter table ledger_entries enable trigger append_only`.execute(trx)
      })
      expect(await about(posting.id)).toEqual(['entries'])
      expect(await about('')).toEqual(['entries'])
      expect((await on.stores.ledger.verify()).ok).toBe(false)
    })
  })
})
