import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AlertEvent } from '../../db/model/alerts.ts'
import type { Firing } from '../../db/stores/alert-outbox.ts'
import { type AlertsOptions, type OpenAlerts, openAlerts } from '../../server/alerts.ts'
import { systemRandom } from '../../server/runtime/system.ts'
import { type HandClock, handClock } from '../helpers/clock.ts'
import { type LogLine, quotaOf } from './kit.ts'

const NOTHING = { abort() {}, pause() {}, resume() {} }

/** Alerts on a database that answers when it is told to. */
describe('raise()', () => {
  let clock: HandClock
  let log: LogLine[]
  let fired: Firing[]
  let asked: number
  let isAway: boolean
  let alerts: OpenAlerts
  beforeEach(() => {
    clock = handClock()
    log = []
    fired = []
    asked = 0
    isAway = false
    alerts = make()
  })
  afterEach(() => alerts.close())

  function make(): OpenAlerts {
    const write =
      (level: LogLine['level']) =>
      (message: string, fields: LogLine['fields'] = {}) =>
        void log.push({ level, message, fields })
    const rule = { id: 'alr_1', name: 'All', projectId: null, keyId: null, endpointIds: null, enabled: true } as const
    const outbox: Partial<AlertsOptions['stores']['alertOutbox']> = {
      async rulesFor(organizationId, kind) {
        asked++
        if (isAway) throw new Error('connect ECONNREFUSED')
        const settings = { percents: [80] as const }
        return [
          { organizationId: organizationId!, rule: { ...rule, kind, settings, emailRole: null, updatedAtMs: null } },
        ]
      },
      names: async () => ({ organization: 'Acme', project: null, key: null }),
      async fire(firing) {
        if (isAway) throw new Error('connect ECONNREFUSED')
        fired.push(firing)
        return 'fired'
      },
      claim: async () => null,
    }
    const stores = { alertOutbox: outbox, alertWatch: { overspent: async () => [] }, webhookEndpoints: {} }
    return openAlerts({
      stores: stores as unknown as AlertsOptions['stores'],
      upstream: { start: () => NOTHING, close: async () => {} },
      vault: { open: () => '' },
      publicUrl: () => 'http://gateway.test',
      log: { info: write('info'), warn: write('warn'), error: write('error') },
      ...{ clock, random: systemRandom(), mail: null },
    })
  }

  const nth = (n: number): AlertEvent => quotaOf('org_a', { counter: `c-${n}` })

  it('asks the database once for what is raised a thousand times, and not before it returns', async () => {
    for (let i = 0; i < 1_000; i++) alerts.raise(nth(1))
    expect(asked).toBeLessThanOrEqual(1)
    await alerts.settled()
    for (let i = 0; i < 1_000; i++) alerts.raise(nth(1))
    await alerts.settled()
    expect([asked, fired.length]).toEqual([1, 1])
  })

  it('never throws, whatever it is given', () => {
    for (const odd of [null, undefined, {}, { kind: 'quota' }, 7] as unknown as AlertEvent[]) alerts.raise(odd)
    expect(log.filter(({ level }) => level === 'error').length).toBeGreaterThan(0)
  })

  it('waits for a database that is away, and loses nothing', async () => {
    isAway = true
    for (let i = 0; i < 20; i++) alerts.raise(nth(i))
    await alerts.settled()
    for (let i = 0; i < 10; i++) {
      clock.advance(60_000)
      await alerts.settled()
    }
    expect(asked).toBeLessThanOrEqual(20)
    expect(log.map(({ message }) => message)).toEqual(['An alert could not be written; it is tried again'])
    isAway = false
    clock.advance(60_000)
    await alerts.settled()
    const told = fired.map(({ identity }) => identity.split(':')[0]!)
    expect(told.sort()).toEqual(Array.from({ length: 20 }, (_, n) => `c-${n}`).sort())
  })

  it('takes no more than memory has room for: the newest are dropped, which is told and not remembered', async () => {
    isAway = true
    for (let i = 0; i < 1_500; i++) alerts.raise(nth(i))
    await alerts.settled()
    isAway = false
    clock.advance(60_000)
    await alerts.settled()
    expect(fired).toHaveLength(1_000)
    expect(log).toContainEqual(expect.objectContaining({ level: 'error', message: expect.stringContaining('dropped') }))
    expect(log.at(-1)).toMatchObject({ level: 'warn', fields: { dropped: 500 } })
    alerts.raise(nth(1_499))
    alerts.raise(nth(3))
    await alerts.settled()
    expect(fired).toHaveLength(1_001)
  })

  it('forgets the oldest of what it knows, so that memory does not grow', async () => {
    for (let i = 0; i < 10_050; i++) {
      alerts.raise(nth(i))
      if (i % 500 === 0) await alerts.settled()
    }
    await alerts.settled()
    const before = asked
    alerts.raise(nth(10_049))
    alerts.raise(nth(0))
    await alerts.settled()
    expect(asked).toBe(before + 1)
  })

  it('gives an event up that nothing could be done with for a day', async () => {
    isAway = true
    alerts.raise(nth(1))
    await alerts.settled()
    for (let i = 0; i < 25; i++) {
      clock.advance(3_600_000)
      await alerts.settled()
    }
    expect(log.at(-1)).toMatchObject({ level: 'error', fields: { kind: 'quota' } })
    isAway = false
    clock.advance(3_600_000)
    await alerts.settled()
    expect(fired).toEqual([])
  })

  it('is heard until the end: what waits is tried once more at the close, and nothing after it', async () => {
    isAway = true
    alerts.raise(nth(1))
    await alerts.settled()
    isAway = false
    await alerts.close()
    expect(fired).toHaveLength(1)
    alerts.raise(nth(2))
    await alerts.settled()
    expect(fired).toHaveLength(1)
    expect(clock.timers).toBe(0)
  })

  it('says what is lost when the database is away at the close', async () => {
    isAway = true
    alerts.raise(nth(1))
    alerts.raise(nth(2))
    await alerts.settled()
    await alerts.close()
    expect(log.at(-1)).toMatchObject({ level: 'error', fields: { lost: 2 } })
    expect(clock.timers).toBe(0)
  })
})
