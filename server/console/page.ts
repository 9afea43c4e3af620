import { z } from 'zod'

/** Ids as people send them: ours, and those of the parts that make their own. */
export const idSchema = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'This is not an id')

/** Text of one line that somebody typed: a name, a filter. */
export const lineSchema = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}*$/u, 'Control characters can not be used here')

/** When, in UTC. */
export const timeSchema = z.iso.datetime()

/** Members of a list's input. */
export const pageInput = {
  limit: z.number().int().min(1).max(100).default(50),
  cursor: idSchema.optional().describe('`next_cursor` of the page before'),
}

/** A list's answer. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    data: z.array(item),
    next_cursor: z.string().nullable().describe('Where the next page starts, null: this is the last one'),
  })
}

/** Of a store's `limit + 1` rows those of the page, and the key that the next one comes after. */
export function cut<Row>(rows: readonly Row[], limit: number, keyOf: (row: Row) => string) {
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  return { data, next: rows.length > limit && last !== undefined ? keyOf(last) : null }
}

export function isoOf(epochMs: number): string
export function isoOf(epochMs: number | null): string | null
export function isoOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString()
}
