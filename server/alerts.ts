import type { AlertEvent } from '../db/model/alerts.ts'
import type { Stores } from '../db/stores/index.ts'
import { createSender } from './alerts/deliver.ts'
import { type FireOptions, fireEvent } from './alerts/fire.ts'
import { memoryKey } from './alerts/identity.ts'
import { type WatchOptions, watchErrors, watchSpending } from './alerts/watch.ts'
import type { Alerts, Clock, Log, Mail, Random, Timer } from './deps.ts'
import type { Upstream } from './upstream.ts'

export { fireRule, type Match } from './alerts/fire.ts'
export { readPayload } from './alerts/payload.ts'
export { newWebhookSecret } from './alerts/sign.ts'

export interface AlertsOptions {
  readonly stores: Pick<Stores, 'alertOutbox' | 'alertWatch' | 'webhookEndpoints'>
  /** Null: no mail server is set up. */
  readonly mail: Mail | null
  /** The way out; its guard holds tenants' URLs to public addresses. */
  readonly upstream: Upstream
  readonly vault: { open(envelope: string, context: string): string }
  readonly publicUrl: () => string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface OpenAlerts extends Alerts {
  sendSoon(): void
  /** To be run by the jobs' runner, each by one instance at a time: sending, looking at the rollups, forgetting. */
  readonly jobs: readonly AlertJob[]
  /** All that was raised is written or waits for the database, and nothing is being sent. */
  settled(): Promise<void>
  /** Writes what was raised, if the database answers, and lets what is being sent end. */
  close(): Promise<void>
}

export interface AlertJob {
  readonly name: string
  readonly everyMs: number
  run(): Promise<void>
}

/** Events that wait to be written, while the database is away. */
const MAX_QUEUED = 1_000
/** Events that this process knows to be told of. */
const MAX_KNOWN = 10_000
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000
/** An event that couldn't be written for so long is given up: something is wrong with it. */
const TOO_OLD_MS = 86_400_000

/** What is queued here is sent at once, and what fails is tried again in time: this is for what others have left. */
const SEND_EVERY_MS = 60_000
const WATCH_EVERY_MS = 60_000
const SWEEP_EVERY_MS = 3_600_000

interface Queued {
  readonly event: AlertEvent
  readonly key: string
  readonly sinceMs: number
}

/**
 * Tells people of what parts raise. Raising costs a look into memory; rules are looked up and deliveries queued behind
 * it. An event fires each rule once, over all instances and restarts: the database has the last word.
 */
export function openAlerts(options: AlertsOptions): OpenAlerts {
  const { stores, clock, random, log } = options
  const store = stores.alertOutbox
  const sender = createSender({ ...options, store, endpoints: stores.webhookEndpoints })
  const firing: FireOptions = { store, hasMail: options.mail !== null, clock, random, log }
  const known = new Set<string>()
  const watching: WatchOptions = { ...firing, watch: stores.alertWatch, isKnown: (key) => known.has(key), note }
  const queue: Queued[] = []
  let dropped = 0
  let writing: Promise<void> | null = null
  let retry: Timer | null = null
  let failures = 0
  let closed = false

  function note(key: string): void {
    known.add(key)
    if (known.size <= MAX_KNOWN) return
    // The oldest goes: told of again, it meets its row in the database.
    for (const oldest of known) return void known.delete(oldest)
  }

  function raise(event: AlertEvent): void {
    try {
      const nowMs = clock.now()
      const key = memoryKey(event, nowMs)
      if (closed || known.has(key)) return
      if (queue.length >= MAX_QUEUED) {
        if (dropped++ === 0) log.error('Too many alerts wait for the database: further ones are dropped')
        return
      }
      note(key)
      queue.push({ event, key, sinceMs: nowMs })
      if (retry === null) write()
    } catch (cause) {
      log.error('An alert could not be raised', { cause })
    }
  }

  function write(): void {
    writing ??= writeAll().finally(() => {
      writing = null
      // Raised while it came to its end.
      if (queue.length > 0 && retry === null && !closed) write()
    })
  }

  async function writeAll(): Promise<void> {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      try {
        if (await told(next.event)) sender.kick()
        failures = 0
        queue.shift()
      } catch (cause) {
        if (failures === 0) log.warn('An alert could not be written; it is tried again', { cause })
        // To the end: one that can't be written must not hold up the others.
        queue.push(queue.shift()!)
        giveUpOld()
        return later()
      }
    }
    if (dropped > 0) log.warn('Alerts are written again; some were dropped', { dropped })
    dropped = 0
  }

  async function told(event: AlertEvent): Promise<boolean> {
    const fired = await fireEvent(event, firing)
    const spends = (event.kind === 'quota' || event.kind === 'budget') && event.what === 'spend'
    return (spends && (await watchSpending(event.organizationId, watching))) || fired
  }

  function giveUpOld(): void {
    const since = clock.now() - TOO_OLD_MS
    for (let at = queue.length - 1; at >= 0; at--) {
      const { event, key, sinceMs } = queue[at]!
      if (sinceMs > since) continue
      queue.splice(at, 1)
      known.delete(key)
      log.error('An alert could not be written for a day and is dropped', { kind: event.kind })
    }
  }

  function later(): void {
    if (closed || queue.length === 0) return
    const waitMs = Math.min(FIRST_RETRY_MS * 2 ** failures++, MAX_RETRY_MS)
    retry = clock.timer(waitMs, () => {
      retry = null
      write()
    })
  }

  return {
    raise,
    sendSoon: sender.kick,
    jobs: [
      { name: 'alerts.send', everyMs: SEND_EVERY_MS, run: sender.run },
      {
        name: 'alerts.watch',
        everyMs: WATCH_EVERY_MS,
        async run() {
          const spent = await watchSpending(null, watching)
          const failing = await watchErrors(watching)
          if (spent || failing) sender.kick()
        },
      },
      { name: 'alerts.sweep', everyMs: SWEEP_EVERY_MS, run: () => store.sweep(clock.now()) },
    ],
    async settled() {
      while (writing !== null) await writing
      await sender.settled()
    },
    async close() {
      while (writing !== null) await writing
      closed = true
      retry?.cancel()
      if (queue.length > 0) {
        write()
        while (writing !== null) await writing
      }
      if (queue.length > 0) log.error('Alerts could not be written and are lost', { lost: queue.length })
      await sender.close()
    },
  }
}
