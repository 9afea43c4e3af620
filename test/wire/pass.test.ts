import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../db/model/usage.ts'
import { passing } from '../../server/wire/pass/wire.ts'
import { AnswerError, type Pass, type PassId, WireError } from '../../server/wire/wire.ts'
import { bytesOf, cutAt, follow, jsonBytes, textOf } from '../helpers/wire.ts'

const PASS: Pass = { method: 'POST', tail: '', query: '', contentType: 'application/json', home: 'openai' }
const FORM = { ...PASS, contentType: 'multipart/form-data; boundary=b' }
const form = (...parts: [head: string, content: string][]) =>
  bytesOf(
    `${parts.map(([head, text]) => `--b\r\ncontent-disposition: form-data; ${head}\r\n\r\n${text}\r\n`).join('')}--b--\r\n`,
  )

const wireOf = (pass: Pass = PASS, model: string | null = null, id: PassId = 'openai-images') =>
  passing(id, pass, model)

describe('a request that is passed through', () => {
  it.each([
    ['no model', PASS, jsonBytes({ prompt: 'a' })],
    ['an empty model', PASS, jsonBytes({ model: '' })],
    ['a model that is no text', PASS, jsonBytes({ model: 5 })],
    ['a model too long', PASS, jsonBytes({ model: 'm'.repeat(257) })],
    ['a stream that is neither true nor false', PASS, jsonBytes({ model: 'm', stream: 'yes' })],
    ['an empty body', PASS, bytesOf('')],
    ['bad JSON', PASS, bytesOf('{"model":"m"')],
    ['two models', PASS, bytesOf('{"model":"m","model":"n"}')],
    ['another type', { ...PASS, contentType: 'text/plain' }, jsonBytes({ model: 'm' })],
    ['a form without a model', FORM, form(['name="file"; filename="a"', 'x'])],
    ['a form with two models', FORM, form(['name="model"', 'm'], ['name="model"', 'n'])],
    ['a form whose model is a file', FORM, form(['name="model"; filename="m"', 'm'])],
    ['a broken form', FORM, form(['name="model"', 'm']).subarray(0, 40)],
  ])('is refused with %s', (_, pass, body) => {
    expect(() => wireOf(pass).readAsk(body)).toThrow(WireError)
  })

  it('tells model, stream and user, of JSON and of forms alike', () => {
    const said = { model: 'm', stream: true, endUser: 'u' }
    expect(wireOf().readAsk(jsonBytes({ ...said, user: 'u' }))).toMatchObject(said)
    const body = form(['name="model"', 'm'], ['name="stream"', 'true'], ['name="user"', 'u'], ['name="image[]"', 'x'])
    expect(wireOf(FORM).readAsk(body)).toMatchObject(said)
  })

  it('gets the default model where it names none, and its bytes stay', () => {
    const wire = wireOf(PASS, 'dall-e-2')
    const ask = wire.readAsk(jsonBytes({ prompt: 'a' }))
    expect(ask.model).toBe('dall-e-2')
    expect(wire.edit(ask, { model: 'dall-e-2', askUsage: true }).body).toBe(ask.body)
  })

  it('changes in nothing but the model, in JSON and in forms, and not at all when it has the right one', () => {
    const json = wireOf().readAsk(bytesOf('{ "model" : "p/m","n": 1 }'))
    expect(textOf(wireOf().edit(json, { model: 'm"', askUsage: true }).body)).toBe('{ "model" : "m\\"","n": 1 }')
    const parts: [string, string][] = [
      ['name="file"; filename="model"', 'p/m\0\xff'],
      ['name="model"', 'p/m'],
    ]
    const wire = wireOf(FORM)
    const ask = wire.readAsk(form(...parts))
    expect(wire.edit(ask, { model: 'longer', askUsage: true }).body).toEqual(
      form(parts[0]!, ['name="model"', 'longer']),
    )
    expect(wire.edit(ask, { model: 'p/m', askUsage: true }).body).toBe(ask.body)
  })

  it('may be empty where there are no models, and needs no body to be read', () => {
    expect(wireOf(PASS, '').readAsk(bytesOf('')).model).toBe('')
    expect(wireOf({ ...PASS, method: 'GET', contentType: null }, '').readAsk(bytesOf('')).model).toBe('')
    expect(() => wireOf(PASS, '').readAsk(bytesOf('not JSON'))).toThrow(WireError)
  })
})

describe('an answer that is passed through', () => {
  const read = (id: PassId, body: unknown, type = 'application/json') =>
    wireOf(PASS, null, id).pass!.readAnswer(body instanceof Uint8Array ? body : jsonBytes(body), type)

  it.each([
    [
      'images',
      'openai-images',
      {
        usage: {
          input_tokens: 50,
          output_tokens: 1056,
          total_tokens: 1106,
          input_tokens_details: { text_tokens: 10, image_tokens: 40 },
        },
      },
      { input: 10, imageInput: 40, imageOutput: 1056 },
    ],
    [
      'a transcription',
      'openai-transcriptions',
      {
        text: 'a',
        usage: {
          type: 'tokens',
          input_tokens: 14,
          input_token_details: { text_tokens: 4, audio_tokens: 10 },
          output_tokens: 45,
          total_tokens: 59,
        },
      },
      { input: 4, audioInput: 10, output: 45 },
    ],
    [
      'speech',
      'openai-speech',
      { usage: { input_tokens: 14, output_tokens: 101, total_tokens: 115 } },
      { input: 14, audioOutput: 101 },
    ],
    ['rerank by total', 'rerank', { data: [], usage: { total_tokens: 26 } }, { input: 26 }],
    [
      'rerank with tokens billed',
      'rerank',
      { results: [], meta: { billed_units: { input_tokens: 9, output_tokens: 0 } } },
      { input: 9 },
    ],
  ] as const)('%s counts its tokens once', (_, id, body, expected) => {
    expect(read(id, body)).toMatchObject({ usage: { ...NO_USAGE, ...expected }, source: 'provider' })
  })

  it.each([
    ['seconds', { text: 'a', usage: { type: 'duration', seconds: 3 } }],
    ['searches', { results: [], meta: { billed_units: { search_units: 1 } } }],
    ['nothing', { data: [{ url: 'x' }] }],
    ['nonsense', { usage: { input_tokens: -5, output_tokens: 'a' } }],
  ])('that says %s is not counted as free', (_, body) => {
    const { usage, isUncounted } = read('openai-images', body)
    expect(usage).toEqual(NO_USAGE)
    expect(isUncounted).toBe(true)
  })

  it.each([
    ['no JSON', '<html>'],
    ['half of it', '{"data":['],
    ['a list', '[]'.slice(0, 1)],
    ['null', 'null'],
    ['an error in its clothes', '{"error":{"message":"no"}}'],
  ])('is refused when its JSON is %s', (_, text) => {
    expect(() => read('openai-images', bytesOf(text))).toThrow(AnswerError)
  })

  it('keeps every byte of sound, text and JSON', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
    for (const [body, type] of [
      [bytes, 'audio/mpeg'],
      [bytesOf('WEBVTT äö'), 'text/plain'],
      [bytesOf('{ "text":"äö\\u00e9" }'), 'application/json; charset=utf-8'],
    ] as const) {
      expect(Buffer.from(read('openai-speech', body, type).withAdditions(null), 'latin1')).toEqual(Buffer.from(body))
    }
  })
})

describe('a stream that is passed through', () => {
  const STREAM = [
    'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"Hällo"}\n\n',
    ': a comment\r\n\r\n',
    'data: {"type":"transcript.text.done","text":"Hällo","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":10,"text_tokens":4},"output_tokens":45,"total_tokens":59}}\n\n',
    'data: [DONE]\n\n',
  ].join('')
  const wire = wireOf({ ...PASS }, null, 'openai-transcriptions')
  const ask = wire.readAsk(jsonBytes({ model: 'm', stream: true }))

  it('is the same bytes and the same usage wherever it is cut', () => {
    const bytes = bytesOf(STREAM)
    for (let at = 0; at <= bytes.length; at++) {
      const { passed, last, metered, finished, failure } = follow(wire, ask, { pieces: cutAt(bytes, [at]) })
      expect(passed + last).toBe(Buffer.from(bytes).toString('latin1'))
      expect(metered).toMatchObject({ usage: { input: 4, audioInput: 10, output: 45 }, source: 'provider' })
      expect([finished, failure]).toEqual([true, null])
    }
  })

  it('that ends before anything came, or with an error in it, is not finished', () => {
    expect(follow(wire, ask, { pieces: [bytesOf(': hello\n\n')] }).finished).toBe(false)
    const cut = STREAM.slice(0, STREAM.indexOf(': a comment'))
    for (const error of [
      'event: error\ndata: {"message":"no"}\n\n',
      'data: {"error":{"message":"no"}}\n\n',
      'data: {"type":"error"}\n\n',
    ]) {
      const { passed, finished, failure } = follow(wire, ask, { pieces: [bytesOf(cut + error)] })
      expect(Buffer.from(passed, 'latin1').toString()).toBe(cut)
      expect(finished).toBe(false)
      expect(failure).toContain('data: ')
    }
  })

  it('says its failure in an error event', () => {
    expect(textOf(wire.tap(ask).fail({ error: { message: 'no' } }))).toBe(
      'event: error\ndata: {"error":{"message":"no"}}\n\n',
    )
  })
})
