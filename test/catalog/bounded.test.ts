import { describe, expect, it } from 'vitest'
import { Bounded } from '../../server/catalog/bounded.ts'

describe('Bounded', () => {
  it('never holds more than twice its size', () => {
    const cache = new Bounded<number>(10)
    for (let i = 0; i < 1000; i++) {
      cache.set(`k${i}`, i)
      expect(cache.count).toBeLessThanOrEqual(20)
    }
    expect(cache.get('k999')).toBe(999)
    expect(cache.get('k0')).toBeUndefined()
  })

  it('keeps what is used through a flood of strange keys', () => {
    const cache = new Bounded<string>(10)
    cache.set('in use', 'kept')
    for (let i = 0; i < 1000; i++) {
      cache.set(`flood ${i}`, 'x')
      if (i % 5 === 0) expect(cache.get('in use')).toBe('kept')
    }
  })

  it('gives the newest value of a key, wherever the old one was', () => {
    const cache = new Bounded<number>(2)
    for (const key of ['a', 'b', 'c']) cache.set(key, 1)
    cache.set('a', 2)
    expect(cache.get('a')).toBe(2)
    for (const key of ['d', 'e']) cache.set(key, 1)
    expect(cache.get('a')).toBe(2)
  })
})
