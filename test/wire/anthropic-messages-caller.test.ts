import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../db/model/usage.ts'
import { anthropicMessagesDialect as dialect } from '../../server/wire/anthropic-messages/dialect.ts'
import type { Part, StreamEvent } from '../../server/wire/model.ts'
import { ADDITIONS, eventsOf, lateWords } from '../helpers/wire.ts'
import { violations } from '../providers/json-schema.ts'
import { completion, framesOf, USAGE, written } from './anthropic-messages/answers.ts'
import { read } from './anthropic-messages/prompts.ts'
import { spec } from './anthropic-messages/recorded.ts'

const thought = (text: string, proof: { wire: 'gemini' | 'anthropic-messages'; data: string } | null): Part => ({
  type: 'reasoning',
  text,
  summary: true,
  proof,
})
const call = (id: string, args: string, more: object = {}): Part =>
  ({ type: 'tool-call', id, name: 'get_weather', arguments: args, kind: 'function', ...more }) as Part
const message = spec('Message')
const streamEvent = spec('RawMessageStreamEvent')

describe('answers to callers of Messages', () => {
  const parts: Part[] = [
    thought('Seen', { wire: 'gemini', data: 'g' }),
    thought('', { wire: 'gemini', data: 'h' }),
    thought('Unsigned', null),
    thought('', null),
    { type: 'text', text: '' },
    {
      type: 'text',
      text: 'Look',
      citations: [{ type: 'url', url: 'https://a.example', title: null, start: 0, end: 4, quote: null }],
    },
    call('call_1', '{"at": 1}'),
    call('call_2', 'cut of'),
    { type: 'opaque', wire: 'gemini', value: {} },
    { type: 'image', detail: null, source: { kind: 'url', url: 'https://a.example/b.png' } },
    { type: 'refusal', text: 'No' },
  ]
  const link = {
    type: 'web_search_result_location',
    cited_text: '',
    encrypted_index: '',
    title: null,
    url: 'https://a.example',
  }
  const use = (id: string, input: object) => ({
    type: 'tool_use',
    id,
    name: 'get_weather',
    caller: { type: 'direct' },
    input,
  })
  const content = [
    { type: 'thinking', thinking: 'Seen', signature: 'watchllm.gemini.g' },
    { type: 'redacted_thinking', data: 'watchllm.gemini.h' },
    { type: 'thinking', thinking: 'Unsigned', signature: '' },
    { type: 'text', text: 'Look', citations: [link] },
    use('call_1', { at: 1 }),
    use('call_2', { arguments: 'cut of' }),
    { type: 'text', text: '![image](https://a.example/b.png)', citations: [] },
    { type: 'text', text: 'No', citations: [] },
  ]

  it('say all that Messages has words for, and nothing that is empty', () => {
    expect(written(completion(parts, 'refusal'))).toEqual({
      id: 'msg_01abc',
      type: 'message',
      role: 'assistant',
      model: 'gpt-x',
      content,
      stop_reason: 'refusal',
      stop_sequence: null,
      stop_details: { type: 'refusal', category: null, explanation: 'No' },
      container: null,
      diagnostics: null,
      usage: expect.objectContaining({ input_tokens: 20, cache_read_input_tokens: 5, output_tokens: 9 }),
    })
  })

  it.skipIf(message === null)('are what Anthropic’s own description says', () => {
    expect(violations(message, written(completion(parts, 'refusal')))).toEqual([])
  })

  it('thoughts come back as they went out', () => {
    const thoughts = parts.slice(0, 3)
    const { content: sent } = written(completion(thoughts))
    const { messages } = read({ model: 'm', max_tokens: 1, messages: [{ role: 'assistant', content: sent }] })
    expect(messages[0]!.parts).toEqual(thoughts)
  })

  it.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['tool-calls', 'tool_use'],
    ['filter', 'refusal'],
    ['refusal', 'refusal'],
    ['pause', 'pause_turn'],
  ] as const)('%s is %s', (reason, word) => {
    expect(written(completion([], reason)).stop_reason).toBe(word)
  })
})

describe('streams to callers of Messages', () => {
  const at = { choice: 0, index: 0 }
  const start: StreamEvent = { type: 'start', id: null, model: null, createdAtS: null }
  const finish: StreamEvent = { type: 'finish', choice: 0, finish: { reason: 'tool-calls', stopSequence: null } }

  it('have the golden form', () => {
    const frames = framesOf([
      start,
      { type: 'part', ...at, part: { type: 'text', text: '' } },
      { type: 'delta', ...at, delta: { text: 'Grüße' } },
      { type: 'part-end', ...at },
      { type: 'part', choice: 0, index: 1, part: call('call_1', '') },
      { type: 'delta', choice: 0, index: 1, delta: { text: '{"a"' } },
      { type: 'part-end', choice: 0, index: 1 },
      finish,
      { type: 'usage', usage: USAGE },
    ])
    const usage = { input_tokens: 20, cache_creation_input_tokens: 0, cache_read_input_tokens: 5, output_tokens: 9 }
    const details = { output_tokens_details: { thinking_tokens: 4 }, server_tool_use: null }
    const delta = { stop_reason: 'tool_use', stop_sequence: null, stop_details: null, container: null }
    const head = { type: 'tool_use', id: 'call_1', name: 'get_weather', caller: { type: 'direct' }, input: {} }
    const found = eventsOf(Buffer.from(frames).toString('latin1')).map(({ event, data }) => [event, JSON.parse(data)])
    expect(found[0]).toEqual([
      'message_start',
      { type: 'message_start', message: expect.objectContaining({ content: [], model: 'gpt-x' }) },
    ])
    expect(found.slice(1).map(([, { type: _, ...rest }]) => rest)).toEqual([
      { index: 0, content_block: { type: 'text', text: '', citations: [] } },
      { index: 0, delta: { type: 'text_delta', text: 'Grüße' } },
      { index: 0 },
      { index: 1, content_block: head },
      { index: 1, delta: { type: 'input_json_delta', partial_json: '{"a"' } },
      { index: 1 },
      { delta, usage: { ...usage, ...details } },
      {},
    ])
    for (const [event, { type }] of found) expect(event).toBe(type)
    if (streamEvent !== null) for (const [, event] of found) expect(violations(streamEvent, event)).toEqual([])
  })

  it('begin and end even when a provider gave nothing', () => {
    const events = eventsOf(framesOf([])).map(({ event }) => event)
    expect(events).toEqual(['message_start', 'message_delta', 'message_stop'])
  })

  it('tell what is known late before their end, where only we look', () => {
    const frames = framesOf([start, finish], ADDITIONS)
    expect(lateWords(frames)).toHaveLength(1)
    expect(eventsOf(frames)).toEqual(eventsOf(framesOf([start, finish])))
    expect(framesOf([start], { ...ADDITIONS, provider: 'Zürich 漢' })).toContain('"provider":"Zürich 漢"')
  })

  it('hold further choices back, which Messages has no place for', () => {
    const other: StreamEvent[] = [
      { type: 'part', choice: 1, index: 0, part: { type: 'text', text: 'Other' } },
      { type: 'part-end', choice: 1, index: 0 },
    ]
    expect(framesOf([start, ...other, finish])).toBe(framesOf([start, finish]))
  })

  it('fail with an error event', () => {
    const writer = dialect.writeStream({ ask: {} as never, callId: 'req_1', createdAtS: 1, model: 'm' })
    const face = { type: 'error', error: { type: 'api_error', message: 'Gone' } }
    expect(writer.fail(face)).toBe(`event: error\ndata: ${JSON.stringify(face)}\n\n`)
  })

  it('count nothing where nobody counted', () => {
    const events = eventsOf(framesOf([start])).map(({ data }) => JSON.parse(data))
    expect(events.at(-2).usage).toMatchObject({ input_tokens: NO_USAGE.input, output_tokens: 0 })
  })
})
