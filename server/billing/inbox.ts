import type { TakenEvent } from '../../db/stores/stripe-events.ts'
import { asGatewayError, GatewayError } from '../errors.ts'
import { applyEvent, type Told } from './events.ts'
import { type BillingParts, termsOf } from './parts.ts'

export interface Inbox {
  receive(payload: Uint8Array, signature: string | null): Promise<void>
  /** Applies what is due again, and puts organizations back whose time is over. */
  run(signal: AbortSignal): Promise<void>
  /** Resolves when everything that was begun here has ended, well or not. */
  settled(): Promise<void>
}

/** Signed longer ago, an event is refused: somebody may have recorded it. */
const TOLERANCE_S = 300
/** Whoever takes an event has it for so long. */
const LEASE_MS = 120_000
const FIRST_RETRY_MS = 10_000
const MAX_RETRY_MS = 3_600_000
/** So many are applied at once: Stripe doesn't like more questions at a time. */
const LANES = 4
const BATCH = 20
const KEEP_MS = 30 * 24 * 3_600_000

/** Events from Stripe: kept first, then applied, and tried again until they are. */
export function openInbox(parts: BillingParts): Inbox {
  const { stores, clock, log, webhookSecret } = parts
  const events = stores.stripeEvents
  const underWay = new Set<Promise<void>>()
  const lanes = createLanes()

  async function verified(payload: Uint8Array, signature: string | null): Promise<SignedEvent> {
    const { webhooks } = await parts.stripe(async (stripe) => stripe)
    try {
      const told = [payload, signature ?? '', webhookSecret, TOLERANCE_S, undefined, clock.now()] as const
      return readEvent(await webhooks.constructEventAsync(...told))
    } catch (cause) {
      if (cause instanceof GatewayError && cause.code === 'invalid_request') throw cause
      const message = 'This is not signed by Stripe with the secret of this endpoint, or too long ago'
      throw new GatewayError('invalid_request', message, { param: 'stripe-signature', cause })
    }
  }

  function begin(event: TakenEvent): Promise<void> {
    const ended = lanes(() => apply(event)).finally(() => underWay.delete(ended))
    underWay.add(ended)
    return ended
  }

  /** Never rejects. */
  async function apply({ id, type, payload, attempts }: TakenEvent): Promise<void> {
    try {
      const outcome = await applyEvent(parts, toldOf(type, payload))
      await events.applied(id, clock.now(), outcome)
    } catch (thrown) {
      const error = asGatewayError(thrown)
      const cause = error.cause ?? thrown
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts - 1, 20), MAX_RETRY_MS)
      log.warn('An event of Stripe could not be applied yet', { id, type, attempts, retry_in_ms: waitMs, cause })
      const end = { nextMs: clock.now() + waitMs, error: cause instanceof Error ? cause.message : String(cause) }
      // If that can't be noted either, whoever looks when the lease is over tries again.
      await events.failed(id, end).catch((lost: unknown) => log.warn('An event of Stripe waits', { id, cause: lost }))
    }
  }

  return {
    async receive(payload, signature) {
      const { id, type, object, createdAtMs } = await verified(payload, signature)
      const text = new TextDecoder().decode(payload)
      const nowMs = clock.now()
      const objectId = typeof object.id === 'string' ? object.id : null
      const event = { id, type, objectId, createdAtMs, payload: text }
      if (await events.add(event, { nowMs, untilMs: nowMs + LEASE_MS })) {
        void begin({ id, type, payload: text, attempts: 1 })
      }
    },

    async run(signal) {
      while (!signal.aborted) {
        const nowMs = clock.now()
        const due = await events.takeDue({ nowMs, untilMs: nowMs + LEASE_MS }, BATCH)
        await Promise.all(due.map(begin))
        if (due.length < BATCH) break
      }
      for (const organizationId of await stores.billing.ending(clock.now())) {
        if (signal.aborted) return
        await stores.billing.decide(organizationId, termsOf(parts))
      }
      await events.sweep(clock.now() - KEEP_MS)
    },

    async settled() {
      while (underWay.size > 0) await Promise.allSettled([...underWay])
    },
  }
}

interface SignedEvent extends Told {
  readonly id: string
  readonly createdAtMs: number
}

function readEvent(event: unknown): SignedEvent {
  const { id, type, created, data } = (event ?? {}) as Readonly<Record<string, unknown>>
  const object = (data as { readonly object?: unknown } | undefined)?.object
  const isWhole = typeof id === 'string' && typeof type === 'string' && typeof object === 'object' && object !== null
  if (!isWhole) throw new GatewayError('invalid_request', 'This is not an event of Stripe')
  const createdAtMs = typeof created === 'number' ? created * 1000 : 0
  return { id, type, createdAtMs, object: object as Told['object'] }
}

function toldOf(type: string, payload: string): Told {
  return { type, object: readEvent(JSON.parse(payload)).object }
}

/** Runs so many at once, the others when these end, in the order in which they came. */
function createLanes(): (work: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = []
  let busy = 0
  return async (work) => {
    if (busy < LANES) busy += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) busy -= 1
      else next()
    }
  }
}
