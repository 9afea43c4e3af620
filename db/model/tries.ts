/**
 * Whose fault it is that a provider doesn't answer. `caller`: the request's own, whoever is asked. `model`: this provider
 * has no such model. `account`: the credential can't be used. `overload`: it is busy, another may be free. `provider`: it
 * is broken. `network`: it can't be reached, or the connection broke. `late`: it took too long. `nonsense`: its answer
 * can't be used.
 */
export type Fault = 'caller' | 'model' | 'account' | 'overload' | 'provider' | 'network' | 'late' | 'nonsense'

/** A target that was asked and didn't answer. */
export interface Try {
  /** Id of the provider. */
  readonly provider: string
  /** Id of the account. */
  readonly account: string
  readonly model: string
  /** `outrun`: it was given up, since another that was asked beside it was faster. */
  readonly fault: Fault | 'outrun'
  /** The provider's HTTP status; null: there was none, or a good one. */
  readonly status: number | null
  /** Until it failed. */
  readonly ms: number
}

/** As CallRecord.tries has them. */
export function writeTries(tries: readonly Try[]): string {
  return JSON.stringify(tries)
}

/** @param text from writeTries; null: there were none */
export function readTries(text: string | null): readonly Try[] {
  return text === null ? [] : (JSON.parse(text) as Try[])
}
