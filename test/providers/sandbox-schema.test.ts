import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { matchingText } from '../../server/providers/sandbox/pattern.ts'
import { Dice } from '../../server/providers/sandbox/random.ts'
import { instanceOf } from '../../server/providers/sandbox/schema.ts'
import { violations } from './json-schema.ts'

const SEEDS = Array.from({ length: 60 }, (_, i) => i * 7919)
const object = (properties: Record<string, unknown>, more: object = {}) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
})
const tree = object({ value: { type: 'string' }, children: { type: 'array', items: { $ref: '#' } } })
const list = {
  $defs: { node: object({ name: { type: 'string' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } }) },
  ...object({ head: { $ref: '#/$defs/node' } }),
}

const SCHEMAS: Record<string, object> = {
  'every type': object({
    a: { type: 'string' },
    b: { type: 'integer' },
    c: { type: 'number' },
    d: { type: 'boolean' },
    e: { type: 'null' },
    f: { type: 'array', items: { type: 'integer' } },
    g: object({ deep: object({ deeper: { type: 'string' } }) }),
  }),
  'enum and const': object({ unit: { enum: ['c', 'f', null, 3] }, kind: { const: 'point' } }),
  'number limits': object({
    a: { type: 'integer', minimum: -5, maximum: -3 },
    b: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 0.5 },
    c: { type: 'integer', multipleOf: 25, minimum: 1000, maximum: 2000 },
    d: { type: 'integer', minimum: 1_000_000 },
    e: { type: 'number', maximum: -100 },
    f: { type: 'integer', exclusiveMinimum: 3, exclusiveMaximum: 5 },
  }),
  'string limits': object({ a: { type: 'string', minLength: 40 }, b: { type: 'string', maxLength: 2 } }),
  'array limits': object({
    a: { type: 'array', items: { type: 'string' }, minItems: 4, maxItems: 4 },
    b: { type: 'array', items: { enum: ['x', 'y', 'z'] }, uniqueItems: true, minItems: 3 },
    c: { type: 'array', items: { type: 'string' }, maxItems: 0 },
    d: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'string' }], items: false },
  }),
  formats: object(
    Object.fromEntries(
      ['date', 'date-time', 'time', 'email', 'uuid', 'ipv4', 'uri'].map((format) => [
        format,
        { type: 'string', format },
      ]),
    ),
  ),
  patterns: object({
    a: { type: 'string', pattern: '^[A-Z]{3}-\\d{4}$' },
    b: { type: 'string', pattern: '^(red|green|blue)( light)?$' },
    c: { type: 'string', pattern: '^#[0-9a-fA-F]{6}$' },
    d: { type: 'string', pattern: '^\\+?[1-9]\\d{1,14}$' },
    e: { type: 'string', pattern: '^[^\\s@]+@[^\\s@]+\\.com$', maxLength: 40 },
  }),
  'type lists': object({ a: { type: ['string', 'null'] }, b: { type: ['null', 'integer'], minimum: 3 } }),
  'anyOf, oneOf, allOf': object({
    a: { anyOf: [{ type: 'integer', minimum: 7 }, object({ x: { type: 'string' } })] },
    b: { oneOf: [object({ kind: { const: 'a' } }), object({ kind: { const: 'b' } })] },
    c: {
      allOf: [
        { type: 'object', properties: { p: { type: 'string' } }, required: ['p'] },
        { required: ['q'], properties: { q: { type: 'integer' } } },
      ],
    },
  }),
  'references into definitions': {
    $defs: { p: object({ id: { type: 'integer' } }) },
    ...object({ p: { $ref: '#/$defs/p' } }),
  },
  'a linked list': list,
  'a tree': tree,
  'required without a property': { type: 'object', required: ['x'], additionalProperties: { type: 'integer' } },
  'no type but properties': { properties: { a: { type: 'integer' } }, required: ['a'] },
  'odd names': object({ __proto__x: { type: 'string' }, constructor: { type: 'integer' }, '': { type: 'boolean' } }),
}

describe('instanceOf()', () => {
  it.each(Object.entries(SCHEMAS))('satisfies a schema with %s, whatever the dice', (_, schema) => {
    for (const seed of SEEDS) {
      const value = instanceOf(schema, new Dice(seed))
      expect(violations(schema, JSON.parse(JSON.stringify(value)))).toEqual([])
    }
  })

  it.each(['every type', 'number limits', 'string limits', 'formats', 'patterns', 'a linked list'])(
    'satisfies a second validator (zod) on %s',
    (name) => {
      const parser = z.fromJSONSchema(SCHEMAS[name] as Parameters<typeof z.fromJSONSchema>[0])
      for (const seed of SEEDS)
        expect(parser.safeParse(instanceOf(SCHEMAS[name], new Dice(seed))).error).toBeUndefined()
    },
  )

  it('is the same for the same dice and varies with them', () => {
    const text = (seed: number) => JSON.stringify(instanceOf(SCHEMAS['every type'], new Dice(seed)))
    expect(text(1)).toBe(text(1))
    expect(new Set(SEEDS.map(text)).size).toBeGreaterThan(20)
  })

  it('chooses texts that suit the property', () => {
    const value = instanceOf(object({ email: { type: 'string' }, website: { type: 'string' } }), new Dice(3))
    expect(value).toEqual({ email: expect.stringContaining('@'), website: expect.stringContaining('https://') })
  })

  it.each([
    [
      'demands an endless tree',
      { $ref: '#', type: 'object', properties: { a: { $ref: '#' }, b: { $ref: '#' } }, required: ['a', 'b'] },
    ],
    ['refers to itself', { $ref: '#' }],
    ['folds itself', { allOf: [{ $ref: '#' }, { $ref: '#' }] }],
    [
      'wants a million items',
      {
        type: 'array',
        minItems: 1e6,
        items: { type: 'array', minItems: 1e6, items: { type: 'string', minLength: 1e9 } },
      },
    ],
    ['repeats without end', { type: 'string', pattern: '^((((a{9999}){9999}){9999}){9999})$' }],
  ])('comes back quickly from a schema that %s', (_, schema) => {
    const started = performance.now()
    instanceOf(schema, new Dice(1))
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

describe('matchingText()', () => {
  it.each([
    '^(a|b)+c?$',
    '[a-f0-9]{8,}',
    '^x{2}y{0}z*$',
    '\\w+\\.\\w{2,3}',
    '^[\\w.-]+$',
    'a|b|',
    '^a$|^b$',
    '(?:ab){2}',
  ])('matches %s', (pattern) => {
    for (const seed of SEEDS) expect(matchingText(pattern, new Dice(seed))).toMatch(new RegExp(pattern, 'u'))
  })

  it.each(['(?=a)b', '(a)\\1', '\\bword', 'a$b', '(', '[z-a]', '\\p{L}'])(
    'is null rather than wrong for %s',
    (pattern) => {
      expect(matchingText(pattern, new Dice(1))).toBeNull()
    },
  )
})
