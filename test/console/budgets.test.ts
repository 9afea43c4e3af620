import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CallRecord } from '../../db/model/calls.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { sampleCall } from '../db/samples.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A Sunday. */
const NOW_MS = Date.UTC(2026, 4, 17, 12, 30)

let on: ConsoleApp
let nowMs = NOW_MS
let organizationId: string
let admin: As
let viewer: As
beforeAll(async () => {
  on = await consoleApp({ clock: { ...systemClock, now: () => nowMs } })
  organizationId = await on.organization()
  admin = (await on.signedIn(organizationId, 'admin')).as
  viewer = (await on.signedIn(organizationId, 'viewer')).as
}, 120_000)
afterAll(() => on?.close())

type Shown = Record<string, unknown> & { readonly id: string }

interface Place {
  readonly projectId: string
  readonly keyId: string
  readonly path: string
}

async function place(): Promise<Place> {
  const projectId = await on.project(organizationId)
  return { projectId, keyId: (await on.key(projectId)).id, path: `/api/projects/${projectId}/budgets` }
}

async function made({ path }: Place, input: object): Promise<Shown> {
  const { status, body, text } = await on.call(`POST ${path}`, admin, input)
  expect([status, status === 200 ? '' : text]).toEqual([200, ''])
  return body as Shown
}

async function listed({ path }: Place, query = ''): Promise<Shown[]> {
  return ((await on.call(`GET ${path}${query}`, viewer)).body as { data: Shown[] }).data
}

function called({ projectId, keyId }: Place, changes: Partial<CallRecord> = {}): Promise<number> {
  const call = sampleCall({ organizationId, projectId, keyId, createdAtMs: NOW_MS - 1, ...changes })
  return on.database.stores.calls.insertBatch(JSON.stringify([call]))
}

const errorOf = (body: unknown) => (body as { error: { code: string; param: string | null } }).error

describe('a budget', () => {
  it('is listed as it was made, with what the calls before it have used', async () => {
    const at = await place()
    await called(at, { costPico: 1_500_000_000_001 })
    await called(at, { costPico: 5_000_000, chargedPico: 250_000_000_000, charge: '{}' })
    // Of another month, and of another key.
    await called(at, { createdAtMs: NOW_MS - 17 * DAY_MS })
    await called({ ...at, keyId: 'key_other' }, { costPico: 1_000_000_000_000 })
    const spend = await made(at, { key_id: at.keyId, what: 'spend', period: 'month', amount: '3.5' })
    expect(spend).toEqual({
      id: expect.stringMatching(/^bud_/),
      project_id: at.projectId,
      key_id: at.keyId,
      what: 'spend',
      period: 'month',
      anchor: null,
      amount: '3.5',
      hard: true,
      used: '1.750000001',
      remaining: '1.749999999',
      percent: 50,
      resets_at: '2026-06-01T00:00:00.000Z',
      created_by: expect.stringMatching(/^usr_/),
      created_at: new Date(NOW_MS).toISOString(),
      updated_at: new Date(NOW_MS).toISOString(),
    })
    nowMs++
    const tokens = await made(at, { what: 'tokens', period: 'total', amount: 300, hard: false })
    nowMs = NOW_MS
    expect(tokens).toMatchObject({
      key_id: null,
      used: 4 * 170,
      remaining: 0,
      percent: 226.6,
      resets_at: null,
      hard: false,
    })
    expect(await listed(at)).toEqual([spend, tokens])
    expect(await listed(at, `?key_id=${at.keyId}`)).toEqual([spend])
    const first = await on.call(`GET ${at.path}?limit=1`, viewer)
    expect(first.body).toEqual({ data: [spend], next_cursor: spend.id })
    expect(await listed(at, `?limit=1&cursor=${spend.id}`)).toEqual([tokens])
  })

  it.each([
    ['day', null, '2026-05-18T00:00:00.000Z', 3],
    ['week', null, '2026-05-18T00:00:00.000Z', 4],
    ['month', null, '2026-06-01T00:00:00.000Z', 5],
    ['total', null, null, 6],
    ['day', '2026-05-10T12:00:00+02:00', '2026-05-18T10:00:00.000Z', 2],
    ['week', '2026-05-15T00:00:00Z', '2026-05-22T00:00:00.000Z', 4],
    ['month', '2026-01-31T12:30:00Z', '2026-05-31T12:30:00.000Z', 6],
    ['total', '2026-05-17T12:20:00Z', null, 1],
  ])('by the %s from %s on ends at %s', async (period, anchor, resets_at, used) => {
    const at = await place()
    // After an anchor within this hour, after one of today, of today, of this week, this month, and before.
    for (const agoMs of [HOUR_MS / 12, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS, 17 * DAY_MS]) {
      await called(at, { createdAtMs: NOW_MS - agoMs })
    }
    expect(await made(at, { what: 'requests', period, anchor, amount: 10 })).toMatchObject({
      anchor: anchor === null ? null : new Date(anchor).toISOString(),
      resets_at,
      used,
      percent: used * 10,
    })
  })

  it('shows what the line has counted where that is more than what is stored', async () => {
    const at = await place()
    await called(at)
    const { id } = await made(at, { what: 'requests', period: 'day', amount: 10 })
    const counter = { key: `bud:${id}:0`, limit: 10, endMs: Date.UTC(2026, 4, 18) }
    await on.deps.kv.add(counter, 7, NOW_MS)
    expect(await listed(at)).toMatchObject([{ used: 7, remaining: 3, percent: 70 }])
  })

  it('is recomputed to what the calls of its period say, and the line counts on from there', async () => {
    const at = await place()
    const { id } = await made(at, { what: 'spend', period: 'day', amount: '10' })
    const endMs = Date.UTC(2026, 4, 18)
    const counter = (generation: number) => ({ key: `bud:${id}:${generation}`, limit: 1, endMs })
    await on.deps.kv.add(counter(0), 9_000_000_000, NOW_MS)
    await called(at, { costPico: 2_000_000_000_000 })
    const { status, body } = await on.call(`POST ${at.path}/${id}/recompute`, admin, {})
    expect(status).toBe(200)
    expect(body).toMatchObject({ id, used_before: '9', used: '2', remaining: '8', percent: 20 })
    expect(await on.deps.kv.read([counter(0), counter(1)], NOW_MS)).toEqual([9_000_000_000, 2_000_000_000])
    expect(await listed(at)).toMatchObject([{ used: '2' }])
  })

  it('changed in its amount counts on, changed in its period counts anew from the calls', async () => {
    const at = await place()
    await called(at)
    await called(at, { createdAtMs: NOW_MS - DAY_MS })
    const { id } = await made(at, { what: 'requests', period: 'day', amount: 10 })
    await on.deps.kv.add({ key: `bud:${id}:0`, limit: 10, endMs: Date.UTC(2026, 4, 18) }, 5, NOW_MS)
    const patch = async (input: object) => (await on.call(`PATCH ${at.path}/${id}`, admin, input)).body
    expect(await patch({ amount: 20, hard: false })).toMatchObject({ amount: 20, hard: false, used: 5, percent: 25 })
    expect(await patch({ period: 'week' })).toMatchObject({ amount: 20, period: 'week', used: 2 })
    expect(await patch({ period: 'day' })).toMatchObject({ period: 'day', used: 1 })
    expect(await patch({ anchor: '2026-05-17T12:00:00Z' })).toMatchObject({
      used: 1,
      resets_at: '2026-05-18T12:00:00.000Z',
    })
  })

  it('deleted is gone', async () => {
    const at = await place()
    const { id } = await made(at, { what: 'requests', period: 'day', amount: 10 })
    expect((await on.call(`DELETE ${at.path}/${id}`, admin)).body).toEqual({ ok: true })
    expect(await listed(at)).toEqual([])
    for (const line of [`DELETE ${at.path}/${id}`, `PATCH ${at.path}/${id}`, `POST ${at.path}/${id}/recompute`]) {
      expect([line, (await on.call(line, admin, line.startsWith('DELETE') ? undefined : {})).status]).toEqual([
        line,
        404,
      ])
    }
  })

  it.each([
    ['spend as a number', { what: 'spend', amount: 12.5 }, 'amount'],
    ['spend finer than a nano-dollar', { what: 'spend', amount: '0.0000000001' }, 'amount'],
    ['spend of nothing', { what: 'spend', amount: '0' }, 'amount'],
    ['spend below nothing', { what: 'spend', amount: '-1' }, 'amount'],
    ['more than a counter holds', { what: 'spend', amount: '9000000.000000001' }, 'amount'],
    ['requests as a text', { what: 'requests', amount: '12' }, 'amount'],
    ['half a request', { what: 'requests', amount: 1.5 }, 'amount'],
    ['no tokens', { what: 'tokens', amount: 0 }, 'amount'],
    ['something else', { what: 'calls', amount: 5 }, 'what'],
    ['a minute', { what: 'requests', amount: 5, period: 'minute' }, 'period'],
    ['an anchor to come', { what: 'requests', amount: 5, anchor: '2026-05-17T12:30:00.001Z' }, 'anchor'],
    ['an anchor before all time', { what: 'requests', amount: 5, anchor: '1969-12-31T00:00:00Z' }, 'anchor'],
    ['an anchor that is none', { what: 'requests', amount: 5, anchor: 'Monday' }, 'anchor'],
  ])('of %s is refused by name, and none is made', async (_, input, param) => {
    const at = await place()
    const { status, body } = await on.call(`POST ${at.path}`, admin, { period: 'day', ...input })
    expect([status, errorOf(body)]).toMatchObject([400, { code: 'invalid_request', param }])
    expect(await listed(at)).toEqual([])
  })

  it('is for a project and a key that are there, and for so many only', async () => {
    const at = await place()
    const other = await place()
    const input = { what: 'requests', period: 'day', amount: 5 }
    expect((await on.call(`POST ${at.path}`, admin, { ...input, key_id: other.keyId })).status).toBe(404)
    expect((await on.call('POST /api/projects/prj_none/budgets', admin, input)).status).toBe(404)
    expect((await on.call('GET /api/projects/prj_none/budgets', admin)).status).toBe(404)
    for (let i = 0; i < 20; i++) await made(at, input)
    const { status, body } = await on.call(`POST ${at.path}`, admin, input)
    expect([status, errorOf(body).code]).toEqual([400, 'invalid_request'])
    await made(at, { ...input, key_id: at.keyId })
  })
})

describe('GET /api/quota', () => {
  it('tells every limit of a key, its project and the plan, and the tightest of day and month', async () => {
    const free = await on.organization({ plan: 'free' })
    const projectId = await on.project(free)
    const keyOf = await on.key(projectId, { settings: { limits: { requestsPerMinute: null, requestsPerMonth: 9 } } })
    const member = (await on.signedIn(free, 'admin')).as
    const call = sampleCall({ organizationId: free, projectId, keyId: keyOf.id, createdAtMs: NOW_MS - 1 })
    // Refused at the door: nothing was used.
    const nothing = { usage: NO_USAGE, costPico: 0, provider: null, model: null }
    const refused = sampleCall({ ...call, ...nothing, id: 'req_refused', status: 429, outcome: 'error' })
    await on.database.stores.calls.insertBatch(JSON.stringify([call, refused]))
    const budgets = `POST /api/projects/${projectId}/budgets`
    const day = { key_id: keyOf.id, what: 'tokens', period: 'day', amount: 170 }
    const { id: dayId } = (await on.call(budgets, member, day)).body as Shown
    const soft = { what: 'spend', period: 'total', amount: '0.00000001', hard: false }
    const { id: softId } = (await on.call(budgets, member, soft)).body as Shown
    const midnight = '2026-05-18T00:00:00.000Z'
    const june = '2026-06-01T00:00:00.000Z'
    const expected = {
      quota_ok: false,
      plan: 'free',
      daily: { used: 170, limit: 170, remaining: 0, ok: false, reset_at: midnight },
      monthly: { used: 1, limit: 9, remaining: 8, ok: true, reset_at: june },
    }
    const asked = await on.call(`GET /api/quota?project_id=${projectId}&key_id=${keyOf.id}`, member)
    expect(asked.body).toMatchObject(expected)
    const { limits } = asked.body as { limits: Shown[] }
    const shown = { hard: true, ok: true }
    expect(limits).toHaveLength(6)
    expect(limits).toEqual(
      expect.arrayContaining([
        {
          ...shown,
          of: 'key',
          by: dayId,
          what: 'tokens',
          period: 'day',
          used: 170,
          limit: 170,
          remaining: 0,
          ok: false,
          resets_at: midnight,
        },
        {
          ...shown,
          of: 'key',
          by: 'settings',
          what: 'requests',
          period: 'month',
          used: 1,
          limit: 9,
          remaining: 8,
          resets_at: june,
        },
        {
          ...shown,
          of: 'project',
          by: softId,
          what: 'spend',
          period: 'total',
          used: '0.00009045',
          limit: '0.00000001',
          remaining: '0',
          ok: false,
          hard: false,
          resets_at: null,
        },
        {
          ...shown,
          of: 'organization',
          by: 'plan',
          what: 'tokens',
          period: 'day',
          used: 170,
          limit: 100_000,
          remaining: 99_830,
          resets_at: midnight,
        },
        {
          ...shown,
          of: 'organization',
          by: 'plan',
          what: 'requests',
          period: 'month',
          used: 1,
          limit: 10_000,
          remaining: 9_999,
          resets_at: june,
        },
      ]),
    )
    // By its own key the same; without one, the organization's.
    expect((await on.call('GET /api/quota', keyOf.as)).body).toMatchObject(expected)
    const plans = (await on.call('GET /api/quota', member)).body
    expect(plans).toMatchObject({
      quota_ok: true,
      daily: { used: 170, limit: 100_000 },
      monthly: { used: 1, limit: 10_000 },
    })
    expect((await on.call(`GET /api/quota?project_id=${projectId}`, member)).body).toMatchObject({ quota_ok: true })
  })

  it('an organization without limits has a quota of its own use', async () => {
    const id = await on.organization({ plan: 'unlimited' })
    const projectId = await on.project(id)
    await called({ projectId, keyId: 'key_x', path: '' }, { organizationId: id })
    const { as } = await on.signedIn(id, 'viewer')
    expect((await on.call('GET /api/quota', as)).body).toEqual({
      quota_ok: true,
      plan: 'unlimited',
      daily: { used: 170, limit: null, remaining: null, ok: true, reset_at: '2026-05-18T00:00:00.000Z' },
      monthly: { used: 1, limit: null, remaining: null, ok: true, reset_at: '2026-06-01T00:00:00.000Z' },
      limits: [],
    })
  })

  it('tells nobody of another’s project or key', async () => {
    const mine = await place()
    const other = await place()
    const foreign = await on.project(await on.organization())
    const key = await on.key(mine.projectId)
    const status = async (query: string, as: As) => (await on.call(`GET /api/quota?${query}`, as)).status
    expect(await status(`project_id=${foreign}`, admin)).toBe(404)
    expect(await status(`project_id=${mine.projectId}&key_id=${other.keyId}`, admin)).toBe(404)
    expect(await status(`key_id=${mine.keyId}`, admin)).toBe(400)
    expect(await status(`project_id=${other.projectId}`, key.as)).toBe(404)
    expect(await status(`key_id=${mine.keyId}`, key.as)).toBe(404)
    expect(await status(`project_id=${mine.projectId}&key_id=${key.id}`, key.as)).toBe(200)
  })
})

describe('what the platform’s accounts may cost', () => {
  it('is set, paused and resumed by the operator, with what the day has cost', async () => {
    const operator = await on.person({ operator: true })
    const as = await on.session(operator.id)
    const run = async (line: string, input?: object) => {
      const { status, body, text } = await on.call(line.replace(' ', ' /api/platform/provider-limits'), as, input)
      expect([line, status, status === 200 ? '' : text]).toEqual([line, 200, ''])
      return body as Shown
    }
    const at = await place()
    await called(at, { provider: 'groq', costPico: 1_250_000_000_000 })
    await called(at, { provider: 'groq', charge: '{"paidBy":"own_key"}' })
    const none = { paused_at: null, paused_reason: null, stop_free_until: null }
    const set = { ...none, provider: 'groq', stop_usd: '7.5', spent_today_usd: '1.25' }
    expect(await run('PUT /groq', { stop_usd: '7.5' })).toEqual(set)
    expect(await run('GET ')).toEqual({ data: [set], next_cursor: null })
    const paused = { ...set, paused_at: new Date(NOW_MS).toISOString(), paused_reason: 'Its bill is wrong' }
    expect(await run('POST /groq/pause', { reason: 'Its bill is wrong' })).toEqual(paused)
    expect(await run('PUT /groq', { stop_usd: null })).toEqual({ ...paused, stop_usd: null })
    expect(await run('POST /groq/resume', {})).toEqual({
      ...set,
      stop_usd: null,
      stop_free_until: '2026-05-18T00:00:00.000Z',
    })
    const { body } = await on.call('GET /api/platform/audit?target=groq', as)
    const actions = (body as unknown as { data: { action: string }[] }).data.map(({ action }) => action)
    expect(actions.sort()).toEqual(
      ['pauseProvider', 'resumeProvider', 'setProviderStop', 'setProviderStop'].map((name) => `platform.${name}`),
    )
    for (const [line, input] of [
      ['PUT /nobody', { stop_usd: '1' }],
      ['PUT /sandbox', { stop_usd: '1' }],
      ['PUT /groq', { stop_usd: '0' }],
      ['PUT /groq', { stop_usd: 'much' }],
      ['POST /nobody/pause', {}],
      ['POST /nobody/resume', {}],
    ] as const) {
      const refused = await on.call(line.replace(' ', ' /api/platform/provider-limits'), as, input)
      expect([line, refused.status, errorOf(refused.body).code]).toEqual([line, 400, 'invalid_request'])
    }
  })
})
