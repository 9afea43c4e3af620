import { describe, expect, it } from 'vitest'
import { hasTokens, inputsOf } from '../../server/wire/openai-embeddings/inputs.ts'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { AnswerError, type Ask, WireError } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

const { split, join } = openaiEmbeddings.batches!
const askOf = (body: unknown): Ask =>
  openaiEmbeddings.readAsk(typeof body === 'string' ? bytesOf(body) : jsonBytes(body))
const inputOf = ({ body }: Ask): unknown => JSON.parse(textOf(body)).input

/** Unit vectors in the plane that tell the text they stand for: its number is the angle. */
const vectorOf = (text: string): number[] => [Math.cos(Number(text) / 1e4), Math.sin(Number(text) / 1e4)]

function answerTo(ask: Ask, more: object = {}): Uint8Array {
  const input = inputOf(ask) as string[]
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(text) }))
  const usage = { prompt_tokens: input.length, total_tokens: input.length }
  return jsonBytes({ object: 'list', data, model: 'm-1', usage, ...more })
}

const read = (ask: Ask, bytes: Uint8Array) => ({ ask, answer: openaiEmbeddings.readAnswer(bytes, ask) })

describe('a batch of inputs', () => {
  it('needs no parts up to the limit, and whatever its size when it is one input', () => {
    for (const input of ['a', ['a', 'b', 'c'], [1, 2, 3, 4, 5, 6], [[1], [2], [3]], []]) {
      expect(split(askOf({ model: 'm', input }), 3)).toBeNull()
    }
    expect(split(askOf({ model: 'm', input: 'x'.repeat(5000) }), 3)).toBeNull()
    expect(split(askOf({ model: 'm', input: ['x'.repeat(5000)] }), 3)).toBeNull()
    expect(split(askOf({ model: 'm', input: Array(50).fill(7) }), 3)).toBeNull()
  })

  it('is cut into parts of the limit, in order, with all else as it was: every count and limit', () => {
    for (let count = 1; count <= 13; count++) {
      for (let most = 1; most <= 13; most++) {
        const input = Array.from({ length: count }, (_, at) => String(at))
        const whole = `{ "model":"m", "input" : ${JSON.stringify(input)} , "dimensions": 2 }`
        const parts = split(askOf(whole), most)
        if (count <= most) {
          expect(parts).toBeNull()
          continue
        }
        expect(parts!.flatMap(inputOf)).toEqual(input)
        expect(parts!.map((part) => (inputOf(part) as unknown[]).length)).toEqual([
          ...Array(Math.ceil(count / most) - 1).fill(most),
          count % most === 0 ? most : count % most,
        ])
        for (const part of parts!) {
          expect(textOf(part.body).replace(/\[.*\]/s, '[]')).toBe(whole.replace(/\[.*\]/s, '[]'))
          expect(openaiEmbeddings.readAsk(part.body)).toEqual(part)
        }
      }
    }
  })

  it('keeps each input byte for byte, with brackets, commas, quotes and any spacing in it', () => {
    const texts = ['"a,b]\\\\"', '"\\u00e9\\""', '"{[,"', ' "" ', '\n"\u00e4"', '[1, 2 ,3]', '"x"']
    const parts = split(askOf(`{"input":[${texts.join(' ,')}],"model":"m"}`), 2)!
    const sent = parts.flatMap((part) =>
      inputsOf(part)!.map(({ start, end }) => textOf(part.body.subarray(start, end))),
    )
    expect(sent).toEqual(texts.map((text) => text.trim()))
  })

  it('comes back as one answer, each vector at its input, whatever the parts: generated', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed)
      const count = 2 + random.int(40)
      const input = Array.from({ length: count }, () => String(random.int(10_000)))
      const encoding_format = random.int(2) === 0 ? 'float' : 'base64'
      const parts = split(askOf({ model: 'm', input, encoding_format }), 1 + random.int(count - 1))!
      const { usage, source, withAdditions } = join(parts.map((ask) => read(ask, answerTo(ask))))
      const value = JSON.parse(Buffer.from(withAdditions(null), 'latin1').toString())
      expect(value.data.map((item: { index: number }) => item.index)).toEqual(input.map((_, at) => at))
      for (const [at, { embedding }] of value.data.entries()) {
        const vector =
          typeof embedding === 'string'
            ? [...new Float32Array(new Uint8Array(Buffer.from(embedding, 'base64')).buffer)]
            : embedding
        expect(typeof embedding).toBe(encoding_format === 'base64' ? 'string' : 'object')
        for (const [place, part] of vectorOf(input[at]!).entries()) expect(vector[place]).toBeCloseTo(part, 6)
      }
      expect(value).toMatchObject({ object: 'list', model: 'm-1' })
      expect(value.usage).toEqual({ prompt_tokens: count, total_tokens: count })
      expect(usage.input).toBe(count)
      expect(source).toBe('provider')
    }
  })

  it('says that its usage is estimated when one part told none', () => {
    const [first, second] = split(askOf({ model: 'm', input: ['1', '2', '3'] }), 2)!
    const parts = [read(first!, answerTo(first!)), read(second!, answerTo(second!, { usage: null }))]
    expect(join(parts)).toMatchObject({ source: 'estimated', usage: { input: 3 } })
  })

  it.each([
    ['fewer', 1],
    ['more', 3],
  ])('is refused when a provider answers it with %s vectors than inputs', (_, count) => {
    const ask = askOf({ model: 'm', input: ['1', '2'] })
    const wrong = answerTo(askOf({ model: 'm', input: Array(count).fill('1') }))
    expect(() => openaiEmbeddings.readAnswer(wrong, ask)).toThrow(AnswerError)
  })
})

describe('tokens instead of text', () => {
  it.each([
    ['Hi', false],
    [['Hi'], false],
    [[], false],
    [[1, 2], true],
    [[[1, 2], [3]], true],
    [[0], true],
  ])('%j is told apart', (input, expected) => {
    const ask = askOf({ model: 'm', input })
    expect(hasTokens(ask)).toBe(expected)
    const edit = () => openaiEmbeddings.edit(ask, { model: 'm', askUsage: false, textsOnly: true })
    if (!expected) return expect(edit().body).toBe(ask.body)
    expect(edit).toThrow(WireError)
    expect(edit).toThrow(expect.objectContaining({ param: 'input' }))
    expect(openaiEmbeddings.edit(ask, { model: 'm', askUsage: false }).body).toBe(ask.body)
  })
})

describe('dimensions', () => {
  const ask = askOf('{"dimensions" : 256,"model":"m","input":"Hi","encoding_format":"float"}')

  it('pass as they are where nothing is said of them', () => {
    expect(openaiEmbeddings.edit(ask, { model: 'm', askUsage: false }).body).toBe(ask.body)
  })

  it("are put in the provider's word, beside the other edits", () => {
    const { body } = openaiEmbeddings.edit(ask, {
      model: 'longer-model',
      askUsage: false,
      plainVectors: true,
      dimensionsAs: 'output_dimension',
    })
    expect(textOf(body)).toBe('{"output_dimension":256,"model":"longer-model","input":"Hi"}')
  })

  it('are refused by name where the provider has vectors of one length', () => {
    const edits = { model: 'm', askUsage: false, dimensionsAs: null }
    expect(() => openaiEmbeddings.edit(ask, edits)).toThrow(expect.objectContaining({ param: 'dimensions' }))
    const without = askOf({ model: 'm', input: 'Hi', dimensions: null })
    expect(openaiEmbeddings.edit(without, edits).body).toBe(without.body)
  })
})
