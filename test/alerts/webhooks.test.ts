import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { endpointContext } from '../../db/model/alerts.ts'
import { createVault } from '../../db/vault.ts'
import { WAITS_MS } from '../../server/alerts/backoff.ts'
import { POST_LIMIT_MS } from '../../server/alerts/post.ts'
import { newWebhookSecret } from '../../server/alerts/sign.ts'
import { systemRandom } from '../../server/runtime/system.ts'
import { changeIn, newId } from '../db/control.ts'
import { ENGINES } from '../db/engines.ts'
import { until } from '../helpers/client.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { garbage, hang, huge, json, redirect } from '../helpers/upstream-answers.ts'
import { type AlertsHouse, alertsHouse, DAY_MS, everyEvent, MASTER, quotaOf } from './kit.ts'

describe.each(ENGINES)('webhooks on $name', { timeout: 60_000 }, (engine) => {
  let house: AlertsHouse
  let receiver: ScriptedUpstream
  let org: string
  let endpoint: { readonly id: string; readonly secret: string }
  let before = 0
  beforeAll(async () => {
    house = await alertsHouse(engine)
    receiver = await startUpstream()
  }, 120_000)
  afterAll(async () => {
    await house?.close()
    await receiver?.close()
  })
  beforeEach(async () => {
    org = (await house.organization()).id
    endpoint = await house.endpoint(org, `${receiver.url}/hooks/alerts`)
    // What waits since other tests is theirs.
    await house.on.database.db.deleteFrom('alert_deliveries').execute()
    receiver.script(json({ ok: true }))
    before = receiver.requests.length
    house.log.length = 0
  })

  const received = () => receiver.requests.slice(before)

  /** What the library for receivers reads from it, by its clock. @throws when it doesn't trust it */
  function verified(request: RecordedRequest, secret: string): Record<string, unknown> {
    vi.useFakeTimers({ toFake: ['Date'], now: house.clock.now() })
    try {
      const body = Buffer.from(request.body).toString('utf8')
      return new Webhook(secret).verify(body, { ...request.headers }) as Record<string, unknown>
    } finally {
      vi.useRealTimers()
    }
  }

  it('are signed so that the library for receivers trusts them, and tell what happened', async () => {
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [request, ...more] = received()
    expect(more).toEqual([])
    expect([request!.method, request!.path]).toEqual(['POST', '/hooks/alerts'])
    expect(request!.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': expect.stringMatching(/^evt_/),
    })
    expect(verified(request!, endpoint.secret)).toEqual({
      type: 'alert.quota',
      version: 1,
      timestamp: new Date(house.clock.now()).toISOString(),
      data: {
        event_id: request!.headers['webhook-id'],
        rule: { id: 'default_quota', name: 'Plan or key limit nearly used up' },
        organization: { id: org, name: 'Acme' },
        message: 'The organization "Acme" has used 80 % of the limit of 10000 requests a month',
        advice: expect.stringContaining('until 2026-12-01T00:00:00.000Z'),
        facts: {
          ...{ project_id: null, key_id: null, what: 'requests', period: 'month', percent: 80, limit: 10_000 },
          resets_at: '2026-12-01T00:00:00.000Z',
        },
      },
    })
    expect(() => verified(request!, newWebhookSecret(systemRandom()))).toThrow('No matching signature')
    expect(await house.deliveries(org)).toMatchObject([
      { channel: 'email' },
      { channel: 'webhook', state: 'delivered', attempts: 1, status: 200, error: null, response: '{"ok":true}' },
    ])
  })

  it.each(everyEvent('any').map(({ kind }) => kind))('tell of %s in words and in facts', async (kind) => {
    await house.rule(org, { kind, settings: { percents: [80] }, emailRole: null, name: 'Ours' })
    const alerts = house.instance()
    alerts.raise(everyEvent(org).find((event) => event.kind === kind)!)
    await alerts.settled()
    const ours = received()
      .map((request) => verified(request, endpoint.secret) as { type: string; data: Record<string, unknown> })
      .find(({ data }) => (data.rule as { name: string }).name === 'Ours')
    expect(ours).toMatchObject({ type: `alert.${kind}`, data: { facts: expect.any(Object) } })
    for (const text of [ours!.data.message, ours!.data.advice]) expect(text).toMatch(/^[^\n]{20,400}$/)
    expect(JSON.stringify(ours)).not.toMatch(/undefined|NaN|\[object/)
  })

  it('go to the endpoints that their rule names, or to none', async () => {
    const other = await house.endpoint(org, `${receiver.url}/other`)
    await house.on.stores.alerts.updateRule(changeIn(org), 'default_quota', { endpointIds: [other.id] })
    await house.on.stores.alerts.updateRule(changeIn(org), 'default_credits_low', { endpointIds: [] })
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    alerts.raise({ kind: 'credits_low', organizationId: org, balancePico: 0 })
    await alerts.settled()
    expect(received().map(({ path }) => path)).toEqual(['/other'])
    alerts.raise({ kind: 'payment_failed', organizationId: org, failures: 1 })
    await alerts.settled()
    expect(
      received()
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['/hooks/alerts', '/other', '/other'])
    expect(await house.on.stores.webhookEndpoints.delete(changeIn(org), other.id)).toBe(true)
    const rules = await house.on.stores.alerts.rules(changeIn(org))
    expect(rules.find(({ id }) => id === 'default_quota')!.endpointIds).toEqual([])
  })

  it('are retried with growing waits within a day, then given up, each attempt signed anew', async () => {
    receiver.script(json({ error: 'not now' }, { status: 503 }))
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const startMs = house.clock.now()
    const ids = new Set<string>()
    for (const [at, waitMs] of WAITS_MS.entries()) {
      const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
      expect(delivery).toMatchObject({ state: 'pending', attempts: at + 1, status: 503, response: expect.any(String) })
      const nextMs = delivery!.next_at!.getTime() - house.clock.now()
      expect(nextMs).toBeLessThanOrEqual(waitMs)
      expect(nextMs).toBeGreaterThanOrEqual(waitMs * 0.85)
      house.clock.advance(nextMs - 1)
      await alerts.jobs[0]!.run()
      expect(received()).toHaveLength(at + 1)
      house.clock.advance(1)
      await alerts.jobs[0]!.run()
      expect(received()).toHaveLength(at + 2)
      ids.add(received().at(-1)!.headers['webhook-id']!)
      verified(received().at(-1)!, endpoint.secret)
    }
    expect(ids.size).toBe(1)
    expect(house.clock.now() - startMs).toBeLessThanOrEqual(DAY_MS)
    const [given] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(given).toMatchObject({ state: 'failed', attempts: WAITS_MS.length + 1, next_at: null })
    house.clock.advance(10 * DAY_MS)
    await alerts.jobs[0]!.run()
    expect(received()).toHaveLength(WAITS_MS.length + 1)
  })

  it('survive a restart between attempts', async () => {
    receiver.script(json({}, { status: 500 }))
    const first = house.instance()
    first.raise(quotaOf(org))
    await first.settled()
    await first.close()
    house.clock.advance(WAITS_MS[0]!)
    expect(received()).toHaveLength(1)
    receiver.script(json({}))
    const second = house.instance()
    await second.jobs[0]!.run()
    expect(received()).toHaveLength(2)
    verified(received()[1]!, endpoint.secret)
    expect(await house.deliveries(org)).toContainEqual(
      expect.objectContaining({ channel: 'webhook', state: 'delivered', attempts: 2 }),
    )
  })

  it('of an instance that died in the middle of an attempt are sent by another', async () => {
    const { alertOutbox } = house.on.stores
    let isDead = false
    const claims: Promise<unknown>[] = []
    const claim: typeof alertOutbox.claim = (nowMs, untilMs) => {
      if (isDead) return Promise.resolve(null)
      const claimed = alertOutbox.claim(nowMs, untilMs)
      claims.push(claimed)
      return claimed
    }
    const stores = { ...house.on.stores, alertOutbox: { ...alertOutbox, claim } }
    const dead = house.instance({ stores, upstream: { start: () => NOTHING, close: async () => {} } })
    dead.raise(quotaOf(org))
    await until('the attempt to begin', async () =>
      (await house.deliveries(org)).some(({ channel, attempts }) => channel === 'webhook' && attempts === 1),
    )
    isDead = true
    await Promise.all(claims)
    const alive = house.instance()
    await alive.jobs[0]!.run()
    expect(received()).toHaveLength(0)
    // Only what runs on the clock of the one that died: its limit must not end the attempt in its place.
    await house.on.database.db
      .updateTable('alert_deliveries')
      .set({ claimed_until: new Date(house.clock.now() - 1) })
      .where('organization_id', '=', org)
      .execute()
    await alive.jobs[0]!.run()
    expect(received()).toHaveLength(1)
    house.clock.advance(POST_LIMIT_MS)
    await dead.settled()
    // What it learns too late changes nothing.
    expect(await house.deliveries(org)).toContainEqual(
      expect.objectContaining({ channel: 'webhook', state: 'delivered', attempts: 2 }),
    )
  })

  it('are attempted by one of several instances', async () => {
    const all = [house.instance(), house.instance(), house.instance()]
    for (let i = 0; i < 10; i++) all[i % 3]!.raise(quotaOf(org, { counter: `c-${i}` }))
    await Promise.all(all.map((one) => one.settled()))
    await Promise.all(all.flatMap((one) => [one.jobs[0]!.run(), one.jobs[0]!.run()]))
    const ids = received().map(({ headers }) => headers['webhook-id'])
    expect(ids).toHaveLength(10)
    expect(new Set(ids).size).toBe(10)
  })

  it.each([
    ['a redirect, which is followed nowhere', () => redirect(`${receiver.url}/elsewhere`), 302, 'redirects are not'],
    ['what is no HTTP', () => garbage(), null, 'is no HTTP'],
    ['404', () => json({}, { status: 404 }), 404, 'answered 404'],
  ] as const)('take %s for a failure', async (_name, plan, status, said) => {
    receiver.script(plan())
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(delivery).toMatchObject({ state: 'pending', attempts: 1, status, error: expect.stringContaining(said) })
    expect(received()).toHaveLength(1)
  })

  it('read only the beginning of an answer, whatever it is', async () => {
    receiver.script(huge())
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(delivery!.state).toBe('delivered')
    expect(delivery!.response!.length).toBeLessThanOrEqual(500)
    await until('the connection to be closed', () => receiver.openConnections === 0)
  })

  it('do not wait for ever', async () => {
    receiver.script(hang())
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await until('the message to arrive', () => received().length === 1)
    house.clock.advance(POST_LIMIT_MS)
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(delivery).toMatchObject({ state: 'pending', status: null, error: 'There was no answer within 15 s' })
  })

  it('switch an endpoint off that answers 410, with all that waits for it', async () => {
    receiver.script(json({}, { status: 500 }))
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    receiver.script(json({}, { status: 410 }))
    alerts.raise(quotaOf(org, { percent: 100 }))
    await alerts.settled()
    const states = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(states.map(({ state }) => state).sort()).toEqual(['cancelled', 'failed'])
    const [found] = await house.on.stores.webhookEndpoints.list(changeIn(org))
    expect(found).toMatchObject({ enabled: false, disabledReason: 'The endpoint answered 410 Gone' })
    const count = received().length
    alerts.raise(quotaOf(org, { counter: 'more' }))
    await alerts.settled()
    expect(received()).toHaveLength(count)
    expect(await entries(org)).toContainEqual(['alerts.endpoints.disable', endpoint.id, 'system'])
    const on = await house.on.stores.webhookEndpoints.update(changeIn(org), endpoint.id, { enabled: true })
    expect(on).toMatchObject({ enabled: true, disabledReason: null })
  })

  async function entries(organizationId: string) {
    const rows = await house.on.database.db
      .selectFrom('audit_log')
      .select(['action', 'target_id', 'actor_kind'])
      .where('organization_id', '=', organizationId)
      .execute()
    return rows.map((row) => [row.action, row.target_id, row.actor_kind])
  }

  it('carry the signatures of both secrets for a while after a rotation, then only the new one', async () => {
    const next = newWebhookSecret(systemRandom())
    const sealed = house.vault.seal(next, endpointContext(endpoint.id))
    const change = changeIn(org, { atMs: house.clock.now() })
    const previousUntilMs = house.clock.now() + 3_600_000
    await house.on.stores.webhookEndpoints.rotate(change, endpoint.id, { sealed, previousUntilMs })
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    for (const secret of [endpoint.secret, next]) verified(received()[0]!, secret)
    house.clock.advance(3_600_000)
    alerts.raise(quotaOf(org, { percent: 100 }))
    await alerts.settled()
    verified(received()[1]!, next)
    expect(() => verified(received()[1]!, endpoint.secret)).toThrow('No matching signature')
    await alerts.jobs.find(({ name }) => name === 'alerts.sweep')!.run()
    const row = await house.on.database.db
      .selectFrom('webhook_endpoints')
      .selectAll()
      .where('id', '=', endpoint.id)
      .executeTakeFirstOrThrow()
    expect(row.previous_sealed).toBeNull()
  })

  it.each([
    'http://10.0.0.1/hook',
    'http://169.254.169.254/latest/meta-data',
    'http://localhost/hook',
    'http://127.0.0.2/hook',
    'http://[::1]/hook',
    'http://[::ffff:10.0.0.1]/hook',
    'http://0x7f.0.0.2/hook',
    'http://2130706434/hook',
    'http://gateway.internal/hook',
  ])('never reach %s, whoever wrote it there', async (url) => {
    await house.on.database.db.updateTable('webhook_endpoints').set({ url }).where('id', '=', endpoint.id).execute()
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(delivery).toMatchObject({
      state: 'pending',
      status: null,
      error: expect.stringContaining('WATCHLLM_TENANT_HOSTS'),
    })
    expect(received()).toEqual([])
  })

  it('are signed as before when the master secret was changed and all is sealed again', async () => {
    const newer = createVault(['another-master-secret-of-these-tests', MASTER])
    const resealed = await house.on.stores.sealed.reseal(changeIn(org), newer, 10_000)
    expect(resealed.done).toBe(true)
    const alerts = house.instance({ vault: createVault(['another-master-secret-of-these-tests']) })
    alerts.raise(quotaOf(org))
    await alerts.settled()
    verified(received()[0]!, endpoint.secret)
    await house.on.stores.sealed.reseal(
      changeIn(org),
      createVault([MASTER, 'another-master-secret-of-these-tests']),
      10_000,
    )
  })

  it('whose secret no master secret opens wait for one that does', async () => {
    const sealed = `v1.AAAAAAAA.${'A'.repeat(60)}`
    await house.on.database.db.updateTable('webhook_endpoints').set({ sealed }).where('id', '=', endpoint.id).execute()
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    expect(delivery).toMatchObject({ state: 'pending', error: expect.stringContaining('can not be opened') })
    expect(received()).toEqual([])
  })

  it('of one slow endpoint do not hold up those of others', async () => {
    const slow = await startUpstream()
    slow.script(hang())
    await house.on.stores.webhookEndpoints.update(changeIn(org), endpoint.id, { url: `${slow.url}/slow` })
    const other = (await house.organization('Other')).id
    await house.endpoint(other, `${receiver.url}/quick`)
    const alerts = house.instance()
    for (let i = 0; i < 12; i++) alerts.raise(quotaOf(org, { counter: `slow-${i}` }))
    for (let i = 0; i < 3; i++) alerts.raise(quotaOf(other, { counter: `quick-${i}` }))
    await until('the quick ones to arrive', () => received().length === 3)
    expect(slow.requests).toHaveLength(1)
    await slow.close()
    await alerts.close()
  })

  it('can be sent again by hand, as the same message', async () => {
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    const [delivery] = (await house.deliveries(org)).filter(({ channel }) => channel === 'webhook')
    const { redeliver } = house.on.stores.alertDeliveries
    const change = () => changeIn(org, { atMs: house.clock.now() })
    expect(await redeliver(changeIn(newId('org')), delivery!.id)).toBeNull()
    expect(await redeliver(change(), delivery!.id)).toMatchObject({ state: 'pending', attempts: 0 })
    await alerts.jobs[0]!.run()
    const [first, second] = received()
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
    expect(Buffer.from(second!.body)).toEqual(Buffer.from(first!.body))
    await house.on.stores.webhookEndpoints.update(changeIn(org), endpoint.id, { enabled: false })
    expect(await redeliver(change(), delivery!.id)).toBe('off')
  })
})

const NOTHING = { abort() {}, pause() {}, resume() {} }
