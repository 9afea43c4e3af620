import { describe, expect, it } from 'vitest'
import { inputTotal } from '../../db/model/usage.ts'
import { estimateMessages } from '../../server/wire/anthropic-messages/estimate.ts'
import { mergeUsage, readAnthropicUsage, writeAnthropicUsage } from '../../server/wire/anthropic-messages/usage.ts'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import { AnswerError } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { ADDITIONS, bytesOf, jsonBytes } from '../helpers/wire.ts'
import { ANSWERS } from './anthropic-messages/expected.ts'

const NAMES = fixtures('anthropic-messages', '.json')
const nameOf = (file: string) => file.replace(/^.*\/|\.json$/g, '')
const ask = (more: object = {}) =>
  anthropicMessages.readAsk(
    jsonBytes({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Say hi' }], ...more }),
  )

it('every fixture says what is expected of it', () => {
  expect(NAMES.map(nameOf).sort()).toEqual(Object.keys(ANSWERS).sort())
})

it.each(NAMES)('%s: its usage is read and its bytes are kept, additions or not', (file) => {
  const bytes = fixture(file)
  const answer = anthropicMessages.readAnswer(bytes, ask())
  const expected = ANSWERS[nameOf(file)]
  expect(answer.source).toBe(expected === null ? 'estimated' : 'provider')
  if (expected !== null) expect(answer.usage).toEqual(expected)
  else expect(answer.usage).toMatchObject({ input: 6, output: 6 })
  expect(answer.withAdditions(null)).toBe(Buffer.from(bytes).toString('latin1'))
  expect(answer.withAdditions(ADDITIONS)).toBe(answer.withAdditions(null))
})

it.each([
  'nonsense',
  '[]',
  'null',
  '{}',
  '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
  '{"type":"message","content":"text"}',
])('%s is no answer', (text) => {
  expect(() => anthropicMessages.readAnswer(bytesOf(text), ask())).toThrow(AnswerError)
})

describe('usage', () => {
  it('what is written reads the same, whatever the counters', () => {
    const usage = {
      input: 7,
      cacheRead: 5,
      cacheWrite5m: 3,
      cacheWrite1h: 2,
      output: 11,
      reasoning: 4,
      audioInput: 0,
      audioOutput: 0,
      imageInput: 0,
      imageOutput: 0,
    }
    const written = writeAnthropicUsage(usage, 'standard')
    expect(readAnthropicUsage(written)).toEqual(usage)
    expect(written).toMatchObject({ input_tokens: 7, cache_creation_input_tokens: 5, service_tier: 'standard' })
    expect(writeAnthropicUsage({ ...usage, audioInput: 1, imageInput: 2, audioOutput: 3 }, null)).toMatchObject({
      input_tokens: 10,
      output_tokens: 14,
    })
  })

  it('writes for an hour are known without the sum, and never exceed it', () => {
    const hour = { cache_creation: { ephemeral_1h_input_tokens: 8, ephemeral_5m_input_tokens: 1 }, input_tokens: 1 }
    expect(readAnthropicUsage(hour)).toMatchObject({ cacheWrite1h: 8, cacheWrite5m: 1 })
    const less = { ...hour, cache_creation_input_tokens: 5 }
    expect(readAnthropicUsage(less)).toMatchObject({ cacheWrite1h: 5, cacheWrite5m: 0 })
  })

  it('what can’t be true counts as nothing', () => {
    expect(readAnthropicUsage({ input_tokens: -5, output_tokens: 1e9, cache_read_input_tokens: '7' })).toMatchObject({
      input: 0,
      output: 0,
      cacheRead: 0,
    })
    for (const nothing of [null, undefined, 7, {}, { input_tokens: null }])
      expect(readAnthropicUsage(nothing)).toBeNull()
  })

  it('later counters win unless they say nothing', () => {
    const merged = mergeUsage(
      { input_tokens: 43, output_tokens: 1, cache_read_input_tokens: 2 },
      { output_tokens: 9, input_tokens: 0, cache_read_input_tokens: null },
    )
    expect(merged).toEqual({ input_tokens: 43, output_tokens: 9, cache_read_input_tokens: 2 })
    expect(mergeUsage(null, { output_tokens: 0 })).toEqual({ output_tokens: 0 })
  })
})

describe('estimateMessages()', () => {
  const count = (more: object) => estimateMessages(ask(more))
  const user = (content: unknown) => ({ messages: [{ role: 'user', content }] })

  it('counts everything that a model reads, once', () => {
    const base = count({})
    expect(count({ system: 'Answer in three words only' })).toBe(base + 5)
    expect(count(user([{ type: 'text', text: 'Say hi', cache_control: { type: 'ephemeral' } }]))).toBe(base)
    expect(count({ tools: [] })).toBe(base)
    const tools = [{ name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }]
    expect(count({ tools })).toBeGreaterThan(base + 470)
  })

  it('takes pictures and documents at a flat rate, whatever their bytes, and reads text documents', () => {
    const data = 'iVBORw0KGgo'.repeat(10_000)
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data } }
    expect(count(user([image])) - count(user([]))).toBe(1500)
    const pdf = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } }
    expect(count(user([pdf])) - count(user([]))).toBe(4000)
    const plain = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'one two three' } }
    expect(count(user([plain])) - count(user([]))).toBe(3)
    const result = { type: 'tool_result', tool_use_id: 't', content: [image] }
    expect(count(user([result])) - count(user([]))).toBeGreaterThanOrEqual(1500)
  })

  it('is part of the usage that no provider reported', () => {
    const bytes = jsonBytes({ type: 'message', content: [{ type: 'tool_use', name: 'look', input: { at: 'Zürich' } }] })
    const { usage } = anthropicMessages.readAnswer(bytes, ask())
    expect(inputTotal(usage)).toBe(estimateMessages(ask()))
    expect(usage.output).toBeGreaterThan(4)
  })
})
