import { describe, expect, it } from 'vitest'
import { compaction, compactPrompt, withOpenCompactions } from '../../../server/wire/openai-responses/compact.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import {
  inputItemsOf,
  itemsOfAnswer,
  openCompaction,
  pageOf,
  referencesIn,
  withHistory,
} from '../../../server/wire/openai-responses/state.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
import { fixture } from '../../helpers/fixture.ts'
import { bytesOf, jsonBytes, textOf } from '../../helpers/wire.ts'
import { breaks, hasSpecs } from './specs.ts'

type Json = Record<string, unknown>

const parsed = (bytes: Uint8Array): Json => JSON.parse(textOf(bytes))
const user = (text: string) => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text }] })

describe('withHistory()', () => {
  const answer = JSON.parse(textOf(fixture('openai-responses/tools.json')))
  const items = [user('Before'), ...itemsOfAnswer(answer)]

  it('puts what was said before first, and leaves the rest of the bytes as they were', () => {
    const body = '{ "model":"m" ,"previous_response_id":"resp_1", "input" : "Und n\\u00fcn?" , "temperature":0.50 }'
    const out = textOf(withHistory(bytesOf(body), items))
    expect(out).toBe(`{ "model":"m" ,"input" : ${JSON.stringify([...items, user('Und nün?')])} , "temperature":0.50 }`)
  })

  it('makes an input where there is none', () => {
    expect(parsed(withHistory(jsonBytes({ model: 'm', conversation: 'conv_1' }), items))).toEqual({
      input: items,
      model: 'm',
    })
  })

  it('puts stored items in the place of references to them, and keeps the others', () => {
    const body = jsonBytes({
      model: 'm',
      input: [
        { type: 'item_reference', id: 'a' },
        { type: 'item_reference', id: 'b' },
      ],
    })
    expect(referencesIn(body)).toEqual(['a', 'b'])
    const out = parsed(withHistory(body, [], new Map([['a', user('A')]])))
    expect(out.input).toEqual([user('A'), { type: 'item_reference', id: 'b' }])
  })

  it('gives a request that any provider can be asked', () => {
    const body = withHistory(jsonBytes({ model: 'm', previous_response_id: 'resp_1', input: 'Go on' }), items)
    const { messages } = dialect.readPrompt(openaiResponses.readAsk(body))
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
  })
})

describe('inputItemsOf()', () => {
  const body = jsonBytes({
    model: 'm',
    input: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { type: 'message', id: 'msg_x', role: 'user', content: [{ type: 'input_text', text: 'Look' }] },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: '1' },
      { type: 'reasoning', summary: [], encrypted_content: 'e' },
    ],
  })
  const items = inputItemsOf(body, '77')

  it('gives every item an id, and keeps the one it has', () => {
    expect(items.map(({ id }) => id)).toEqual([
      'msg_77_in0',
      'msg_77_in1',
      'msg_x',
      'fc_77_in3',
      'fco_77_in4',
      'rs_77_in5',
    ])
    expect(inputItemsOf(jsonBytes({ model: 'm', input: 'Hi' }), '77')).toEqual([
      { id: 'msg_77_in0', status: 'completed', ...user('Hi') },
    ])
  })

  it.skipIf(!hasSpecs)('lists items that Open Responses knows', () => {
    for (const item of items) expect(breaks('open', 'ItemField', item), JSON.stringify(item)).toEqual([])
  })

  it('comes in pages, in both orders', () => {
    const ids = (page: object) => (page as { data: Json[] }).data.map(({ id }) => id)
    const first = pageOf(items, { limit: 4, order: 'asc', after: null })
    expect(first).toMatchObject({ object: 'list', first_id: 'msg_77_in0', last_id: 'fc_77_in3', has_more: true })
    expect(ids(pageOf(items, { limit: 4, order: 'asc', after: 'fc_77_in3' }))).toEqual(['fco_77_in4', 'rs_77_in5'])
    expect(ids(pageOf(items, { limit: 2, order: 'desc', after: null }))).toEqual(['rs_77_in5', 'fco_77_in4'])
    expect(pageOf([], { limit: 2, order: 'desc', after: null })).toMatchObject({
      data: [],
      first_id: null,
      has_more: false,
    })
  })
})

describe('compaction', () => {
  const input = [user('Build it'), { type: 'message', role: 'assistant', content: 'Sure' }, user('Go on')]
  const usage = {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 12,
  }
  const made = compaction(input, { id: 'resp_5', createdAtS: 1_767_225_600, summary: 'Grüße: a is b', usage }) as {
    output: Json[]
  }

  it('asks a model for a handover of the whole conversation, its instructions included', () => {
    const asked = parsed(
      compactPrompt(jsonBytes({ model: 'm', input, instructions: 'Be brief', prompt_cache_key: 'k' })),
    )
    expect(asked).toMatchObject({ model: 'm', prompt_cache_key: 'k', store: false })
    const items = asked.input as Json[]
    expect(items[0]).toEqual({ type: 'message', role: 'developer', content: 'Be brief' })
    expect(items.slice(1, 4)).toEqual(input)
    expect(JSON.stringify(items[4])).toContain('handover')
  })

  it.skipIf(!hasSpecs)('answers as the specification has it', () => {
    expect(breaks('open', 'CompactResource', made)).toEqual([])
    expect(breaks('openai', 'CompactResource', made)).toEqual([])
  })

  it('keeps what users said and stands for all else', () => {
    expect(made.output.map(({ type, role }) => [type, role])).toEqual([
      ['message', 'user'],
      ['message', 'user'],
      ['compaction', undefined],
    ])
    expect(openCompaction(made.output[2]!)).toContain('Grüße: a is b')
    expect(openCompaction({ type: 'compaction', encrypted_content: 'gAAAA' })).toBeNull()
  })

  it('is read again by the next request, on this wire and across wires', () => {
    const body = jsonBytes({ model: 'm', input: [...made.output, user('Next')] })
    const opened = parsed(withOpenCompactions(body)).input as Json[]
    expect(opened.map(({ type }) => type)).toEqual(['message', 'message', 'message', 'message'])
    const { messages } = dialect.readPrompt(openaiResponses.readAsk(body))
    expect(JSON.stringify(messages[2])).toContain('Grüße: a is b')
    const other = jsonBytes({ model: 'm', input: [user('Hi')] })
    expect(withOpenCompactions(other)).toBe(other)
  })
})
