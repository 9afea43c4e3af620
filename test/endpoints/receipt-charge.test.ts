import { expect, it } from 'vitest'
import type { CallRecord } from '../../db/model/calls.ts'
import { OWN_KEY_CHARGE, writeCharge } from '../../db/model/charge.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import { sampleCall, samplePrice } from '../db/samples.ts'
import { PROJECT_KEY, testApp } from '../helpers/app.ts'

async function receiptOf(changes: Partial<CallRecord>, price = samplePrice()) {
  const call = sampleCall(changes)
  const app = testApp({ deps: { receipts: { find: async () => ({ call, price }) } } })
  const headers = { authorization: `Bearer ${PROJECT_KEY}` }
  const response = await app.fetch(new Request(`http://gateway.test/v1/requests/${call.id}`, { headers }))
  await app.close()
  expect(response.status).toBe(200)
  return response.json()
}

it('a receipt shows every factor of what credits paid', async () => {
  const multipliers = { organization: 12_000, model: 9_005 }
  const charge = writeCharge({ paidBy: 'credits', multipliers, reservedPico: 97_000_000, waivedPico: 740_330 })
  const { cost, charge: shown } = await receiptOf({ charge, chargedPico: 97_000_000 })
  expect(cost.usd).toBe('0.00009045')
  expect(shown).toEqual({
    paid_by: 'credits',
    usd: '0.000097',
    multipliers: { organization: '1.2', model: '0.9005' },
    reserved_usd: '0.000097',
    waived_usd: '0.00000074033',
  })
})

const NOTHING = { usd: null, multipliers: null, reserved_usd: null, waived_usd: null }

it.each<[string, Partial<CallRecord>, string | null]>([
  ['the project’s own account', { charge: OWN_KEY_CHARGE }, 'own_key'],
  ['who runs the gateway', {}, 'platform'],
  ['nobody, since no provider was called', { provider: null, model: null, costPico: 0 }, null],
])('a receipt says that it was paid by %s', async (_, changes, paid_by) => {
  expect((await receiptOf(changes)).charge).toEqual({ paid_by, ...NOTHING })
})

it.each<[string, Partial<CallRecord>, string]>([
  [
    'is the fee of a call whose use could not be counted',
    { costPico: 500, usage: NO_USAGE, usageSource: 'none' },
    '0.0000000005',
  ],
  ['is nothing for a call that failed', { costPico: 0, usage: NO_USAGE, usageSource: 'none' }, '0'],
])('what a receipt adds for each call %s', async (_, changes, fee) => {
  const { cost } = await receiptOf(changes, samplePrice({ perCall: 500 }))
  expect(cost).toMatchObject({ usd: fee, per_call_usd: fee, lines: [] })
})
