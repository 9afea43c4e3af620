import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { dayMs } from '../../db/model/reconcile.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { sampleCall } from '../db/samples.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { ADMIN_KEYS, type Reporting, type Reports, reportsOf, type Used } from '../helpers/usage-reports.ts'

export const CENT = 10_000_000_000n

export interface Side {
  readonly requests: number | null
  readonly input_tokens: number | null
  readonly cost_usd: string | null
}
export interface Row {
  readonly model: string | null
  readonly status: string
  readonly ours: Side
  readonly theirs: Side
  readonly variance: Side
  readonly variance_percent: Readonly<Record<string, number | null>>
}
export interface Shown extends Row {
  readonly id: string
  readonly day: string
  readonly latest: boolean
  readonly created_by: string
  readonly models_off: number
  readonly rows: readonly Row[]
}

/** A gateway whose providers report what a test says; each test begins with empty books. To be called in `describe`. */
export function reconciling() {
  let upstream: ScriptedUpstream
  let house: ConsoleApp
  let operator: As
  const reports: Reports = { used: [], charged: [], perPage: 31 }
  /** Waits that were asked for, other than limits of time: they are over at once. */
  const waits: number[] = []
  const clock = {
    ...systemClock,
    timer(afterMs: number, callback: () => void) {
      if (afterMs >= LIMIT_MS || afterMs % 1_000 !== 0) return systemClock.timer(afterMs, callback)
      waits.push(afterMs)
      return systemClock.timer(0, callback)
    },
  }

  beforeAll(async () => {
    upstream = await startUpstream()
    house = await consoleApp({ upstreamUrl: `${upstream.url}/v1`, clock })
    operator = await house.session((await house.person({ operator: true })).id)
  }, 120_000)
  afterAll(async () => {
    await house?.close()
    await upstream?.close()
  })
  beforeEach(async () => {
    const { db } = house.database.database
    await db.deleteFrom('admin_credentials').execute()
    await db.deleteFrom('reconciliations').execute()
    await db.deleteFrom('usage_hourly').execute()
    await db.deleteFrom('usage_daily').execute()
    await db.deleteFrom('calls').execute()
    Object.assign(reports, { used: [], charged: [], perPage: 31 })
    upstream.script(reportsOf(reports))
    waits.length = 0
  })

  async function setKey(provider: Reporting, more: object = {}): Promise<string> {
    const made = await house.call('reconcile.setCredential', operator, { provider, key: ADMIN_KEYS[provider], ...more })
    expect(made.status, made.text).toBe(200)
    return (made.body as { id: string }).id
  }

  const run = (input: object) => house.call('reconcile.run', operator, input)

  /** Runs a comparison. @returns its days with their rows */
  async function compared(input: object): Promise<Shown[]> {
    const made = await run(input)
    expect(made.status, made.text).toBe(200)
    const ids = (made.body as { data: Shown[] }).data.map(({ id }) => id)
    return Promise.all(ids.map(async (id) => (await house.call('reconcile.get', operator, { id })).body as Shown))
  }

  const stored = () => house.database.database.db.selectFrom('reconciliations').selectAll().orderBy('id').execute()
  const insert = (calls: readonly object[]) => house.control.stores.calls.insertBatch(JSON.stringify(calls))

  return {
    ...{ reports, waits, setKey, run, compared, stored, insert },
    get upstream() {
      return upstream
    },
    get house() {
      return house
    },
    /** Who runs the gateway. */
    call: (procedure: string, input?: object) => house.call(procedure, operator, input),
  }
}

/** Limits of time are real; shorter waits of whole seconds are over at once. */
const LIMIT_MS = 30_000

export function used(day: string, model: string, more: Partial<Used> = {}): Used {
  const none = { input: 0, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0, output: 0 }
  return { day, model, requests: 3, ...none, costPico: 100n * CENT, ...more }
}

let minute = 0

export function call(day: string, more: Parameters<typeof sampleCall>[0] = {}) {
  return sampleCall({ createdAtMs: dayMs(day) + (minute++ % 1_440) * 60_000, ...more })
}
