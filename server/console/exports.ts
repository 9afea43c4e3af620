import { z } from 'zod'
import { auditCsv, auditFilters } from './audit.ts'
import { type Export, streamBody, streamed, streamedForOperator } from './export.ts'
import { ledgerCsv, ledgerFilters, readLedgerFilters } from './ledger-shapes.ts'
import { idSchema } from './page.ts'
import { reconciliationCsv, requireReconciliation } from './reconcile.ts'
import type { Context } from './trpc.ts'
import { requireProject } from './usage.ts'
import { usageCsv } from './usage-csv.ts'
import { readFilters, usageFilters } from './usage-shapes.ts'

const CSV = 'text/csv; charset=utf-8'

/** Every streamed export; the table of who may has a row for each. */
export const EXPORTS: readonly Export[] = [
  streamed({
    procedure: 'usage.export',
    path: '/projects/{id}/usage/export',
    tags: ['Usage'],
    summary: 'Export the calls of a project as CSV',
    input: z.object({ id: idSchema, ...usageFilters }),
    contentType: CSV,
    async answer(ctx, { id, ...filters }) {
      const query = { projectId: id, filter: readFilters(filters) }
      await requireProject(ctx.control, ctx.scope, id)
      return csvFile(ctx, 'usage.csv', usageCsv(ctx.control, ctx.scope, query))
    },
  }),
  streamed({
    procedure: 'credits.export',
    path: '/credits/ledger/export',
    tags: ['Credits'],
    summary: 'Export what changed the balance as CSV',
    input: z.object(ledgerFilters),
    contentType: CSV,
    answer: async (ctx, input) =>
      csvFile(ctx, 'ledger.csv', ledgerCsv(ctx.control, ctx.scope, readLedgerFilters(input))),
  }),
  streamed({
    procedure: 'audit.export',
    path: '/audit/export',
    tags: ['Audit'],
    summary: 'Export changes as CSV',
    input: z.object(auditFilters),
    contentType: CSV,
    answer: async (ctx, input) => csvFile(ctx, 'audit.csv', auditCsv(ctx.control, ctx.scope, input)),
  }),
  streamedForOperator({
    procedure: 'reconcile.export',
    path: '/platform/reconciliations/{id}/export',
    tags: ['Platform'],
    summary: 'Export a comparison with a provider’s figures as CSV',
    input: z.object({ id: idSchema }),
    contentType: CSV,
    async answer(ctx, { id }) {
      const one = await requireReconciliation(ctx.control, id)
      return csvFile(ctx, `reconciliation-${one.provider}-${one.day}.csv`, reconciliationCsv(ctx.control, one))
    },
  }),
]

/** A file that a browser saves. @param name ASCII, no quotes */
function csvFile({ deps, requestId }: Context, name: string, lines: AsyncIterable<string>): Response {
  const headers = { 'content-type': CSV, 'content-disposition': `attachment; filename="${name}"` }
  const onBroken = (cause: unknown): void => deps.log.error('An export broke off', { request_id: requestId, cause })
  return new Response(streamBody(lines, onBroken), { headers })
}
