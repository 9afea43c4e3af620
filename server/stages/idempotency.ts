import type { Admitted } from '../call.ts'
import type { Deps } from '../deps.ts'
import type { Reply } from '../http.ts'
import { KEY_HEADER } from '../idempotency/fingerprint.ts'
import { keyed } from '../idempotency/keyed.ts'
import { RETRY_HEADER, retried } from '../idempotency/retried.ts'
import type { Steps } from '../idempotency/told.ts'

/**
 * The answer to a request that may be another's again: one with an idempotency key, or of an SDK that tells its retries.
 * Null for all others: looking costs them two headers.
 */
export function once(call: Admitted, deps: Deps, steps: Steps): Promise<Reply> | null {
  const { incoming, principal } = call
  const key = incoming.header(KEY_HEADER)
  const count = key === null ? incoming.header(RETRY_HEADER) : null
  if (key === null && count === null) return null
  // One head speaks for all turns of a connection; and what changes nothing may be asked as often as one likes.
  if (call.memory !== undefined || incoming.method !== 'POST') return null
  if (key !== null) return keyed(call, key, { deps, steps })
  return principal.rules?.joinRetries === false ? null : retried(call, count!, { deps, steps })
}
