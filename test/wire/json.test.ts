import { describe, expect, it } from 'vitest'
import { splice } from '../../server/wire/bytes.ts'
import { cutMember, MAX_DEPTH, readMember, scanObject, withoutMembers } from '../../server/wire/json.ts'
import { type Members, WireError } from '../../server/wire/wire.ts'
import { jsonObject, looseJson, Random } from '../helpers/random.ts'
import { bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

const ACCEPTED = [
  '{}',
  ' { } ',
  '\n\t\r {"a":1}\r\n\t ',
  '{"":0}',
  '{"a":""}',
  '{"a":-0}',
  '{"a":0.5}',
  '{"a":1e5}',
  '{"a":1E+5}',
  '{"a":1e-05}',
  '{"a":-1.25E9}',
  '{"a":123456789012345678901234567890}',
  '{"a":1e999}',
  '{"a":[]}',
  '{"a":{}}',
  '{"a":[1,[2,[3,{"b":[]}]]]}',
  '{"a" : [ 1 , 2 ] , "b" : { "c" : null } }',
  '{"a":true,"b":false,"c":null}',
  '{"a":"\\u0000\\ud800\\"\\\\\\/\\b\\f\\n\\r\\t"}',
  '{"a":"\u2028\u2029\u007f"}',
  '{"\\u0061":1}',
  '{"a":"}","b":"]","c":"{\\"d\\":1}"}',
  '{"a":"\\uDBFF\\uDFFF"}',
]
const REFUSED = [
  '',
  ' ',
  'null',
  '1',
  '"a"',
  '[]',
  '[{}]',
  '{',
  '}',
  '{{}}',
  '{"a"}',
  '{"a":}',
  '{:1}',
  '{"a":1,}',
  '{,"a":1}',
  '{"a":1 "b":2}',
  '{"a":1}}',
  '{"a":1}x',
  '{"a":1}{}',
  "{'a':1}",
  '{a:1}',
  '{"a":01}',
  '{"a":1.}',
  '{"a":.5}',
  '{"a":+1}',
  '{"a":-}',
  '{"a":1e}',
  '{"a":1e+}',
  '{"a":0x1}',
  '{"a":NaN}',
  '{"a":Infinity}',
  '{"a":--1}',
  '{"a":1.2.3}',
  '{"a":tru}',
  '{"a":True}',
  '{"a":nulll}',
  '{"a":undefined}',
  '{"a":"b}',
  '{"a":"\\x"}',
  '{"a":"\\u12"}',
  '{"a":"\\u12g4"}',
  '{"a":"\n"}',
  '{"a":"\t"}',
  '{"a":"\u0000"}',
  '{"a":"\u001f"}',
  '{"a":[1,]}',
  '{"a":[,1]}',
  '{"a":[1 2]}',
  '{"a":[}',
  '{"a":[1}',
  '{"a":{"b":1]}',
  '{"a":{"b"}}',
  '{"a":1,,"b":2}',
  '{"a"::1}',
  '{"a":1;}',
  '{"a":1}\u00a0',
  '\ufeff{"a":1}',
  '{/*c*/}',
  '{"a":1}//c',
  '{"a":\u000b1}',
  '{1:2}',
  '{"a":[1,2',
  '{"a":"\\',
]

/** The members' values as JSON.parse would give them, cut out of the bytes one by one. */
function valuesOf(bytes: Uint8Array, members: Members): [string, unknown][] {
  return [...members.keys()].map((name) => [name, readMember(bytes, members, name)])
}

function parsed(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    // Byte for character: what is valid JSON does not hang on the encoding of its strings.
    const value = JSON.parse(Buffer.from(bytes).toString('latin1'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

function refusal(bytes: Uint8Array): string | null {
  try {
    scanObject(bytes)
    return null
  } catch (error) {
    expect(error).toBeInstanceOf(WireError)
    return (error as Error).message
  }
}

describe('scanObject() takes what JSON.parse takes', () => {
  it.each(ACCEPTED)('%j is an object', (text) => {
    const bytes = bytesOf(text)
    expect(valuesOf(bytes, scanObject(bytes))).toEqual(Object.entries(JSON.parse(text)))
  })

  it.each(REFUSED)('%j is refused', (text) => {
    expect(() => scanObject(bytesOf(text))).toThrow(WireError)
    expect(parsed(bytesOf(text))).toBeNull()
  })

  it('gives every member of generated objects its own value, whatever spaces and escapes they are written with', () => {
    for (let seed = 1; seed <= 2000; seed++) {
      const random = new Random(seed)
      const value = jsonObject(random, 4)
      const bytes = bytesOf(looseJson(random, value))
      const expected: unknown = JSON.parse(textOf(bytes))
      expect(valuesOf(bytes, scanObject(bytes)), `seed ${seed}`).toEqual(Object.entries(expected as object))
    }
  })

  it('agrees with JSON.parse on 30 000 damaged objects, duplicates and depth aside', () => {
    const random = new Random(7)
    const marks = bytesOf('"\\{}[]:,0123456789.eE+- \n\ttrufalsn\u0000\u001f')
    let accepted = 0
    for (let round = 0; round < 300; round++) {
      const good = bytesOf(looseJson(random, jsonObject(random, 3)))
      for (let damage = 0; damage < 100; damage++) {
        const bytes = damaged(random, good, marks)
        const refused = refusal(bytes)
        const expected = parsed(bytes)
        if (refused === null) accepted++
        if ((refused === null) === (expected !== null)) continue
        const text = Buffer.from(bytes).toString('latin1')
        expect(expected, `accepted ${JSON.stringify(text)}`).not.toBeNull()
        expect(refused, text).toMatch(/twice/)
      }
    }
    expect(accepted).toBeGreaterThan(1000)
  })

  it('refuses an object that is cut short at any byte', () => {
    const whole = bytesOf(
      '{"a":[1,{"b":"\\u00e9é"}],"c":true,"d":-1.5e3,"e":"long enough to be walked by words, \\"quoted\\""}',
    )
    expect(scanObject(whole).size).toBe(4)
    for (let length = 0; length < whole.length; length++) {
      expect(() => scanObject(whole.subarray(0, length)), `${length} bytes`).toThrow(WireError)
    }
  })
})

function damaged(random: Random, good: Uint8Array, marks: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(good)
  const at = random.int(bytes.length)
  const kind = random.int(4)
  if (kind === 0) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
  if (kind === 1)
    return Buffer.concat([bytes.subarray(0, at), marks.subarray(random.int(marks.length)), bytes.subarray(at)])
  bytes[at] = kind === 2 ? random.int(256) : random.pick([...marks])
  return bytes
}

describe('scanObject() in long strings, four bytes at a time', () => {
  it('finds the end of a string of any length at any alignment', () => {
    for (let offset = 0; offset < 8; offset++) {
      for (let length = 0; length < 90; length++) {
        const text = `{"a":"${'x'.repeat(length)}","b":1}`
        const memory = new Uint8Array(text.length + 24).fill(0x22)
        const bytes = memory.subarray(offset, offset + text.length)
        bytes.set(bytesOf(text))
        const members = scanObject(bytes)
        expect(readMember(bytes, members, 'a')).toBe('x'.repeat(length))
        expect(readMember(bytes, members, 'b')).toBe(1)
      }
    }
  })

  it('sees every byte that ends, escapes or spoils a string, at any place in it and any alignment', () => {
    for (let offset = 0; offset < 4; offset++) {
      for (let place = 30; place < 50; place++) {
        for (let byte = 0; byte < 256; byte++) {
          const memory = new Uint8Array(128)
          const bytes = memory.subarray(offset, offset + 70)
          bytes.set(bytesOf(`{"a":"${'x'.repeat(62)}"}`))
          bytes[place] = byte
          expect(refusal(bytes) === null, `byte ${byte} at ${place}, offset ${offset}`).toBe(parsed(bytes) !== null)
        }
      }
    }
  })

  it('walks a string of 1 MB, with an escape anywhere', () => {
    for (const insert of ['', '\\n', '\\"', 'é', '👩‍🚀', '\\ud83d\\ude80']) {
      const bytes = bytesOf(`{"a":"${'y'.repeat(500_001)}${insert}${'y'.repeat(499_999)}"}`)
      const members = scanObject(bytes)
      expect(readMember(bytes, members, 'a')).toBe(JSON.parse(textOf(bytes)).a)
    }
  })
})

describe('scanObject() names', () => {
  it('reads names with escapes, beyond ASCII and with a meaning in JavaScript', () => {
    const text = '{"__proto__":1,"constructor":2,"toString":3,"\\u006dodel":4,"Größe":5,"👩‍🚀":6,"\\"":7,"":8}'
    const members = scanObject(bytesOf(text))
    expect([...members.keys()]).toEqual(['__proto__', 'constructor', 'toString', 'model', 'Größe', '👩‍🚀', '"', ''])
    expect(readMember(bytesOf(text), members, 'hasOwnProperty')).toBeUndefined()
    expect(readMember(bytesOf(text), members, '__proto__')).toBe(1)
  })

  it.each([
    '{"model":"a","model":"b"}',
    '{"model":"a","x":1,"mod\\u0065l":"b"}',
    '{"é":1,"\\u00e9":2}',
    '{"__proto__":1,"__proto__":2}',
  ])('refuses a name that comes twice: %s', (text) => {
    expect(() => scanObject(bytesOf(text))).toThrow(/twice/)
  })

  it('tells names apart that are equal in deeper levels only', () => {
    expect(scanObject(bytesOf('{"a":{"a":1,"a":2},"b":{"a":1}}')).size).toBe(2)
  })

  it('reads what is not UTF-8 as U+FFFD: whoever takes bytes in has checked them', () => {
    const bytes = Buffer.from('{"\xc3\x28":"\xff"}', 'latin1')
    expect(valuesOf(bytes, scanObject(bytes))).toEqual([['\ufffd(', '\ufffd']])
  })
})

describe('scanObject() depth', () => {
  const nested = (levels: number, open: string, close: string, inner: string) =>
    bytesOf(`{"a":${open.repeat(levels - 1)}${inner}${close.repeat(levels - 1)}}`)

  it.each([
    ['arrays', '[', ']', '1'],
    ['empty arrays', '[', ']', ''],
    ['objects', '{"a":', '}', '1'],
  ])(`takes ${MAX_DEPTH} levels of %s and refuses one more`, (_, open, close, inner) => {
    expect(scanObject(nested(MAX_DEPTH, open, close, inner)).size).toBe(1)
    expect(() => scanObject(nested(MAX_DEPTH + 1, open, close, inner))).toThrow(/deeper than 128/)
  })

  it('refuses a million levels without running out of stack', () => {
    expect(() => scanObject(bytesOf(`{"a":${'['.repeat(1_000_000)}`))).toThrow(/deeper/)
    expect(() => scanObject(bytesOf(`{"a":${'{"a":'.repeat(200_000)}`))).toThrow(/deeper/)
  })

  it('counts levels, not values: many neighbours are no depth', () => {
    expect(scanObject(bytesOf(`{"a":[${'[],{},'.repeat(10_000)}1]}`)).size).toBe(1)
  })
})

describe('cutMember() and withoutMembers()', () => {
  it('take a member out at any place and leave the rest byte for byte', () => {
    const parts = ['"a" : 1', '"b":[1, 2]', '"usage": {"x":1}', '"c":"d"']
    for (let seed = 0; seed < 100; seed++) {
      const random = new Random(seed)
      const order = random.shuffle(parts).slice(random.int(4))
      const bytes = bytesOf(`{ ${order.join(' , ')} }`)
      const rest = JSON.parse(textOf(withoutMembers(bytes, ['usage', 'b', 'absent'])))
      const { usage: _, b: __, ...expected } = JSON.parse(textOf(bytes))
      expect(rest).toEqual(expected)
    }
    const bytes = bytesOf('{ "a" : 1 ,\n "usage" : {} , "c":2 }')
    expect(textOf(splice(bytes, [cutMember(scanObject(bytes), 'usage')]))).toBe('{ "a" : 1 ,\n "c":2 }')
    expect(textOf(withoutMembers(jsonBytes({ usage: 1 }), ['usage']))).toBe('{}')
  })
})
