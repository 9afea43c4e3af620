import { z } from 'zod'
import type { Scope } from '../../db/model/access.ts'
import { formatUsd } from '../../db/model/money.ts'
import { parseUsd, type UsagePosition } from '../../db/model/usage-query.ts'
import type { Balance, LedgerFilter, LedgerItem } from '../../db/stores/ledger.ts'
import type { Control } from '../deps.ts'
import { csvLine } from './csv.ts'
import { isoOf, timeSchema } from './page.ts'
import { momentSchema, readSpan, usdSchema } from './usage-shapes.ts'

const KINDS = ['usage', 'top_up', 'grant', 'correction', 'refund'] as const

/** Members of the input that choose transactions; those of the export too. */
export const ledgerFilters = {
  kind: z.enum(KINDS).optional(),
  from: momentSchema.optional().describe('Inclusive'),
  to: momentSchema.optional().describe('Exclusive'),
}
const filtersSchema = z.object(ledgerFilters)
type Filters = z.output<typeof filtersSchema>

/** @throws GatewayError `invalid_request` when nothing can be between the ends that are asked for */
export function readLedgerFilters({ kind, from, to }: Filters): LedgerFilter {
  const { fromMs, toMs } = readSpan(from, to)
  return {
    ...(kind === undefined ? {} : { kind }),
    ...(fromMs === null ? {} : { fromMs }),
    ...(toMs === null ? {} : { toMs }),
  }
}

export const ledgerItemSchema = z.object({
  id: z.string(),
  created_at: timeSchema.describe('Of usage, when the last of its calls began'),
  kind: z.enum(KINDS),
  amount_usd: usdSchema.describe('What it did to the credits: above zero gives, below zero takes'),
  reference: z.string().describe('What was posted; of usage the first and the last call and their number'),
  note: z.string().nullable(),
})

export function shownItem(item: LedgerItem): z.output<typeof ledgerItemSchema> {
  return {
    id: item.id,
    created_at: isoOf(item.createdAtMs),
    kind: item.kind,
    amount_usd: formatUsd(item.amountPico),
    reference: item.reference,
    note: item.note,
  }
}

export const balanceSchema = z.object({
  balance_usd: usdSchema.describe('What is left'),
  granted_usd: usdSchema.describe('All that was paid in, granted, corrected or paid back'),
  spent_usd: usdSchema.describe('What calls were charged'),
})

export function shownBalance({ balancePico, grantedPico, spentPico }: Balance): z.output<typeof balanceSchema> {
  return {
    balance_usd: formatUsd(balancePico),
    granted_usd: formatUsd(grantedPico),
    spent_usd: formatUsd(spentPico),
  }
}

const AMOUNT = /^\d{1,9}(\.\d{1,12})?$/
export const amountInput = z
  .string()
  .regex(AMOUNT, 'Give dollars such as "25" or "0.002"')
  .refine((usd) => /[1-9]/.test(usd), 'Give more than 0')

export const signedAmountInput = z
  .string()
  .refine((usd) => AMOUNT.test(usd.replace(/^-/, '')), 'Give dollars such as "25" or "-0.002"')
  .refine((usd) => /[1-9]/.test(usd), 'Give more or less than 0')

/** @param usd what one of the two above let through */
export function picoOf(usd: string): bigint {
  return usd.startsWith('-') ? -parseUsd(usd.slice(1)) : parseUsd(usd)
}

/** Transactions that are held in memory at a time. */
const ROWS = 250
const COLUMNS = ['created_at', 'kind', 'amount_usd', 'reference', 'note', 'id']

/** An organization's transactions as CSV, newest first, page by page. @throws when the database can't be asked */
export async function* ledgerCsv(control: Control, scope: Scope, filter: LedgerFilter): AsyncGenerator<string> {
  yield csvLine(COLUMNS)
  for (let after: UsagePosition | null = null; ; ) {
    const items: readonly LedgerItem[] = await control.stores.ledger.list(scope, filter, { limit: ROWS, after })
    if (items.length > 0) yield items.map(lineOf).join('')
    if (items.length < ROWS) return
    after = items.at(-1)!
  }
}

function lineOf({ createdAtMs, kind, amountPico, reference, note, id }: LedgerItem): string {
  return csvLine([isoOf(createdAtMs), kind, formatUsd(amountPico), reference, note, id])
}
