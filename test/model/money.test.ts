import { describe, expect, it } from 'vitest'
import {
  costLines,
  costPico,
  formatUsd,
  PICO_PER_NANO,
  PICO_PER_USD,
  type Price,
  type Rates,
} from '../../db/model/money.ts'
import { inputTotal, NO_USAGE, type Usage } from '../../db/model/usage.ts'
import { Random } from '../helpers/random.ts'

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

/** From 0.000001 to 600 USD a million tokens. */
function rates(random: Random): Rates {
  return Object.fromEntries(COUNTERS.map((counter) => [counter, random.int(600_000_000)])) as unknown as Rates
}

function price(random: Random): Price {
  const limits = [random.int(1000), 1000 + random.int(100_000), 200_000].slice(random.int(4))
  return {
    id: 'p',
    provider: 'openai',
    model: 'm',
    source: 'test',
    perCall: random.once(3) ? random.int(5_000_000_000) : 0,
    rates: rates(random),
    tiers: limits.map((aboveInput) => ({ aboveInput, rates: rates(random) })),
  }
}

function usage(random: Random): Usage {
  const most = random.pick([10, 1000, 100_000, 1_000_000])
  const counters = Object.fromEntries(COUNTERS.map((counter) => [counter, random.once(3) ? 0 : random.int(most)]))
  return { ...NO_USAGE, ...counters, reasoning: random.int(most) }
}

/** By the definition, in integers of any size. */
function exactCost(used: Usage, { perCall, rates: base, tiers }: Price): bigint {
  const applying = tiers.filter(({ aboveInput }) => inputTotal(used) > aboveInput)
  const applied = applying.at(-1)?.rates ?? base
  return COUNTERS.reduce((sum, counter) => sum + BigInt(used[counter]) * BigInt(applied[counter]), BigInt(perCall))
}

describe('costPico()', () => {
  it('is the exact sum of counter x rate for 20 000 random calls and prices', () => {
    for (let seed = 1; seed <= 20_000; seed++) {
      const random = new Random(seed)
      const [used, priced] = [usage(random), price(random)]
      const exact = exactCost(used, priced)
      if (exact > BigInt(Number.MAX_SAFE_INTEGER)) continue
      expect(BigInt(costPico(used, priced)), `seed ${seed}`).toBe(exact)
    }
  })

  it('charges all of a call at the rates of its tier, from one token above its limit', () => {
    const flat = (rate: number) => ({ ...rates(new Random(1)), input: rate, output: 0, cacheRead: rate })
    const tiered: Price = {
      ...price(new Random(1)),
      perCall: 0,
      rates: flat(1),
      tiers: [
        { aboveInput: 100, rates: flat(2) },
        { aboveInput: 200, rates: flat(3) },
      ],
    }
    const cost = (input: number, cacheRead = 0) => costPico({ ...NO_USAGE, input, cacheRead }, tiered)
    expect([cost(100), cost(101), cost(200), cost(201)]).toEqual([100, 202, 400, 603])
    expect([cost(60, 40), cost(60, 41)]).toEqual([100, 202])
  })

  it('does not price reasoning on its own, which is part of the output', () => {
    const priced = price(new Random(5))
    const used = { ...NO_USAGE, output: 100 }
    expect(costPico({ ...used, reasoning: 90 }, priced)).toBe(costPico(used, priced))
  })

  it('is the price of a call alone when nothing was used, and 0 is a price', () => {
    const free = { ...price(new Random(2)), perCall: 0 }
    expect(costPico(NO_USAGE, free)).toBe(0)
    expect(costPico(NO_USAGE, { ...free, perCall: 7 })).toBe(7)
  })
})

describe('costLines()', () => {
  it('adds up to the cost, with one line for each counter that is not zero', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = new Random(seed)
      const [used, priced] = [usage(random), price(random)]
      const lines = costLines(used, priced)
      const sum = lines.reduce((total, { amountPico }) => total + BigInt(amountPico), BigInt(priced.perCall))
      if (exactCost(used, priced) > BigInt(Number.MAX_SAFE_INTEGER)) continue
      expect(sum, `seed ${seed}`).toBe(BigInt(costPico(used, priced)))
      expect(lines.map(({ counter }) => counter)).toEqual(COUNTERS.filter((counter) => used[counter] > 0))
      for (const { counter, tokens, ratePico, amountPico } of lines) {
        expect([tokens, amountPico]).toEqual([used[counter], tokens * ratePico])
      }
    }
  })
})

/** Reads what formatUsd() writes. */
function parsed(text: string): bigint {
  const [, sign, whole, part = ''] = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text)!
  return BigInt(`${sign}${BigInt(whole!) * BigInt(PICO_PER_USD) + BigInt(part.padEnd(12, '0'))}`)
}

describe('formatUsd()', () => {
  it.each([
    [0, '0'],
    [1, '0.000000000001'],
    [90_450_000, '0.00009045'],
    [PICO_PER_NANO, '0.000000001'],
    [PICO_PER_USD, '1'],
    [PICO_PER_USD / 2, '0.5'],
    [1_234_567_000_000_000, '1234.567'],
    [-1, '-0.000000000001'],
    [-PICO_PER_USD, '-1'],
    [Number.MAX_SAFE_INTEGER, '9007.199254740991'],
    [123_456_789_012_345_678_901_234n, '123456789012.345678901234'],
    [-(10n ** 24n), '-1000000000000'],
  ])('writes %s as %s', (pico, text) => {
    expect(formatUsd(pico)).toBe(text)
  })

  it('says exactly what it was given, without an exponent or a needless zero', () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const random = new Random(seed)
      const pico = Math.floor(random.next() * 10 ** random.int(16)) * (random.once(3) ? -1 : 1)
      const text = formatUsd(pico)
      expect(parsed(text), `seed ${seed}`).toBe(BigInt(pico))
      expect(text).not.toMatch(/\.\d*0$|\.$|^-?0\d|^-0$/)
      expect(formatUsd(BigInt(pico))).toBe(text)
    }
  })
})
