import { createHash } from 'node:crypto'
import type { Price } from '../../db/model/money.ts'
import { Bounded } from './bounded.ts'
import { PROVIDER_IDS } from './models/index.ts'
import { type Override, type Overrides, overrideFinder, tariffOf } from './overrides.ts'
import { type Tariff, tariffFrom } from './rates.ts'
import { type Announced, SHIPPED } from './shipped.ts'
import { findPriced, TABLES_VERSION } from './tables.ts'
import { periodAt } from './times.ts'

export { type Overrides, overridesSchema } from './overrides.ts'

export interface Prices {
  /**
   * The price that holds for a call at `atMs` (epoch milliseconds), null when none is known: unknown is never 0.
   * The operator's overrides win over the shipped ones, those over the tables of @pydantic/genai-prices. The result
   * names the entry that set the price, so that dated snapshots of a model share one price. Never throws.
   */
  priceOf(provider: string, model: string, atMs: number): Price | null
}

/** Model names come from callers: this many a provider are remembered, twice over. */
const REMEMBERED = 1024
/** No provider has longer names; longer ones have no price and are not remembered. */
const LONGEST_NAME = 256

interface Held {
  readonly price: Price | null
  readonly fromMs: number
  readonly untilMs: number
}

/** @param options.overrides the parsed JSON of WATCHLLM_PRICES, see `overridesSchema`. */
export function createPrices(options: { readonly overrides?: Overrides } = {}): Prices {
  const findOwn = overrideFinder(options.overrides ?? {})
  const findShipped = overrideFinder(SHIPPED)
  const known = new Map<string, Bounded<Held>>()
  const versions = new Map<string, Price>()

  /** One object for each version, however many names lead to it. */
  function version(provider: string, model: string, source: string, tariff: Tariff | null): Price | null {
    if (tariff === null) return null
    const price = { id: '', provider, model, source, ...tariff }
    const id = createHash('sha256').update(JSON.stringify(price)).digest('hex').slice(0, 16)
    let kept = versions.get(id)
    if (kept === undefined) {
      kept = Object.freeze({ ...price, id })
      versions.set(id, kept)
    }
    return kept
  }

  function find(provider: string, model: string, atMs: number): Held {
    const always = { fromMs: -Infinity, untilMs: Infinity }
    const own = findOwn(provider, model)
    if (own !== null) return { price: version(provider, own.name, 'override', tariffOf(own.override)), ...always }
    const shipped = findShipped(provider, model)
    if (shipped !== null) {
      const { override, fromMs, untilMs } = shippedAt(shipped.override, atMs)
      return { price: version(provider, shipped.name, 'watchllm', tariffOf(override)), fromMs, untilMs }
    }
    const entry = findPriced(provider, model)
    if (entry === undefined) return { price: null, ...always }
    const { prices, fromMs, untilMs } = periodAt(entry.prices, atMs)
    const price = version(provider, entry.id, `genai-prices@${TABLES_VERSION}`, tariffFrom(prices))
    return { price, fromMs, untilMs }
  }

  return {
    priceOf(provider, model, atMs) {
      const models = known.get(provider)
      const held = models?.get(model)
      if (held !== undefined && atMs >= held.fromMs && atMs < held.untilMs) return held.price
      if (model.length > LONGEST_NAME || !PROVIDER_IDS.has(provider)) return null
      const found = find(provider, model, atMs)
      if (models === undefined) known.set(provider, new Bounded<Held>(REMEMBERED))
      known.get(provider)?.set(model, found)
      return found.price
    },
  }
}

function shippedAt(
  shipped: Override | Announced,
  atMs: number,
): Pick<Held, 'fromMs' | 'untilMs'> & { override: Override } {
  if (!('until' in shipped)) return { override: shipped, fromMs: -Infinity, untilMs: Infinity }
  const changeMs = Date.parse(shipped.until)
  if (atMs < changeMs) return { override: shipped.price, fromMs: -Infinity, untilMs: changeMs }
  return { override: shipped.next, fromMs: changeMs, untilMs: Infinity }
}
