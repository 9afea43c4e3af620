import {
  addFigures,
  type Figures,
  NO_FIGURES,
  type ReconciliationRow,
  type RowStatus,
  TOKEN_FIGURES,
} from '../../db/model/reconcile.ts'

/** What two sides may differ by before a model is `off`: millionths of the larger. */
export const DEFAULT_TOLERANCE_PPM = 10_000

/** Less than this between two costs is rounding: providers round each of their lines. One cent. */
export const COST_FLOOR_PICO = 10_000_000_000n

/** What our books have of a model that isn't in them. */
const NOTHING: Figures = {
  requests: 0,
  input: 0,
  cacheRead: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 0,
  costPico: 0n,
}

export interface Compared {
  readonly rows: readonly ReconciliationRow[]
  readonly ours: Figures
  readonly theirs: Figures
}

type ByModel = ReadonlyMap<string, Figures>

/**
 * Both sides of one day, model by model. Tokens and costs decide; the number of calls does only where the provider counts
 * nothing else, since one of our calls may be several of theirs, and a refused one none.
 */
export function compare(ours: ByModel, theirs: ByModel, tolerancePpm: number): Compared {
  const models = [...new Set([...ours.keys(), ...theirs.keys()])].sort()
  const rows = models.map((model): ReconciliationRow => {
    const [mine, said] = [ours.get(model) ?? NOTHING, theirs.get(model) ?? null]
    return { model, ours: mine, theirs: said ?? NO_FIGURES, status: statusOf(mine, said, tolerancePpm) }
  })
  return {
    rows,
    ours: rows.reduce((sum, row) => addFigures(sum, row.ours), NOTHING),
    theirs: rows.reduce((sum, row) => addFigures(sum, row.theirs), NO_FIGURES),
  }
}

function statusOf(ours: Figures, theirs: Figures | null, tolerancePpm: number): RowStatus {
  if (theirs === null) return hasSpent(ours) ? 'missing_theirs' : 'ok'
  if (!differs(ours, theirs, tolerancePpm)) return 'ok'
  return hasSpent(ours) || (ours.requests ?? 0) > 0 ? 'off' : 'missing_ours'
}

/** Something that a provider would charge for; calls that failed or are free have nothing. */
function hasSpent(figures: Figures): boolean {
  return TOKEN_FIGURES.some((name) => (figures[name] ?? 0) > 0) || (figures.costPico ?? 0n) >= COST_FLOOR_PICO
}

function differs(ours: Figures, theirs: Figures, ppm: number): boolean {
  if (TOKEN_FIGURES.some((name) => countsDiffer(ours[name], theirs[name], ppm))) return true
  if (costsDiffer(ours.costPico, theirs.costPico, ppm)) return true
  const counted = TOKEN_FIGURES.some((name) => theirs[name] !== null)
  return !counted && countsDiffer(ours.requests, theirs.requests, ppm)
}

function countsDiffer(a: number | null, b: number | null, ppm: number): boolean {
  if (a === null || b === null) return false
  return Math.abs(a - b) * 1_000_000 > Math.max(a, b) * ppm
}

function costsDiffer(a: bigint | null, b: bigint | null, ppm: number): boolean {
  if (a === null || b === null) return false
  const apart = abs(a - b)
  const within = (of: bigint): boolean => apart * 1_000_000n <= abs(of) * BigInt(ppm)
  return apart >= COST_FLOOR_PICO && !within(a) && !within(b)
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value
}

/** Ours less theirs; null where the provider says nothing. */
export function variance(ours: Figures, theirs: Figures): Figures {
  const of = (a: number | null, b: number | null): number | null => (a === null || b === null ? null : a - b)
  return {
    requests: of(ours.requests, theirs.requests),
    input: of(ours.input, theirs.input),
    cacheRead: of(ours.cacheRead, theirs.cacheRead),
    cacheWrite5m: of(ours.cacheWrite5m, theirs.cacheWrite5m),
    cacheWrite1h: of(ours.cacheWrite1h, theirs.cacheWrite1h),
    output: of(ours.output, theirs.output),
    costPico: ours.costPico === null || theirs.costPico === null ? null : ours.costPico - theirs.costPico,
  }
}

/** Ours less theirs in percent of theirs, to four decimals; null where theirs is nothing, or isn't said. */
export function percentOf(ours: number | bigint | null, theirs: number | bigint | null): number | null {
  if (ours === null || theirs === null || Number(theirs) === 0) return null
  return Math.round(((Number(ours) - Number(theirs)) / Number(theirs)) * 1_000_000) / 10_000
}
