import type { Fault } from '../db/model/tries.ts'

/** Which accounts at providers are worth a call. Every method is cheap and never throws. */
export interface Breaker {
  /**
   * Whether a call may be sent there now. Where the time of an open breaker is over, the first to ask gets the one probe,
   * over all instances; then it is a promise.
   * @param isLast nothing else can answer the call: one may try an open account before its time
   */
  mayTry(provider: string, account: string, isLast?: boolean): boolean | Promise<boolean>
  /** Whether it is open, without asking for the probe. */
  isOpen(provider: string, account: string): boolean
  succeeded(provider: string, account: string): void
  /** Told of faults of the account or its provider only: never of `caller` and `model`. */
  failed(provider: string, account: string, fault: Fault, told?: FailureFacts): void
  /** The probe's call was never made, or says nothing since its caller went away: the next may probe. */
  released(provider: string, account: string): void
}

/** What is known of a failure beside its fault. */
export interface FailureFacts {
  /** Of `overload`: so long its provider asks not to be called, 0: it doesn't say. The account rests until then. */
  readonly restMs?: number
  /** Whose own account it is, who is told when it can't be used; absent or null: the platform's. */
  readonly organizationId?: string | null
}

/** What the breaker knows, for people. */
export interface ProviderHealth extends Breaker {
  /** Of one account; another instance's word on it is waited for where it wasn't heard of before. Never rejects. */
  accountHealth(provider: string, account: string): Promise<AccountHealth>
  /** Of a provider, by the accounts that somebody's calls go with: it is as healthy as the best of them. Never rejects. */
  health(provider: string, accounts: readonly string[]): Promise<HealthState>
  /** Lets calls go again to all accounts, those of a provider, or one of them, on every instance, as if nothing had failed. */
  reset(provider?: string, account?: string): void
}

export interface HealthState {
  readonly status: 'healthy' | 'unhealthy'
  readonly consecutiveFailures: number
  /** Epoch milliseconds, null: none is known of. */
  readonly lastFailureMs: number | null
}

export interface AccountHealth extends HealthState {
  /** What went wrong last, null: nothing that is known of. */
  readonly fault: Fault | null
  /** Calls don't go there before, epoch milliseconds; null: they do, or the one that tries it out may. */
  readonly restsUntilMs: number | null
}
