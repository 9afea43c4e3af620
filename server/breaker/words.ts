import type { Fault } from '../../db/model/tries.ts'

/** What instances say to each other of accounts. Times are epoch milliseconds. */
export type Word =
  /** It is open or closed since then; see phase.ts. */
  | {
      readonly is: 'phase'
      readonly provider: string
      readonly account: string
      readonly phase: number
      readonly failures: number
      readonly fault: Fault | null
      readonly failedAtMs: number | null
    }
  /** Its provider asks not to be called before then. */
  | { readonly is: 'rest'; readonly provider: string; readonly account: string; readonly untilMs: number }
  /** The probe was given back: somebody else may try. */
  | { readonly is: 'free'; readonly provider: string; readonly account: string }
  /** Somebody is new, or has missed words: what is open, and what rests? */
  | { readonly is: 'ask' }
  /** All that was opened before this phase is closed; null: of every provider. */
  | { readonly is: 'reset'; readonly provider: string | null; readonly phase: number }

/** Null for what another version says and this one doesn't understand. */
export function readWord(text: string): Word | null {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof said !== 'object' || said === null) return null
  const word = said as Partial<Record<string, unknown>>
  const { provider, account, phase } = word
  if (word.is === 'ask') return { is: 'ask' }
  if (word.is === 'reset') {
    if (!isCount(phase) || (provider !== null && typeof provider !== 'string')) return null
    return { is: 'reset', provider, phase }
  }
  if (typeof provider !== 'string' || typeof account !== 'string') return null
  const of = { provider, account }
  if (word.is === 'free') return { is: 'free', ...of }
  if (word.is === 'rest') return isCount(word.untilMs) ? { is: 'rest', ...of, untilMs: word.untilMs } : null
  if (word.is !== 'phase' || !isCount(phase)) return null
  return {
    ...{ is: 'phase', ...of, phase },
    failures: isCount(word.failures) ? word.failures : 0,
    fault: isFault(word.fault) ? word.fault : null,
    failedAtMs: isCount(word.failedAtMs) ? word.failedAtMs : null,
  }
}

/** Why an account isn't called, for people: what its last call met. */
const REASONS: Readonly<Record<Fault, string>> = {
  caller: 'the request was refused',
  model: 'it has no such model',
  account: 'it refuses this key',
  overload: 'it was overloaded',
  provider: 'it answered with a server error',
  network: 'it could not be reached, or the connection broke',
  late: 'it did not answer in time',
  nonsense: 'it sent an answer that can not be used',
}

export function reasonOf(fault: Fault): string {
  return REASONS[fault]
}

function isFault(value: unknown): value is Fault {
  return typeof value === 'string' && Object.hasOwn(REASONS, value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
