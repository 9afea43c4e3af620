import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES, type TestDatabase } from './engines.ts'
import { ledgerKit, topUp } from './ledger-kit.ts'

describe.each(ENGINES)('payers() on $name', (engine) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await engine.open()
  }, 120_000)
  afterAll(() => on?.dispose())

  it('lists who pays by credits, page by page, with what the ledger knows of each', async () => {
    const kit = ledgerKit(() => on)
    const payers = [await kit.organization(), await kit.organization(), await kit.organization()].sort()
    await kit.organization('none')
    await on.stores.ledger.post(topUp(payers[1]!, 5_500n))
    const first = await on.stores.ledger.payers('', 2)
    const second = await on.stores.ledger.payers(first[1]!.organizationId, 2)
    expect([...first, ...second].map(({ organizationId }) => organizationId)).toEqual(payers)
    expect(first[1]!.credits).toEqual({ grantedNano: 5, spentNano: 0, multiplier: 10_000 })
    expect(first[0]!.credits).toEqual({ grantedNano: 0, spentNano: 0, multiplier: 10_000 })
    expect(await on.stores.ledger.payers(payers[2]!, 2)).toEqual([])
  })
})
