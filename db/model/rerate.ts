import { chargePico, readCharge } from './charge.ts'
import { costPico, type Price } from './money.ts'
import type { Usage, UsageSource } from './usage.ts'

/** What of a settled call says what it costs at another price. */
export interface RatedCall {
  readonly usage: Usage
  readonly usageSource: UsageSource
  readonly costPico: number | null
  readonly chargedPico: number | null
  readonly charge: string | null
}

export interface Rated {
  /** Null: it can't be known. */
  readonly costPico: number | null
  /** Null: nothing is charged for it. */
  readonly chargedPico: number | null
}

/** As the call was settled, or at another price when it was rated again. */
export function rate(call: RatedCall, price: Price | null): Rated {
  if (price === null) return { costPico: call.costPico, chargedPico: call.chargedPico }
  const cost = costAt(call, price)
  return { costPico: cost, chargedPico: chargedAt(call, cost) }
}

/**
 * A call that used nothing which could be counted costs what it did: nothing when it failed, else the price of a call,
 * where the new price has nothing else.
 */
function costAt({ usage, usageSource, costPico: before }: RatedCall, price: Price): number | null {
  if (usageSource !== 'none') return costPico(usage, price)
  if (before === 0) return 0
  const isByToken = price.tiers.length > 0 || Object.values(price.rates).some((perToken) => perToken > 0)
  return isByToken ? before : price.perCall
}

/** Who was let off a part of a charge once isn't asked for more than was paid. */
function chargedAt({ chargedPico, charge }: RatedCall, cost: number | null): number | null {
  const how = readCharge(charge)
  if (chargedPico === null || cost === null || how?.paidBy !== 'credits') return chargedPico
  const whole = chargePico(cost, how.multipliers)
  return how.waivedPico > 0 ? Math.min(whole, chargedPico) : whole
}
