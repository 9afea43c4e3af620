import { inputTotal, type Usage } from './usage.ts'

/**
 * Money is whole pico-dollars (1e-12 USD), never a float: the finest published price, 0.000001 USD a million
 * tokens, is one pico-dollar a token. One call's cost fits a safe integer up to 9 007 USD; sums are bigint.
 */
export const PICO_PER_USD = 1_000_000_000_000
export const PICO_PER_NANO = 1_000

/** Pico-dollars a token for each counter of Usage that has a price of its own. */
export interface Rates {
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite5m: number
  readonly cacheWrite1h: number
  readonly output: number
  readonly audioInput: number
  readonly audioOutput: number
  readonly imageInput: number
  readonly imageOutput: number
}

/** One immutable version of a model's price. `id` names its content: the same content has the same id everywhere. */
export interface Price {
  readonly id: string
  readonly provider: string
  readonly model: string
  /** Where it was read, such as `genai-prices@0.1.8` or `override`. */
  readonly source: string
  /** Pico-dollars for each call, whatever its size. */
  readonly perCall: number
  readonly rates: Rates
  /** Rates that replace `rates` for the whole call when its input exceeds `aboveInput` tokens; ascending. */
  readonly tiers: readonly { readonly aboveInput: number; readonly rates: Rates }[]
}

export interface CostLine {
  readonly counter: keyof Rates
  readonly tokens: number
  readonly ratePico: number
  readonly amountPico: number
}

const COUNTERS = [
  'input',
  'cacheRead',
  'cacheWrite5m',
  'cacheWrite1h',
  'output',
  'audioInput',
  'audioOutput',
  'imageInput',
  'imageOutput',
] as const

function ratesFor(usage: Usage, price: Price): Rates {
  let rates = price.rates
  if (price.tiers.length > 0) {
    const total = inputTotal(usage)
    for (const tier of price.tiers) if (total > tier.aboveInput) rates = tier.rates
  }
  return rates
}

/** The exact cost of one call in pico-dollars. */
export function costPico(usage: Usage, price: Price): number {
  const r = ratesFor(usage, price)
  return (
    price.perCall +
    usage.input * r.input +
    usage.cacheRead * r.cacheRead +
    usage.cacheWrite5m * r.cacheWrite5m +
    usage.cacheWrite1h * r.cacheWrite1h +
    usage.output * r.output +
    usage.audioInput * r.audioInput +
    usage.audioOutput * r.audioOutput +
    usage.imageInput * r.imageInput +
    usage.imageOutput * r.imageOutput
  )
}

/** The factors of `costPico`, one line for each counter that is not zero; with `perCall` they add up to it. */
export function costLines(usage: Usage, price: Price): CostLine[] {
  const rates = ratesFor(usage, price)
  return COUNTERS.filter((counter) => usage[counter] > 0).map((counter) => ({
    counter,
    tokens: usage[counter],
    ratePico: rates[counter],
    amountPico: usage[counter] * rates[counter],
  }))
}

/** Pico-dollars as a decimal string in USD, without trailing zeros: 90450000 -> "0.00009045", 0 -> "0". */
export function formatUsd(pico: number | bigint): string {
  const digits = (pico < 0 ? -pico : pico).toString().padStart(13, '0')
  const cents = digits.slice(-12).replace(/0+$/, '')
  const whole = digits.slice(0, -12)
  return (pico < 0 ? '-' : '') + (cents === '' ? whole : `${whole}.${cents}`)
}
