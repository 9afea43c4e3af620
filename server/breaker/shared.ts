import type { Counter, Kv } from '../../db/kv/kv.ts'
import type { Clock, Log, Timer } from '../deps.ts'
import { readWord, type Word } from './words.ts'

export interface SharedOptions {
  readonly kv: Pick<Kv, 'read' | 'atLeast' | 'takeAll' | 'add' | 'ping' | 'publish' | 'subscribe'>
  readonly clock: Clock
  readonly log: Log
  readonly hear: (word: Word) => void
  /** Words of others may have been lost. */
  readonly missed: () => void
}

/** What instances know together, over the kv. Nothing of it throws or rejects, and nothing waits long. */
export interface Shared {
  /** The newest phase of an account that was ever said, 0 where none is known of or the kv is away. */
  look(provider: string, account: string): number | Promise<number>
  /** Raises a phase for those to come: of an account, of a provider's all, or of all there are (null). */
  keep(phase: number, provider: string | null, account: string | null): void
  say(word: Word): void
  /** One over all instances in PROBE_MS; `away`: nobody could be asked. */
  takeProbe(probe: ProbeName): Promise<'taken' | 'refused' | 'away'>
  giveProbeBack(probe: ProbeName): void
  close(): void
}

/** One call that may try an account, by what all instances call it. */
export interface ProbeName {
  readonly provider: string
  readonly account: string
  /** When it could be tried first, epoch milliseconds. */
  readonly fromMs: number
  /** How many PROBE_MS have passed since. */
  readonly window: number
}

/** A probe that nobody has heard of for so long, or up to twice that, is lost: another may be sent. */
export const PROBE_MS = 60_000
const CHANNEL = 'breaker'
/** A call is never held up for longer by one question to the kv. */
const PATIENCE_MS = 500
const RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
const DAY_MS = 86_400_000

export function openShared({ kv, clock, log, hear, missed }: SharedOptions): Shared {
  let isTroubleTold = false
  let isClosed = false
  let deafen: (() => void) | null = null
  let retry: Timer | null = null
  let retryMs = RETRY_MS
  listen().catch((cause: unknown) => log.warn('Other instances are not heard of providers that fail', { cause }))

  async function listen(): Promise<void> {
    const heard = (text: string): void => {
      const word = isClosed ? null : readWord(text)
      if (word !== null) hear(word)
    }
    const end = await kv.subscribe(CHANNEL, heard, () => {
      if (!isClosed) missed()
    })
    if (isClosed) return end()
    deafen = end
    // What was said before it could be heard.
    missed()
  }

  /** Said once until something works again. */
  function failed(cause: unknown): void {
    if (!isTroubleTold && !isClosed) {
      log.warn('Other instances can not be told or asked of providers that fail: this one goes by what it sees', {
        cause,
      })
    }
    isTroubleTold = true
  }

  function attempt(act: () => void | Promise<void>, gaveUp: (cause: unknown) => void = failed): void {
    const worked = (): void => {
      isTroubleTold = false
      retryMs = RETRY_MS
    }
    try {
      const done = act()
      if (done instanceof Promise) done.then(worked, gaveUp)
    } catch (cause) {
      gaveUp(cause)
    }
  }

  function say(word: Word): void {
    if (!isClosed) attempt(() => kv.publish(CHANNEL, JSON.stringify(word)), unsaid)
  }

  /** All that was to be said is said in answer to a question: it is asked when the kv may be back. */
  function unsaid(cause: unknown): void {
    failed(cause)
    if (isClosed || retry !== null) return
    retry = clock.timer(retryMs, () => {
      retry = null
      retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)
      say({ is: 'ask' })
    })
  }

  /** @throws when it takes too long */
  function inTime<T>(answer: T | Promise<T>): T | Promise<T> {
    if (!(answer instanceof Promise)) return answer
    return new Promise<T>((resolve, reject) => {
      const timer = clock.timer(PATIENCE_MS, () => reject(new Error(`No answer within ${PATIENCE_MS} ms`)))
      answer.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  return {
    look(provider, account) {
      const nowMs = clock.now()
      try {
        const counters = [keyOf(provider, account), keyOf(provider, null), keyOf(null, null)].flatMap((key) =>
          registersOf(key, nowMs),
        )
        const read = inTime(kv.read(counters, nowMs))
        if (!(read instanceof Promise)) return Math.max(...read)
        return read.then(
          (phases) => Math.max(...phases),
          (cause: unknown) => {
            failed(cause)
            return 0
          },
        )
      } catch (cause) {
        failed(cause)
        return 0
      }
    },
    keep(phase, provider, account) {
      const nowMs = clock.now()
      attempt(() => kv.atLeast(registersOf(keyOf(provider, account), nowMs)[0]!, phase, nowMs))
    },
    say,
    async takeProbe(probe) {
      try {
        const wishes = windowsOf(probe).map((counter) => ({ ...counter, amount: 1 }))
        const { allowed } = await inTime(kv.takeAll(wishes, clock.now()))
        if (allowed) return 'taken'
        // A store that is away refuses as well: then nobody would ever try.
        await inTime(kv.ping())
        return 'refused'
      } catch (cause) {
        failed(cause)
        return 'away'
      }
    },
    giveProbeBack(probe) {
      const nowMs = clock.now()
      for (const counter of windowsOf(probe)) attempt(() => kv.add(counter, -1, nowMs))
    },
    close() {
      isClosed = true
      retry?.cancel()
      deafen?.()
    },
  }
}

function keyOf(provider: string | null, account: string | null): string {
  if (provider === null) return 'breaker:'
  return account === null ? `breaker:${provider}` : `breaker:${provider}/${account}`
}

/**
 * Where a phase is kept: a counter that is raised to it, of this day and of the one before, so that what nobody asks for
 * any more is forgotten. The first is written.
 */
function registersOf(key: string, nowMs: number): [Counter, Counter] {
  const endMs = (Math.floor(nowMs / DAY_MS) + 2) * DAY_MS
  const limit = Number.MAX_SAFE_INTEGER
  return [
    { key, limit, endMs },
    { key, limit, endMs: endMs - DAY_MS },
  ]
}

/**
 * Of time since the account may be tried, in windows: there is one probe in the window that it is asked for in and the
 * next one, so that it is nobody else's for at least the length of one.
 */
function windowsOf({ provider, account, fromMs, window }: ProbeName): Counter[] {
  return [window, window + 1].map((at) => ({
    // Two that overlap have different keys.
    key: `breaker:probe:${provider}/${account}:${fromMs}:${Math.abs(at % 2)}`,
    limit: 1,
    endMs: fromMs + (at + 1) * PROBE_MS,
  }))
}
