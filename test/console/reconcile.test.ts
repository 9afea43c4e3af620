import { describe, expect, it } from 'vitest'
import { OWN_KEY_CHARGE } from '../../db/model/charge.ts'
import { dayMs, daysBetween } from '../../db/model/reconcile.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import { json } from '../helpers/upstream-answers.ts'
import { ADMIN_KEYS } from '../helpers/usage-reports.ts'
import { CENT, call, reconciling, type Shown, used } from './reconcile-kit.ts'

describe('reconciling our books with providers', { timeout: 120_000 }, () => {
  const books = reconciling()
  const { reports, setKey, run, compared, insert } = books

  it('asks page after page, at the documented paths, with the admin key and nothing of anybody’s calls', async () => {
    const asked = books.upstream.requests.length
    const days = daysBetween('2026-03-01', '2026-03-07')
    Object.assign(reports, { perPage: 2, used: days.map((day, at) => used(day, 'gpt-4o', { input: 1_000 + at })) })
    await setKey('openai')
    const found = await compared({ provider: 'openai', from: days[0], to: days.at(-1) })
    expect(found.map(({ day, theirs }) => [day, theirs.input_tokens])).toEqual(days.map((day, at) => [day, 1_000 + at]))
    const paths = books.upstream.requests.slice(asked).map(({ path }) => decodeURIComponent(path))
    const completions = paths.filter((path) => path.startsWith('/v1/organization/usage/completions'))
    const first = `/v1/organization/usage/completions?start_time=${dayMs(days[0]!) / 1000}&end_time=1772928000&bucket_width=1d&limit=7&group_by[]=model`
    expect(completions).toEqual([first, `${first}&page=page_2`, `${first}&page=page_4`, `${first}&page=page_6`])
    expect(new Set(paths.map((path) => path.split('?')[0]))).toEqual(
      new Set(
        ['completions', 'embeddings', 'moderations', 'images', 'audio_speeches', 'audio_transcriptions']
          .map((kind) => `/v1/organization/usage/${kind}`)
          .concat('/v1/organization/costs'),
      ),
    )

    reports.used = days.map((day) => used(day, 'claude-sonnet-4-5-20250929', { cacheWrite5m: 5, cacheWrite1h: 7 }))
    await setKey('anthropic')
    const claude = await compared({ provider: 'anthropic', from: days[0], to: days.at(-1) })
    expect(claude[6]!.rows[0]!.theirs).toMatchObject({
      ...{ requests: null, input_tokens: 0, cache_write_5m_tokens: 5, cache_write_1h_tokens: 7, cost_usd: '1' },
    })
    const last = books.upstream.requests.at(-1)!
    expect(decodeURIComponent(last.path)).toBe(
      '/v1/organizations/cost_report?starting_at=2026-03-01T00:00:00Z&ending_at=2026-03-08T00:00:00Z&bucket_width=1d&limit=7&group_by[]=description&page=page_6',
    )
    expect(last.headers).toMatchObject({ 'x-api-key': ADMIN_KEYS.anthropic, 'anthropic-version': '2023-06-01' })
  })

  it('folds dated snapshots onto their model, and shows what belongs to no model', async () => {
    await setKey('openai')
    const day = '2026-03-01'
    const usage = { ...NO_USAGE, input: 600, output: 60 }
    await insert([
      call(day, { model: 'gpt-4o-mini', usage, costPico: Number(CENT) }),
      call(day, { model: 'gpt-4o-mini-2024-07-18', usage, costPico: Number(CENT) }),
    ])
    const theirs = { input: 1_200, output: 120, costPico: 2n * CENT }
    reports.used = [used(day, 'gpt-4o-mini-2024-07-18', theirs)]
    reports.charged = [{ day, what: 'file search storage', costPico: 250n * CENT }]
    const [found] = await compared({ provider: 'openai', from: day })
    expect(found!.rows.map(({ model, status }) => [model, status])).toEqual([
      [null, 'missing_ours'],
      ['gpt-4o-mini', 'ok'],
    ])
    expect(found).toMatchObject({
      ...{ status: 'off', models: 2, models_off: 1, latest: true, tolerance_percent: 1 },
      ours: { requests: 2, input_tokens: 1_200, output_tokens: 120, cost_usd: '0.02' },
      theirs: { requests: 3, input_tokens: 1_200, output_tokens: 120, cost_usd: '2.52' },
      variance: { requests: -1, input_tokens: 0, cost_usd: '-2.5' },
      variance_percent: { requests: -33.3333, input_tokens: 0, cost_usd: -99.2063 },
    })
  })

  it('compares calls where a provider counts neither tokens nor money by the token', async () => {
    await setKey('openai')
    const day = '2026-03-01'
    const spoken = { usage: NO_USAGE, usageSource: 'none', costPico: null, provider: 'openai' } as const
    await insert([
      ...[1, 2, 3].map(() => call(day, { ...spoken, model: 'tts-1' })),
      ...[1, 2].map(() => call(day, { ...spoken, model: 'omni-moderation-latest' })),
    ])
    const free = { input: 900, costPico: 0n }
    reports.used = [
      used(day, 'tts-1', { ...free, requests: 3 }),
      used(day, 'omni-moderation-latest', { ...free, requests: 1 }),
    ]
    const [found] = await compared({ provider: 'openai', from: day })
    expect(found!.rows.map(({ model, status }) => [model, status])).toEqual([
      // As prices name it.
      ['moderation', 'off'],
      ['tts-1', 'ok'],
    ])
  })

  it('leaves calls with projects’ own accounts, failed ones and other providers’ out of our side', async () => {
    await setKey('anthropic')
    const day = '2026-03-01'
    const claude = { provider: 'anthropic', model: 'claude-sonnet-4-5' } as const
    const usage = { ...NO_USAGE, input: 1_000, cacheRead: 50, cacheWrite5m: 20, cacheWrite1h: 10, output: 100 }
    const one = { ...claude, usage, costPico: Number(5n * CENT) }
    await insert([
      call(day, one),
      call(day, { ...one, chargedPico: 7, charge: '{"paidBy":"credits"}' }),
      call(day, { ...one, charge: OWN_KEY_CHARGE }),
      call(day, { ...one, charge: OWN_KEY_CHARGE, model: 'claude-opus-4-5' }),
      call(day, { ...claude, usage: NO_USAGE, costPico: 0, outcome: 'error', status: 529 }),
      call(day, { ...one, provider: 'bedrock' }),
      call('2026-02-28', one),
      call('2026-03-02', one),
    ])
    const figures = {
      input: 2_000,
      cacheRead: 100,
      cacheWrite5m: 40,
      cacheWrite1h: 20,
      output: 200,
      costPico: 10n * CENT,
    }
    reports.used = [used(day, 'claude-sonnet-4-5-20250929', figures)]
    const [found] = await compared({ provider: 'anthropic', from: day, tolerance_percent: 0 })
    const sonnet = found!.rows.find(({ model }) => model!.startsWith('claude-sonnet'))
    expect(sonnet).toMatchObject({ status: 'ok', ours: { requests: 2, input_tokens: 2_000, cost_usd: '0.1' } })
    expect(found!.rows.filter(({ status }) => status !== 'ok')).toEqual([])
  })

  it('narrows figures to the projects and workspaces that are this gateway’s', async () => {
    const day = '2026-03-01'
    reports.used = [
      used(day, 'gpt-4o', { input: 100, part: 'proj_ours' }),
      used(day, 'gpt-4o', { input: 7_000, part: 'proj_other' }),
      used(day, 'gpt-4o', { input: 9_000 }),
    ]
    await setKey('openai', { only: ['proj_ours'] })
    const [openai] = await compared({ provider: 'openai', from: day })
    expect(openai!.theirs).toMatchObject({ input_tokens: 100, cost_usd: '1' })
    reports.used = reports.used.map((one) => ({ ...one, model: 'claude-haiku-4-5' }))
    await setKey('anthropic', { only: ['proj_ours', 'proj_other'] })
    const [anthropic] = await compared({ provider: 'anthropic', from: day })
    expect(anthropic!.theirs).toMatchObject({ input_tokens: 7_100, cost_usd: '2' })
  })

  it('adds up what several keys of one provider say', async () => {
    const day = '2026-03-01'
    reports.used = [used(day, 'gpt-4o', { input: 100 })]
    await setKey('openai')
    await setKey('openai', { name: 'The other account' })
    const [found] = await compared({ provider: 'openai', from: day })
    expect(found!.theirs).toMatchObject({ input_tokens: 200, cost_usd: '2' })
  })

  it('keeps every comparison of a day, and shows the latest', async () => {
    await setKey('openai')
    const days = daysBetween('2026-03-01', '2026-03-02')
    const [old] = await compared({ provider: 'openai', from: days[0], to: days[1] })
    const [fresh] = await compared({ provider: 'openai', from: days[0] })
    const shown = async (input: object) => ((await books.call('reconcile.list', input)).body as { data: Shown[] }).data
    expect((await shown({})).map(({ id, day }) => [day, id === fresh!.id])).toEqual([
      [days[0], true],
      [days[1], false],
    ])
    expect(await shown({ history: true })).toHaveLength(3)
    expect(await shown({ provider: 'anthropic' })).toEqual([])
    expect((await books.call('reconcile.get', { id: old!.id })).body).toMatchObject({ latest: false })
    const first = await books.call('reconcile.list', { limit: 1 })
    const { data, next_cursor } = first.body as { data: Shown[]; next_cursor: string }
    expect(data).toHaveLength(1)
    expect(await shown({ limit: 1, cursor: next_cursor })).toMatchObject([{ day: days[1] }])
    const audit = await books.call('platform.audit', { action: 'reconcile.run' })
    expect((audit.body as { data: unknown[] }).data.length).toBeGreaterThanOrEqual(2)
  })

  it('exports a comparison as CSV that no spreadsheet runs', async () => {
    await setKey('openai')
    const day = '2026-03-01'
    reports.used = [used(day, '=cmd()', { input: 10 }), used(day, 'gpt-4o', { input: 100 })]
    await insert([call(day, { model: 'gpt-4o', usage: { ...NO_USAGE, input: 90 }, costPico: 1 })])
    const [found] = await compared({ provider: 'openai', from: day })
    const file = await books.call(`GET /api/platform/reconciliations/${found!.id}/export`)
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="reconciliation-openai-2026-03-01.csv"')
    const lines = file.text.trimEnd().split('\r\n')
    expect(lines[0]).toMatch(
      /^day,provider,model,status,ours_requests,theirs_requests,variance_requests,ours_input_tokens/,
    )
    expect(lines.slice(1)).toEqual([
      "2026-03-01,openai,'=cmd(),missing_ours,0,3,-3,0,10,-10,0,0,0,0,0,0,0,0,0,0,0,0,0,1,-1",
      '2026-03-01,openai,gpt-4o,off,1,3,-2,90,100,-10,0,0,0,0,0,0,0,0,0,0,0,0,0.000000000001,1,-0.999999999999',
    ])
    const foreign = await books.call('GET /api/platform/reconciliations/rec_nobodys/export')
    expect(foreign.status).toBe(404)
  })

  it('takes only days that are over, 31 at once, of providers that it has an admin key of', async () => {
    const today = new Date().toISOString().slice(0, 10)
    const cases: readonly (readonly [input: object, said: string])[] = [
      [{ provider: 'openai', from: '2026-03-01' }, 'There is no admin key of openai: set one first'],
      [{ provider: 'groq', from: '2026-03-01' }, 'Figures can be read of openai, anthropic only'],
      [{ provider: 'openai', from: today }, 'Only days that are over in UTC can be compared'],
      [{ provider: 'openai', from: '2026-03-02', to: '2026-03-01' }, '"from" must not be later than "to"'],
      [{ provider: 'openai', from: '2026-01-01', to: '2026-02-01' }, 'Compare 31 days at once at most'],
    ]
    for (const [input, message] of cases) {
      expect(await run(input)).toMatchObject({ status: 400, body: { error: { message } } })
    }
  })

  it('tries a key before it keeps it, shows nothing of it, and forgets it when told so', async () => {
    const refused = await books.call('reconcile.setCredential', {
      provider: 'openai',
      key: 'sk-admin-wrong-1',
    })
    expect(refused).toMatchObject({ status: 400, body: { error: { param: 'key' } } })
    const id = await setKey('openai', { name: 'Accounting', only: ['proj_a'] })
    const listed = await books.call('reconcile.credentials')
    expect(listed.body).toMatchObject({
      data: [{ id, provider: 'openai', name: 'Accounting', hint: 'good', only: ['proj_a'], check_result: 'ok' }],
    })
    expect(listed.text).not.toContain(ADMIN_KEYS.openai)
    const { sealed } = await books.house.database.database.db
      .selectFrom('admin_credentials')
      .select('sealed')
      .executeTakeFirstOrThrow()
    expect(sealed).not.toContain(ADMIN_KEYS.openai)
    // The line never sees it: it is no credential of calls.
    expect(await books.house.control.stores.providerCredentials.load(null)).toEqual([])
    expect((await books.call('reconcile.testCredential', { id })).body).toMatchObject({
      ok: true,
      message: 'ok',
    })
    books.upstream.script(json({ error: { message: 'Revoked' } }, { status: 403 }))
    const failed = await books.call('reconcile.testCredential', { id })
    expect(failed.body).toMatchObject({ ok: false, credential: { check_result: expect.stringContaining('Revoked') } })
    expect((await books.call('reconcile.removeCredential', { id })).status).toBe(200)
    expect((await books.call('reconcile.removeCredential', { id })).status).toBe(404)
    expect((await books.call('reconcile.testCredential', { id })).status).toBe(404)
  })
})
