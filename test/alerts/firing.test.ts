import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { DEFAULT_RULES, MAX_EVENTS_A_DAY } from '../../db/model/alerts.ts'
import { addPerson, changeIn, newId, setMember } from '../db/control.ts'
import { ENGINES } from '../db/engines.ts'
import { sampleCall } from '../db/samples.ts'
import { type AlertsHouse, alertsHouse, DAY_MS, everyEvent, quotaOf } from './kit.ts'

describe.each(ENGINES)('alert rules on $name', { timeout: 60_000 }, (engine) => {
  let house: AlertsHouse
  let org: string
  let owner: { readonly id: string; readonly email: string }
  beforeAll(async () => {
    house = await alertsHouse(engine)
  }, 120_000)
  afterAll(() => house?.close())
  beforeEach(async () => {
    const made = await house.organization()
    org = made.id
    owner = made.owner
    house.mails.length = 0
    house.log.length = 0
  })

  it('fire once for 1 000 raises at once on two instances', async () => {
    const [one, two] = [house.instance(), house.instance()]
    for (let i = 0; i < 500; i++) {
      one.raise(quotaOf(org))
      two.raise(quotaOf(org))
    }
    await Promise.all([one.settled(), two.settled()])
    expect(await house.events(org)).toMatchObject([{ rule_id: 'default_quota', mail: 'sent' }])
    expect(house.mails.map(({ to }) => to)).toEqual([owner.email])
    // A restart forgets what it knew: the database doesn't.
    const again = house.instance()
    again.raise(quotaOf(org))
    await again.settled()
    expect(await house.events(org)).toHaveLength(1)
    expect(house.mails).toHaveLength(1)
  })

  it('fire once for 40 that fire at the same moment, and 40 different ones send one mail', async () => {
    const { fire } = house.on.stores.alertOutbox
    const rule = { id: 'default_quota', name: 'Quota', emailRole: 'admin', endpointIds: null } as const
    const firing = (identity: string) =>
      fire({
        ...{ eventId: newId('evt'), organizationId: org, rule, kind: 'quota', identity, payload: '{}' },
        ...{ atMs: house.clock.now(), expiresAtMs: null, mail: 'daily', newDeliveryId: () => newId('dlv') },
      })
    const same = await Promise.all(Array.from({ length: 40 }, () => firing('same')))
    expect(same.filter((one) => one === 'fired')).toHaveLength(1)
    expect(new Set(same)).toEqual(new Set(['fired', 'known']))
    await house.on.database.db.deleteFrom('alert_events').execute()
    await Promise.all(Array.from({ length: 40 }, (_, n) => firing(`n-${n}`)))
    const mails = (await house.events(org)).map(({ mail }) => mail)
    expect([mails.filter((mail) => mail === 'sent').length, mails.length]).toEqual([1, 40])
    await house.on.database.db.deleteFrom('alert_deliveries').execute()
  })

  it('leave deliveries that are claimed once each, by forty that come at the same moment', async () => {
    const { db } = house.on.database
    await db.deleteFrom('alert_deliveries').execute()
    const at = new Date(house.clock.now())
    await sql`insert into organizations (id, name, plan, created_at)
      select ${org} || n, 'Acme', 'free', ${at} from generate_series(1, 20) as n`.execute(db)
    await sql`insert into alert_events (id, organization_id, rule_id, rule_name, kind, identity, payload, created_at)
      select ${org} || 'e' || n, ${org} || n, 'r', 'R', 'quota', 'i', '{}', ${at} from generate_series(1, 20) as n`.execute(
      db,
    )
    await sql`insert into alert_deliveries (id, organization_id, event_id, channel, user_id, state, next_at, created_at)
      select ${org} || 'd' || n, ${org} || n, ${org} || 'e' || n, 'email', u.id, 'pending', ${at}, ${at}
      from generate_series(1, 20) as n, (select id from users limit 1) as u`.execute(db)
    const { claim } = house.on.stores.alertOutbox
    const untilMs = house.clock.now() + 60_000
    const claims = await Promise.all(Array.from({ length: 40 }, () => claim(house.clock.now(), untilMs)))
    const ids = claims.flatMap((one) => (one === null ? [] : [one.id]))
    expect([ids.length, new Set(ids).size]).toEqual([20, 20])
  })

  it('fire again for another part, period or size of the same limit', async () => {
    const alerts = house.instance()
    const next = { resetMs: Date.UTC(2027, 0, 1) }
    for (const changes of [{}, { percent: 100 }, next, { limit: 20_000 }, {}] as const) {
      alerts.raise(quotaOf(org, changes))
      await alerts.settled()
    }
    expect(await house.events(org)).toHaveLength(4)
  })

  it('are there for what matters without a row in the database, and can be switched off', async () => {
    const alerts = house.instance()
    for (const event of everyEvent(org)) alerts.raise(event)
    // 50 % is nobody's concern by default.
    alerts.raise(quotaOf(org, { percent: 50 }))
    await alerts.settled()
    const fired = (await house.events(org)).map(({ rule_id }) => rule_id)
    expect(fired.sort()).toEqual(DEFAULT_RULES.map(({ id }) => id).sort())
    expect(await house.on.database.db.selectFrom('alert_rules').selectAll().execute()).toEqual([])

    const other = await house.organization('Quiet')
    for (const { id } of DEFAULT_RULES) {
      const edit = { enabled: false }
      expect(await house.on.stores.alerts.updateRule(changeIn(other.id), id, edit)).toMatchObject({
        id,
        enabled: false,
      })
    }
    for (const event of everyEvent(other.id)) alerts.raise(event)
    await alerts.settled()
    expect(await house.events(other.id)).toEqual([])
    expect(await house.on.stores.alerts.deleteRule(changeIn(other.id), 'default_quota')).toBe(true)
    alerts.raise(quotaOf(other.id, { percent: 100 }))
    await alerts.settled()
    expect(await house.events(other.id)).toMatchObject([{ rule_id: 'default_quota' }])
  })

  it('of a project or key fire for that one only', async () => {
    const { db } = house.on.database
    const project = newId('prj')
    const row = { id: project, organization_id: org, name: 'Shop', default_provider: null, archived_at: null }
    await db
      .insertInto('projects')
      .values({ ...row, created_at: new Date() })
      .execute()
    const rule = await house.rule(org, { kind: 'quota', projectId: project, settings: { percents: [50] } })
    const alerts = house.instance()
    alerts.raise(quotaOf(org, { percent: 50 }))
    alerts.raise(quotaOf(org, { percent: 50, projectId: 'prj_other', counter: 'b' }))
    alerts.raise(quotaOf(org, { percent: 50, projectId: project, keyId: 'key_1', counter: 'c' }))
    await alerts.settled()
    expect(await house.events(org)).toMatchObject([{ rule_id: rule, identity: expect.stringMatching(/^c:/) }])
    expect(
      await house.on.stores.alerts.createRule(changeIn((await house.organization()).id), {
        ...{ id: newId('alr'), name: 'Theirs', kind: 'quota', projectId: project, keyId: null, settings: {} },
        ...{ emailRole: null, endpointIds: null, enabled: true },
      }),
    ).toBe('missing')
  })

  it('mail once a day each: what is held back is counted in the next mail', async () => {
    const alerts = house.instance()
    for (const counter of ['a', 'b', 'c']) alerts.raise(quotaOf(org, { counter }))
    await alerts.settled()
    expect((await house.events(org)).map(({ mail }) => mail).sort()).toEqual(['held', 'held', 'sent'])
    expect(house.mails).toHaveLength(1)
    expect(house.mails[0]!.text).not.toContain('more alert')
    // Another rule has its own.
    alerts.raise({ kind: 'payment_failed', organizationId: org, failures: 1 })
    await alerts.settled()
    expect(house.mails).toHaveLength(2)

    house.clock.advance(DAY_MS)
    for (const counter of ['d', 'e']) alerts.raise(quotaOf(org, { counter }))
    await alerts.settled()
    expect(house.mails).toHaveLength(3)
    expect(house.mails[2]!.text).toContain('2 more alerts of this rule')
    house.clock.advance(DAY_MS)
    alerts.raise(quotaOf(org, { counter: 'f' }))
    await alerts.settled()
    expect(house.mails[3]!.text).toContain('One more alert of this rule')
  })

  it('mail those who have the role by then, at addresses that are theirs, and nobody who is gone', async () => {
    const { db } = house.on.database
    const [admin, member, unverified] = [
      await addPerson(db, { [org]: 'admin' }),
      await addPerson(db, { [org]: 'member' }),
      await addPerson(db, { [org]: 'owner' }),
    ]
    await db.updateTable('users').set({ email_verified: false }).where('id', '=', unverified.id).execute()
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    expect(house.mails.map(({ to }) => to).sort()).toEqual([owner.email, admin.email].sort())
    expect(member.email).toBeDefined()

    // Between the firing and the sending somebody leaves.
    const away = house.instance({ mail: { send: async () => Promise.reject(new Error('down')) } })
    house.clock.advance(DAY_MS)
    away.raise(quotaOf(org, { percent: 100 }))
    await away.settled()
    await away.close()
    await setMember(db, { organizationId: org, userId: admin.id, role: null })
    house.mails.length = 0
    house.clock.advance(10_000)
    await alerts.jobs[0]!.run()
    const states = (await house.deliveries(org)).map(({ state }) => state).sort()
    expect(states).toEqual(['cancelled', 'delivered', 'delivered', 'delivered'])
    expect(house.mails.map(({ to }) => to)).toEqual([owner.email])
  })

  it('of the platform are told to those who run it, and to organizations that ask for it', async () => {
    const { db } = house.on.database
    const operator = await addPerson(db)
    await db.updateTable('users').set({ operator: true }).where('id', '=', operator.id).execute()
    const asks = await house.organization('Curious')
    const rule = await house.rule(asks.id, { kind: 'provider_paused', name: 'Paused' })
    const alerts = house.instance()
    const event = { kind: 'provider_paused', organizationId: null, provider: 'openai', reason: 'Stop' } as const
    alerts.raise(event)
    alerts.raise(event)
    await alerts.settled()
    expect(house.mails.map(({ to }) => to).sort()).toEqual([operator.email, asks.owner.email].sort())
    expect(await house.events(org)).toEqual([])
    expect(await house.events(asks.id)).toMatchObject([{ rule_id: rule }])
    expect(await house.events(null)).toMatchObject([{ rule_id: 'platform_provider_paused', mail: 'sent' }])
    await db.updateTable('users').set({ operator: false }).where('id', '=', operator.id).execute()
    house.clock.advance(DAY_MS)
    house.mails.length = 0
    alerts.raise({ ...event, organizationId: null })
    await alerts.settled()
    expect(house.mails.map(({ to }) => to)).toEqual([asks.owner.email])
  })

  it('of a refused key are told to whose it is; of the platform’s to those who run it, and to nobody else', async () => {
    const { db } = house.on.database
    const operator = await addPerson(db)
    await db.updateTable('users').set({ operator: true }).where('id', '=', operator.id).execute()
    const asks = await house.organization('Curious')
    await house.rule(asks.id, { kind: 'credential_refused', name: 'Keys' })
    const alerts = house.instance()
    const event = { kind: 'credential_refused', provider: 'openai', credential: 'env' } as const
    alerts.raise({ ...event, organizationId: null })
    await alerts.settled()
    expect(house.mails.map(({ to }) => to)).toEqual([operator.email])
    expect(house.mails[0]!.text).toContain('refuses the key of the environment')
    expect(await house.events(asks.id)).toEqual([])
    house.mails.length = 0
    alerts.raise({ ...event, organizationId: org, credential: 'crd_1' })
    alerts.raise({ ...event, organizationId: org, credential: 'crd_2' })
    await alerts.settled()
    expect(house.mails.map(({ to }) => to)).toEqual([owner.email])
    expect((await house.events(org)).map(({ rule_id }) => rule_id)).toEqual(Array(2).fill('default_credential_refused'))
    await db.updateTable('users').set({ operator: false }).where('id', '=', operator.id).execute()
  })

  it('of spending fire when the rollups or an event reach their amount, once a period', async () => {
    const rule = await house.rule(org, { kind: 'spend', settings: { amountNano: 10_000_000_000, period: 'day' } })
    const alerts = house.instance()
    const watch = alerts.jobs.find(({ name }) => name === 'alerts.watch')!
    const spend = (usd: number, atMs: number) =>
      house.on.stores.calls.insertBatch(
        JSON.stringify([sampleCall({ organizationId: org, createdAtMs: atMs, costPico: usd * 1e12 })]),
      )
    const ofRule = async () => (await house.events(org)).filter((event) => event.rule_id === rule)
    const nowMs = house.clock.now()
    await spend(9, nowMs)
    await spend(5, nowMs - DAY_MS)
    await watch.run()
    expect(await ofRule()).toEqual([])
    await spend(1, nowMs)
    alerts.raise(quotaOf(org, { kind: 'budget', what: 'spend', limit: 20_000_000_000, percent: 50 }))
    await alerts.settled()
    await watch.run()
    await house.instance().jobs[1]!.run()
    const [fired, ...more] = await ofRule()
    expect(more).toEqual([])
    expect(JSON.parse(fired!.payload).data.facts).toMatchObject({ amount_usd: '10', spent_usd: '10', period: 'day' })
    house.clock.advance(DAY_MS)
    await spend(10, house.clock.now())
    await watch.run()
    expect(await ofRule()).toHaveLength(2)
  })

  it('of failures fire when there are enough calls and too many of them failed', async () => {
    const settings = { percent: 20, windowHours: 2, minCalls: 10 }
    const rule = await house.rule(org, { kind: 'error_rate', settings })
    const alerts = house.instance()
    const calls = (count: number, outcome: 'done' | 'error', atMs: number) =>
      house.on.stores.calls.insertBatch(
        JSON.stringify(
          Array.from({ length: count }, () => sampleCall({ organizationId: org, createdAtMs: atMs, outcome })),
        ),
      )
    const watch = async () => {
      await alerts.jobs[1]!.run()
      return (await house.events(org)).filter((event) => event.rule_id === rule)
    }
    const nowMs = house.clock.now()
    await calls(50, 'error', nowMs - 3 * 3_600_000)
    await calls(2, 'error', nowMs)
    await calls(7, 'done', nowMs - 3_600_000)
    expect(await watch()).toEqual([])
    await calls(1, 'done', nowMs)
    const [fired] = await watch()
    expect(JSON.parse(fired!.payload).data.facts).toMatchObject({ errors: 2, calls: 10, percent: 20 })
    expect(await watch()).toHaveLength(1)
  })

  it('keep no more events of a day than there may be', async () => {
    const rule = await house.rule(org, { kind: 'price_missing', emailRole: null })
    const alerts = house.instance()
    await sql`insert into alert_events (id, organization_id, rule_id, rule_name, kind, identity, payload, created_at)
      select ${org} || n, ${org}, ${rule}, 'A rule', 'price_missing', n::text, '{}', ${new Date(house.clock.now())}
      from generate_series(1, ${MAX_EVENTS_A_DAY - 3}::int) as n`.execute(house.on.database.db)
    for (let i = 0; i < 8; i++) {
      alerts.raise({ kind: 'price_missing', organizationId: org, provider: 'openai', model: `m-${i}` })
    }
    await alerts.settled()
    expect(await house.events(org)).toHaveLength(MAX_EVENTS_A_DAY)
    expect(house.log).toContainEqual(expect.objectContaining({ level: 'warn', fields: { organizationId: org, rule } }))
  })

  it('of an organization that is gone fire nothing, and its events go with it', async () => {
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    await alerts.settled()
    await house.on.database.db.deleteFrom('organizations').where('id', '=', org).execute()
    alerts.raise(quotaOf(org, { percent: 100 }))
    await alerts.settled()
    expect([await house.events(org), await house.deliveries(org), house.log]).toEqual([[], [], []])
  })

  it('are forgotten when what they name can not come again', async () => {
    const alerts = house.instance()
    alerts.raise(quotaOf(org))
    alerts.raise(quotaOf(org, { period: 'total', resetMs: null, counter: 'total' }))
    await alerts.settled()
    house.clock.advance(200 * DAY_MS)
    await alerts.jobs.find(({ name }) => name === 'alerts.sweep')!.run()
    expect(await house.events(org)).toMatchObject([{ identity: expect.stringMatching(/^total:never/) }])
    expect(await house.deliveries(org)).toEqual([])
  })
})
