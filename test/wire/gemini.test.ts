import { describe, expect, it } from 'vitest'
import { NO_USAGE, type Usage } from '../../db/model/usage.ts'
import { readGeminiUsage, writeGeminiUsage } from '../../server/wire/gemini/usage.ts'
import { gemini } from '../../server/wire/gemini/wire.ts'
import { AnswerError, WireError } from '../../server/wire/wire.ts'
import { fixture } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, jsonBytes } from '../helpers/wire.ts'

const SAID = { model: 'gemini-2.5-flash', stream: false }
const CONTENTS = [{ role: 'user', parts: [{ text: 'Hi' }] }]
const ASK = gemini.readAsk(jsonBytes({ contents: CONTENTS }), SAID)

describe('readAsk()', () => {
  it('takes model and stream from the path, and nothing from the body', () => {
    const body = jsonBytes({ model: 'other', stream: false, contents: CONTENTS })
    const ask = gemini.readAsk(body, { model: 'gemini-3-pro', stream: true })
    expect(ask).toMatchObject({ model: 'gemini-3-pro', stream: true, wantsUsage: true, endUser: null, body })
  })

  it('takes one content for a list of one, as Google does', () => {
    expect(gemini.readAsk(jsonBytes({ contents: CONTENTS[0] }), SAID).members.has('contents')).toBe(true)
  })

  it.each([
    ['no model in the path', { contents: CONTENTS }, null, 'model'],
    ['an empty model', { contents: CONTENTS }, { model: '', stream: true }, 'model'],
    ['an endless model', { contents: CONTENTS }, { model: 'm'.repeat(257), stream: true }, 'model'],
    ['no contents', { systemInstruction: {} }, SAID, 'contents'],
    ['empty contents', { contents: [] }, SAID, 'contents'],
    ['contents that are text', { contents: 'Hi' }, SAID, 'contents'],
    ['contents that are null', { contents: null }, SAID, 'contents'],
  ])('refuses %s, naming the parameter', (_, body, said, param) => {
    const read = () => gemini.readAsk(jsonBytes(body), said)
    expect(read).toThrow(WireError)
    expect(read).toThrow(expect.objectContaining({ param }))
  })

  it.each(['', '[]', '{"contents":[{}]', 'null'])('refuses %j, which is no JSON object', (body) => {
    expect(() => gemini.readAsk(bytesOf(body), SAID)).toThrow(WireError)
  })
})

describe('edit()', () => {
  it('passes the very bytes on, whatever the model', () => {
    const edited = gemini.edit(ASK, { model: 'gemini-3-flash', askUsage: true })
    expect(edited.body).toBe(ASK.body)
    expect(edited.adapted).toEqual([])
  })
})

describe('readAnswer()', () => {
  const read = (name: string) => gemini.readAnswer(fixture(`gemini/${name}.json`), ASK)

  it.each<[string, Partial<Usage>]>([
    ['text', { input: 8, output: 13, reasoning: 11 }],
    ['blocked', { input: 9 }],
    ['logprobs', { input: 5, output: 1 }],
    [
      'every-counter',
      { input: 450, cacheRead: 400, audioInput: 200, imageInput: 50, output: 50, reasoning: 40, audioOutput: 50 },
    ],
  ])('%s.json: reads disjoint counters and keeps the bytes, additions or not', (name, usage) => {
    const answer = read(name)
    expect(answer).toMatchObject({ source: 'provider', usage: { ...NO_USAGE, ...usage } })
    for (const additions of [null, ADDITIONS]) {
      expect(answer.withAdditions(additions)).toBe(Buffer.from(fixture(`gemini/${name}.json`)).toString('latin1'))
    }
  })

  it('counts for itself what nobody counted', () => {
    const { usage, source } = read('no-usage')
    expect(source).toBe('estimated')
    expect(usage.input).toBeGreaterThan(1)
    expect(usage.output).toBe(4)
  })

  it('counts a picture in a prompt at a flat rate, not by its base64 text', () => {
    const parts = [{ text: 'Hi' }, { inlineData: { mimeType: 'image/png', data: 'A1b2'.repeat(50_000) } }]
    const ask = gemini.readAsk(jsonBytes({ contents: [{ role: 'user', parts }] }), SAID)
    expect(gemini.readAnswer(fixture('gemini/no-usage.json'), ask).usage.input).toBeLessThan(200)
  })

  it.each([
    ['no JSON', '<html>'],
    ['half of it', '{"candidates":['],
    ['an array', '[]'],
    ['an error', '{"error":{"code":503,"status":"UNAVAILABLE"}}'],
    ['something else', '{"choices":[]}'],
  ])('refuses %s', (_, text) => {
    expect(() => gemini.readAnswer(bytesOf(text), ASK)).toThrow(AnswerError)
  })
})

describe('usage', () => {
  it('comes back as it was written, whatever the counters', () => {
    const random = new Random(7)
    for (let round = 0; round < 200; round++) {
      const some = () => (random.int(3) === 0 ? 0 : random.int(5000))
      const output = some()
      const usage: Usage = {
        ...NO_USAGE,
        input: some(),
        cacheRead: some(),
        output,
        reasoning: random.int(output + 1),
        audioInput: some(),
        imageInput: some(),
        audioOutput: some(),
        imageOutput: some(),
      }
      const written = writeGeminiUsage(usage)
      expect(readGeminiUsage(written)).toEqual(usage)
      const of = (name: string) => Number(written[name] ?? 0)
      expect(of('totalTokenCount')).toBe(
        of('promptTokenCount') + of('candidatesTokenCount') + of('thoughtsTokenCount') + of('toolUsePromptTokenCount'),
      )
    }
  })

  it.each([
    ['nothing', undefined],
    ['a tier alone', { trafficType: 'ON_DEMAND' }],
    ['a negative number', { promptTokenCount: -1, totalTokenCount: 4 }],
    ['more than any model takes', { promptTokenCount: 1e12 }],
  ])('says nothing when the provider says %s', (_, value) => {
    expect(readGeminiUsage(value)).toBeNull()
  })

  it('never takes more from the prompt than there is', () => {
    const details = [{ modality: 'AUDIO', tokenCount: 900 }]
    const said = {
      promptTokenCount: 10,
      cachedContentTokenCount: 50,
      candidatesTokenCount: 3,
      promptTokensDetails: details,
    }
    const usage = readGeminiUsage({ ...said, candidatesTokensDetails: details })
    expect(usage).toEqual({ ...NO_USAGE, cacheRead: 10, audioOutput: 3 })
  })
})
