import type { Change } from '../../db/model/access.ts'
import { endpointContext } from '../../db/model/alerts.ts'
import { makeId } from '../../db/model/ids.ts'
import type { AlertOutboxStore, Attempted, Claimed } from '../../db/stores/alert-outbox.ts'
import type { WebhookEndpointStore } from '../../db/stores/webhook-endpoints.ts'
import type { Clock, Log, Mail, Random, Timer } from '../deps.ts'
import type { Upstream } from '../upstream.ts'
import { waitAfter } from './backoff.ts'
import { letterOf } from './letter.ts'
import { postMessage } from './post.ts'
import { signatureHeaders } from './sign.ts'

export interface DeliverOptions {
  readonly store: AlertOutboxStore
  readonly endpoints: Pick<WebhookEndpointStore, 'disable'>
  readonly mail: Mail | null
  readonly upstream: Upstream
  readonly vault: { open(envelope: string, context: string): string }
  readonly publicUrl: () => string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface Sender {
  /** Sends all that is due; resolves when nothing is. @throws when the database can't be asked */
  run(): Promise<void>
  /** The same, for whoever doesn't wait. Never throws. */
  kick(): void
  /** Nothing is being sent, and nothing is about to be. */
  settled(): Promise<void>
  /** Begins nothing more, and waits 10 s at most for what is being sent: it would be sent again when its claim ends. */
  close(): Promise<void>
}

/** Longer than any attempt takes: an instance that died leaves its claims to the others after that. */
const CLAIM_MS = 120_000
const AT_ONCE = 16
/** A next attempt that is nearer has a timer of its own, as its job may look too late. */
const NEAR_MS = 60_000
const GONE = 410
const CLOSE_MS = 10_000

/** Sends what is in the outbox. Of all instances one attempts a delivery at a time; each may come twice, never be lost. */
export function createSender(options: DeliverOptions): Sender {
  const { store, clock, log } = options
  const timers = new Set<Timer>()
  const workers = new Set<Promise<void>>()
  /** Something was queued while all were busy. */
  let again = false
  let closed = false

  /** One more that sends until nothing is due; null when there are enough, of whom one will look again. */
  function hire(): Promise<void> | null {
    again = true
    if (closed || workers.size >= AT_ONCE) return null
    const worker: Promise<void> = work().finally(() => workers.delete(worker))
    workers.add(worker)
    return worker
  }

  async function work(): Promise<void> {
    while (again && !closed) {
      again = false
      const nowMs = clock.now()
      const claimed = await store.claim(nowMs, nowMs + CLAIM_MS)
      if (claimed === null) continue
      // Where there was one, there may be more, and this one may take long.
      kick()
      await attempt(claimed)
      again = true
    }
  }

  async function attempt(claimed: Claimed): Promise<void> {
    const { settled, gone } = await tryOut(claimed, options)
    await store.settle(claimed, settled)
    if (gone !== undefined)
      await options.endpoints.disable(gatewayChange(options), gone, 'The endpoint answered 410 Gone')
    if (settled.nextAtMs === null) return
    const waitMs = settled.nextAtMs - clock.now()
    if (waitMs > NEAR_MS || closed) return
    const timer = clock.timer(Math.max(0, waitMs), () => {
      timers.delete(timer)
      kick()
    })
    timers.add(timer)
  }

  function kick(): void {
    hire()?.catch((cause: unknown) => log.warn('Alerts could not be sent; they stay queued', { cause }))
  }

  async function settled(): Promise<void> {
    while (workers.size > 0) await Promise.allSettled(workers)
  }

  return {
    kick,
    settled,
    async run() {
      await hire()
      await settled()
    },
    async close() {
      closed = true
      for (const timer of timers) timer.cancel()
      if (workers.size === 0) return
      let late: Timer | undefined
      const tooLate = new Promise<void>((resolve) => {
        late = clock.timer(CLOSE_MS, resolve)
      })
      await Promise.race([settled(), tooLate])
      late?.cancel()
    },
  }
}

interface TriedOut {
  readonly settled: Attempted
  /** An endpoint whose owner wants no more. */
  readonly gone?: string
}

async function tryOut(claimed: Claimed, options: DeliverOptions): Promise<TriedOut> {
  const { to } = claimed
  return to.channel === 'email' ? { settled: await mailed(claimed, to, options) } : posted(claimed, to, options)
}

async function mailed(
  claimed: Claimed,
  { address, more }: Extract<Claimed['to'], { channel: 'email' }>,
  options: DeliverOptions,
): Promise<Attempted> {
  if (address === null) return ended('cancelled', 'The recipient is no longer there or has another role')
  if (options.mail === null) return retried(claimed, options, { error: 'No mail server is set up: set SMTP_URL' })
  try {
    const parts = { to: address, payload: claimed.payload, more, publicUrl: options.publicUrl() }
    await options.mail.send(letterOf(parts))
    return ended('delivered', null)
  } catch {
    // What went wrong is in the log, for who runs the mail server.
    return retried(claimed, options, { error: 'The mail server did not take the mail' })
  }
}

async function posted(
  claimed: Claimed,
  to: Extract<Claimed['to'], { channel: 'webhook' }>,
  options: DeliverOptions,
): Promise<TriedOut> {
  if (!to.enabled) return { settled: ended('cancelled', 'The endpoint is switched off') }
  let secrets: readonly string[]
  try {
    secrets = to.sealed.map((envelope) => options.vault.open(envelope, endpointContext(to.endpointId)))
  } catch {
    const error = 'The secret can not be opened: rotate it, or add the master secret it was sealed with'
    return { settled: retried(claimed, options, { error }) }
  }
  const signed = { id: claimed.eventId, body: claimed.payload, atMs: options.clock.now(), secrets }
  const message = { url: to.url, headers: signatureHeaders(signed), body: claimed.payload }
  const result = await postMessage(message, options)
  if (result.status === null) return { settled: retried(claimed, options, { error: result.error }) }
  const { status, response } = result
  if (status >= 200 && status < 300) return { settled: { ...ended('delivered', null), status, response } }
  const error = `The endpoint answered ${status}${status >= 300 && status < 400 ? ': redirects are not followed' : ''}`
  if (status !== GONE) return { settled: retried(claimed, options, { error, status, response }) }
  return { settled: { ...ended('failed', error), status, response }, gone: to.endpointId }
}

function ended(state: 'delivered' | 'failed' | 'cancelled', error: string | null): Attempted {
  return { state, nextAtMs: null, status: null, error, response: null }
}

function retried(
  { attempt }: Claimed,
  { clock, random }: DeliverOptions,
  how: { readonly error: string; readonly status?: number; readonly response?: string },
): Attempted {
  const waitMs = waitAfter(attempt, random)
  const said = { status: how.status ?? null, error: how.error, response: how.response ?? null }
  if (waitMs === null) return { state: 'failed', nextAtMs: null, ...said }
  return { state: 'pending', nextAtMs: clock.now() + waitMs, ...said }
}

function gatewayChange({ clock, random }: DeliverOptions): Change {
  const atMs = clock.now()
  return {
    actor: { kind: 'system', id: 'alerts', name: 'Alerts' },
    action: 'alerts.endpoints.disable',
    atMs,
    auditId: makeId('aud', atMs, random.bytes(16)),
    requestId: null,
    address: null,
  }
}
