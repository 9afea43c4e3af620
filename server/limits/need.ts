import type { Wish } from '../../db/kv/kv.ts'
import { MULTIPLIER_ONE } from '../../db/model/charge.ts'
import { PICO_PER_NANO } from '../../db/model/money.ts'
import type { Routed } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { canMeter, dearest, usesNothing } from './bound.ts'
import type { Bound, Need } from './held.ts'
import { type Windows, wishOf } from './standing.ts'

const NOTHING: Need = { lives: [], price: null, charge: null, mayWrite: false }

/**
 * @returns null when nothing that the call uses is counted against anything
 * @throws GatewayError `unknown_model_pricing` where somebody pays, or spending is limited, and no price is known
 */
export function needOf(call: Routed, windows: Windows, deps: Deps): Need | null {
  const { principal, target } = call
  const { account, provider, model } = target
  const credits = provider.inProcess === undefined && !account.own ? (principal.credits ?? null) : null
  if (credits === null && windows.uses.length === 0) return null
  if (usesNothing(call)) return NOTHING
  const price = deps.prices.priceOf(provider.id, model, call.receivedAtMs)
  const isPaid = credits !== null || windows.uses.some(({ rule }) => rule.what === 'spend')
  if (isPaid && (price === null || !canMeter(call, price))) throw unpriced(call)
  return {
    lives: credits === null ? windows.uses : windows.paidUses,
    price,
    charge:
      credits === null
        ? null
        : {
            organization: credits.multiplier,
            model: deps.multipliers?.of(provider.id, model) ?? MULTIPLIER_ONE,
          },
    mayWrite: true,
  }
}

function unpriced({ target, service }: Routed): GatewayError {
  const { provider, model } = target
  const what = model === '' ? service.name : `the model "${model.slice(0, 128)}" of ${provider.name}`
  return new GatewayError(
    'unknown_model_pricing',
    `What ${what} costs can not be told, so neither credits nor a limit on spending can pay for it`,
    { param: 'model' },
  )
}

/** What a bound may cost, pico-dollars: before multipliers and rounded up. */
export function mostPico({ price, mayWrite }: Need, { input, output }: Pick<Bound, 'input' | 'output'>): number {
  if (price === null) return 0
  const rates = dearest(price, input, mayWrite)
  return price.perCall + input * rates.input + output * rates.output
}

/** The product of the multipliers. */
export function factorOf({ charge }: Need): number {
  return charge === null ? 1 : (charge.organization / MULTIPLIER_ONE) * (charge.model / MULTIPLIER_ONE)
}

/** Nano-dollars that are enough for so many pico-dollars, whatever floats do to them. */
function enoughNano(pico: number, factor: number): number {
  if (pico === 0) return 0
  return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(((pico * factor) / PICO_PER_NANO) * (1 + 1e-12)) + 1)
}

/** What to take from each for a bound, in their order. */
export function wishesOf(need: Need, bound: Pick<Bound, 'input' | 'output'>): Wish[] {
  const nano = enoughNano(mostPico(need, bound), factorOf(need))
  const tokens = bound.input + bound.output
  return need.lives.map((live) => wishOf(live, live.rule.what === 'tokens' ? tokens : nano))
}

/** The longest output that leaves each of them no less than nothing; may be negative. @param left of each, in their order */
export function outputWithin(need: Need, input: number, left: readonly number[]): number {
  let most = Number.POSITIVE_INFINITY
  const { price } = need
  const rates = price === null ? null : dearest(price, input, need.mayWrite)
  for (const [at, { rule }] of need.lives.entries()) {
    if (rule.what === 'tokens') most = Math.min(most, left[at]! - input)
    else if (rates !== null) {
      // Two nano-dollars for what is rounded up.
      const pico = ((left[at]! - 2) * PICO_PER_NANO) / (factorOf(need) || 1) - price!.perCall - input * rates.input
      if (pico < 0) most = Math.min(most, -1)
      else if (rates.output > 0) most = Math.min(most, Math.floor(pico / rates.output))
    }
  }
  return most
}
