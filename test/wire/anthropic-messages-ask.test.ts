import { describe, expect, it } from 'vitest'
import { readCountAsk } from '../../server/wire/anthropic-messages/ask.ts'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import type { ModelFacts } from '../../server/wire/dialect.ts'
import { scanObject } from '../../server/wire/json.ts'
import { type Edits, WireError } from '../../server/wire/wire.ts'
import { jsonValue, looseJson, Random } from '../helpers/random.ts'
import { bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

const MESSAGES = [{ role: 'user', content: 'Hi' }]
const BASE = { model: 'm', max_tokens: 16, messages: MESSAGES }
const read = (value: unknown) => anthropicMessages.readAsk(jsonBytes(value))

function paramOf(run: () => unknown): string | null {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(WireError)
    return (error as WireError).param
  }
  throw new Error('It was not refused')
}

describe('readAsk()', () => {
  it('reads what the line needs', () => {
    expect(read(BASE)).toMatchObject({ model: 'm', stream: false, wantsUsage: false, endUser: null })
    expect(read({ ...BASE, stream: true, metadata: { user_id: 'u-1' } })).toMatchObject({
      stream: true,
      wantsUsage: true,
      endUser: 'u-1',
    })
  })

  const refused: [string, Record<string, unknown>][] = [
    ['model', { model: undefined }],
    ['model', { model: '' }],
    ['model', { model: 7 }],
    ['model', { model: 'x'.repeat(257) }],
    ['messages', { messages: undefined }],
    ['messages', { messages: 'Hi' }],
    ['messages', { messages: [] }],
    ['max_tokens', { max_tokens: undefined }],
    ['max_tokens', { max_tokens: null }],
    ['max_tokens', { max_tokens: -1 }],
    ['max_tokens', { max_tokens: 1.5 }],
    ['max_tokens', { max_tokens: '16' }],
    ['stream', { stream: 'yes' }],
    ['system', { system: 7 }],
    ['system', { system: {} }],
  ]
  it.each(refused)('refuses a bad %s and names it: %j', (param, change) => {
    expect(paramOf(() => read({ ...BASE, ...change }))).toBe(param)
  })

  it.each([{ max_tokens: 0 }, { stream: null }, { system: null }, { system: [] }, { system: 'Be brief' }])(
    'takes %j',
    (change) => {
      expect(read({ ...BASE, ...change }).model).toBe('m')
    },
  )

  it('a request to count tokens needs no max_tokens', () => {
    const { max_tokens: _, ...rest } = BASE
    expect(readCountAsk(jsonBytes(rest)).model).toBe('m')
    expect(paramOf(() => readCountAsk(jsonBytes({ ...rest, messages: [] })))).toBe('messages')
  })

  const hash = 'a1'.repeat(32)
  const users: [unknown, string | null][] = [
    ['customer-17', 'customer-17'],
    ['{"name":"Ann"}', '{"name":"Ann"}'],
    ['{not json', '{not json'],
    [`user_${hash}_account_3f0c_session_9b1d`, null],
    [JSON.stringify({ device_id: hash, account_uuid: '', session_id: '9b1d' }), null],
    ['', null],
    [null, null],
    [7, null],
    ['x'.repeat(300), 'x'.repeat(256)],
  ]
  it.each(users)('takes metadata.user_id %j for the end user %j', (userId, endUser) => {
    expect(read({ ...BASE, metadata: { user_id: userId } }).endUser).toBe(endUser)
  })
})

const FACTS: ModelFacts = { maxOutputTokens: 8, refuses: ['temperature', 'top_k', 'stop', 'seed'], thinking: null }

function edited(text: string, edits: Partial<Edits> = {}) {
  const ask = anthropicMessages.readAsk(bytesOf(text))
  const { body, adapted } = anthropicMessages.edit(ask, { model: ask.model, askUsage: true, ...edits })
  return { text: textOf(body), adapted }
}

describe('edit() changes what it is told to and nothing else', () => {
  it('leaves a body alone that needs no edit, without a copy', () => {
    const ask = read(BASE)
    expect(anthropicMessages.edit(ask, { model: 'm', askUsage: true }).body).toBe(ask.body)
  })

  it('takes out what the model refuses, and tells it in the words of OpenAI’s chat', () => {
    const text =
      '{"temperature":1, "model":"m","top_p":0.5,"stop_sequences":["x"],"max_tokens":16,"messages":[1],"top_k":3}'
    expect(edited(text, { model: 'new', facts: FACTS })).toEqual({
      text: '{"model":"new","top_p":0.5,"max_tokens":16,"messages":[1]}',
      adapted: [
        { param: 'temperature', how: 'dropped' },
        { param: 'top_k', how: 'dropped' },
        { param: 'stop', how: 'dropped' },
      ],
    })
  })

  it('parses to the same request apart from the edit, over generated ones in any order and spacing', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = new Random(seed)
      const request = Object.fromEntries(
        random.shuffle([
          ['model', 'x'],
          ['messages', [{ role: 'user', content: 'Grüße "you" 漢字 \u0001' }]],
          ['max_tokens', 5],
          ...['__proto__', 'temperature', 'tools', 'top_k', 'metadata', 'thinking']
            .filter(() => random.once(2))
            .map((name) => [name, jsonValue(random, 3)] as [string, unknown]),
        ] as [string, unknown][]),
      )
      const text = looseJson(random, request)
      const { temperature: _, top_k: __, ...rest } = request
      const sent = edited(text, { model: 'modèle/漢', facts: FACTS }).text
      expect(JSON.parse(sent), `seed ${seed}: ${text}`).toEqual(
        JSON.parse(JSON.stringify({ ...rest, model: 'modèle/漢' })),
      )
      const untouched = (from: string) => {
        const others = [...scanObject(bytesOf(from))].filter(
          ([name]) => !['model', 'temperature', 'top_k'].includes(name),
        )
        return others.map(([, { keyStart, end }]) => textOf(bytesOf(from).subarray(keyStart, end)))
      }
      expect(untouched(sent), `seed ${seed}`).toEqual(untouched(text))
    }
  })
})

const MARK = { cache_control: { type: 'ephemeral' } }
const text = (words: string, more = {}) => ({ type: 'text', text: words, ...more })
const tool = (name: string, more = {}) => ({ name, input_schema: { type: 'object' }, ...more })

describe('promptCache', () => {
  const off = (value: object) => JSON.parse(edited(JSON.stringify({ ...BASE, ...value }), { promptCache: 'off' }).text)
  const auto = (value: object) =>
    JSON.parse(edited(JSON.stringify({ ...BASE, ...value }), { promptCache: 'auto' }).text)

  it('auto marks the end of the tools, of the system prompt and of the last two turns of the user', () => {
    const sent = auto({
      system: 'Be "brief"',
      tools: [tool('a'), tool('b'), tool('late', { defer_loading: true })],
      messages: [
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'two' },
        { role: 'user', content: [text('three'), text('four')] },
        { role: 'assistant', content: 'five' },
        { content: 'six', role: 'user' },
      ],
    })
    expect(sent.tools).toEqual([tool('a'), tool('b', MARK), tool('late', { defer_loading: true })])
    expect(sent.system).toEqual([text('Be "brief"', MARK)])
    expect(sent.messages).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: [text('three'), text('four', MARK)] },
      { role: 'assistant', content: 'five' },
      { role: 'user', content: [text('six', MARK)] },
    ])
    expect(JSON.stringify(sent).split('cache_control')).toHaveLength(5)
  })

  it('auto leaves alone what can’t be marked, and any request that has marks', () => {
    for (const content of [[], '', [text('')], [{ type: 'redacted_thinking', data: 'x' }]]) {
      const request = { system: '', tools: [], messages: [{ role: 'user', content }] }
      expect(auto(request)).toEqual({ ...BASE, ...request })
    }
    const marked = { ...BASE, messages: [{ role: 'user', content: [text('a', MARK), text('b')] }] }
    expect(auto(marked)).toEqual(marked)
    expect(auto({ ...BASE, ...MARK })).toEqual({ ...BASE, ...MARK })
  })

  it('off takes every mark out, and nothing of the same name that is none', () => {
    const schema = { type: 'object', properties: { cache_control: { type: 'string' } } }
    const call = { type: 'tool_use', id: 't', name: 'a', input: { cache_control: 1 } }
    const result = { type: 'tool_result', tool_use_id: 't', content: [text('x')] }
    const request = (mark: object) => ({
      ...mark,
      system: [text('s', mark)],
      tools: [
        { name: 'a', input_schema: schema, ...mark },
        { ...mark, type: 'web_search_20250305', name: 'web_search' },
      ],
      messages: [
        { role: 'user', content: 'quotes "cache_control"' },
        { role: 'assistant', content: [{ ...call, ...mark }] },
        { role: 'user', content: [{ ...result, content: [text('x', mark)], ...mark }] },
      ],
    })
    expect(off(request(MARK))).toEqual({ ...BASE, ...request({}) })
    expect(off(request({ cache_control: { type: 'ephemeral', ttl: '1h' } }))).toEqual({ ...BASE, ...request({}) })
  })

  it('respect changes nothing', () => {
    const ask = read({ ...BASE, system: [text('s', MARK)] })
    expect(anthropicMessages.edit(ask, { model: 'm', askUsage: true, promptCache: 'respect' }).body).toBe(ask.body)
  })
})
