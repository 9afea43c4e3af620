import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeCharge } from '../../db/model/charge.ts'
import { costPico } from '../../db/model/money.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import { sampleCall, samplePrice } from '../db/samples.ts'
import { type Answer, type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

/** Credits, multipliers and re-rating as people and tools ask for them. */

const DAY = '2026-05-17'
const AT_MS = Date.parse(`${DAY}T12:00:00Z`)

let house: ConsoleApp
let operator: As
beforeAll(async () => {
  house = await consoleApp()
  const home = await house.organization()
  const person = await house.person({ operator: true })
  await house.join(home, person.id, 'owner')
  operator = await house.session(person.id)
}, 120_000)
afterAll(() => house?.close())

interface Payer {
  readonly id: string
  readonly viewer: As
  readonly key: As
  readonly projectId: string
}

async function payer(pays: 'none' | 'credits' = 'credits'): Promise<Payer> {
  const id = await house.organization()
  await house.database.database.db.updateTable('organizations').set({ pays }).where('id', '=', id).execute()
  const projectId = await house.project(id)
  return { id, projectId, key: (await house.key(projectId)).as, viewer: (await house.signedIn(id, 'viewer')).as }
}

/** Of an answer that is 200. */
async function ok<T = Record<string, unknown>>(answer: Promise<Answer>): Promise<T> {
  const { status, body, text } = await answer
  expect([status, status === 200 ? '' : text]).toEqual([200, ''])
  return body as T
}

const read = (path: string, as: As) => ok(house.call(`GET ${path}`, as))
const grant = (id: string, input: object) =>
  house.call(`POST /api/platform/organizations/${id}/credits/grants`, operator, { note: 'Welcome', ...input })
const correct = (id: string, input: object) =>
  house.call(`POST /api/platform/organizations/${id}/credits/corrections`, operator, { reason: 'Mistake', ...input })

function chargedCall({ id, projectId }: Payer, chargedPico: number, more = {}) {
  const multipliers = { organization: 10_000, model: 10_000 }
  return sampleCall({
    ...{ organizationId: id, projectId, chargedPico, createdAtMs: AT_MS },
    charge: writeCharge({ paidBy: 'credits', multipliers, reservedPico: 0, waivedPico: 0 }),
    ...more,
  })
}
const insert = (calls: readonly object[]) => house.database.stores.calls.insertBatch(JSON.stringify(calls))

describe('credits', () => {
  it('that are given are in the balance at once, here and at /v1/balance, in decimal dollars', async () => {
    const org = await payer()
    expect(await read('/v1/balance', org.key)).toMatchObject({ balance: '0' })
    const given = await ok(grant(org.id, { amount_usd: '25.000000000001' }))
    expect(given).toEqual({
      posted: true,
      balance_usd: '25.000000000001',
      granted_usd: '25.000000000001',
      spent_usd: '0',
    })
    await insert([chargedCall(org, 5_000_000_000_001)])
    const balance = { balance_usd: '20', granted_usd: '25.000000000001', spent_usd: '5.000000000001' }
    expect(await read('/api/credits', org.viewer)).toEqual({ ...balance, pays: 'credits' })
    expect(await read('/v1/balance', org.key)).toMatchObject({ balance: '20' })
  })

  it('are null at /v1/balance where nothing is charged', async () => {
    const org = await payer('none')
    await ok(grant(org.id, { amount_usd: '25' }))
    expect(await read('/v1/balance', org.key)).toMatchObject({ balance: null })
    expect(await read('/api/credits', org.viewer)).toMatchObject({ pays: 'none', balance_usd: '25' })
  })

  it('are given once for a reference', async () => {
    const org = await payer()
    const input = { amount_usd: '5', reference: 'INV-7' }
    expect(await ok(grant(org.id, input))).toMatchObject({ posted: true, balance_usd: '5' })
    expect(await ok(grant(org.id, input))).toMatchObject({ posted: false, balance_usd: '5' })
  })

  it.each(['0', '-1', '1e3', '1.0000000000001', '', 'NaN', '10000000000'])('can not be given as %j', async (amount) => {
    const org = await payer()
    const { status, body } = await grant(org.id, { amount_usd: amount })
    expect([status, body]).toMatchObject([400, { error: { code: 'invalid_request', param: 'amount_usd' } }])
    expect(await read('/api/credits', org.viewer)).toMatchObject({ granted_usd: '0' })
  })

  it('are taken with a reason only, and never below zero unless that is forced', async () => {
    const org = await payer()
    await ok(grant(org.id, { amount_usd: '5' }))
    const without = await correct(org.id, { amount_usd: '-1', reason: ' ' })
    expect([without.status, without.body]).toMatchObject([400, { error: { param: 'reason' } }])
    const tooMuch = await correct(org.id, { amount_usd: '-5.5' })
    expect([tooMuch.status, tooMuch.body]).toMatchObject([400, { error: { param: 'amount_usd' } }])
    expect(tooMuch.text).toContain('Only 5 USD are left')
    expect(await ok(correct(org.id, { amount_usd: '-5.5', force: true }))).toMatchObject({ balance_usd: '-0.5' })
    expect(await ok(correct(org.id, { amount_usd: '0.75' }))).toMatchObject({ balance_usd: '0.25' })
    expect((await correct(org.id, { amount_usd: '-0' })).status).toBe(400)
  })

  it('are not given to nobody', async () => {
    expect((await grant('org_nobody', { amount_usd: '5' })).status).toBe(404)
    expect((await correct('org_nobody', { amount_usd: '5' })).status).toBe(404)
  })

  it('have a ledger, by pages and filters, and as CSV: the organization’s own only', async () => {
    const [org, other] = [await payer(), await payer()]
    await ok(grant(other.id, { amount_usd: '99' }))
    for (let i = 1; i <= 5; i++) await ok(grant(org.id, { amount_usd: String(i), note: '=1+1,"x"' }))
    await insert([chargedCall(org, 2_000_000_000_000), chargedCall(org, 1)])
    interface Page {
      readonly data: readonly { readonly id: string; readonly amount_usd: string }[]
      readonly next_cursor: string | null
    }
    const rows: Page['data'][number][] = []
    for (let cursor = ''; ; ) {
      const page: Page = await ok(house.call(`GET /api/credits/ledger?limit=2${cursor}`, org.viewer))
      rows.push(...page.data)
      if (page.next_cursor === null) break
      cursor = `&cursor=${page.next_cursor}`
    }
    expect(rows.map((row) => row.amount_usd)).toEqual(['5', '4', '3', '2', '1', '-2.000000000001'])
    const usage = await ok<Page>(house.call('GET /api/credits/ledger?kind=usage', org.viewer))
    expect(usage.data).toMatchObject([{ kind: 'usage', note: '2 calls', created_at: `${DAY}T12:00:00.000Z` }])
    const { text } = await house.call('GET /api/credits/ledger/export', org.viewer)
    const lines = text.trimEnd().split('\r\n')
    expect(lines).toHaveLength(7)
    expect(lines[0]).toBe('created_at,kind,amount_usd,reference,note,id')
    expect(lines[1]).toContain(`,grant,5,`)
    expect(lines[1]).toContain(`,"'=1+1,""x""",`)
    expect(lines[6]).toContain(',usage,-2.000000000001,usage:')
    const wrong = await house.call('GET /api/credits/ledger?cursor=x', org.viewer)
    expect([wrong.status, wrong.body]).toMatchObject([400, { error: { param: 'cursor' } }])
  })

  it('are in the statistics beside the cost', async () => {
    const org = await payer()
    await insert([
      chargedCall(org, 7),
      chargedCall(org, 11),
      sampleCall({ organizationId: org.id, projectId: org.projectId }),
    ])
    const logs = await read(`/api/projects/${org.projectId}/usage`, org.viewer)
    expect(logs).toMatchObject({ summary: { total_charged: '0.000000000018' } })
    const charged = (logs.logs as { charged_usd: string | null }[]).map((log) => log.charged_usd)
    expect(charged.sort()).toEqual(['0.000000000007', '0.000000000011', null])
    const parts = await read('/api/usage/breakdown?by=model', org.viewer)
    expect(parts).toMatchObject({ data: [{ requests: 3, charged_usd: '0.000000000018' }] })
    expect(await read(`/api/usage?from=${DAY}`, org.viewer)).toMatchObject({ total_charged: '0.000000000018' })
  })

  it('are verified, and mended where a balance is wrong', async () => {
    const org = await payer()
    await ok(grant(org.id, { amount_usd: '5' }))
    const about = async () => {
      const books = await ok<{ differences: { of: string }[] }>(house.call('GET /api/platform/books', operator))
      return books.differences.filter(({ of }) => of === org.id)
    }
    expect(await about()).toEqual([])
    await house.database.database.db
      .updateTable('credit_balances')
      .set({ granted_pico: '1' })
      .where('organization_id', '=', org.id)
      .execute()
    expect(await about()).toEqual([{ check: 'balance', of: org.id, expected_usd: '5', found_usd: '0.000000000001' }])
    expect(await ok(house.call('POST /api/platform/books/recount', operator, {}))).toEqual({ mended: [org.id] })
    expect(await about()).toEqual([])
  })
})

describe('multipliers', () => {
  const set = (input: object) => house.call('PUT /api/platform/multipliers', operator, input)

  it('of models are set, listed, removed, audited and known to the line of every instance', async () => {
    const known = () => house.deps.multipliers!.of('openai', 'gpt-4o-mini')
    expect(known()).toBe(10_000)
    await ok(set({ provider: 'openai', model: 'gpt-4o*', multiplier: 12_000 }))
    await expect.poll(known).toBe(12_000)
    await ok(set({ provider: 'openai', model: 'gpt-4o*', multiplier: 13_000 }))
    await expect.poll(known).toBe(13_000)
    const models = [{ provider: 'openai', model: 'gpt-4o*', multiplier: 13_000 }]
    expect(await read('/api/platform/multipliers', operator)).toMatchObject({ models })
    const remove = () => house.call('DELETE /api/platform/multipliers?provider=openai&model=gpt-4o*', operator)
    expect(await ok(remove())).toEqual({ removed: true })
    await expect.poll(known).toBe(10_000)
    expect((await remove()).status).toBe(404)
    const { data } = await ok<{ data: { before: unknown; after: unknown }[] }>(
      house.call('GET /api/platform/audit?target=model_multiplier', operator),
    )
    expect(data.map(({ before, after }) => [before, after])).toEqual([
      [{ multiplier: 13_000 }, null],
      [{ multiplier: 12_000 }, { multiplier: 13_000 }],
      [null, { multiplier: 12_000 }],
    ])
  })

  it('of organizations are set and listed', async () => {
    const org = await payer()
    const put = (multiplier: number, id = org.id) =>
      house.call(`PUT /api/platform/organizations/${id}/multiplier`, operator, { multiplier })
    expect(await ok(put(8_000))).toEqual({ id: org.id, multiplier: 8_000 })
    expect(await read('/api/platform/multipliers', operator)).toMatchObject({
      organizations: [{ id: org.id, multiplier: 8_000 }],
    })
    await ok(put(10_000))
    expect(await read('/api/platform/multipliers', operator)).toMatchObject({ organizations: [] })
    expect((await put(8_000, 'org_nobody')).status).toBe(404)
  })

  it.each([
    { provider: 'openai', model: '*mini', multiplier: 1 },
    { provider: 'open*', model: '*', multiplier: 1 },
    { provider: 'openai', model: '*', multiplier: -1 },
    { provider: 'openai', model: '*', multiplier: 1.5 },
    { provider: 'openai', model: '*', multiplier: 1_000_001 },
  ])('are refused as %j', async (input) => {
    expect((await set(input)).status).toBe(400)
    expect(await read('/api/platform/multipliers', operator)).toMatchObject({ models: [] })
  })
})

describe('re-rating', () => {
  const price = { input: 0.1, output: 0.5 }
  const span = { provider: 'openai', model: 'm-rerated', from: DAY, to: '2026-05-18', price }

  it('tells what another price would change, and posts just that, once', async () => {
    const org = await payer()
    await ok(grant(org.id, { amount_usd: '1' }))
    const usage = { ...NO_USAGE, input: 1_000, output: 100 }
    const cost = costPico(usage, samplePrice())
    await insert([0, 1].map(() => chargedCall(org, cost, { model: 'm-rerated', usage, costPico: cost })))
    const preview = await ok(house.call('POST /api/platform/rerates/preview', operator, span))
    // 1 000 x 0.15 + 100 x 0.60 a million before, 1 000 x 0.10 + 100 x 0.50 after, twice.
    const sums = {
      ...{ calls: 2, changed: 2, cost_before_usd: '0.00042', cost_after_usd: '0.0003' },
      ...{ charged_before_usd: '0.00042', charged_after_usd: '0.0003' },
    }
    expect(preview).toEqual({
      price_version: expect.stringMatching(/^[0-9a-f]{16}$/),
      total: sums,
      days: [{ ...sums, model: 'm-rerated', date: DAY }],
      organizations: [{ ...sums, id: org.id }],
    })
    expect(await read('/api/credits', org.viewer)).toMatchObject({ balance_usd: '0.99958' })
    const post = () => house.call('POST /api/platform/rerates', operator, { ...span, reason: 'Wrong price' })
    const posted = await ok(post())
    expect(posted).toEqual({
      id: expect.stringMatching(/^rer_/),
      corrections: [{ organization_id: org.id, amount_usd: '0.00012', state: 'posted' }],
    })
    expect(await ok(post())).toEqual({ id: posted.id, corrections: [] })
    const balance = { balance_usd: '0.9997', granted_usd: '1.00012', spent_usd: '0.00042' }
    expect(await read('/api/credits', org.viewer)).toMatchObject(balance)
    expect(await read('/api/platform/rerates', operator)).toMatchObject({
      data: [
        {
          id: posted.id,
          reason: 'Wrong price',
          corrections: 1,
          amount_usd: '0.00012',
          price_version: preview.price_version,
        },
      ],
      next_cursor: null,
    })
    expect(await read('/api/platform/audit?target=rerate', operator)).toMatchObject({
      data: [{ action: 'rerates.post', target: { id: posted.id } }],
    })
  })

  it.each([
    ['that begins after its end', { from: '2026-05-19' }],
    ['of days to come', { to: '2999-01-01' }],
    ['of no model', { model: '*mini' }],
    ['with a price below zero', { price: { input: -1 } }],
  ])('refuses a time or price %s', async (_, wrong) => {
    expect((await house.call('POST /api/platform/rerates/preview', operator, { ...span, ...wrong })).status).toBe(400)
    const { status } = await house.call('POST /api/platform/rerates', operator, { ...span, ...wrong, reason: 'x' })
    expect(status).toBe(400)
  })
})
