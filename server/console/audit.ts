import { z } from 'zod'
import type { Scope } from '../../db/model/access.ts'
import type { AuditEntry, AuditFilters } from '../../db/stores/audit-log.ts'
import type { Control } from '../deps.ts'
import { csvLine } from './csv.ts'
import { cut, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { router, scoped } from './trpc.ts'

/** Members of the input by which entries are chosen; those of the export too. */
export const auditFilters = {
  actor: lineSchema.optional().describe('Id or name of who did it'),
  action: lineSchema.optional().describe('A procedure such as `keys.rotate`, or a noun such as `keys` for all of it'),
  target: lineSchema.optional().describe('Id or type of what was changed'),
  from: timeSchema.optional().describe('Inclusive'),
  to: timeSchema.optional().describe('Exclusive'),
}
const filtersSchema = z.object(auditFilters)
type Filters = z.output<typeof filtersSchema>

const facts = z.record(z.string(), z.unknown()).nullable()

export const auditEntrySchema = z.object({
  id: z.string(),
  organization_id: z.string().nullable().describe('Null: of the platform'),
  created_at: timeSchema,
  actor: z.object({ kind: z.enum(['user', 'token', 'key', 'system']), id: z.string(), name: z.string() }),
  action: z.string(),
  target: z.object({ type: z.string(), id: z.string() }),
  before: facts.describe('What of it changed, null: it was not there'),
  after: facts.describe('What of it changed, null: it is gone'),
  request_id: z.string().nullable(),
  address: z.string().nullable(),
})

/** Who changed what in an organization. */
export const audit = router({
  list: scoped
    .meta({ openapi: { method: 'GET', path: '/audit', tags: ['Audit'], summary: 'List changes', protect: true } })
    .input(filtersSchema.extend(pageInput))
    .output(pageOf(auditEntrySchema))
    .query(async ({ ctx, input: { limit, cursor = null, ...filters } }) => {
      const page = { ...storeFilters(filters), limit: limit + 1, after: cursor }
      return shownPage(await ctx.control.stores.auditLog.list(ctx.scope, page), limit)
    }),
})

export function shownPage(rows: readonly AuditEntry[], limit: number) {
  const { data, next } = cut(rows, limit, (row) => row.auditId)
  return { data: data.map(shown), next_cursor: next }
}

export function storeFilters({ from, to, ...filters }: Filters): AuditFilters {
  return {
    ...filters,
    fromMs: from === undefined ? null : Date.parse(from),
    toMs: to === undefined ? null : Date.parse(to),
  }
}

/** Entries that are held in memory at a time. */
const ROWS = 200

const COLUMNS = ['created_at', 'actor_kind', 'actor_id', 'actor_name', 'action', 'target_type', 'target_id', 'before']

/**
 * The entries as CSV, newest first, in chunks of whole lines: one page is in memory at a time. What is written down
 * while it is read isn't in it. @throws when the database can't be asked
 */
export async function* auditCsv(control: Control, scope: Scope, filters: Filters): AsyncGenerator<string> {
  yield csvLine([...COLUMNS, 'after', 'request_id', 'address', 'id'])
  const chosen = storeFilters(filters)
  for (let after: string | null = null; ; ) {
    const rows: readonly AuditEntry[] = await control.stores.auditLog.list(scope, { ...chosen, limit: ROWS, after })
    if (rows.length > 0) yield rows.map(lineOf).join('')
    if (rows.length < ROWS) return
    after = rows.at(-1)!.auditId
  }
}

function lineOf({ atMs, actor, action, type, id, before, after, ...entry }: AuditEntry): string {
  const what = [action, type, id, factsOf(before), factsOf(after)]
  return csvLine([
    isoOf(atMs),
    actor.kind,
    actor.id,
    actor.name,
    ...what,
    entry.requestId,
    entry.address,
    entry.auditId,
  ])
}

function factsOf(content: AuditEntry['before']): string | null {
  return content === null ? null : JSON.stringify(content)
}

function shown(entry: AuditEntry): z.output<typeof auditEntrySchema> {
  const { auditId, organizationId, atMs, actor, action, type, id, before, after, requestId, address } = entry
  return {
    id: auditId,
    organization_id: organizationId,
    created_at: isoOf(atMs),
    actor,
    action,
    target: { type, id },
    before,
    after,
    request_id: requestId,
    address,
  }
}
