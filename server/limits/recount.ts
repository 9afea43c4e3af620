import type { Census, Counter, Kv } from '../../db/kv/kv.ts'
import { type Credits, creditsCounterOf } from '../../db/model/limits.ts'
import type { Clock, Journal, Log, Random } from '../deps.ts'
import { tallyOf } from './tally.ts'

/** An organization that pays with credits. */
export interface Payer {
  readonly organizationId: string
  readonly credits: Credits
}

export interface RecountParts {
  readonly kv: Kv
  /** What the ledger knows, in the order of ids after `after`. */
  readonly payers: (after: string, limit: number) => Promise<readonly Payer[]>
  readonly creditsOf: (organizationId: string) => Promise<Credits | null>
  readonly journal: Pick<Journal, 'drained'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Who says nothing for so long is dead; default 10 min: everybody says something each 20 s, and no call lasts longer. */
  readonly silentMs?: number
  /** For how long others are waited for; default 3 s. */
  readonly patienceMs?: number
}

export interface OpenRecount {
  /** As server/jobs.ts takes it. */
  readonly job: {
    readonly name: string
    readonly everyMs: number
    run(nowMs: number, signal: AbortSignal): Promise<void>
  }
  /** @returns the nano-dollars that came back */
  recount(organizationId: string): Promise<number>
  close(): void
}

const CHANNEL = 'recount'
const EVERY_MS = 600_000
const SILENT_MS = 600_000
const PATIENCE_MS = 3_000
/** So long at most from a call's being counted to its record. */
const RECORDED_MS = 50
/** Between looks whether a word with the store has been answered. */
const LOOK_MS = 1
const PAGE = 200
const FOREVER = Number.MAX_SAFE_INTEGER
const NAME_BYTES = 12

/** `ask`: everybody say what you have of that counter. `answer`: to whom, who, and how much. */
type Word =
  | { readonly ask: string; readonly counter: string }
  | { readonly answer: string; readonly holder: string; readonly nano: number }

/**
 * What a process held of an organization's credits when it was killed stays used in the counter, which never ends: this
 * gives it back. Whatever the counter has beyond what the ledger knows and what those who live have, nobody has.
 *
 * Promise: never more comes back than that. Everybody who was heard of lately must answer, with all that it has for
 * calls to come, all that those under way hold, and all that it has counted and the ledger may not know; a word that any
 * of them has with the store meanwhile puts it off until the next time. Calls of a killed process that only its journal knows are known once it has been started again; if that is
 * never, nobody is charged for them.
 */
export function openRecount(parts: RecountParts): OpenRecount {
  const { kv, clock, log, journal, random } = parts
  const { silentMs = SILENT_MS, patienceMs = PATIENCE_MS } = parts
  const asked = new Map<string, (holder: string, nano: number) => void>()
  let deafen: (() => void) | null = null
  let closed = false
  const hearing =
    kv.census === undefined
      ? Promise.resolve()
      : kv.subscribe(CHANNEL, hear).then((end) => {
          if (closed) end()
          else deafen = end
        })
  hearing.catch((cause: unknown) =>
    log.warn('Credits of killed instances are not counted again by this one', { cause }),
  )

  function hear(text: string): void {
    const word = JSON.parse(text) as Word
    if ('ask' in word) void answer(word.ask, word.counter)
    else asked.get(word.answer)?.(word.holder, word.nano)
  }

  const pause = (ms: number): Promise<void> => new Promise((resolve) => void clock.timer(ms, resolve))
  const say = (word: Word): Promise<void> => kv.publish(CHANNEL, JSON.stringify(word))

  /** All that this process has of a counter and the ledger may not know of. Who can't tell stays silent. */
  async function answer(to: string, counter: string): Promise<void> {
    const tally = tallyOf(kv, counter)
    const { counted } = tally
    try {
      await pause(RECORDED_MS)
      await journal.drained(patienceMs)
      const untilMs = clock.monotonic() + patienceMs
      let atHand = atHandOf(counter)
      for (; atHand === null && clock.monotonic() < untilMs; atHand = atHandOf(counter)) await pause(LOOK_MS)
      if (atHand === null) return
      // One for what is rounded.
      const nano = atHand + tally.held + (tally.counted - counted) + 1
      await say({ answer: to, holder: kv.holder ?? '', nano })
    } catch (cause) {
      log.warn('What this instance holds of credits could not be told', { counter, cause })
    }
  }

  function atHandOf(key: string): number | null {
    return kv.atHand?.({ key, limit: FOREVER, endMs: FOREVER }) ?? null
  }

  /** What everybody has; null when one of them doesn't say so in time. */
  async function heldBy({ holders }: Census, counter: string): Promise<ReadonlyMap<string, number> | null> {
    const name = Buffer.from(random.bytes(NAME_BYTES)).toString('hex')
    const said = new Map<string, number>()
    let done: () => void = () => {}
    const all = new Promise<void>((resolve) => {
      done = resolve
    })
    const isWhole = (): boolean => holders.every((holder) => said.has(holder)) && said.has(kv.holder ?? '')
    asked.set(name, (holder, nano) => {
      said.set(holder, nano)
      if (isWhole()) done()
    })
    try {
      await say({ ask: name, counter })
      await Promise.race([all, pause(patienceMs)])
    } finally {
      asked.delete(name)
    }
    return isWhole() ? said : null
  }

  async function recount(organizationId: string): Promise<number> {
    if (kv.census === undefined || kv.reclaim === undefined) return 0
    await hearing
    const before = await parts.creditsOf(organizationId)
    if (before === null) return 0
    const counter = counterOf(organizationId, before)
    const first = await kv.census(counter, { silentMs })
    if (first.used <= before.spentNano) return 0
    const said = await heldBy(first, counter.key)
    // Asked last: what is posted while others are asked may count twice, and never not at all.
    const after = said === null ? null : await parts.creditsOf(organizationId)
    if (said === null || after === null) return 0
    // Who answers lives, however long it had nothing to say to the store.
    const known = { silentMs, alive: [...said.keys()] }
    const { used, kept, mark } = await kv.census(counter, known)
    if (mark !== first.mark) return 0
    const nano = used - kept - Array.from(said.values()).reduce((sum, one) => sum + one, 0) - after.spentNano
    if (nano <= 0) return 0
    if (!(await kv.reclaim(counter, nano, { ...known, mark, nowMs: clock.now() }))) return 0
    log.info('Credits that an instance held when it ended came back', { organization: organizationId, nano })
    return nano
  }

  return {
    recount,
    job: {
      name: 'credits recount',
      everyMs: EVERY_MS,
      async run(_nowMs, signal) {
        if (kv.census === undefined) return
        for (let after = ''; !signal.aborted; ) {
          const page = await parts.payers(after, PAGE)
          if (page.length === 0) return
          const counters = page.map(({ organizationId, credits }) => counterOf(organizationId, credits))
          const used = await kv.read(counters, clock.now())
          for (const [at, { organizationId, credits }] of page.entries()) {
            if (used[at]! > credits.spentNano && !signal.aborted) await recount(organizationId)
          }
          after = page.at(-1)!.organizationId
        }
      },
    },
    close() {
      closed = true
      deafen?.()
    },
  }
}

function counterOf(organizationId: string, { grantedNano }: Credits): Counter {
  return { key: creditsCounterOf(organizationId), limit: grantedNano, endMs: FOREVER }
}
