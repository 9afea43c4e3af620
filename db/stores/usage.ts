import type { Kysely } from 'kysely'
import type { Scope } from '../model/access.ts'
import type { UsageFilter } from '../model/usage-query.ts'
import type { Schema } from '../schema/index.ts'
import { type LogPage, type UsageCalls, type UsageSummary, usageCalls } from './usage-calls.ts'
import { type UsageSums, usageSums } from './usage-sums.ts'

/**
 * What calls were made and what they used. Every answer is of the scope's organization alone, whatever project is named.
 * Calls are here some 0.25 s after their end: see `Journal.drained` for those of this process.
 */
export interface UsageStore extends UsageSums {
  /** Whether the organization has, or had, this project. */
  hasProject(scope: Scope, projectId: string): Promise<boolean>
  /** Id of the organization's Plan; null when the organization is gone. */
  planOf(scope: Scope): Promise<string | null>
  /** A page of a project's calls; see UsageCalls. */
  page(scope: Scope, ask: ProjectAsk, wish: Parameters<UsageCalls['page']>[1]): Promise<LogPage>
  /** Sums over all of a project's calls that a filter takes; see UsageSummary for when they aren't over all. */
  summary(scope: Scope, ask: ProjectAsk): Promise<UsageSummary>
}

export interface ProjectAsk {
  readonly projectId: string
  readonly filter: UsageFilter
}

export function usageStore(db: Kysely<Schema>): UsageStore {
  const calls = usageCalls(db)
  return {
    ...usageSums(db),

    async hasProject({ organizationId }, projectId) {
      const found = await db
        .selectFrom('projects')
        .select('id')
        .where('id', '=', projectId)
        .where('organization_id', '=', organizationId)
        .executeTakeFirst()
      return found !== undefined
    },

    async planOf({ organizationId }) {
      const found = await db
        .selectFrom('organizations')
        .select('plan')
        .where('id', '=', organizationId)
        .executeTakeFirst()
      return found?.plan ?? null
    },

    page: (scope, ask, wish) => calls.page({ scope, ...ask }, wish),
    summary: (scope, ask) => calls.summary({ scope, ...ask }),
  }
}
