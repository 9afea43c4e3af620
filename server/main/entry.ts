import type { Kv } from '../../db/kv/kv.ts'
import { scopeOf } from '../../db/model/access.ts'
import { underPlan } from '../../db/model/key-rules.ts'
import { type Credits, creditsCounterOf, type Limit, limitsOf } from '../../db/model/limits.ts'
import { periodOf } from '../../db/model/periods.ts'
import type { Stores } from '../../db/stores/index.ts'
import type { Accounts, Clock, Log, Plans } from '../deps.ts'
import type { KeyEntry } from '../directory.ts'

export interface EntryParts {
  readonly stores: Pick<Stores, 'keys' | 'budgets' | 'ledger' | 'usageSeeds'>
  readonly plans: Pick<Plans, 'of'>
  readonly accountsOf: (projectId: string) => Promise<Accounts | undefined>
  readonly kv: Kv
  readonly clock: Clock
  readonly log: Log
}

/**
 * Finds a key with all that the line needs to know of it: its plan, its project's accounts, its rules, limits and credits.
 * Before it is answered the counters of its limits know what the stored calls have used, so that neither a restart nor a
 * store of counters that lost its memory begins a period anew. @throws when the database can't be reached
 */
export function entryFinder(parts: EntryParts): (secretSha256: string) => Promise<KeyEntry | null> {
  const { stores, plans, accountsOf } = parts
  return async (secretSha256) => {
    const found = await stores.keys.findBySecretHash(secretSha256)
    if (found === null) return null
    const { keyId, projectId, organizationId, ownLimits, ...rest } = found
    const plan = plans.of(found.plan)
    const [accounts, budgets, credits] = await Promise.all([
      accountsOf(projectId),
      stores.budgets.limitsOf(projectId, keyId),
      stores.ledger.creditsOf(organizationId),
    ])
    const limits = limitsOf({ keyId, projectId, organizationId, plan, budgets, ...ownLimits })
    await seed({ keyId, projectId, organizationId, limits, credits }, parts)
    const rules = underPlan(rest.rules, plan.allowedModels)
    return {
      ...{ ...rest, keyId, projectId, organizationId, plan, rules, limits, credits },
      ...(accounts === undefined ? {} : { accounts }),
    }
  }
}

interface Seeded {
  readonly keyId: string
  readonly projectId: string
  readonly organizationId: string
  readonly limits: readonly Limit[]
  readonly credits: Credits | null
}

/** Raises counters to what is known to be used. Never rejects: a key that is known must not be refused for it. */
async function seed({ limits, credits, ...whose }: Seeded, { stores, kv, clock, log }: EntryParts): Promise<void> {
  const nowMs = clock.now()
  const { organizationId } = whose
  try {
    const lasting = limits.filter(({ period }) => period !== 'minute')
    const seeds = await stores.usageSeeds.seedsOf({ ...whose, ...scopeOf(organizationId) }, lasting, nowMs)
    const raised: (void | Promise<void>)[] = lasting.map((rule) => {
      const used = seeds.get(rule.counter) ?? 0
      const counter = { key: rule.counter, limit: rule.limit, endMs: periodOf(rule, nowMs).endMs }
      return used > 0 ? kv.atLeast(counter, used, nowMs) : undefined
    })
    if (credits !== null) {
      const key = creditsCounterOf(organizationId)
      const counter = { key, limit: credits.grantedNano, endMs: Number.MAX_SAFE_INTEGER }
      raised.push(kv.atLeast(counter, credits.spentNano, nowMs))
    }
    await Promise.all(raised)
  } catch (cause) {
    log.warn('What limits have used could not be looked up: they count from what this process knows', { cause })
  }
}
