import { describe, expect, it } from 'vitest'
import {
  type Charge,
  chargePico,
  MAX_MULTIPLIER,
  OWN_KEY_CHARGE,
  readCharge,
  writeCharge,
} from '../../db/model/charge.ts'
import { isModelPattern, type ModelMultiplier, multiplierOf } from '../../db/model/multipliers.ts'
import { Random } from '../helpers/random.ts'

describe('chargePico()', () => {
  it('is the cost itself at 1.0 and 1.0', () => {
    for (const cost of [0, 1, 90_450_000, Number.MAX_SAFE_INTEGER]) {
      expect(chargePico(cost, { organization: 10_000, model: 10_000 })).toBe(cost)
    }
  })

  it.each([
    [1, 10_000, 15_000, 2],
    [1, 10_000, 14_999, 1],
    [3, 5_000, 10_000, 2],
    [1, 5_000, 5_000, 0],
    [2, 5_000, 5_000, 1],
    [100, 12_500, 8_000, 100],
    [7, 0, 10_000, 0],
    [7, 10_000, 0, 0],
    [1_000, 1, 1_000_000, 10],
  ])('rounds %i pico-dollars x %i x %i half up to %i', (cost, organization, model, charge) => {
    expect(chargePico(cost, { organization, model })).toBe(charge)
  })

  it('is within half a pico-dollar of the exact product, whatever the multipliers', () => {
    const random = new Random(7)
    for (let i = 0; i < 5_000; i++) {
      const cost = random.int(random.pick([10, 1e6, 2 ** 31]))
      const organization = random.pick([10_000, random.int(MAX_MULTIPLIER)])
      const model = random.pick([10_000, random.int(20_000)])
      const exact = BigInt(cost) * BigInt(organization) * BigInt(model)
      const off = BigInt(chargePico(cost, { organization, model })) * 100_000_000n - exact
      expect(off > -50_000_000n && off <= 50_000_000n, `${cost} ${organization} ${model}`).toBe(true)
    }
  })

  it('is never more than a record holds', () => {
    const most = chargePico(Number.MAX_SAFE_INTEGER, { organization: MAX_MULTIPLIER, model: MAX_MULTIPLIER })
    expect(most).toBe(Number.MAX_SAFE_INTEGER)
  })
})

describe('a charge', () => {
  it('is read as it was written', () => {
    const multipliers = { organization: 12_000, model: 9_999 }
    const charge: Charge = { paidBy: 'credits', multipliers, reservedPico: 2 ** 50, waivedPico: 0 }
    expect(readCharge(writeCharge(charge))).toEqual(charge)
    expect(JSON.parse(writeCharge(charge))).toEqual(charge)
    expect(readCharge(OWN_KEY_CHARGE)).toEqual({ paidBy: 'own_key' })
    expect(writeCharge({ paidBy: 'own_key' })).toBe(OWN_KEY_CHARGE)
  })

  it.each([null, '', '{', 'null', '[]', '{}', '{"paidBy":"luck"}', '{"paidBy":"credits"}'])('is none in %j', (text) => {
    expect(readCharge(text)).toBeNull()
  })

  it('with an amount that is none is no charge', () => {
    const text = writeCharge({
      ...{ paidBy: 'credits', reservedPico: 1, waivedPico: 2 },
      multipliers: { organization: 3, model: 4 },
    })
    for (const number of ['1', '2', '3', '4']) {
      for (const wrong of ['-1', '0.5', '"1"', 'null']) {
        expect(readCharge(text.replace(`:${number}`, `:${wrong}`)), `${number} ${wrong}`).toBeNull()
      }
    }
  })
})

describe('multiplierOf()', () => {
  const rules: readonly ModelMultiplier[] = [
    { provider: '*', model: '*', multiplier: 1 },
    { provider: '*', model: 'gpt-4o', multiplier: 2 },
    { provider: 'openai', model: '*', multiplier: 3 },
    { provider: 'openai', model: 'gpt-4*', multiplier: 4 },
    { provider: 'openai', model: 'gpt-4o*', multiplier: 5 },
    { provider: 'openai', model: 'gpt-4o', multiplier: 6 },
  ]

  it.each([
    ['openai', 'gpt-4o', 6],
    ['openai', 'gpt-4o-mini', 5],
    ['openai', 'gpt-4.1', 4],
    ['openai', 'o3', 3],
    ['azure-openai', 'gpt-4o', 2],
    ['anthropic', 'claude-sonnet-4-5', 1],
  ])('of %s/%s is that of the closest rule, in whatever order they stand', (provider, model, multiplier) => {
    expect(multiplierOf(rules, provider, model)).toBe(multiplier)
    expect(multiplierOf([...rules].reverse(), provider, model)).toBe(multiplier)
  })

  it('is 1.0 without a rule that fits', () => {
    expect(multiplierOf([], 'openai', 'gpt-4o')).toBe(10_000)
    expect(multiplierOf([{ provider: 'openai', model: 'gpt-4o', multiplier: 1 }], 'openai', 'gpt-4')).toBe(10_000)
  })

  it('knows names, beginnings and all', () => {
    for (const good of ['*', 'gpt-4o', 'gpt-*', 'a/b:c']) expect(isModelPattern(good), good).toBe(true)
    for (const bad of ['', '**', '*mini', 'a*b']) expect(isModelPattern(bad), bad).toBe(false)
  })
})
