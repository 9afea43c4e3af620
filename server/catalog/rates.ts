import type { ModelPrice, TieredPrices } from '@pydantic/genai-prices'
import type { Price, Rates } from '../../db/model/money.ts'

/** What of a Price is money. */
export type Tariff = Pick<Price, 'perCall' | 'rates' | 'tiers'>

/** USD for each counter of one token, in USD a million tokens; what is absent falls back as `ratesFrom` says. */
export interface UsdRates {
  readonly input?: number | undefined
  readonly output?: number | undefined
  readonly cacheRead?: number | undefined
  readonly cacheWrite5m?: number | undefined
  readonly cacheWrite1h?: number | undefined
  readonly audioInput?: number | undefined
  readonly audioOutput?: number | undefined
  readonly imageInput?: number | undefined
  readonly imageOutput?: number | undefined
}

/** USD a million tokens are as many pico-dollars a token, times a million. Rounds away the float's own error only. */
export function picoPerToken(usdPerMillion: number): number {
  return Math.round(usdPerMillion * 1e6)
}

/**
 * Whole pico-dollars a token. A counter without a price of its own is charged as what it is a kind of:
 * a cache read and a 5-minute write as input; a 1-hour write as twice the input where writes have a price
 * (Anthropic's rule), and as input where they have none; audio and image as text.
 */
export function ratesFrom(usd: UsdRates): Rates {
  const input = usd.input ?? 0
  const output = usd.output ?? 0
  const cacheWrite5m = usd.cacheWrite5m ?? input
  const longWrite = usd.cacheWrite5m === undefined ? input : Math.max(2 * input, cacheWrite5m)
  return {
    input: picoPerToken(input),
    cacheRead: picoPerToken(usd.cacheRead ?? input),
    cacheWrite5m: picoPerToken(cacheWrite5m),
    cacheWrite1h: picoPerToken(usd.cacheWrite1h ?? longWrite),
    output: picoPerToken(output),
    audioInput: picoPerToken(usd.audioInput ?? input),
    audioOutput: picoPerToken(usd.audioOutput ?? output),
    imageInput: picoPerToken(usd.imageInput ?? input),
    imageOutput: picoPerToken(usd.imageOutput ?? output),
  }
}

type Entry = number | TieredPrices | undefined

/** The price of one unit for a call whose input exceeds `start` tokens; -1 for the base. */
function above(entry: Entry, start: number): number | undefined {
  if (typeof entry !== 'object') return entry
  let price = entry.base
  let from = -1
  for (const tier of entry.tiers) {
    if (tier.start <= start && tier.start >= from) {
      price = tier.price
      from = tier.start
    }
  }
  return price
}

/**
 * One entry of the price tables in pico-dollars; null when it prices no tokens and no calls (audio by the hour, pages).
 * An entry without any price is how the tables write “free”.
 */
export function tariffFrom(prices: ModelPrice): Tariff | null {
  const priced = Object.entries(prices).filter(([, entry]) => entry !== undefined)
  const free = priced.length === 0
  if (!free && prices.input_mtok === undefined && prices.output_mtok === undefined) return null
  const starts = new Set<number>()
  for (const [, entry] of priced) {
    if (typeof entry === 'object') for (const tier of entry.tiers) starts.add(tier.start)
  }
  const at = (start: number) =>
    ratesFrom({
      input: above(prices.input_mtok, start),
      output: above(prices.output_mtok, start),
      cacheRead: above(prices.cache_read_mtok, start),
      cacheWrite5m: above(prices.cache_write_5m_mtok, start) ?? above(prices.cache_write_mtok, start),
      cacheWrite1h: above(prices.cache_write_1h_mtok, start),
      audioInput: above(prices.input_audio_mtok, start),
      audioOutput: above(prices.output_audio_mtok, start),
      imageInput: above(prices.input_image_mtok, start),
      imageOutput: above(prices.output_image_mtok, start),
    })
  return {
    // The tables give requests by the thousand: one USD is 1e9 pico-dollars a call.
    perCall: Math.round((above(prices.requests_kcount, -1) ?? 0) * 1e9),
    rates: at(-1),
    tiers: [...starts].sort((a, b) => a - b).map((start) => ({ aboveInput: start, rates: at(start) })),
  }
}
