import { z } from 'zod'
import { formatUsd } from '../../db/model/money.ts'
import {
  type AdminCredential,
  COUNTED_FIGURES,
  type Figures,
  type Reconciliation,
  type ReconciliationRow,
  ROW_STATUSES,
} from '../../db/model/reconcile.ts'
import { percentOf, variance } from '../reconcile.ts'
import { csvLine } from './csv.ts'
import { isoOf, timeSchema } from './page.ts'
import { usdSchema } from './usage-shapes.ts'

/** How comparisons with providers' figures come out. */

/** Our names of figures -> those of the answers. */
const NAMES = {
  requests: 'requests',
  input: 'input_tokens',
  cacheRead: 'cache_read_tokens',
  cacheWrite5m: 'cache_write_5m_tokens',
  cacheWrite1h: 'cache_write_1h_tokens',
  output: 'output_tokens',
  costPico: 'cost_usd',
} as const satisfies Readonly<Record<keyof Figures, string>>

function sideSchema<Count extends z.ZodType, Cost extends z.ZodType>(count: Count, cost: Cost) {
  return z.object({
    requests: count,
    input_tokens: count,
    cache_read_tokens: count,
    cache_write_5m_tokens: count,
    cache_write_1h_tokens: count,
    output_tokens: count,
    cost_usd: cost,
  })
}

const figuresSchema = sideSchema(z.number().int().nullable(), usdSchema.nullable())
const percentSchema = sideSchema(z.number().nullable(), z.number().nullable())

const compared = {
  ours: figuresSchema,
  theirs: figuresSchema.describe('Null: the provider does not say'),
  variance: figuresSchema.describe('Ours less theirs'),
  variance_percent: percentSchema.describe('Of theirs; null where theirs is nothing'),
}

export const reconciliationSchema = z.object({
  id: z.string(),
  provider: z.string(),
  day: z.iso.date().describe('In UTC'),
  latest: z.boolean().describe('False: a later comparison of this day is there'),
  created_at: timeSchema,
  created_by: z.string(),
  tolerance_percent: z.number(),
  status: z.enum(['ok', 'off']).describe('Off: some model is'),
  models: z.number().int(),
  models_off: z.number().int(),
  ...compared,
})

export const reconciliationRowSchema = z.object({
  model: z.string().nullable().describe('As prices name it; null: what the provider charges that belongs to no model'),
  status: z
    .enum(ROW_STATUSES)
    .describe('`missing_ours`: the provider has what our books do not; `missing_theirs`: the other way round'),
  ...compared,
})

export const adminCredentialSchema = z.object({
  id: z.string(),
  provider: z.string(),
  name: z.string(),
  hint: z.string().describe("The key's last characters; the key itself is never shown"),
  base_url: z.string().nullable(),
  only: z.array(z.string()).describe('Ids of projects or workspaces that its figures are narrowed to; empty: all'),
  checked_at: timeSchema.nullable(),
  check_result: z.string().nullable().describe('"ok", or what the provider said when it was last used'),
  created_at: timeSchema,
})

export function shownAdminCredential(one: AdminCredential): z.output<typeof adminCredentialSchema> {
  const { id, provider, name, hint } = one
  return {
    ...{ id, provider, name, hint, base_url: one.baseUrl, only: [...one.onlyProjects] },
    checked_at: isoOf(one.checkedAtMs),
    check_result: one.checkResult,
    created_at: isoOf(one.createdAtMs),
  }
}

export function shownReconciliation(one: Reconciliation): z.output<typeof reconciliationSchema> {
  const { id, provider, day, latest, status, models } = one
  return {
    ...{ id, provider, day, latest, status, models, models_off: one.modelsOff },
    created_at: isoOf(one.createdAtMs),
    created_by: one.createdBy,
    tolerance_percent: one.tolerancePpm / 10_000,
    ...sides(one),
  }
}

export function shownRow({ model, status, ...both }: ReconciliationRow): z.output<typeof reconciliationRowSchema> {
  return { model: model === '' ? null : model, status, ...sides(both) }
}

function sides({ ours, theirs }: Pick<Reconciliation, 'ours' | 'theirs'>) {
  const percent = {
    ...Object.fromEntries(COUNTED_FIGURES.map((name) => [NAMES[name], percentOf(ours[name], theirs[name])])),
    cost_usd: percentOf(ours.costPico, theirs.costPico),
  } as z.output<typeof percentSchema>
  return {
    ours: shown(ours),
    theirs: shown(theirs),
    variance: shown(variance(ours, theirs)),
    variance_percent: percent,
  }
}

function shown(figures: Figures): z.output<typeof figuresSchema> {
  const counts = Object.fromEntries(COUNTED_FIGURES.map((name) => [NAMES[name], figures[name]]))
  const cost = figures.costPico === null ? null : formatUsd(figures.costPico)
  return { ...counts, cost_usd: cost } as z.output<typeof figuresSchema>
}

const FIGURES = Object.keys(NAMES) as (keyof Figures)[]

export const CSV_HEAD = csvLine([
  ...['day', 'provider', 'model', 'status'],
  ...FIGURES.flatMap((name) => ['ours', 'theirs', 'variance'].map((side) => `${side}_${NAMES[name]}`)),
])

/** One model's line of the export. */
export function rowLine({ day, provider }: Reconciliation, { model, status, ours, theirs }: ReconciliationRow): string {
  const apart = variance(ours, theirs)
  const cells = FIGURES.flatMap((name) => [ours, theirs, apart].map((side) => cellOf(side[name])))
  return csvLine([day, provider, model, status, ...cells])
}

function cellOf(value: number | bigint | null): string | number | null {
  return typeof value === 'bigint' ? formatUsd(value) : value
}
