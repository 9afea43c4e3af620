import type { Fault } from '../../db/model/tries.ts'
import { endOf, isOpenPhase, OPEN_MS } from './phase.ts'
import type { ProbeName } from './shared.ts'

/** In a row: so many open it. */
export const FAILURES = 3
/** Rests that follow each other without a success between them are twice as long each, up to this. */
export const MAX_REST_MS = 60_000
const SECOND_REST_MS = 2_000

/** What one instance knows of one account at a provider. Times are epoch milliseconds. */
export interface AccountState {
  readonly provider: string
  readonly account: string
  /** See phase.ts. */
  phase: number
  /** While it is open: when a call may try. */
  untilMs: number
  /** In a row, or so many as have opened it. */
  failures: number
  lastFailureMs: number | null
  fault: Fault | null
  /** Its provider has asked not to be called before. */
  restUntilMs: number
  /** Rests since the last success. */
  rests: number
  /** What others have said of it has been heard. */
  isKnown: boolean
  looking: Promise<void> | null
  /** The one call that may try, or that it is another instance's; null: nobody has asked. */
  probe: Probe | null
}

export interface Probe {
  state: 'asking' | 'mine' | 'others'
  /** It was taken from the kv, and can be given back. */
  isTaken: boolean
  /** After this it is asked for anew. */
  untilMs: number
  /** Sent before its time, since nothing else was left: its failure changes nothing. */
  readonly isEarly?: boolean
  readonly name: ProbeName
}

export function newAccount(provider: string, account: string): AccountState {
  return {
    ...{ provider, account, phase: 0, untilMs: 0, failures: 0, lastFailureMs: null, fault: null },
    ...{ restUntilMs: 0, rests: 0, isKnown: false, looking: null, probe: null },
  }
}

export function isOpened({ phase }: AccountState): boolean {
  return isOpenPhase(phase)
}

/** Calls are kept away, one that would try it too. */
export function isBlocked(one: AccountState, nowMs: number): boolean {
  if (one.restUntilMs > nowMs) return true
  if (!isOpened(one)) return false
  return one.untilMs > nowMs || (one.probe !== null && one.probe.untilMs > nowMs)
}

export interface HeardFailures {
  readonly failures: number
  readonly fault: Fault | null
  readonly failedAtMs: number | null
}

/**
 * Goes over to a later phase; an earlier one changes nothing.
 * @param heard from who opened it, which may come after the phase itself; null: nothing more is known
 */
export function enter(
  one: AccountState,
  phase: number,
  { nowMs, heard = null }: { readonly nowMs: number; readonly heard?: HeardFailures | null },
): void {
  if (phase === one.phase && isOpenPhase(phase) && heard !== null) note(one, heard)
  if (phase <= one.phase) return
  one.phase = phase
  one.probe = null
  if (!isOpenPhase(phase)) {
    one.failures = 0
    one.rests = 0
    one.restUntilMs = 0
    return
  }
  // Never for longer than by our own clock, however far ahead another's is.
  one.untilMs = Math.min(endOf(phase), nowMs + OPEN_MS)
  note(one, { failures: 1, fault: null, failedAtMs: Math.min(nowMs, endOf(phase) - OPEN_MS), ...heard })
}

function note(one: AccountState, { failures, fault, failedAtMs }: HeardFailures): void {
  one.failures = Math.max(one.failures, failures)
  one.fault = fault ?? one.fault
  if (failedAtMs !== null) one.lastFailureMs = Math.max(failedAtMs, one.lastFailureMs ?? 0)
}

/**
 * Notes that its provider asked not to be called for so long. Answers that came while it rests already are of the same
 * rest; one that follows without a success between them is longer, for what was asked wasn't enough.
 * @returns whether others should hear of it
 */
export function rest(one: AccountState, restMs: number, nowMs: number): boolean {
  const isNew = one.restUntilMs <= nowMs
  if (isNew) one.rests++
  const least = one.rests > 1 ? SECOND_REST_MS * 2 ** Math.min(one.rests - 2, 10) : 0
  const untilMs = nowMs + Math.min(MAX_REST_MS, Math.max(restMs, least))
  const isLonger = untilMs > one.restUntilMs + 1_000
  one.restUntilMs = Math.max(one.restUntilMs, untilMs)
  return isNew || isLonger
}
