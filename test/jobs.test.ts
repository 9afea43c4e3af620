import { setImmediate as tick } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openDatabase } from '../db/open.ts'
import { createStores } from '../db/stores/index.ts'
import type { JobRunStore } from '../db/stores/job-runs.ts'
import { type Job, type OpenJobs, openJobs } from '../server/jobs.ts'
import { systemClock, systemRandom } from '../server/runtime/system.ts'
import { ENGINES, type TestDatabase } from './db/engines.ts'
import { type HandClock, handClock } from './helpers/clock.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

interface Said {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

function memoryLog() {
  const said: Said[] = []
  const at =
    (level: Said['level']) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void said.push({ level, message, fields })
  return { said, log: { info: at('info'), warn: at('warn'), error: at('error') } }
}

/** Lets everything go on that waits for nothing but the database: looks again until it is so. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < 20_000; turns++) {
    if (await isSo()) return
    await tick()
  }
  throw new Error('This never came to be')
}

/** A job that a test lets end when it wants. */
function heldJob(name: string, everyMs = HOUR_MS) {
  const runs: { readonly atMs: number; readonly signal: AbortSignal; end(error?: unknown): void }[] = []
  const job: Job = {
    name,
    everyMs,
    run: (atMs, signal) =>
      new Promise((resolve, reject) => {
        runs.push({ atMs, signal, end: (error) => (error === undefined ? resolve(null) : reject(error)) })
      }),
  }
  return { job, runs }
}

describe.each(ENGINES)('jobs on $name', { timeout: 60_000 }, (engine) => {
  let test: TestDatabase
  let clock: HandClock
  let name: string
  let names = 0
  const opened: OpenJobs[] = []

  beforeAll(async () => {
    test = await engine.open()
  }, 60_000)
  afterAll(() => test?.dispose())
  beforeEach(() => {
    clock = handClock()
    name = `job-${names++}`
  })

  const row = () => test.database.db.selectFrom('job_runs').selectAll().where('name', '=', name).executeTakeFirst()
  const isFree = async () => (await row())?.token === ''

  /** An instance; all of them have one database and one clock. */
  function instance(jobs: readonly Job[], lock: JobRunStore = test.stores.jobRuns) {
    const { said, log } = memoryLog()
    const open = openJobs({ jobs, lock, clock, random: systemRandom(), log })
    opened.push(open)
    return { ...open, said }
  }

  it('runs a job at once when it never ran, and then each time it is due', async () => {
    const times: number[] = []
    const startMs = clock.now()
    const jobs = instance([{ name, everyMs: HOUR_MS, run: async (nowMs) => void times.push(nowMs) }])
    for (let hour = 0; hour < 4; hour++) {
      await until(async () => times.length === hour + 1 && (await isFree()))
      await until(() => clock.timers === 1)
      clock.advance(HOUR_MS + 5_000)
    }
    await until(() => times.length === 5)
    await jobs.close()
    expect(times).toHaveLength(5)
    for (const [hour, ms] of times.entries()) {
      expect(ms - startMs).toBeGreaterThanOrEqual(hour * HOUR_MS)
      expect(ms - startMs).toBeLessThanOrEqual(hour * (HOUR_MS + 5_000))
    }
    expect(clock.timers).toBe(0)
  })

  it('runs a job at its time of the period', async () => {
    const times: string[] = []
    const job: Job = { name, everyMs: 24 * HOUR_MS, atMs: 6 * HOUR_MS, run: async (ms) => void times.push(iso(ms)) }
    const jobs = instance([job])
    await until(async () => times.length === 1 && (await isFree()))
    // It is noon; timers are no longer than an hour.
    for (let hours = 0; hours < 48; hours++) {
      await until(() => clock.timers === 1)
      clock.advance(HOUR_MS)
      await until(() => clock.timers === 1)
    }
    await until(async () => times.length === 3 && (await isFree()))
    await jobs.close()
    expect(times.map((time) => time.slice(0, 13))).toEqual(['2026-11-21T12', '2026-11-22T06', '2026-11-23T06'])
  })

  it('gives a job to one of many instances, and to each due time one run', async () => {
    let running = 0
    let most = 0
    const runs: number[] = []
    const job: Job = {
      name,
      everyMs: HOUR_MS,
      async run(nowMs) {
        most = Math.max(most, ++running)
        await tick()
        await row()
        runs.push(nowMs)
        running--
      },
    }
    const many = Array.from({ length: 6 }, () => instance([job]))
    await until(async () => runs.length === 1 && (await isFree()) && clock.timers === many.length)
    for (let due = 2; due <= 4; due++) {
      clock.advance(HOUR_MS + 10_000)
      await until(async () => runs.length === due && (await isFree()) && clock.timers === many.length)
    }
    await Promise.all(many.map((one) => one.close()))
    expect(most).toBe(1)
    expect(runs).toHaveLength(4)
  })

  it('leaves a running job to who runs it, for as long as that takes', async () => {
    const { job, runs } = heldJob(name, MINUTE_MS)
    const first = instance([job])
    await until(() => runs.length === 1)
    const second = instance([job])
    await until(() => clock.timers >= 2)
    // Ten leases later it is still the first one's, since it prolongs them.
    for (let passed = 0; passed < 600_000; passed += 20_000) {
      const before = (await row())!.until.getTime()
      clock.advance(20_000)
      await until(async () => (await row())!.until.getTime() > before)
    }
    expect(runs).toHaveLength(1)
    expect(runs[0]!.signal.aborted).toBe(false)
    runs[0]!.end()
    await until(isFree)
    clock.advance(MINUTE_MS + 10_000)
    await until(() => runs.length === 2)
    runs[1]!.end()
    await Promise.all([first.close(), second.close()])
    expect([...first.said, ...second.said]).toEqual([])
  })

  it('takes a job over from an instance that has died, and tells a slow one that it lost it', async () => {
    const { job, runs } = heldJob(name)
    const mute: JobRunStore = {
      ...test.stores.jobRuns,
      prolong: () => Promise.reject(new Error('The database is away')),
    }
    const dead = instance([job], mute)
    await until(() => runs.length === 1)
    const other = heldJob(name)
    const heir = instance([other.job])
    await until(() => clock.timers >= 2)
    heir.kick(name)
    for (let passed = 0; passed <= 70_000; passed += 10_000) {
      clock.advance(10_000)
      for (let turns = 0; turns < 50; turns++) await tick()
      await row()
    }
    await until(() => other.runs.length === 1)
    expect(dead.said.map(({ message }) => message)).toContain(`The job ${name} could not be prolonged`)
    // It comes back to itself and asks: the job is another's by now.
    Object.assign(mute, { prolong: test.stores.jobRuns.prolong })
    clock.advance(20_000)
    await until(() => runs[0]!.signal.aborted)
    runs[0]!.end()
    await until(() => dead.said.some(({ message }) => message === `The job ${name} was taken over by another instance`))
    // What the slow one gives back isn't its own: the heir's run stands.
    const held = await row()
    expect(held?.token).not.toBe('')
    other.runs[0]!.end()
    await until(isFree)
    await Promise.all([dead.close(), heir.close()])
  })

  it('logs every failure, waits longer after each, and starts afresh after a success', async () => {
    const fails = [true, true, true, false, true]
    const times: number[] = []
    const job: Job = {
      name,
      everyMs: HOUR_MS,
      async run(nowMs) {
        times.push(nowMs)
        if (fails[times.length - 1]) throw new Error(`Attempt ${times.length} failed`)
      },
    }
    const jobs = instance([job])
    for (let run = 1; run <= fails.length; run++) {
      await until(async () => times.length === run && (await isFree()) && clock.timers === 1)
      for (let minutes = 0; minutes < 70 && times.length === run && run < fails.length; minutes++) {
        clock.advance(MINUTE_MS)
        await until(() => clock.timers === 1)
        await row()
        for (let turns = 0; turns < 20; turns++) await tick()
        await until(() => clock.timers === 1)
      }
    }
    const held = await row()
    await jobs.close()
    const waits = times.slice(1).map((ms, at) => Math.round((ms - times[at]!) / MINUTE_MS))
    expect(waits).toEqual([1, 2, 4, 60].map((minutes) => expect.closeTo(minutes, -0.5)))
    expect(jobs.said.map(({ level, message, fields }) => [level, message, fields.failures])).toEqual(
      [1, 2, 3, 1].map((failures) => ['error', `The job ${name} failed`, failures]),
    )
    expect(held).toMatchObject({ failures: 1, error: 'Attempt 5 failed' })
  })

  it('runs a kicked job now, and once more when it was kicked while it ran', async () => {
    const { job, runs } = heldJob(name)
    const jobs = instance([job])
    await until(() => runs.length === 1)
    jobs.kick(name)
    jobs.kick(name)
    runs[0]!.end()
    await until(() => {
      clock.advance(0)
      return runs.length === 2
    })
    runs[1]!.end()
    await until(async () => (await isFree()) && clock.timers === 1)
    expect(runs).toHaveLength(2)
    jobs.kick(name)
    await until(() => runs.length === 3)
    runs[2]!.end()
    await jobs.close()
    expect(() => jobs.kick('nothing')).toThrow('There is no job nothing')
  })

  it('waits at its end for what runs, tells it to stop, and leaves the job to others at once', async () => {
    const { job, runs } = heldJob(name)
    const jobs = instance([job])
    await until(() => runs.length === 1)
    let isClosed = false
    const closing = jobs.close().then(() => {
      isClosed = true
    })
    await until(() => runs[0]!.signal.aborted)
    await row()
    expect(isClosed).toBe(false)
    runs[0]!.end(new Error('Stopped'))
    await closing
    expect(jobs.said).toMatchObject([{ level: 'warn', message: `The job ${name} was stopped` }])
    const next = heldJob(name)
    const heir = instance([next.job])
    await until(() => next.runs.length === 1)
    next.runs[0]!.end()
    await heir.close()
    expect(clock.timers).toBe(0)
  })

  it('gives up waiting after ten seconds, and says so', async () => {
    const { job, runs } = heldJob(name)
    const jobs = instance([job])
    await until(() => runs.length === 1)
    const closing = jobs.close()
    await until(() => clock.timers === 2)
    clock.advance(10_000)
    await closing
    expect(jobs.said).toMatchObject([{ level: 'warn', message: 'Some jobs did not stop within 10 s' }])
    runs[0]!.end()
    await until(isFree)
  })

  it('asks again, ever more rarely, while the database is away, and forgets no kick', async () => {
    let away = true
    const lock: JobRunStore = {
      ...test.stores.jobRuns,
      take: (run) => (away ? Promise.reject(new Error('Away')) : test.stores.jobRuns.take(run)),
    }
    const runs: number[] = []
    const jobs = instance([{ name, everyMs: 10_000, run: async (nowMs) => void runs.push(nowMs) }], lock)
    await until(() => jobs.said.length === 1 && clock.timers === 1)
    for (let kicks = 0; kicks < 100; kicks++) jobs.kick(name)
    for (let times = 2; times <= 4; times++) {
      clock.advance(2 ** (times - 2) * 10_000 + 1_000)
      await until(() => jobs.said.length === times && clock.timers === 1)
    }
    away = false
    clock.advance(80_000)
    await until(() => runs.length === 1)
    await jobs.close()
    const waits = jobs.said.map(({ fields }) => fields.retry_in_ms)
    expect(waits).toEqual([10_000, 20_000, 40_000, 80_000])
  })
})

const postgres = ENGINES.find(({ name }) => name === 'postgres')

describe.runIf(postgres !== undefined)('two connections to one PostgreSQL', () => {
  it('never run a job at the same time, by their own clocks', { timeout: 60_000 }, async () => {
    const test = await postgres!.open()
    const others = await Promise.all([openDatabase(test.options), openDatabase(test.options)])
    let running = 0
    let most = 0
    let runs = 0
    let enough = (): void => {}
    const isEnough = new Promise<void>((resolve) => {
      enough = resolve
    })
    const job: Job = {
      name: 'often',
      everyMs: 20,
      async run() {
        most = Math.max(most, ++running)
        await tick()
        running--
        if (++runs === 30) enough()
      },
    }
    const { said, log } = memoryLog()
    const instances = others.map((database) =>
      openJobs({ jobs: [job], lock: createStores(database).jobRuns, clock: systemClock, random: systemRandom(), log }),
    )
    const startMs = Date.now()
    await isEnough
    const tookMs = Date.now() - startMs
    await Promise.all(instances.map((one) => one.close()))
    await Promise.all(others.map((one) => one.close()))
    await test.dispose()
    expect(most).toBe(1)
    expect(runs).toBeLessThanOrEqual(tookMs / 20 + 2)
    expect(said).toEqual([])
  })
})

it('two jobs of one name are an error of who wrote them', () => {
  const job: Job = { name: 'same', everyMs: 1_000, run: async () => {} }
  const lock = { take: () => new Promise<never>(() => {}) } as unknown as JobRunStore
  const { log } = memoryLog()
  const options = { lock, clock: handClock(), random: systemRandom(), log }
  expect(() => openJobs({ ...options, jobs: [job, { ...job }] })).toThrow('Two jobs have the same name')
})

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
