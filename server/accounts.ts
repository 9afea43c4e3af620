import type { Account, Accounts, Deps, Principal, Weighted } from './deps.ts'

type Known = Pick<Principal, 'accounts'>

/**
 * The account that a principal's calls go with: of its project's own, else of the platform's; null when there is none
 * that can be used. A project that has brought a key is never moved to the platform's in silence, for that costs money.
 */
export function accountFor({ accounts }: Known, providerId: string, deps: Pick<Deps, 'credentials'>): Account | null {
  if (accounts === undefined) return deps.credentials.of(providerId)
  const own = accounts.of(providerId)
  if (own !== null) return own
  return accounts.isLocked?.(providerId) === true ? null : deps.credentials.of(providerId)
}

const NONE: readonly Weighted[] = Object.freeze([])

/** All accounts that a principal's calls may go with: of whom `accountFor` says, never of both. */
export function poolFor(
  { accounts }: Known,
  providerId: string,
  { credentials }: Pick<Deps, 'credentials'>,
): readonly Weighted[] {
  if (accounts === undefined) return allOf(credentials, providerId)
  const own = allOf(accounts, providerId)
  if (own.length > 0) return own
  return accounts.isLocked?.(providerId) === true ? NONE : allOf(credentials, providerId)
}

/** Where nobody can name them all, the one that there is. */
function allOf(accounts: Accounts, providerId: string): readonly Weighted[] {
  if (accounts.all !== undefined) return accounts.all(providerId)
  const account = accounts.of(providerId)
  return account === null ? NONE : [{ account, weight: 1 }]
}

/** Why there is no account: keys that no master secret opens, `own` ones or the platform's; null: there are no keys. */
export function lockedKeys(
  { accounts }: Known,
  providerId: string,
  deps: Pick<Deps, 'credentials'>,
): 'own' | 'platform' | null {
  if (accounts?.isLocked?.(providerId) === true) return 'own'
  return deps.credentials.isLocked?.(providerId) === true ? 'platform' : null
}
