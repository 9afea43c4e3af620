import { z } from 'zod'
import type { Counted } from '../../db/model/limits.ts'
import { formatUsd, PICO_PER_NANO } from '../../db/model/money.ts'
import { parseUsd } from '../../db/model/usage-query.ts'
import { GatewayError } from '../errors.ts'
import { countSchema, usdSchema } from './usage-shapes.ts'

/** Amounts of what limits count: numbers of requests and tokens, dollars as decimal strings. */

export const COUNTED = ['requests', 'tokens', 'spend'] as const satisfies readonly Counted[]

export const amountSchema = z
  .union([usdSchema, countSchema])
  .describe('Of spend: USD as a decimal string; of requests and tokens: a number')

export const amountInput = z
  .union([z.string().max(32), z.number()])
  .describe('Of spend: USD as a string such as "12.50", to the nano-dollar; of requests and tokens: a whole number')

/** A nano-dollar is the finest that counters hold. */
const USD = /^\d{1,7}(\.\d{1,9})?$/
const MAX_NANO = 9_000_000n * 1_000_000_000n
const MAX_COUNT = 1_000_000_000_000_000

/** USD as nano-dollars. @throws GatewayError `invalid_request` */
export function readUsdNano(usd: string, param: string): number {
  const nano = USD.test(usd) ? parseUsd(usd) / BigInt(PICO_PER_NANO) : 0n
  if (nano > 0n && nano <= MAX_NANO) return Number(nano)
  throw new GatewayError('invalid_request', `"${param}" must be USD such as "12.50": up to "9000000", above "0"`, {
    param,
  })
}

export function shownNano(nano: number): string {
  return formatUsd(BigInt(nano) * BigInt(PICO_PER_NANO))
}

/** Requests, tokens or nano-dollars. @throws GatewayError `invalid_request` */
export function readAmount(what: Counted, amount: string | number, param = 'amount'): number {
  if (what === 'spend') return readUsdNano(typeof amount === 'string' ? amount : '', param)
  if (typeof amount === 'number' && Number.isInteger(amount) && amount >= 1 && amount <= MAX_COUNT) return amount
  throw new GatewayError('invalid_request', `"${param}" must be a whole number of ${what}, at least 1`, { param })
}

export function shownAmount(what: Counted, amount: number): string | number {
  return what === 'spend' ? shownNano(amount) : amount
}
