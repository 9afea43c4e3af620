import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import type { CallRecord } from '../../db/model/calls.ts'
import { formatUsd } from '../../db/model/money.ts'
import { writeCursor } from '../../db/model/usage-query.ts'
import { usageCsv } from '../../server/console/usage-csv.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { sampleCall } from '../db/samples.ts'
import { chosen, history, sumOf } from '../db/usage-history.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

const DAY_MS = 86_400_000
/** The last millisecond of a month. */
const NOW_MS = Date.UTC(2026, 5, 1) - 1
const MAY_MS = Date.UTC(2026, 4, 1)

let gateway: ConsoleApp
let organizationId: string
let projectId: string
let foreignId: string
let emptyId: string
let viewer: As
let key: As
let nowMs = NOW_MS
let calls: CallRecord[]

type Body = Record<string, never> & { readonly [member: string]: unknown }
async function get(path: string, as: As = viewer): Promise<Body> {
  const { status, body, text } = await gateway.call(`GET /api${path}`, as)
  expect([status, status === 200 ? '' : text]).toEqual([200, ''])
  return body as Body
}
const status = async (path: string, as: As = viewer) => (await gateway.call(`GET /api${path}`, as)).status

beforeAll(async () => {
  gateway = await consoleApp({ clock: { ...systemClock, now: () => nowMs } })
  organizationId = await gateway.organization({ plan: 'free' })
  projectId = await gateway.project(organizationId, 'First')
  emptyId = await gateway.project(organizationId, 'Empty')
  foreignId = await gateway.project(await gateway.organization())
  viewer = (await gateway.signedIn(organizationId, 'viewer')).as
  key = (await gateway.key(projectId)).as
  const past = history(400, { startMs: MAY_MS - 3 * DAY_MS, stepMs: 4 * 3_600_000 }).filter(
    (call) => call.createdAtMs <= NOW_MS,
  )
  const border = [MAY_MS - 1, MAY_MS, NOW_MS - DAY_MS, NOW_MS - DAY_MS + 1, NOW_MS].map((createdAtMs) =>
    sampleCall({ createdAtMs }),
  )
  calls = [...past, ...border].map((call) => ({ ...call, organizationId, projectId }))
  await gateway.database.stores.calls.insertBatch(JSON.stringify(calls))
}, 120_000)
afterAll(() => gateway?.close())

describe('GET /api/projects/{id}/usage', () => {
  it('answers a page, the total and the summary in the contract’s shape', async () => {
    const body = await get(`/projects/${projectId}/usage?limit=3`)
    const all = chosen(calls, projectId, {})
    const sum = sumOf(all)
    expect(body).toMatchObject({
      total: all.length,
      total_is_exact: true,
      summary: {
        total_requests: all.length,
        total_tokens: sum.inputTokens + sum.outputTokens,
        total_cost: formatUsd(sum.costPico),
        total_charged: formatUsd(sum.chargedPico),
        cache_hits: 0,
        cache_hit_rate: 0,
      },
      next_cursor: expect.any(String),
    })
    expect((body.logs as unknown as { id: string }[]).map((log) => log.id)).toEqual(
      all.slice(0, 3).map((call) => call.id),
    )
    const [newest] = body.logs as unknown as Record<string, unknown>[]
    expect(newest).toMatchObject({
      model: 'gpt-4o-mini-2024-07-18',
      tokens_used: 170,
      cost_usd: '0.00009045',
      cached: false,
      latency_ms: 523,
      first_byte_ms: 201,
      outcome: 'ok',
      created_at: '2026-05-31T23:59:59.999Z',
    })
  })

  it('its cursors lead through all calls, once each', async () => {
    const ids: string[] = []
    for (let cursor = ''; ; ) {
      const body = await get(`/projects/${projectId}/usage?limit=150${cursor}`)
      ids.push(...(body.logs as unknown as { id: string }[]).map((log) => log.id))
      if (body.next_cursor === null) break
      cursor = `&cursor=${String(body.next_cursor)}`
    }
    expect(ids).toEqual(chosen(calls, projectId, {}).map((call) => call.id))
  })

  it.each([
    ['model=gpt-4o', { model: 'gpt-4o' }],
    ['key_id=key_1', { keyId: 'key_1' }],
    ['provider=anthropic', { provider: 'anthropic' }],
    ['status=ok', { status: 'ok' }],
    ['status=cut', { status: 'cut' }],
    ['status=429', { status: 429 }],
    ['cached=true', { cached: true }],
    ['cached=false', { cached: false }],
    ['min_cost=0.000000000001', { minCostPico: 1n }],
    ['max_cost=0', { maxCostPico: 0n }],
    ['end_user=user-1', { endUser: 'user-1' }],
    ['metadata=team%20sea', { metadata: 'team sea' }],
    ['from=2026-05-01', { fromMs: MAY_MS }],
    ['to=2026-05-01T02:00:00%2B02:00', { toMs: MAY_MS }],
  ] as const)('filters by %s', async (query, filter) => {
    const body = await get(`/projects/${projectId}/usage?limit=1000&${query}`)
    const expected = chosen(calls, projectId, filter)
    expect((body.logs as unknown as { id: string }[]).map((log) => log.id)).toEqual(expected.map((call) => call.id))
    expect(body.total).toBe(expected.length)
  })

  it.each([
    'limit=0',
    'limit=1001',
    'limit=many',
    'from=yesterday',
    'from=2026-05-02&to=2026-05-01',
    'status=fine',
    'status=999',
    'cached=perhaps',
    'min_cost=-1',
    'min_cost=1e3',
    'max_cost=0.0000000000001',
    'metadata=---',
    'cursor=',
    'cursor=nonsense',
    'cursor=%00',
    `cursor=${writeCursor({ createdAtMs: 1, id: "x' or 1=1" })}`,
    `cursor=${btoa('9999999999999999.req_1')}`,
    `cursor=${'a'.repeat(300)}`,
  ])('refuses %s with 400', async (query) => {
    expect(await status(`/projects/${projectId}/usage?${query}`)).toBe(400)
  })

  it('a foreign and an unknown project are not found, an empty one is empty', async () => {
    for (const id of [foreignId, 'prj_unknown']) {
      expect(await status(`/projects/${id}/usage`)).toBe(404)
      expect(await status(`/projects/${id}/usage/export`)).toBe(404)
      expect(await status(`/dashboard/stats?project_id=${id}`)).toBe(404)
      expect(await status(`/usage/breakdown?by=key&project_id=${id}`)).toBe(404)
      expect(await status(`/usage?project_id=${id}`)).toBe(404)
    }
    expect(await get(`/projects/${emptyId}/usage`)).toMatchObject({ logs: [], total: 0, next_cursor: null })
  })
})

describe('usageCsv()', () => {
  it('has every call once, newest first, with the contract’s columns in front', async () => {
    const answer = await gateway.call(`GET /api/projects/${projectId}/usage/export`, viewer)
    const lines = answer.text.trimEnd().split('\r\n')
    expect(lines[0]).toMatch(/^date,model,tokens_used,cost_usd,cached,latency_ms,id,/)
    expect(lines.slice(1).map((line) => line.split(',')[6])).toEqual(
      chosen(calls, projectId, {}).map((call) => call.id),
    )
  })

  it.each(['=1+1', '+1+1', '-1+1', '@SUM(A1)', '\tx', '\rx', '=cmd|"/c calc"!A1'])(
    'a cell %j can not run as a formula',
    async (model) => {
      const odd = sampleCall({ organizationId, projectId: emptyId, model, endUser: model })
      await gateway.database.stores.calls.insertBatch(JSON.stringify([odd]))
      const query = { projectId: emptyId, filter: { model } }
      let csv = ''
      for await (const chunk of usageCsv(gateway.control, scopeOf(organizationId), query)) csv += chunk
      const [, line = ''] = csv.split(/\r\n(?=\d|$)/)
      expect(line.replaceAll('""', '"')).toContain(`'${model}`)
      expect(line).not.toMatch(/(^|,)"?[=+\-@\t\r]/)
    },
  )

  it('ends its reading when its reader leaves', async () => {
    const csv = usageCsv(gateway.control, scopeOf(organizationId), { projectId, filter: {} })
    await csv.next()
    await csv.next()
    expect(await csv.return(undefined)).toEqual({ done: true, value: undefined })
    expect((await csv.next()).done).toBe(true)
  })
})

describe('reports', () => {
  it.each(['7d', '30d', 'all'] as const)('GET /api/dashboard/stats of %s counts its days, in UTC', async (period) => {
    const body = await get(`/dashboard/stats?period=${period}&project_id=${projectId}`)
    const firstMs = period === 'all' ? 0 : NOW_MS + 1 - Number.parseInt(period, 10) * DAY_MS
    const inPeriod = calls.filter((call) => call.createdAtMs >= firstMs)
    const month = calls.filter((call) => call.createdAtMs >= MAY_MS)
    expect(body).toMatchObject({
      requests_total: inPeriod.length,
      requests_today: calls.filter((call) => call.createdAtMs > NOW_MS - DAY_MS).length,
      cache_hit_rate: 0,
      cost_this_month: formatUsd(sumOf(month).costPico),
      cost_saved: '0',
    })
    const chart = body.chart_data as unknown as { date: string; requests: number; cost: string }[]
    if (period !== 'all') expect(chart).toHaveLength(Number.parseInt(period, 10))
    expect(chart.at(-1)?.date).toBe('2026-05-31')
    for (const { date, requests, cost } of chart) {
      const ofDay = calls.filter((call) => new Date(call.createdAtMs).toISOString().startsWith(date))
      expect([date, requests, cost]).toEqual([date, ofDay.length, formatUsd(sumOf(ofDay).costPico)])
    }
    expect(chart.reduce((sum, day) => sum + day.requests, 0)).toBe(inPeriod.length)
    for (const top of body.top_models as unknown as { model: string; requests: number }[]) {
      expect(top.requests).toBe(inPeriod.filter((call) => call.model === top.model).length)
    }
  })

  it('GET /api/usage adds up by model and by day, and keeps a key to its project', async () => {
    const month = calls.filter((call) => call.createdAtMs >= MAY_MS)
    for (const as of [viewer, key]) {
      const body = await get('/usage?from=2026-05-01&to=2026-06-01', as)
      const extra = as === key ? 0 : Number(body.total_requests) - month.length
      expect(extra).toBe(as === key ? 0 : await othersIn(emptyId))
      for (const list of ['llm_breakdown', 'daily_usage']) {
        const rows = body[list] as unknown as { requests: number; tokens: number }[]
        expect(rows.reduce((sum, row) => sum + row.requests, 0)).toBe(body.total_requests)
        expect(rows.reduce((sum, row) => sum + row.tokens, 0)).toBe(body.total_tokens)
      }
    }
    expect((await get('/usage', key)).total_cost).toBe(formatUsd(sumOf(month).costPico))
    expect(await status(`/usage?project_id=${emptyId}`, key)).toBe(404)
    expect(await status(`/projects/${projectId}/usage`, key)).toBe(403)
  })

  it('GET /api/quota and /v1/balance tell what the plan counts, and begin anew with the month', async () => {
    const reached = calls.filter((call) => call.createdAtMs >= MAY_MS && call.provider !== null)
    const month = reached.length + (await othersIn(emptyId))
    const sum = sumOf(calls.filter((call) => call.createdAtMs > NOW_MS - DAY_MS))
    const used = sum.inputTokens + sum.outputTokens
    expect(await get('/quota', key)).toMatchObject({
      quota_ok: true,
      plan: 'free',
      daily: { used, limit: 100_000, remaining: 100_000 - used, ok: true, reset_at: '2026-06-01T00:00:00.000Z' },
      monthly: {
        used: month,
        limit: 10_000,
        remaining: 10_000 - month,
        ok: true,
        reset_at: '2026-06-01T00:00:00.000Z',
      },
    })
    const balance = await gateway.call('GET /v1/balance', key)
    expect([balance.status, balance.body]).toEqual([
      200,
      {
        balance: null,
        plan: 'free',
        used_this_month: month,
        quota_this_month: 10_000,
        quota_reset_at: '2026-06-01T00:00:00.000Z',
      },
    ])
    nowMs = NOW_MS + 1
    try {
      expect(await get('/quota')).toMatchObject({
        daily: { used: 0 },
        monthly: { used: 0, reset_at: '2026-07-01T00:00:00.000Z' },
      })
      expect((await gateway.call('GET /v1/balance', key)).body).toMatchObject({ used_this_month: 0 })
    } finally {
      nowMs = NOW_MS
    }
    expect((await gateway.call('GET /v1/balance', null)).status).toBe(401)
  })

  it('a quota that is spent says so', async () => {
    const spent = await gateway.organization({ plan: 'free' })
    const project = await gateway.project(spent)
    const usage = { ...sampleCall().usage, input: 99_930, output: 50, cacheRead: 20, reasoning: 0 }
    const call = sampleCall({ organizationId: spent, projectId: project, createdAtMs: NOW_MS, usage })
    await gateway.database.stores.calls.insertBatch(JSON.stringify([call]))
    expect(await get('/quota', (await gateway.key(project)).as)).toMatchObject({
      quota_ok: false,
      daily: { used: 100_000, remaining: 0, ok: false },
      monthly: { used: 1, ok: true },
    })
  })

  it('GET /api/usage/breakdown names keys and projects', async () => {
    const body = await get('/usage/breakdown?by=project&from=2026-05-01T00:30:00Z')
    expect(body).toMatchObject({ has_more: false, is_exact: true, from: '2026-05-01T00:00:00.000Z', to: null })
    const rows = body.data as unknown as { id: string; name: string; requests: number }[]
    expect(rows.find((row) => row.id === projectId)).toMatchObject({
      name: 'First',
      requests: calls.filter((call) => call.createdAtMs >= MAY_MS).length,
    })
    expect(await status('/usage/breakdown?by=colour')).toBe(400)
  })
})

async function othersIn(id: string): Promise<number> {
  const found = await gateway.database.database.db
    .selectFrom('calls')
    .select('id')
    .where('project_id', '=', id)
    .execute()
  return found.length
}
