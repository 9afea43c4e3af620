import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_RULES, MAX_ENDPOINTS, MAX_RULES, RULE_KINDS } from '../../db/model/alerts.ts'
import { type OpenAlerts, openAlerts } from '../../server/alerts.ts'
import { hostGuard } from '../../server/runtime/public-address.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'

interface Rule {
  readonly id: string
  readonly default: boolean
  readonly [member: string]: unknown
}

interface Endpoint {
  readonly id: string
  readonly secret: string
}

describe('alerts', { timeout: 60_000 }, () => {
  let house: ConsoleApp
  let alerts: OpenAlerts
  let receiver: ScriptedUpstream
  let organization: string
  let admin: As
  let before = 0
  const answers: string[] = []
  const secrets: string[] = []
  const logs: unknown[] = []
  const log = (...line: unknown[]) => void logs.push(line)
  const guard = hostGuard({
    allowed: { hosts: [], ranges: [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }] },
    resolve: async (name) => (name === 'rebinds.example.com' ? ['10.0.0.1'] : []),
  })
  const upstream = socketUpstream({ connectTimeoutMs: 2_000, guard })

  beforeAll(async () => {
    receiver = await startUpstream()
    let opened: OpenAlerts | null = null
    house = await consoleApp({
      tenantHosts: guard,
      deps: { alerts: { raise: (event) => opened!.raise(event), sendSoon: () => opened!.sendSoon() } },
    })
    const { stores, vault, mail, publicUrl } = house.control
    alerts = openAlerts({
      ...{ stores, vault, mail, publicUrl, upstream, clock: systemClock, random: systemRandom() },
      log: { info: log, warn: log, error: log },
    })
    opened = alerts
  }, 120_000)
  afterAll(async () => {
    await alerts?.close()
    await house?.close()
    await upstream.close()
    await receiver?.close()
  })
  beforeEach(async () => {
    organization = await house.organization()
    admin = (await house.signedIn(organization, 'admin')).as
    receiver.script(json({}))
    before = receiver.requests.length
    house.mails.length = 0
  })

  async function call(what: string, input?: unknown, as: As = admin) {
    const answer = await house.call(what, as, input)
    answers.push(answer.text, JSON.stringify([...answer.headers]))
    return answer
  }

  async function endpoint(path = '/hook'): Promise<Endpoint> {
    const made = await house.call('POST /api/alerts/endpoints', admin, { url: receiver.url + path })
    const { id, secret } = made.body as Endpoint
    secrets.push(secret)
    return { id, secret }
  }

  const rules = async () => ((await call('GET /api/alerts/rules')).body as { data: Rule[] }).data

  it('begin with the rules that everybody has, which can be changed and given back', async () => {
    expect((await rules()).map(({ id }) => id)).toEqual(DEFAULT_RULES.map(({ id }) => id))
    expect((await rules()).every((rule) => rule.default && rule.updated_at === null)).toBe(true)
    const changed = await call('PATCH /api/alerts/rules/default_quota', { percents: [100, 50], email_role: 'owner' })
    expect(changed.body).toMatchObject({ id: 'default_quota', default: true, percents: [50, 100], email_role: 'owner' })
    await call('PATCH /api/alerts/rules/default_quota', { enabled: false })
    expect((await rules()).find(({ id }) => id === 'default_quota')).toMatchObject({
      ...{ percents: [50, 100], email_role: 'owner', enabled: false },
      updated_at: expect.any(String),
    })
    expect((await call('DELETE /api/alerts/rules/default_quota')).body).toEqual({ ok: true })
    expect((await rules()).find(({ id }) => id === 'default_quota')).toMatchObject({
      percents: [80, 100],
      enabled: true,
    })
    expect((await call('DELETE /api/alerts/rules/default_quota')).status).toBe(404)
    const log = await call('GET /api/audit')
    expect((log.body as { data: { action: string }[] }).data.map(({ action }) => action).reverse()).toEqual([
      'alerts.rules.update',
      'alerts.rules.update',
      'alerts.rules.delete',
    ])
  })

  it.each(RULE_KINDS)('of the kind %s are made, changed and deleted', async (kind) => {
    const amount = kind === 'spend' ? { amount_usd: '12.50' } : {}
    const made = await call('POST /api/alerts/rules', { name: 'Ours', kind, ...amount })
    expect(made.body).toMatchObject({ id: expect.stringMatching(/^alr_/), kind, default: false, email_role: 'admin' })
    const { id } = made.body as Rule
    if (kind === 'spend') expect(made.body).toMatchObject({ amount_usd: '12.5', period: 'month' })
    if (kind === 'error_rate') expect(made.body).toMatchObject({ error_percent: 10, window_hours: 1, min_calls: 20 })
    expect((await call(`PATCH /api/alerts/rules/${id}`, { name: 'Renamed' })).body).toEqual({
      ...(made.body as Rule),
      ...{ name: 'Renamed', updated_at: expect.any(String) },
    })
    expect((await call(`DELETE /api/alerts/rules/${id}`)).body).toEqual({ ok: true })
    expect((await call(`PATCH /api/alerts/rules/${id}`, { name: 'Gone' })).status).toBe(404)
  })

  it.each([
    [{ kind: 'security', name: 'x' }, 'kind'],
    [{ kind: 'spend', name: 'x' }, 'amount_usd'],
    [{ kind: 'spend', name: 'x', amount_usd: '0.00' }, 'amount_usd'],
    [{ kind: 'spend', name: 'x', amount_usd: '-1' }, 'amount_usd'],
    [{ kind: 'spend', name: 'x', amount_usd: '1', percents: [80] }, 'percents'],
    [{ kind: 'quota', name: 'x', percents: [70] }, 'percents'],
    [{ kind: 'quota', name: 'x', percents: [] }, 'percents'],
    [{ kind: 'error_rate', name: 'x', window_hours: 0 }, 'window_hours'],
    [{ kind: 'quota', name: 'x', key_id: 'key_1' }, 'project_id'],
    [{ kind: 'payment_failed', name: 'x', project_id: 'prj_1' }, 'project_id'],
    [{ kind: 'quota', name: 'a\nb' }, 'name'],
    [{ kind: 'quota', name: 'x', email_role: 'everybody' }, 'email_role'],
  ])('that mean nothing are refused: %j', async (input, param) => {
    const refused = await call('POST /api/alerts/rules', input)
    expect(refused).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } })
    expect((refused.body as { error: { param: string } }).error.param).toMatch(new RegExp(`^${param}`))
  })

  it('name projects, keys and endpoints of their own organization only', async () => {
    const other = await house.organization()
    const theirs = { project: await house.project(other), owner: (await house.signedIn(other, 'owner')).as }
    const { id } = (await house.call('POST /api/alerts/endpoints', theirs.owner, { url: receiver.url }))
      .body as Endpoint
    const project = await house.project(organization)
    const inputs = [
      { kind: 'quota', project_id: theirs.project },
      { kind: 'quota', project_id: project, key_id: (await house.key(theirs.project)).id },
      { kind: 'quota', endpoint_ids: [id] },
    ]
    for (const input of inputs) expect((await call('POST /api/alerts/rules', { name: 'x', ...input })).status).toBe(404)
    expect((await call('PATCH /api/alerts/rules/default_quota', { endpoint_ids: [id] })).status).toBe(404)
    const key = { kind: 'quota', name: 'x', project_id: project, key_id: (await house.key(project)).id }
    expect((await call('POST /api/alerts/rules', key)).status).toBe(200)
  })

  it('are so many at most, however many are made at once', async () => {
    const many = Array.from({ length: MAX_ENDPOINTS + 2 }, () =>
      call('POST /api/alerts/endpoints', { url: receiver.url }).then(({ status }) => status),
    )
    expect((await Promise.all(many)).filter((status) => status === 200)).toHaveLength(MAX_ENDPOINTS)
    await sql`insert into alert_rules (organization_id, id, name, kind, settings, enabled, created_at, updated_at)
      select ${organization}, 'alr_' || n, 'x', 'quota', '{}', true, now(), now()
      from generate_series(1, ${MAX_RULES}::int) as n`.execute(house.database.database.db)
    expect((await call('POST /api/alerts/rules', { name: 'x', kind: 'quota' })).status).toBe(400)
  })

  it('send a test to one endpoint, signed with the secret that was shown once', async () => {
    const { id, secret } = await endpoint()
    const tested = await call('POST /api/alerts/test', { endpoint_id: id })
    expect(tested.body).toMatchObject({ deliveries: [{ channel: 'webhook', endpoint_id: id, kind: 'test' }] })
    await alerts.settled()
    const [request] = receiver.requests.slice(before)
    const read = new Webhook(secret).verify(Buffer.from(request!.body).toString(), { ...request!.headers })
    const { event_id } = tested.body as { event_id: string }
    expect(read).toMatchObject({ type: 'alert.test', data: { event_id } })
    expect((await call(`GET /api/alerts/deliveries?endpoint_id=${id}`)).body).toMatchObject({
      data: [{ event_id, state: 'delivered', attempts: 1, response_status: 200 }],
    })
    expect((await call('GET /api/alerts/events?kind=test')).body).toMatchObject({ data: [{ id: event_id }] })
    const again = await call('POST /api/alerts/test', { endpoint_id: id })
    expect([200, 429]).toContain(again.status)
    if (again.status === 429) expect(again.headers.get('retry-after')).toMatch(/^\d+$/)
  })

  it('send a test by all ways of a rule, which is not its mail of the day', async () => {
    const { id } = await endpoint()
    const tested = await call('POST /api/alerts/test', { rule_id: 'default_quota' })
    const { deliveries } = tested.body as { deliveries: { channel: string; endpoint_id: string | null }[] }
    expect(deliveries.map(({ channel }) => channel).sort()).toEqual(['email', 'webhook'])
    await alerts.settled()
    alerts.raise({
      ...{ kind: 'quota', organizationId: organization, projectId: null, keyId: null, counter: 'c', what: 'tokens' },
      ...{ period: 'day', percent: 100, limit: 5, resetMs: Date.now() + 1_000 },
    })
    await alerts.settled()
    expect(house.mails.map(({ subject }) => subject)).toEqual([
      expect.stringContaining('This is a test for the organization'),
      expect.stringContaining('100 % of the limit of 5 tokens a day'),
    ])
    expect(receiver.requests.slice(before)).toHaveLength(2)
    for (const input of [{}, { rule_id: 'default_quota', endpoint_id: id }]) {
      expect((await call('POST /api/alerts/test', input)).status).toBe(400)
    }
    expect((await call('POST /api/alerts/test', { rule_id: 'alr_nothing' })).status).toBe(404)
  })

  it('are sent again by hand', async () => {
    const { id } = await endpoint()
    receiver.script(json({}, { status: 500 }))
    await call('POST /api/alerts/test', { endpoint_id: id })
    await alerts.settled()
    const failed = await call('GET /api/alerts/deliveries?state=pending')
    const [delivery] = (failed.body as { data: { id: string; error: string }[] }).data
    expect(delivery!.error).toBe('The endpoint answered 500')
    receiver.script(json({}))
    expect((await call(`POST /api/alerts/deliveries/${delivery!.id}/redeliver`, {})).body).toMatchObject({
      attempts: 0,
    })
    await alerts.settled()
    const [first, second] = receiver.requests.slice(before)
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
    expect((await call('GET /api/alerts/deliveries')).body).toMatchObject({ data: [{ state: 'delivered' }] })
    await call(`PATCH /api/alerts/endpoints/${id}`, { enabled: false })
    expect((await call(`POST /api/alerts/deliveries/${delivery!.id}/redeliver`, {})).status).toBe(400)
    expect((await call('POST /api/alerts/test', { endpoint_id: id })).status).toBe(400)
  })

  it("rotate an endpoint's secret: both sign until the grace is over", async () => {
    const { id, secret } = await endpoint()
    const rotated = await house.call(`POST /api/alerts/endpoints/${id}/rotate`, admin, { grace_hours: 1 })
    const next = rotated.body as Endpoint & { readonly previous_secret_until: string }
    secrets.push(next.secret)
    expect(next.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(next.secret).not.toBe(secret)
    expect(Date.parse(next.previous_secret_until) - Date.now()).toBeGreaterThan(3_500_000)
    await call('POST /api/alerts/test', { endpoint_id: id })
    await alerts.settled()
    const [request] = receiver.requests.slice(before)
    for (const one of [secret, next.secret]) {
      new Webhook(one).verify(Buffer.from(request!.body).toString(), { ...request!.headers })
    }
    const at = await house.call(`POST /api/alerts/endpoints/${id}/rotate`, admin, { grace_hours: 0 })
    secrets.push((at.body as Endpoint).secret)
    expect(at.body).toMatchObject({ previous_secret_until: null })
  })

  it.each([
    'http://10.0.0.1/hook',
    'http://127.0.0.2/hook',
    'http://169.254.169.254/latest',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://localhost/hook',
    'https://gateway.internal/',
    'https://rebinds.example.com/hook',
    'https://unknown.example.com/hook',
    'https://user:pass@hooks.example.com/',
    'https://hooks.example.com/?token=1',
    'https://hooks.example.com/#x',
    'ftp://hooks.example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'hooks.example.com',
    '',
  ])('are sent to no such place as %s', async (url) => {
    const made = await call('POST /api/alerts/endpoints', { url })
    expect(made).toMatchObject({ status: 400, body: { error: { param: 'url', code: 'invalid_request' } } })
    const { id } = await endpoint()
    expect((await call(`PATCH /api/alerts/endpoints/${id}`, { url })).status).toBe(400)
    expect((await call('GET /api/alerts/endpoints')).body).toMatchObject({ data: [{ url: `${receiver.url}/hook` }] })
  })

  it('keep their secrets to themselves: they are in no list, no log, no table, no message', async () => {
    const { id } = await endpoint()
    await call('GET /api/alerts/endpoints')
    await call(`PATCH /api/alerts/endpoints/${id}`, { description: 'Ours' })
    await call('alerts.endpoints.list', {})
    await call('GET /api/alerts/deliveries?limit=100')
    await call('GET /api/alerts/events?limit=100')
    await call('GET /api/audit?limit=100')
    expect((await call('GET /api/audit/export')).text).toContain('alerts.endpoints.create')
    const { rows: tables } = await sql<{ name: string }>`
      select table_name as name from information_schema.tables where table_schema = 'public'`.execute(
      house.database.database.db,
    )
    let dump = ''
    for (const { name } of tables) {
      const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(name)} t`.execute(
        house.database.database.db,
      )
      dump += rows.map(({ row }) => row).join('\n')
    }
    expect(dump).toContain('alerts.endpoints.rotate')
    const sent = receiver.requests.map((one) => JSON.stringify(one.headers) + Buffer.from(one.body).toString()).join()
    const places = { dump, sent, answers: answers.join(), logs: JSON.stringify([logs, house.app.logs]) }
    expect(secrets.length).toBeGreaterThan(3)
    for (const [where, text] of Object.entries(places)) {
      for (const secret of secrets) {
        const raw = Buffer.from(secret.slice(6), 'base64')
        for (const form of [secret.slice(6), raw.toString('hex'), raw.toString('base64url')]) {
          expect([where, text.includes(form)]).toEqual([where, false])
        }
      }
    }
  })
})
