import { describe, expect, it } from 'vitest'
import type { Message, Part } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { jsonBytes } from '../../helpers/wire.ts'

type Json = Record<string, unknown>

const read = (body: Json) =>
  dialect.readPrompt(openaiResponses.readAsk(jsonBytes({ model: 'm', input: 'Hi', ...body })))

const BARE = read({})
const user = (...parts: Part[]): Message => ({ role: 'user', name: null, parts })
const assistant = (...parts: Part[]): Message => ({ role: 'assistant', name: null, parts })
const text = (said: string): Part => ({ type: 'text', text: said })
const call = (id: string, kind: 'function' | 'custom' = 'function'): Part => ({
  type: 'tool-call',
  id,
  name: 'f',
  arguments: kind === 'custom' ? 'a b' : '{"a":1}',
  kind,
})
const result = (callId: string, ...parts: Part[]): Part => ({ type: 'tool-result', callId, parts, isError: false })

describe('readPrompt()', () => {
  it('says nothing that the caller did not say', () => {
    expect(BARE).toEqual({
      model: 'm',
      stream: false,
      messages: [user(text('Hi'))],
      tools: [],
      toolChoice: null,
      parallelToolCalls: null,
      format: null,
      reasoning: null,
      maxOutputTokens: null,
      temperature: null,
      topP: null,
      topK: null,
      stop: [],
      seed: null,
      n: null,
      frequencyPenalty: null,
      presencePenalty: null,
      logitBias: null,
      logprobs: null,
      verbosity: null,
      serviceTier: null,
      user: null,
      promptCacheKey: null,
      extras: [],
    })
  })

  it('keeps zero, false and empty apart from absent', () => {
    const prompt = read({
      temperature: 0,
      top_p: 0,
      parallel_tool_calls: false,
      include: ['message.output_text.logprobs'],
    })
    expect(prompt).toMatchObject({ temperature: 0, topP: 0, parallelToolCalls: false, logprobs: 0 })
  })

  it('reads a turn of a model as one message, and results of tools as one', () => {
    const { messages } = read({
      instructions: 'Be brief',
      input: [
        { role: 'user', content: 'Look' },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm' }], encrypted_content: 'own' },
        {
          type: 'message',
          role: 'assistant',
          id: 'msg_1',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Ok', annotations: [] }],
        },
        { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
        { type: 'custom_tool_call', call_id: 'c2', name: 'f', input: 'a b' },
        { type: 'function_call_output', call_id: 'c1', output: 'one', status: 'incomplete' },
        { type: 'custom_tool_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'two' }] },
        { role: 'user', content: [{ type: 'input_text', text: 'Go on' }] },
        { role: 'assistant', content: 'A' },
        { role: 'assistant', content: 'B' },
      ],
    })
    expect(messages).toEqual([
      { role: 'system', name: null, parts: [text('Be brief')] },
      user(text('Look')),
      assistant(
        { type: 'reasoning', text: 'Hm', summary: true, proof: { wire: 'openai-responses', data: 'own' } },
        text('Ok'),
        call('c1'),
        call('c2', 'custom'),
      ),
      user({ ...result('c1', text('one')), isError: true } as Part, result('c2', text('two'))),
      user(text('Go on')),
      assistant(text('A')),
      assistant(text('B')),
    ])
  })

  it('opens the proofs of other wires, in their places', () => {
    const { messages } = read({
      input: [
        {
          type: 'reasoning',
          summary: [{ type: 'summary_text', text: 'T' }],
          encrypted_content: 'watchllm.anthropic-messages.s=',
        },
        { type: 'reasoning', summary: [], encrypted_content: 'watchllm.gemini.g' },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
      ],
    })
    expect(messages[0]!.parts).toEqual([
      { type: 'reasoning', text: 'T', summary: true, proof: { wire: 'anthropic-messages', data: 's=' } },
      { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'g' } },
      call('c1'),
    ])
  })

  it.each<[Json, Part]>([
    [
      { type: 'input_text', text: 'a', prompt_cache_breakpoint: { mode: 'explicit' } },
      { type: 'text', text: 'a', cache: { ttl: '5m' } },
    ],
    [
      { type: 'input_image', image_url: 'https://a.example/x.png', detail: 'low' },
      { type: 'image', source: { kind: 'url', url: 'https://a.example/x.png' }, detail: 'low' },
    ],
    [
      { type: 'input_image', image_url: 'data:image/webp;base64,QUJD' },
      { type: 'image', source: { kind: 'base64', mediaType: 'image/webp', data: 'QUJD' }, detail: null },
    ],
    [
      { type: 'input_image', file_id: 'file-1' },
      { type: 'image', source: { kind: 'id', wire: 'openai-responses', id: 'file-1' }, detail: null },
    ],
    [
      { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,QUJD' },
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'QUJD' }, filename: 'a.pdf' },
    ],
    [
      { type: 'input_file', filename: 'a.txt', file_data: 'QUJD' },
      { type: 'file', source: { kind: 'base64', mediaType: 'text/plain', data: 'QUJD' }, filename: 'a.txt' },
    ],
    [
      { type: 'input_file', file_url: 'https://a.example/x.pdf' },
      { type: 'file', source: { kind: 'url', url: 'https://a.example/x.pdf' }, filename: null },
    ],
    [
      { type: 'input_audio', input_audio: { data: 'QUJD', format: 'mp3' } },
      { type: 'audio', data: 'QUJD', format: 'mp3' },
    ],
    [
      { type: 'refusal', refusal: 'No' },
      { type: 'refusal', text: 'No' },
    ],
    [
      { type: 'input_video', video_url: 'https://a.example/x.mp4' },
      {
        type: 'opaque',
        wire: 'openai-responses',
        value: { type: 'input_video', video_url: 'https://a.example/x.mp4' },
      },
    ],
  ])('reads the part %j', (part, expected) => {
    expect(read({ input: [{ role: 'user', content: [part] }] }).messages).toEqual([user(expected)])
  })

  it.each<[Json, string]>([
    [{ input: ['Hi'] }, 'input[0]'],
    [{ input: [{ role: 'tool', content: 'Hi' }] }, 'input[0].role'],
    [{ input: [{ role: 'user', content: 7 }] }, 'input[0].content'],
    [{ input: [{ role: 'user', content: ['Hi'] }] }, 'input[0].content[0]'],
    [{ input: [{ type: 'function_call', name: 'f', arguments: '{}' }] }, 'input[0].call_id'],
    [{ input: [{ type: 'function_call', call_id: 'c', arguments: '{}' }] }, 'input[0].name'],
    [{ input: [{ type: 'function_call_output', output: 'x' }] }, 'input[0].call_id'],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input[0]'],
    [{ tools: {} }, 'tools'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].name'],
    [{ tool_choice: 'always' }, 'tool_choice'],
    [{ tool_choice: { type: 'function' } }, 'tool_choice.name'],
    [{ text: { format: { type: 'xml' } } }, 'text.format'],
    [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema'],
    [{ text: { verbosity: 'chatty' } }, 'text.verbosity'],
    [{ reasoning: { effort: 'heroic' } }, 'reasoning.effort'],
    [{ reasoning: 'high' }, 'reasoning'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ max_output_tokens: '9' }, 'max_output_tokens'],
  ])('refuses %j and names %s', (body, param) => {
    expect(() => read(body)).toThrow(WireError)
    expect(() => read(body)).toThrow(expect.objectContaining({ param }))
  })

  it('keeps what no other wire has, and leaves out what the gateway answers to itself', () => {
    const ours = {
      store: true,
      previous_response_id: null,
      metadata: { a: 'b' },
      background: false,
      stream_options: {},
    }
    const { extras } = read({
      ...ours,
      truncation: 'disabled',
      max_tool_calls: 3,
      include: ['reasoning.encrypted_content', 'file_search_call.results'],
      tool_choice: { type: 'web_search' },
      reasoning: { effort: 'low', context: 'all_turns' },
    })
    expect(extras.map(({ name, value }) => [name, value])).toEqual([
      ['max_tool_calls', 3],
      ['include', ['file_search_call.results']],
      ['tool_choice', { type: 'web_search' }],
      ['reasoning.context', 'all_turns'],
    ])
  })
})
