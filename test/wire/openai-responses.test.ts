import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../db/model/usage.ts'
import { openaiResponses } from '../../server/wire/openai-responses/wire.ts'
import { AnswerError, WireError } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { ADDITIONS, bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

const readAsk = (value: unknown) => openaiResponses.readAsk(jsonBytes(value))
const ask = readAsk({ model: 'm', input: 'Say hi' })
const NO_FACTS = { maxOutputTokens: null, refuses: [], thinking: null }

describe('readAsk()', () => {
  it.each([
    { model: 'gpt-5', input: 'Hi' },
    { model: 'gpt-5', input: [] },
    { model: 'gpt-5', input: [{ role: 'user', content: 'Hi' }] },
    { model: 'gpt-5', prompt: { id: 'pmpt_1' } },
    { model: 'gpt-5', previous_response_id: 'resp_1', input: null },
    { model: 'gpt-5', conversation: 'conv_1' },
  ])('takes %j', (body) => {
    expect(readAsk(body)).toMatchObject({ model: 'gpt-5', stream: false, endUser: null })
  })

  it.each([
    [{ input: 'Hi' }, 'model'],
    [{ model: '', input: 'Hi' }, 'model'],
    [{ model: 'm' }, 'input'],
    [{ model: 'm', input: null }, 'input'],
    [{ model: 'm', input: 7 }, 'input'],
    [{ model: 'm', input: { role: 'user' } }, 'input'],
    [{ model: 'm', input: 'Hi', stream: 'yes' }, 'stream'],
  ])('refuses %j and names the parameter', (body, param) => {
    const read = () => readAsk(body)
    expect(read).toThrow(WireError)
    expect(read).toThrow(expect.objectContaining({ param }))
  })

  it('takes the end user from safety_identifier, else from user', () => {
    expect(readAsk({ model: 'm', input: 'Hi', user: 'u', safety_identifier: 's' }).endUser).toBe('s')
    expect(readAsk({ model: 'm', input: 'Hi', user: 'u' }).endUser).toBe('u')
  })
})

describe('edit()', () => {
  const body =
    '{ "model" : "a", "input":"H\\u00fc", "temperature":0.5, "top_p":1,"reasoning":{"effort":"low"} , "store":false }'
  const given = openaiResponses.readAsk(bytesOf(body))

  it('gives the very same bytes when nothing is to change', () => {
    expect(openaiResponses.edit(given, { model: 'a', askUsage: true })).toEqual({ body: given.body, adapted: [] })
  })

  it('changes the model and nothing else', () => {
    const { body: out, adapted } = openaiResponses.edit(given, { model: 'b/ü', askUsage: false })
    expect(textOf(out)).toBe(body.replace('"a"', '"b/ü"'))
    expect(adapted).toEqual([])
  })

  it('cuts what the model refuses, and says so', () => {
    const facts = { ...NO_FACTS, refuses: ['temperature', 'top_p', 'stop', 'reasoning_effort'] }
    const { body: out, adapted } = openaiResponses.edit(given, { model: 'b', askUsage: false, facts })
    expect(textOf(out)).toBe('{ "model" : "b", "input":"H\\u00fc", "store":false }')
    expect(adapted).toEqual(['temperature', 'top_p', 'reasoning_effort'].map((param) => ({ param, how: 'dropped' })))
  })
})

const FOLDER = 'openai-responses/'
const answered = (name: string) => openaiResponses.readAnswer(fixture(FOLDER + name), ask)

const USED: Readonly<Record<string, object | null>> = {
  'citations.json': { input: 11, output: 7 },
  'failed-with-output.json': { input: 11, output: 4 },
  'incomplete.json': { input: 11, output: 16 },
  'no-usage.json': null,
  'queued.json': null,
  'refusal.json': { input: 11, output: 7 },
  'text.json': { input: 11, output: 7 },
  'tools.json': { input: 6, cacheRead: 64, cacheWrite5m: 10, output: 40, reasoning: 20 },
}

describe('readAnswer()', () => {
  it('every answer fixture says what is expected of it, but the one that is no answer', () => {
    const names = fixtures('openai-responses', '.json').map((name) => name.slice(FOLDER.length))
    expect(Object.keys(USED).sort()).toEqual(names.filter((name) => name !== 'failed.json'))
  })

  it.each(Object.entries(USED))('%s: its usage, and its bytes unchanged without additions', (name, used) => {
    const answer = answered(name)
    expect(answer.source).toBe(used === null ? 'estimated' : 'provider')
    if (used !== null) expect(answer.usage).toEqual({ ...NO_USAGE, ...used })
    expect(Buffer.from(answer.withAdditions(null), 'latin1').equals(fixture(FOLDER + name))).toBe(true)
  })

  it.each(Object.entries(USED))('%s: the additions stand beside all that was there', (name) => {
    const before = JSON.parse(textOf(fixture(FOLDER + name)))
    const after = JSON.parse(Buffer.from(answered(name).withAdditions(ADDITIONS), 'latin1').toString())
    if (name === 'queued.json') return expect(after).toEqual(before)
    const { usage, ...rest } = before
    expect(after).toMatchObject(rest)
    expect(after.usage).toMatchObject({ ...usage, watchllm_tokens: 35 })
    expect(after['x-WatchLLM-cost-usd']).toBe('0.0000345')
  })

  it('counts an answer that nobody counted, and nothing for one that has not begun', () => {
    const answer = answered('no-usage.json')
    expect(answer.usage.output).toBeGreaterThan(4)
    expect(JSON.parse(answer.withAdditions(ADDITIONS)).usage).toMatchObject({ watchllm_source: 'estimated' })
    expect(answered('queued.json').usage.output).toBe(0)
  })

  it('counts what a prompt says, not the bytes of its files and hidden thoughts', () => {
    const long = 'QUJD'.repeat(30_000)
    const rich = readAsk({
      model: 'm',
      input: [
        { type: 'reasoning', summary: [], encrypted_content: long },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Hi' },
            { type: 'input_file', filename: 'a.pdf', file_data: long },
          ],
        },
        { role: 'user', content: [{ type: 'input_image', image_url: `data:image/png;base64,${long}` }] },
      ],
    })
    expect(openaiResponses.readAnswer(fixture(`${FOLDER}no-usage.json`), rich).usage.input).toBeLessThan(200)
  })

  it.each([
    ['an error without output', fixture(`${FOLDER}failed.json`)],
    ['no JSON', bytesOf('<html>')],
    ['no object', bytesOf('null')],
    ['another wire', bytesOf('{"choices":[]}')],
    ['half an answer', fixture(`${FOLDER}text.json`).subarray(0, 300)],
  ])('refuses %s', (_, bytes) => {
    expect(() => openaiResponses.readAnswer(bytes, ask)).toThrow(AnswerError)
  })
})
