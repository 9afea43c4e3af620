import type { Scope } from '../../db/model/access.ts'
import { formatUsd } from '../../db/model/money.ts'
import type { UsagePosition } from '../../db/model/usage-query.ts'
import type { ProjectAsk } from '../../db/stores/usage.ts'
import type { LoggedCall } from '../../db/stores/usage-calls.ts'
import type { Control } from '../deps.ts'
import { csvLine } from './csv.ts'
import { isoOf } from './page.ts'

/** Rows that are in memory at a time: some milliseconds of the event loop, and then it is everybody's again. */
const ROWS = 250

const COLUMNS = ['date', 'model', 'tokens_used', 'cost_usd', 'cached', 'latency_ms']
const MORE_COLUMNS = ['id', 'provider', 'key_id', 'endpoint', 'status', 'outcome', 'end_user']

/**
 * A project's calls as CSV, newest first, in chunks of whole lines: one page is in memory at a time, and the next is
 * asked for when it has been taken. Whether the project is the scope's is the caller's to check: of a foreign one there
 * are no lines. @throws when the database can't be asked
 */
export async function* usageCsv(control: Control, scope: Scope, query: ProjectAsk): AsyncGenerator<string> {
  yield csvLine([...COLUMNS, ...MORE_COLUMNS])
  let after: UsagePosition | null = null
  do {
    const { calls, next }: Awaited<ReturnType<typeof control.stores.usage.page>> = await control.stores.usage.page(
      scope,
      query,
      { limit: ROWS, after },
    )
    if (calls.length > 0) yield calls.map(lineOf).join('')
    after = next
  } while (after !== null)
}

function lineOf(call: LoggedCall): string {
  return csvLine([
    isoOf(call.createdAtMs),
    call.model,
    call.inputTokens + call.outputTokens,
    call.costPico === null ? null : formatUsd(call.costPico),
    call.cached,
    call.latencyUs / 1000,
    call.id,
    call.provider,
    call.keyId,
    call.endpoint,
    call.status,
    call.outcome === 'done' ? 'ok' : call.outcome,
    call.endUser,
  ])
}
