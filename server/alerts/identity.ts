import type { FiringEvent } from '../../db/model/alerts.ts'
import { line } from './words.ts'

const DAY_MS = 86_400_000
/** Events are shown for so long, and stay known at least as long as they could be told of again. */
const KEEP_MS = 90 * DAY_MS
const MAX_NAME = 200

export interface Identity {
  /** Names what happened among all that a rule can fire for: the same again is the same event. */
  readonly identity: string
  /** Until when it must stay known, epoch milliseconds; null: for ever. */
  readonly expiresAtMs: number | null
}

/**
 * What makes an event the same as one before. Limits by their period and size, so that one which was raised is told of
 * anew; states that go on, such as a provider that is down, once a day.
 */
export function identify(event: FiringEvent, nowMs: number): Identity {
  const day = new Date(nowMs).toISOString().slice(0, 10)
  const expiresAtMs = nowMs + KEEP_MS
  switch (event.kind) {
    case 'quota':
    case 'budget': {
      const { counter, resetMs, percent, limit } = event
      const identity = `${line(counter, MAX_NAME)}:${resetMs ?? 'never'}:${limit}:${percent}`
      return { identity, expiresAtMs: resetMs === null ? null : Math.max(resetMs, nowMs) + KEEP_MS }
    }
    case 'spend':
      return { identity: `${event.period}:${event.periodStartMs}:${event.amountNano}`, expiresAtMs }
    case 'error_rate':
      return { identity: `${event.windowHours}:${event.window}:${event.percent}`, expiresAtMs }
    case 'credits_low':
      return { identity: day, expiresAtMs }
    case 'payment_failed':
      return { identity: `${day}:${event.failures}`, expiresAtMs }
    case 'provider_paused':
    case 'provider_down':
      return { identity: `${day}:${line(event.provider, MAX_NAME)}`, expiresAtMs }
    case 'credential_refused': {
      const what = `${line(event.provider, MAX_NAME)}/${line(event.credential, MAX_NAME)}`
      return { identity: `${day}:${what}`, expiresAtMs }
    }
    case 'price_missing': {
      const what = `${line(event.provider, MAX_NAME)}/${line(event.model, MAX_NAME)}`
      return { identity: `${day}:${what}`, expiresAtMs }
    }
    case 'test':
      return { identity: event.test, expiresAtMs }
  }
}

/** Names an event among all that this process hears of. */
export function memoryKey(event: FiringEvent, nowMs: number): string {
  return `${event.kind}:${event.organizationId ?? ''}:${identify(event, nowMs).identity}`
}
