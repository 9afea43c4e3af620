import type { Multipliers } from '../../db/model/charge.ts'
import type { Price } from '../../db/model/money.ts'
import type { Live } from './standing.ts'

/** What a call may use at most, before it begins; tokens. */
export interface Bound {
  readonly input: number
  /** Of all its answers together. */
  readonly output: number
  readonly answers: number
  /** Neither caller nor catalogue says how long an answer may be: `output` is only assumed. */
  readonly isAssumed: boolean
}

/** What a call takes from, and what a token of it costs there. */
export interface Need {
  /** Hard limits of tokens and spending, then the credits where they pay. */
  readonly lives: readonly Live[]
  readonly price: Price | null
  /** Null: nobody is charged. */
  readonly charge: Multipliers | null
  /** The prompt may be written to the provider's cache, which costs more. */
  readonly mayWrite: boolean
}

/** What a call holds until it is settled. */
export interface Holding {
  readonly need: Need
  /** Of each of `lives` what is held, which may grow, and what was used before. */
  readonly lives: readonly Live[]
  readonly amounts: number[]
  readonly before: readonly number[]
  /** Counted when the call is over, held by nothing. */
  readonly soft: readonly Live[]
  readonly bound: Bound
}
