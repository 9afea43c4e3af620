import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import type { Subscription } from '../../db/model/billing.ts'
import { PLANS } from '../../db/model/plans.ts'
import type { BillingTerms } from '../../db/stores/billing.ts'
import { ENGINES, type TestDatabase } from './engines.ts'

const NOW = Date.UTC(2026, 10, 21)
let count = 0
const next = (prefix: string) => `${prefix}_${String(++count).padStart(6, '0')}`

function changeOf(action = 'test') {
  const actor = { kind: 'system', id: 'test', name: 'Test' } as const
  return { actor, action, atMs: NOW, auditId: next('aud'), requestId: null, address: null }
}

const terms = (): BillingTerms => ({ nowMs: NOW, plans: PLANS, freePlan: 'free', change: changeOf() })
const active: Omit<Subscription, 'id'> = {
  ...{ itemId: 'si_1', status: 'active', plan: 'pro', period: 'monthly', periodEndMs: NOW + 1_000, endsAtMs: null },
  ...{ endedUnpaid: false, createdAtMs: NOW - 1_000 },
}

describe.each(ENGINES)('billing on $name', ({ open }) => {
  let on: TestDatabase
  beforeAll(async () => {
    on = await open()
  }, 60_000)
  afterAll(() => on?.dispose())

  async function customer() {
    const organizationId = next('org')
    const row = { id: organizationId, name: 'Acme', plan: 'free', created_at: new Date(NOW) }
    await on.database.db.insertInto('organizations').values(row).execute()
    const customerId = next('cus')
    const change = { ...changeOf(), ...scopeOf(organizationId) }
    const noted = await Promise.all(
      [customerId, next('cus')].map((id) => on.stores.billing.setCustomer({ ...change, auditId: next('aud') }, id)),
    )
    expect(new Set(noted).size, 'the first that is noted counts').toBe(1)
    return { organizationId, customerId: noted[0]!, scope: scopeOf(organizationId) }
  }

  it('events are taken by one of many, again when they are due, and forgotten but for their ids', async () => {
    const { stripeEvents } = on.stores
    const event = { id: next('evt'), type: 'x', objectId: null, createdAtMs: NOW, payload: '{}' }
    const taking = { nowMs: NOW, untilMs: NOW + 10 }
    const added = await Promise.all(Array.from({ length: 8 }, () => stripeEvents.add(event, taking)))
    expect(added.filter((is) => is)).toHaveLength(1)
    expect(await stripeEvents.takeDue({ nowMs: NOW + 9, untilMs: NOW + 20 }, 10)).toEqual([])
    const due = { nowMs: NOW + 10, untilMs: NOW + 20 }
    const taken = await Promise.all(Array.from({ length: 4 }, () => stripeEvents.takeDue(due, 10)))
    expect(taken.flat()).toEqual([{ id: event.id, type: 'x', payload: '{}', attempts: 2 }])
    await stripeEvents.failed(event.id, { nextMs: NOW + 15, error: 'away' })
    await stripeEvents.applied(event.id, NOW, 'done')
    expect(await stripeEvents.takeDue({ nowMs: NOW + 99, untilMs: NOW + 100 }, 10)).toEqual([])
    await stripeEvents.sweep(NOW + 1)
    expect(await stripeEvents.add(event, taking)).toBe(false)
  })

  it('the highest ticket decides the plan, and failed payments take it away until they are paid', async () => {
    const { billing, organizations, stripeEvents } = on.stores
    const { organizationId, customerId, scope } = await customer()
    const [early, late] = [(await billing.begin(customerId))!, (await billing.begin(customerId))!]
    const id = next('sub')
    await billing.putSubscriptions(late, [{ ...active, id, plan: 'agency' }], terms())
    await billing.putSubscriptions(early, [{ ...active, id }], terms())
    expect((await organizations.find(scope))!.plan).toBe('agency')
    const invoice = { id: next('in'), subscriptionId: id, status: 'open', attempts: 3 }
    const failed = {
      id: next('evt'),
      type: 'invoice.payment_failed',
      objectId: invoice.id,
      createdAtMs: NOW,
      payload: '{}',
    }
    await stripeEvents.add(failed, { nowMs: NOW, untilMs: NOW + 1_000_000 })
    for (const [status, plan] of [
      ['open', 'free'],
      ['paid', 'agency'],
      ['open', 'agency'],
    ] as const) {
      await billing.putInvoice(organizationId, { ...invoice, status })
      await billing.decide(organizationId, terms())
      expect((await organizations.find(scope))!.plan).toBe(plan)
    }
    expect(await billing.subscriptions(scope)).toMatchObject([{ id, failures: 0 }])
    await billing.putSubscriptions((await billing.begin(customerId))!, [{ ...active, id, endsAtMs: NOW + 5 }], terms())
    expect([await billing.ending(NOW + 4), await billing.ending(NOW + 5)]).toEqual([[], [organizationId]])
  })

  it('a payment is posted once, however many tell of it at once', async () => {
    const { ledger, topUps } = on.stores
    const { organizationId, scope } = await customer()
    const paymentIntent = next('pi')
    const told = (paidCents: number, takenCents: number) => async () => {
      const ticket = await topUps.begin({ paymentIntent, organizationId, nowMs: NOW })
      const posting = () => ({ id: next('txn'), change: changeOf() })
      return topUps.put(ticket, { paymentIntent, paidCents, takenCents, spentNano: 0 }, posting)
    }
    await Promise.all(Array.from({ length: 6 }, () => told(2_000, 500)()))
    expect((await ledger.balance(scope)).balancePico).toBe(15_000_000_000_000n)
    await Promise.all(Array.from({ length: 6 }, () => told(2_000, 9_000)()))
    expect((await ledger.balance(scope)).balancePico).toBe(0n)
    expect(await ledger.verify()).toMatchObject({ ok: true, differences: [], balancePico: 0n })
    expect(await topUps.ownerOf(paymentIntent)).toBe(organizationId)
  })
})
