import { z } from 'zod'
import { type Get, OddAnswer, type Query } from './adapter.ts'

/** The frame that OpenAI's and Anthropic's reports have in common: buckets of time, and a cursor to the next page. */

/** More than any month has: a cursor that leads in circles ends here. */
const MAX_PAGES = 200

export interface Report<Bucket extends z.ZodType> {
  readonly get: Get
  readonly path: string
  readonly query: Query
  readonly bucket: Bucket
}

/** All buckets of a report, page by page. @throws OddAnswer, and what `get` throws */
export async function readPages<Bucket extends z.ZodType>(report: Report<Bucket>): Promise<z.output<Bucket>[]> {
  const { get, path, query, bucket } = report
  const shape = z.object({ data: z.array(bucket), has_more: z.boolean(), next_page: z.string().min(1).nullish() })
  const buckets: z.output<Bucket>[] = []
  const seen = new Set<string>()
  let more: Query = []
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const read = shape.safeParse(await get(path, [...query, ...more]))
    if (!read.success) throw oddly(path, read.error)
    const { data, has_more, next_page } = read.data as z.output<typeof shape>
    buckets.push(...(data as z.output<Bucket>[]))
    if (!has_more) return buckets
    if (typeof next_page !== 'string') throw new OddAnswer(`${path}: "has_more" without "next_page"`)
    if (seen.has(next_page)) throw new OddAnswer(`${path}: "next_page" leads in a circle`)
    seen.add(next_page)
    more = [['page', next_page]]
  }
  throw new OddAnswer(`${path}: more than ${MAX_PAGES} pages`)
}

function oddly(path: string, { issues }: z.ZodError): OddAnswer {
  const { path: at = [], message = '' } = issues[0] ?? {}
  return new OddAnswer(`${path}: ${at.length === 0 ? '' : `"${at.join('.')}": `}${message}`)
}

/** Tokens or calls; what isn't said is 0 where the documents call it optional. */
export const count = z.int().min(0)
export const optionalCount = z
  .int()
  .min(0)
  .nullish()
  .transform((said) => said ?? 0)

/** Money as text or number in units of 10^`exponent` pico-dollars: 12 for dollars, 10 for cents. */
export function money(exponent: number) {
  return z.union([z.string(), z.number().transform(String)]).transform((text, ctx) => {
    const pico = picoOf(text, exponent)
    if (pico !== null) return pico
    ctx.addIssue({ code: 'custom', message: 'This is no amount of money' })
    return z.NEVER
  })
}

const DECIMAL = /^(-?)(\d{1,60})(?:\.(\d{0,60}))?(?:[eE]([+-]?\d{1,4}))?$/
/** Digits that the books have room for. */
const MAX_DIGITS = 38

/** Exact but for what is less than half a pico-dollar. Null for what is no number, or none that can be booked. */
export function picoOf(text: string, exponent: number): bigint | null {
  const found = DECIMAL.exec(text)
  if (found === null) return null
  const [, sign, whole, fraction = '', power = '0'] = found
  const digits = BigInt(whole + fraction)
  if (digits === 0n) return 0n
  const shift = exponent - fraction.length + Number(power)
  if (digits.toString().length + shift > MAX_DIGITS) return null
  const pico = shift >= 0 ? digits * 10n ** BigInt(shift) : halfUp(digits, -shift)
  return sign === '-' ? -pico : pico
}

function halfUp(digits: bigint, places: number): bigint {
  if (places > 200) return 0n
  const unit = 10n ** BigInt(places)
  return (digits * 2n + unit) / (unit * 2n)
}

/** Only dollars can be compared with our books. */
export const dollars = z
  .string()
  .refine((code) => code.toUpperCase() === 'USD', 'Only USD can be compared with these books')
