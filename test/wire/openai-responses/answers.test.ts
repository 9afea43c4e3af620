import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import type { Completion, FinishReason, Part } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
import { AnswerError } from '../../../server/wire/wire.ts'
import { fixture } from '../../helpers/fixture.ts'
import { ADDITIONS, jsonBytes, textOf } from '../../helpers/wire.ts'
import { short } from './contract.ts'
import { answerBreaks, hasSpecs } from './specs.ts'

type Json = Record<string, unknown>

const read = (name: string) => dialect.readAnswer(JSON.parse(textOf(fixture(`openai-responses/${name}`))), 'req_1')

describe('readAnswer()', () => {
  it.each<[string, readonly string[], FinishReason]>([
    ['text.json', ['text:Grüß dich, Welt 👋'], 'stop'],
    [
      'tools.json',
      ['summary:Look it up. <gAAAAAB-three>', 'call:call_a get_weather {"city":"Zürich"}', 'call:call_b get_time {}'],
      'tool-calls',
    ],
    ['refusal.json', ['refusal:No.'], 'refusal'],
    ['incomplete.json', ['text:Grüß dich, Welt 👋'], 'filter'],
    ['citations.json', ['opaque:web_search_call', 'text:Lima [https://example.com/lima 0-4, opaque]'], 'stop'],
  ])('%s', (name, parts, reason) => {
    const { choices, id, model, createdAtS } = read(name)
    expect({ id, model, createdAtS }).toEqual({
      id: 'resp_0a1b',
      model: 'gpt-5.2-2025-12-11',
      createdAtS: 1_767_225_600,
    })
    expect(choices).toHaveLength(1)
    expect(choices[0]!.parts.map(short)).toEqual(parts)
    expect(choices[0]!.finish).toEqual({ reason, stopSequence: null })
  })

  it('makes an id for a call that has none, and an object of its arguments into text', () => {
    const output = [{ type: 'function_call', name: 'f', arguments: { a: 1 } }]
    const { choices } = dialect.readAnswer({ output }, 'req_1')
    expect(choices[0]!.parts).toEqual([
      { type: 'tool-call', id: 'call_req_1_0', name: 'f', arguments: '{"a":1}', kind: 'function' },
    ])
  })

  it.each([null, 'text', {}, { choices: [] }, { output: [], error: { code: 'server_error', message: 'No' } }])(
    'refuses %j',
    (value) => {
      expect(() => dialect.readAnswer(value, 'req_1')).toThrow(AnswerError)
    },
  )
})

const REQUEST = {
  model: 'm',
  input: 'Hi',
  instructions: 'Be brief',
  temperature: 0.5,
  max_output_tokens: 64,
  metadata: { a: 'b' },
  reasoning: { effort: 'low' },
  tools: [
    { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } },
    { type: 'function', name: 'g' },
  ],
  tool_choice: { type: 'function', name: 'f' },
  truncation: 'auto',
  store: false,
  safety_identifier: 'u',
}

function write(
  parts: readonly Part[],
  reason: FinishReason = 'stop',
  more: { request?: Json; additions?: boolean } = {},
): Json {
  const ask = openaiResponses.readAsk(jsonBytes({ ...REQUEST, ...more.request }))
  const answer: Completion = {
    id: 'msg_1',
    model: 'claude',
    createdAtS: null,
    choices: [{ parts, finish: { reason, stopSequence: null }, logprobs: null }],
    usage: { ...NO_USAGE, input: 10, cacheRead: 5, cacheWrite1h: 2, output: 7, reasoning: 3 },
    serviceTier: null,
    extras: [],
  }
  const additions = more.additions === true ? ADDITIONS : null
  return JSON.parse(
    dialect.writeAnswer(answer, { ask, callId: 'req_77', createdAtS: 1_767_225_600.7, model: 'm', additions }),
  )
}

const TEXT: Part = { type: 'text', text: 'Hi "\u2028" 👋' }

describe('writeAnswer()', () => {
  it('repeats the request, names things by the call, and says the rest with the defaults', () => {
    const { tools: _, output: __, ...written } = write([TEXT])
    const { input: ___, tools: ____, model: _____, ...request } = REQUEST
    expect(written).toMatchObject({
      ...request,
      id: 'resp_77',
      object: 'response',
      created_at: 1_767_225_600,
      completed_at: 1_767_225_600,
      status: 'completed',
      model: 'claude',
      reasoning: { effort: 'low', summary: null },
      text: { format: { type: 'text' }, verbosity: 'medium' },
      parallel_tool_calls: true,
      previous_response_id: null,
      top_p: 1,
      usage: {
        input_tokens: 17,
        input_tokens_details: { cached_tokens: 5, cache_write_tokens: 2 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 3 },
        total_tokens: 24,
      },
    })
  })

  const ANSWERS: readonly (readonly [string, readonly Part[], FinishReason])[] = [
    ['nothing', [], 'stop'],
    ['text', [TEXT], 'stop'],
    ['text cut short', [TEXT], 'length'],
    ['text withheld', [TEXT], 'filter'],
    ['a turn to go on with', [TEXT], 'pause'],
    ['a refusal', [{ type: 'refusal', text: 'No' }], 'refusal'],
    [
      'thoughts and calls',
      [
        { type: 'reasoning', text: 'A', summary: false, proof: null },
        { type: 'reasoning', text: 'B', summary: true, proof: { wire: 'anthropic-messages', data: 'sig' } },
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'g' } },
        { type: 'tool-call', id: 'c1', name: 'f', arguments: '{}', kind: 'function' },
        TEXT,
        { type: 'refusal', text: 'No' },
      ],
      'tool-calls',
    ],
    [
      'a thought, and the proof of the call after it',
      [
        { type: 'reasoning', text: 'A', summary: true, proof: null },
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'g' } },
        { type: 'tool-call', id: 'c1', name: 'f', arguments: '{}', kind: 'function' },
      ],
      'tool-calls',
    ],
    [
      'cited text',
      [
        {
          ...TEXT,
          citations: [{ type: 'url', url: 'https://a.example/', title: null, start: 0, end: 2, quote: null }],
        },
      ],
      'stop',
    ],
    ['what only other wires say', [{ type: 'opaque', wire: 'gemini', value: {} }, TEXT], 'stop'],
  ]

  it.skipIf(!hasSpecs).each(ANSWERS)('%s: both specifications allow it', (_, parts, reason) => {
    expect(answerBreaks(write(parts, reason))).toEqual([])
    expect(answerBreaks(write(parts, reason, { additions: true }))).toEqual([])
  })

  it.each(ANSWERS)('%s: reads the same again', (_, parts, reason) => {
    const again = dialect.readAnswer(write(parts, reason), 'req_1').choices[0]!.parts
    const sayable = parts.filter((part) => part.type !== 'opaque')
    expect(again.map(short)).toEqual(sayable.map(short))
  })

  it('shows an empty thought by itself, so that its proof stays with what follows it', () => {
    const parts: Part[] = [
      { type: 'reasoning', text: 'A', summary: false, proof: null },
      { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'g' } },
    ]
    expect((write(parts).output as Json[]).map(({ content }) => content !== undefined)).toEqual([true, false])
  })

  it('carries the additions in its body, and the tokens in its usage', () => {
    expect(write([TEXT], 'stop', { additions: true })).toMatchObject({
      'x-WatchLLM-cost-usd': '0.0000345',
      watchllm: { provider: 'openai' },
      usage: { watchllm_tokens: 35 },
    })
  })

  it('gives a custom tool its text back, whether its call came as text or as a function', () => {
    const request = { tools: [{ type: 'custom', name: 'p' }], tool_choice: 'auto' }
    const call = { type: 'tool-call', id: 'c', name: 'p' } as const
    const calls: Part[] = [
      { ...call, arguments: '{"input":"*** Begin"}', kind: 'function' },
      { ...call, arguments: '*** Begin', kind: 'custom' },
      { ...call, arguments: '*** Begin', kind: 'function' },
    ]
    for (const one of calls) {
      expect(write([one], 'tool-calls', { request }).output).toEqual([
        { id: 'ctc_77_0', type: 'custom_tool_call', status: 'completed', input: '*** Begin', call_id: 'c', name: 'p' },
      ])
    }
  })
})
