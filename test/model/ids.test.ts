import { describe, expect, it } from 'vitest'
import { displayPrefix, keyKindOf, makeId } from '../../db/model/ids.ts'
import { Random } from '../helpers/random.ts'

const random = new Random(42)
const at = (epochMs: number, bytes = random.bytes(16)) => makeId('req', epochMs, bytes)

describe('makeId()', () => {
  it('is its prefix and 26 characters of an alphabet without i, l, o and u', () => {
    for (const prefix of ['org', 'prj', 'key', 'req'] as const) {
      expect(makeId(prefix, 1_767_950_160_123, random.bytes(16))).toMatch(
        new RegExp(`^${prefix}_[0-9abcdefghjkmnpqrstvwxyz]{26}$`),
      )
    }
  })

  it('sorts by the time it was made, as text, over 50 years', () => {
    const times = Array.from(
      { length: 5000 },
      () => Math.floor(random.next() * 50 * 365 * 86_400_000) + 1_700_000_000_000,
    )
    const ids = times.map((time) => ({ time, id: at(time) }))
    const byId = [...ids].sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ time }) => time)
    expect(byId).toEqual([...times].sort((a, b) => a - b))
    expect(at(1_767_950_160_123) < at(1_767_950_160_124)).toBe(true)
    expect(at(2 ** 45) > at(2 ** 45 - 1)).toBe(true)
  })

  it('holds the whole time: the last of 48 bits and the first', () => {
    expect(at(0, new Uint8Array(16))).toBe(`req_${'0'.repeat(26)}`)
    expect(at(2 ** 48 - 1, new Uint8Array(16).fill(255))).toBe(`req_7zzzzzzzzz${'z'.repeat(16)}`)
    expect(at(31, new Uint8Array(16)).slice(4, 14)).toBe('000000000z')
    expect(at(32, new Uint8Array(16)).slice(4, 14)).toBe('0000000010')
  })

  it('does not repeat itself within a millisecond', () => {
    const ids = new Set(Array.from({ length: 50_000 }, () => at(1_767_950_160_123)))
    expect(ids.size).toBe(50_000)
  })

  it('uses all sixteen random bytes', () => {
    const base = at(5, new Uint8Array(16))
    for (let place = 0; place < 16; place++) {
      const bytes = new Uint8Array(16)
      bytes[place] = 31
      expect(at(5, bytes)).not.toBe(base)
    }
  })

  it('does not mix up the times of ids made in turns', () => {
    const bytes = new Uint8Array(16)
    const [first, second] = [at(1000, bytes), at(2000, bytes)]
    expect([at(1000, bytes), at(2000, bytes)]).toEqual([first, second])
  })
})

describe('keyKindOf()', () => {
  it('tells the two kinds of keys by their form', () => {
    expect(keyKindOf(`lgw_proj_${'a'.repeat(16)}`)).toBe('project')
    expect(keyKindOf(`lgw_test_${'Az09_-'.repeat(10)}`)).toBe('test')
  })

  it.each([
    '',
    'lgw_proj_',
    `lgw_proj_${'a'.repeat(15)}`,
    `lgw_proj_${'a'.repeat(129)}`,
    `lgw_admin_${'a'.repeat(20)}`,
    `LGW_PROJ_${'a'.repeat(20)}`,
    ` lgw_proj_${'a'.repeat(20)}`,
    `lgw_proj_${'a'.repeat(20)}\n`,
    `lgw_proj_${'a'.repeat(20)} x`,
    `lgw_proj_${'ä'.repeat(20)}`,
    `sk-${'a'.repeat(40)}`,
  ])('%j has not the form of one', (secret) => {
    expect(keyKindOf(secret)).toBeNull()
  })

  it('takes no time over a text of any length', () => {
    expect(keyKindOf(`lgw_proj_${'a'.repeat(5_000_000)}!`)).toBeNull()
  })
})

describe('displayPrefix()', () => {
  it('shows six characters of the secret and no more', () => {
    expect(displayPrefix('lgw_proj_abcdefGHIJKLMNOPQRST')).toBe('lgw_proj_abcdef…')
    expect(displayPrefix('lgw_test_abcdefGHIJKLMNOPQRST')).toBe('lgw_test_abcdef…')
  })
})
