import { describe, expect, it } from 'vitest'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { type Answer, AnswerError } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

interface Item {
  readonly object: string
  readonly index: number
  readonly embedding: number[] | string
}

const ANSWERS = fixtures('openai-embeddings', '.json')
const EXPECTED: Record<string, { usage: object | null }> = JSON.parse(textOf(fixture('expected.json')))

/** Asks with as many inputs as the answer has vectors. */
function read(bytes: Uint8Array, more: object = {}): Answer {
  const input = Array.from({ length: countOf(bytes) }, () => 'Hi')
  return openaiEmbeddings.readAnswer(bytes, openaiEmbeddings.readAsk(jsonBytes({ model: 'm', input, ...more })))
}

function countOf(bytes: Uint8Array): number {
  try {
    return JSON.parse(textOf(bytes)).data.length
  } catch {
    return 2
  }
}

function textFrom(answer: Answer): string {
  return Buffer.from(answer.withAdditions(null), 'latin1').toString()
}

function itemsOf(bytes: Uint8Array, more?: object): Item[] {
  return JSON.parse(textFrom(read(bytes, more))).data
}

/** Little-endian float32, by the plain definition. */
function unpacked(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64')
  return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4))
}

function packed(vector: number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString('base64')
}

const answerOf = (...vectors: unknown[]) =>
  jsonBytes({
    object: 'list',
    usage: { prompt_tokens: 2, total_tokens: 2 },
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: 'm',
  })

describe.each(ANSWERS)('%s', (name) => {
  it('says what the provider used, and an estimate of the input where it says nothing', () => {
    const { usage, source } = read(fixture(name))
    const expected = EXPECTED[name]!.usage
    if (expected !== null) return expect({ usage, source }).toEqual({ usage: expected, source: 'provider' })
    expect(source).toBe('estimated')
    expect(usage).toMatchObject({ input: countOf(fixture(name)), output: 0 })
  })

  it.each(['float', 'base64'])('becomes unit vectors in order, as %s, and keeps everything else', (format) => {
    const original = JSON.parse(textOf(fixture(name)))
    const { data, usage, ...rest } = JSON.parse(textFrom(read(fixture(name), { encoding_format: format })))
    const { data: given, usage: said, ...givenRest } = original
    expect(rest).toEqual(givenRest)
    expect(usage).toMatchObject(said ?? {})
    const ordered = [...given].sort((a: Item, b: Item) => a.index - b.index)
    expect(data.map(({ index, object }: Item) => [index, object])).toEqual(ordered.map((_, at) => [at, 'embedding']))
    for (const [at, { embedding }] of (data as Item[]).entries()) {
      expect(typeof embedding).toBe(format === 'base64' ? 'string' : 'object')
      const vector = vectorOf(embedding)
      const before = vectorOf(ordered[at].embedding)
      const length = Math.hypot(...before)
      expect(vector).toHaveLength(before.length)
      for (const [place, part] of vector.entries())
        expect(part).toBeCloseTo(length === 0 ? 0 : before[place]! / length, 6)
    }
  })

  it('asks for nothing more when it is right: the second reading changes no byte', () => {
    for (const more of [{}, { encoding_format: 'base64' }]) {
      const once = textFrom(read(fixture(name), more))
      expect(textFrom(read(bytesOf(once), more))).toBe(once)
    }
  })
})

function vectorOf(embedding: number[] | string): number[] {
  return typeof embedding === 'string' ? unpacked(embedding) : embedding
}

describe('embeddings', () => {
  it.each([
    ['one-float', {}],
    ['one-float', { encoding_format: 'float' }],
    ['three-float', {}],
    ['three-base64', { encoding_format: 'base64' }],
    ['zero-vector', {}],
  ])('%s asked with %j is right already: it passes byte for byte', (name, more) => {
    const bytes = fixture(`openai-embeddings/${name}.json`)
    expect(textFrom(read(bytes, more))).toBe(textOf(bytes))
  })

  it('are the same vectors in both encodings, both ways', () => {
    const floats = itemsOf(fixture('openai-embeddings/three-float.json'))
    const fromPacked = itemsOf(fixture('openai-embeddings/three-base64.json'))
    expect(fromPacked.map(({ embedding }) => embedding)).toEqual(
      floats.map(({ embedding }) => (embedding as number[]).map((part) => Math.fround(part))),
    )
    const asked = itemsOf(fixture('openai-embeddings/three-float.json'), { encoding_format: 'base64' })
    const given: Item[] = JSON.parse(textOf(fixture('openai-embeddings/three-base64.json'))).data
    expect(asked).toEqual(given)
  })

  it('come back exactly from float32 over generated vectors', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed)
      const raw = Array.from({ length: 1 + random.int(64) }, () => random.next() * 2 - 1)
      const length = Math.hypot(...raw)
      const vector = raw.map((part) => Math.fround(part / length))
      const [item] = itemsOf(answerOf(packed(vector)), { encoding_format: 'float' })
      expect(item!.embedding, `seed ${seed}`).toEqual(vector)
      const [back] = itemsOf(answerOf(vector), { encoding_format: 'base64' })
      expect(unpacked(back!.embedding as string), `seed ${seed}`).toEqual(vector)
    }
  })

  it('stand in the order of the input: by their indexes, or as they come when these are no order', () => {
    const data = (indexes: unknown[]) =>
      jsonBytes({
        data: indexes.map((index, at) => ({
          index,
          embedding: [at === 0 ? 1 : 0, at === 1 ? 1 : 0, at === 2 ? 1 : 0],
        })),
      })
    const places = (indexes: unknown[]) =>
      itemsOf(data(indexes)).map(({ index, embedding }) => [index, (embedding as number[]).indexOf(1)])
    expect(places([2, 0, 1])).toEqual([
      [0, 1],
      [1, 2],
      [2, 0],
    ])
    for (const none of [
      [0, 0, 0],
      [undefined, undefined, undefined],
      [1, 2, 3],
      ['2', '0', '1'],
      [0, 1, Number.NaN],
    ]) {
      expect(places(none)).toEqual([
        [0, 0],
        [1, 1],
        [2, 2],
      ])
    }
  })

  it.each([
    ['no item', [null]],
    ['a vector of text', [['a', 'b']]],
    ['a vector of nothing', [[]]],
    ['a vector with a hole', [[1, null]]],
    ['a vector of vectors', [[[1]]]],
    ['a number', [5]],
    ['an object', [{ values: [1] }]],
    ['no embedding', [undefined]],
    ['text that is no base64', ['not base64!']],
    ['base64 that is no float32', ['AAAA']],
    ['an empty text', ['']],
    ['base64 of what is no number', [packed([Number.NaN, 1])]],
    ['base64 of infinity', [packed([Infinity, 1])]],
    ['parts too large for a length', [[1e200, 1e200]]],
  ])('with %s are refused as an answer', (_, vectors) => {
    for (const more of [{}, { encoding_format: 'base64' }]) {
      expect(() => read(answerOf(...vectors), more)).toThrow(AnswerError)
    }
  })

  it.each([
    '',
    'null',
    '5',
    '[]',
    '{}',
    '{"data":null}',
    '{"data":{}}',
    '{"data":[null]}',
    '<html>',
    '{"error":{"message":"x"}}',
  ])('are not found in %j', (text) => {
    expect(() => read(bytesOf(text))).toThrow(AnswerError)
  })

  it('carry no additions: the contract has them for texts only', () => {
    const answer = read(fixture('openai-embeddings/one-float.json'))
    expect(answer.withAdditions(ADDITIONS)).toBe(answer.withAdditions(null))
  })

  it('are never streamed', () => {
    const ask = openaiEmbeddings.readAsk(jsonBytes({ model: 'm', input: 'Hi', stream: true }))
    expect(ask.stream).toBe(false)
    expect(() => openaiEmbeddings.tap(ask)).toThrow(AnswerError)
  })
})
