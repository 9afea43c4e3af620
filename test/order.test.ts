import { describe, expect, it } from 'vitest'
import type { Price } from '../db/model/money.ts'
import { ROUTING_POLICIES, type RoutingPolicy } from '../db/model/settings.ts'
import { orderChoices } from '../server/order.ts'

interface Known {
  readonly name: string
  /** Pico-dollars a token of input and of output, null: unknown. */
  readonly price: readonly [number, number] | null
  readonly ms: number | null
}

const priceOf = ({ price }: Known): Price | null =>
  price === null ? null : ({ rates: { input: price[0], output: price[1] } } as Price)
const order = (policy: RoutingPolicy, all: readonly Known[]): readonly Known[] =>
  orderChoices(all, { policy, priceOf, speedOf: ({ ms }) => ms })
const names = (all: readonly Known[]): string => all.map(({ name }) => name).join('')
const one = (name: string, price: Known['price'], ms: number | null): Known => ({ name, price, ms })

/** All choices of three prices (null too) and three speeds, in mixed order, some alike. */
function samples(): Known[][] {
  const prices = [null, [0, 0], [1, 4], [100, 50]] as const
  const speeds = [null, 20, 800] as const
  const all = prices.flatMap((price, at) => speeds.map((ms, of) => one(`${at}${of} `, price, ms)))
  return Array.from({ length: 200 }, (_, seed) => {
    const mixed = all.map((choice, at) => ({ choice, key: ((seed + 1) * 7919 * (at + 13)) % 1009 }))
    return mixed
      .sort((a, b) => a.key - b.key)
      .slice(0, 2 + (seed % 9))
      .map(({ choice }) => choice)
  })
}

describe('the order of choices', () => {
  it('is as given under the policy `order`, and for one alone: the very list', () => {
    const two = [one('b', [9, 9], 900), one('a', [1, 1], 1)]
    expect(order('order', two)).toBe(two)
    for (const policy of ROUTING_POLICIES) {
      const single = [one('a', null, null)]
      expect(order(policy, single)).toBe(single)
      expect(order(policy, [])).toEqual([])
    }
  })

  it('`cheapest` weighs three tokens of input to one of output', () => {
    expect(names(order('cheapest', [one('a', [100, 0], 1), one('b', [0, 299], 1), one('c', [100, 1], 1)]))).toBe('bac')
  })

  it('`fastest` looks at the first byte alone', () => {
    expect(names(order('fastest', [one('a', [1, 1], 300), one('b', [99, 99], 20), one('c', null, 150)]))).toBe('bca')
  })

  it('`balanced` takes what costs half for what is little slower, and what is ten times faster for twice the price', () => {
    const cheap = one('c', [50, 50], 120)
    expect(names(order('balanced', [one('d', [100, 100], 100), cheap]))).toBe('cd')
    expect(names(order('balanced', [one('s', [50, 50], 1000), one('f', [100, 100], 100)]))).toBe('fs')
  })

  it('`balanced` takes what nobody measured for as slow as the slowest', () => {
    const unknown = one('u', [50, 50], null)
    // No slower than the slowest, and cheaper.
    expect(names(order('balanced', [one('a', [100, 100], 100), unknown]))).toBe('ua')
    // Nothing speaks for it.
    expect(names(order('balanced', [one('u', [100, 100], null), one('a', [100, 100], 100)]))).toBe('au')
    expect(
      names(order('balanced', [one('u', [100, 100], null), one('s', [100, 100], 900), one('f', [100, 100], 9)])),
    ).toBe('fsu')
  })

  it.each(['cheapest', 'balanced'] as const)('under `%s` no unknown price goes before a known one', (policy) => {
    for (const all of samples()) {
      const known = order(policy, all).map(({ price }) => price !== null)
      expect(known).toEqual([...known].sort((a, b) => Number(b) - Number(a)))
    }
  })

  it('under `fastest` no unknown speed goes before a known one', () => {
    for (const all of samples()) {
      const known = order('fastest', all).map(({ ms }) => ms !== null)
      expect(known).toEqual([...known].sort((a, b) => Number(b) - Number(a)))
    }
  })

  it.each(ROUTING_POLICIES)(
    'under `%s` has each choice once, the same each time, and keeps those alike as they were',
    (policy) => {
      for (const all of samples()) {
        const twins = all.flatMap((choice) => [choice, { ...choice }])
        const found = order(policy, twins)
        expect(order(policy, twins)).toEqual(found)
        expect(new Set(found).size).toBe(twins.length)
        for (let at = 0; at < all.length; at++) {
          expect(found.indexOf(twins[2 * at]!)).toBeLessThan(found.indexOf(twins[2 * at + 1]!))
        }
        expect(twins).toEqual(all.flatMap((choice) => [choice, choice]))
      }
    },
  )
})
