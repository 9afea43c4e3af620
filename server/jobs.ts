import type { JobRun, JobRunStore } from '../db/stores/job-runs.ts'
import type { Clock, Log, Random, Timer } from './deps.ts'

/** Something that is done again and again, by one instance at a time. */
export interface Job {
  /** Unique, such as `sweep.responses`; instances know the job by it. */
  readonly name: string
  /** From the beginning of one run to that of the next. */
  readonly everyMs: number
  /** Set: it is due when so much of each period of UTC has passed, such as each day at five; else a period after it ran. */
  readonly atMs?: number
  /**
   * What it throws is logged, and it is tried again sooner or later.
   * @param signal aborted when the gateway stops, or another instance had to take the job over
   */
  run(nowMs: number, signal: AbortSignal): Promise<unknown>
}

export interface JobOptions {
  readonly jobs: readonly Job[]
  readonly lock: JobRunStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface OpenJobs {
  /**
   * Runs a job as soon as nobody else does, due or not; while it runs here, once more after that. What has failed waits
   * as long as it would have. Cheap: many kicks make one run.
   */
  kick(name: string): void
  /** Begins no more runs, tells those under way to stop, and waits 10 s for them at most. */
  close(): Promise<void>
}

/** An instance that dies keeps a job from the others for so long. */
const LEASE_MS = 60_000
const PROLONG_MS = 20_000
const CLOSE_MS = 10_000
/** The first wait after a failure, for jobs that run less often than this. */
const RETRY_MS = 60_000
/** The longest wait after failures, for jobs that run more often than this. */
const MAX_RETRY_MS = 300_000
/** Looked at again after this at the latest: clocks may be set, and computers sleep. */
const MAX_WAIT_MS = 3_600_000
const MAX_JITTER_MS = 5_000
/** While another instance runs what is wanted here, it is asked for this often. */
const MAX_POLL_MS = 5_000

/**
 * Runs jobs when they are due, here or on another instance of the same database: never two at once, and each time that
 * one is due about once. A failure is told to the log and waits longer each time before it can repeat itself.
 */
export function openJobs(options: JobOptions): OpenJobs {
  const runners = new Map(options.jobs.map((job) => [job.name, runner(job, options)]))
  if (runners.size < options.jobs.length) throw new Error('Two jobs have the same name')
  return {
    kick(name) {
      const found = runners.get(name)
      if (found === undefined) throw new Error(`There is no job ${name}`)
      found.kick()
    },
    async close() {
      const ends = Array.from(runners.values(), (one) => one.close())
      let timer: Timer | undefined
      const late = new Promise<'late'>((resolve) => {
        timer = options.clock.timer(CLOSE_MS, () => resolve('late'))
      })
      const how = await Promise.race([Promise.all(ends), late])
      timer?.cancel()
      if (how === 'late') options.log.warn(`Some jobs did not stop within ${CLOSE_MS / 1000} s`)
    },
  }
}

interface Runner {
  kick(): void
  close(): Promise<void>
}

function runner(job: Job, { lock, clock, random, log }: JobOptions): Runner {
  let timer: Timer | null = null
  /** Under way here, null: nothing is. */
  let attempt: Promise<void> | null = null
  /** Somebody wants it run, due or not. */
  let wanted = false
  let stop = new AbortController()
  let closed = false
  /** Times in a row that the database could not be asked. */
  let unasked = 0
  /** What went wrong last has a wait of its own, which nobody shortens. */
  let failing = false

  function begin(): void {
    timer?.cancel()
    timer = null
    attempt = tryToRun().then((lookAtMs) => {
      attempt = null
      if (closed) return
      const waitMs = Math.max(0, Math.min(lookAtMs - clock.now(), MAX_WAIT_MS))
      timer = clock.timer(waitMs + (wanted ? 0 : jitter(job, random)), begin)
    })
  }

  /** @returns when to look again, epoch milliseconds. Never rejects. */
  async function tryToRun(): Promise<number> {
    const nowMs = clock.now()
    const run: JobRun = { name: job.name, token: tokenOf(random) }
    const nextMs = dueAfter(job, nowMs)
    const anyway = wanted
    wanted = false
    try {
      const got = await lock.take({ ...run, nowMs, untilMs: nowMs + LEASE_MS, nextMs, anyway })
      unasked = 0
      failing = false
      if (got.taken) {
        const dueMs = await hold(run, { nowMs, nextMs, failures: got.failures })
        return wanted && !failing ? clock.now() : dueMs
      }
      // Who runs it now may pass what this one is wanted for: it is looked at again until it is free.
      wanted ||= anyway
      return Math.min(got.notBeforeMs, nowMs + (anyway ? Math.min(job.everyMs, MAX_POLL_MS) : job.everyMs))
    } catch (cause) {
      wanted ||= anyway
      failing = true
      const waitMs = backoffMs(job, ++unasked)
      log.warn(`The job ${job.name} could not be taken`, { job: job.name, retry_in_ms: waitMs, cause })
      return nowMs + waitMs
    }
  }

  async function hold(
    run: JobRun,
    { nowMs, nextMs, failures }: { readonly nowMs: number; readonly nextMs: number; readonly failures: number },
  ): Promise<number> {
    stop = new AbortController()
    if (closed) stop.abort()
    const beat = prolonging(run, stop)
    let error: string | null = null
    let dueMs = nextMs
    try {
      await job.run(nowMs, stop.signal)
    } catch (cause) {
      if (stop.signal.aborted) {
        // Told to stop, it may say so: others go on at once.
        dueMs = clock.now()
        log.warn(`The job ${job.name} was stopped`, { job: job.name, cause })
      } else {
        failing = true
        error = cause instanceof Error ? cause.message : String(cause)
        const retryInMs = backoffMs(job, failures + 1)
        dueMs = clock.now() + retryInMs
        log.error(`The job ${job.name} failed`, {
          job: job.name,
          failures: failures + 1,
          retry_in_ms: retryInMs,
          cause,
        })
      }
    } finally {
      beat.end()
    }
    await lock.giveBack(run, { nowMs: clock.now(), nextMs: dueMs, error }).catch((cause: unknown) => {
      log.warn(`The job ${job.name} could not be given back: others wait for a minute`, { job: job.name, cause })
    })
    return dueMs
  }

  function prolonging(run: JobRun, mine: AbortController): { end(): void } {
    let next: Timer
    let ended = false
    const set = (): void => {
      next = clock.timer(PROLONG_MS, () => {
        lock
          .prolong(run, clock.now() + LEASE_MS)
          .then(
            (still) => {
              if (still) return
              log.warn(`The job ${job.name} was taken over by another instance`, { job: job.name })
              mine.abort()
            },
            (cause: unknown) => log.warn(`The job ${job.name} could not be prolonged`, { job: job.name, cause }),
          )
          .then(() => {
            if (!ended && !mine.signal.aborted) set()
          })
      })
    }
    set()
    return {
      end() {
        ended = true
        next.cancel()
      },
    }
  }

  begin()
  return {
    kick() {
      if (closed) return
      wanted = true
      if (attempt === null && !failing) begin()
    },
    async close() {
      closed = true
      timer?.cancel()
      stop.abort()
      await attempt
    },
  }
}

/** When a job that begins now is due again. */
function dueAfter({ everyMs, atMs }: Job, nowMs: number): number {
  if (atMs === undefined) return nowMs + everyMs
  const sinceMs = (((nowMs - atMs) % everyMs) + everyMs) % everyMs
  return nowMs - sinceMs + everyMs
}

/** What runs often gets rarer while it fails, what runs rarely is tried sooner than it would be due. */
function backoffMs({ everyMs }: Job, failures: number): number {
  const first = Math.min(everyMs, RETRY_MS)
  return Math.min(first * 2 ** Math.min(failures - 1, 20), Math.max(everyMs, MAX_RETRY_MS))
}

/** Keeps instances from asking all at once: up to a tenth of the period. */
function jitter({ everyMs }: Job, random: Random): number {
  const share = new DataView(random.bytes(4).slice().buffer).getUint32(0) / 2 ** 32
  return Math.floor(share * Math.min(everyMs / 10, MAX_JITTER_MS))
}

function tokenOf(random: Random): string {
  return Array.from(random.bytes(12), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
