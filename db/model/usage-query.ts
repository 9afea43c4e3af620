import type { Outcome } from './calls.ts'

/** `ok`: the caller got its whole answer. A number: the status that it was sent. */
export type UsageStatus = 'ok' | Exclude<Outcome, 'done'> | number

/** Which calls of a project; what is absent filters nothing. */
export interface UsageFilter {
  /** Epoch milliseconds; calls at this time are in it. */
  readonly fromMs?: number
  /** Epoch milliseconds; calls at this time are not in it. */
  readonly toMs?: number
  /** The model that answered. */
  readonly model?: string
  readonly keyId?: string
  readonly provider?: string
  readonly status?: UsageStatus
  readonly cached?: boolean
  /** Both ends are in it; a call without a price is not. */
  readonly minCostPico?: bigint
  readonly maxCostPico?: bigint
  readonly endUser?: string
  /** Words of the metadata, all of them in any order; the last one may be a beginning. */
  readonly metadata?: string
}

/** A place in the log, newest first: what follows is older than it. An empty id stands behind all of its millisecond. */
export interface UsagePosition {
  readonly createdAtMs: number
  readonly id: string
}

const POSITION = /^(\d{1,15})\.([A-Za-z0-9_-]{0,80})$/

/** A position as callers carry it from page to page. */
export function writeCursor({ createdAtMs, id }: UsagePosition): string {
  return btoa(`${createdAtMs}.${id}`).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}

/** @returns null when no cursor of ours reads like this */
export function readCursor(cursor: string): UsagePosition | null {
  if (!/^[A-Za-z0-9_-]{1,160}$/.test(cursor)) return null
  let text: string
  try {
    text = atob(cursor.replace(/-/g, '+').replace(/_/g, '/'))
  } catch {
    return null
  }
  const match = POSITION.exec(text)
  return match === null ? null : { createdAtMs: Number(match[1]), id: match[2]! }
}

/** @param usd digits with at most 12 after the point, such as `0.002` */
export function parseUsd(usd: string): bigint {
  const [whole = '', fraction = ''] = usd.split('.')
  return BigInt(whole + fraction.padEnd(12, '0'))
}

/** Sums over calls. Tokens are input plus output; calls without a price cost 0. */
export interface UsageTotals {
  readonly requests: number
  /** Ended as `error` or `cut`. */
  readonly errors: number
  readonly cached: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costPico: bigint
  /** What of them was charged to credits. */
  readonly chargedPico: bigint
  readonly latencyUs: number
  /** What the cached ones would have cost. */
  readonly savedPico: bigint
}

export const NO_TOTALS: UsageTotals = Object.freeze({
  requests: 0,
  errors: 0,
  cached: 0,
  inputTokens: 0,
  outputTokens: 0,
  costPico: 0n,
  chargedPico: 0n,
  latencyUs: 0,
  savedPico: 0n,
})

export function addTotals(a: UsageTotals, b: UsageTotals): UsageTotals {
  return {
    requests: a.requests + b.requests,
    errors: a.errors + b.errors,
    cached: a.cached + b.cached,
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    costPico: a.costPico + b.costPico,
    chargedPico: a.chargedPico + b.chargedPico,
    latencyUs: a.latencyUs + b.latencyUs,
    savedPico: a.savedPico + b.savedPico,
  }
}
