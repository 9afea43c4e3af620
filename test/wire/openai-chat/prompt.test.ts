import { describe, expect, it } from 'vitest'
import type { ModelFacts, Written } from '../../../server/wire/dialect.ts'
import type { Message, Part, Prompt } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { ASK, askOf, type Json } from './kit.ts'

const read = (more: Json = {}) => openaiChatDialect.readPrompt(askOf({ ...ASK, ...more }))
const FACTS: ModelFacts = { maxOutputTokens: null, refuses: [], thinking: null }
const write = (
  prompt: Prompt,
  more: Partial<ModelFacts> & { model?: string; cache?: 'off' | 'respect' } = {},
): Written => {
  const { model = 'deepseek-chat', cache = 'respect', ...facts } = more
  return openaiChatDialect.writePrompt(prompt, { model, promptCache: cache, facts: { ...FACTS, ...facts } })
}
/** What a request becomes in the model, and of that again. */
const through = (more: Json, options: Parameters<typeof write>[1] = {}) => write(read(more), options)
const withParts = (parts: Part[], role: Message['role'] = 'user'): Prompt => ({
  ...read(),
  messages: [{ role, name: null, parts }],
})
const sent = ({ body }: Written) => body.messages as Json[]

describe('a conversation', () => {
  const messages = [
    { role: 'system', content: 'Be brief' },
    { role: 'developer', content: [{ type: 'text', text: 'Use tools' }] },
    {
      role: 'user',
      name: 'ann',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'https://a.example/b.png', detail: 'low' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBO' } },
        { type: 'input_audio', input_audio: { data: 'UklG', format: 'wav' } },
        { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBE' } },
        { type: 'file', file: { file_id: 'file-1' } },
        { type: 'video_url', video_url: { url: 'https://a.example/b.mp4' } },
      ],
    },
    {
      role: 'assistant',
      content: 'Let me see',
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'look', arguments: '{"x":1}' } },
        { id: 'b', type: 'custom', custom: { name: 'shell', input: 'ls' } },
      ],
    },
    { role: 'tool', tool_call_id: 'a', content: 'A cat' },
    { role: 'tool', tool_call_id: 'b', content: [{ type: 'text', text: 'cat.png' }] },
    { role: 'user', content: 'So?' },
    { role: 'assistant', content: null, refusal: 'No' },
    { role: 'assistant', audio: { id: 'audio_1' } },
  ]

  it('becomes parts in their order, results of tools as one message', () => {
    const prompt = read({ messages })
    expect(prompt.messages.map(({ role, parts }) => [role, ...parts.map(({ type }) => type)])).toEqual([
      ['system', 'text'],
      ['developer', 'text'],
      ['user', 'text', 'image', 'image', 'audio', 'file', 'file', 'opaque'],
      ['assistant', 'text', 'tool-call', 'tool-call'],
      ['user', 'tool-result', 'tool-result'],
      ['user', 'text'],
      ['assistant', 'refusal'],
      ['assistant', 'opaque'],
    ])
    expect(prompt.messages[2]!.parts.slice(1, 6)).toEqual([
      { type: 'image', source: { kind: 'url', url: 'https://a.example/b.png' }, detail: 'low' },
      { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' }, detail: null },
      { type: 'audio', data: 'UklG', format: 'wav' },
      { type: 'file', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' }, filename: 'a.pdf' },
      { type: 'file', source: { kind: 'id', wire: 'openai-chat', id: 'file-1' }, filename: null },
    ])
  })

  it('comes back as it was, but for texts as strings', () => {
    const { body, adapted } = through({ messages }, { model: 'gpt-4o' })
    const strings = messages.map((message) => {
      const isText = Array.isArray(message.content) && message.content.every(({ type }) => type === 'text')
      return isText ? { ...message, content: (message.content as { text: string }[])[0]!.text } : message
    })
    expect(body.messages).toEqual([...strings.slice(0, -1), { ...strings.at(-1), content: null }])
    expect(adapted).toEqual([])
  })

  it('calls the developer system where nobody else knows one', () => {
    expect(sent(through({ messages }, { model: 'deepseek-chat' }))[1]).toEqual({ role: 'system', content: 'Use tools' })
  })

  it('of before there were tools is read as one with tools', () => {
    const prompt = read({
      messages: [
        ...ASK.messages,
        { role: 'assistant', content: null, function_call: { name: 'f', arguments: '{}' } },
        { role: 'function', name: 'f', content: '1' },
      ],
      functions: [{ name: 'f', parameters: { type: 'object' } }],
      function_call: { name: 'f' },
    })
    const { body } = write(prompt)
    expect(body.messages).toMatchObject([
      {},
      { tool_calls: [{ id: 'call_f', type: 'function', function: { name: 'f', arguments: '{}' } }] },
      { role: 'tool', tool_call_id: 'call_f', content: '1' },
    ])
    expect(body.tools).toEqual([{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }])
    expect(body.tool_choice).toEqual({ type: 'function', function: { name: 'f' } })
  })
})

describe('what the wire has no word for', () => {
  const cases: [string, Part[], unknown, string][] = [
    [
      'an image of another store',
      [{ type: 'image', source: { kind: 'id', wire: 'anthropic-messages', id: 'x' }, detail: null }],
      '',
      'content[0]=dropped',
    ],
    [
      'a document by its address',
      [{ type: 'file', source: { kind: 'url', url: 'https://a.example/b.pdf' }, filename: null }],
      [{ type: 'text', text: 'File: https://a.example/b.pdf' }],
      'content[0]=emulated',
    ],
    [
      'a document of plain text',
      [{ type: 'file', source: { kind: 'base64', mediaType: 'text/plain', data: 'SGk=' }, filename: 'a.txt' }],
      [{ type: 'text', text: 'a.txt:\nHi' }],
      'content[0]=emulated',
    ],
    ["another wire's own part", [{ type: 'opaque', wire: 'gemini', value: {} }], '', 'content[0]=dropped'],
    ['sound of another form', [{ type: 'audio', data: 'x', format: 'ogg' }], '', 'content[0]=dropped'],
  ]

  it.each(cases)('%s', (_, parts, content, adapted) => {
    const written = write(withParts(parts))
    expect(sent(written)[0]!.content ?? '').toEqual(content)
    expect(written.adapted.map(({ param, how }) => `${param}=${how}`)).toEqual([`messages[0].${adapted}`])
  })

  it("a tool's pictures go into the message behind, its failure into the text", () => {
    const image: Part = { type: 'image', source: { kind: 'url', url: 'https://a.example/b.png' }, detail: null }
    const result: Part = {
      type: 'tool-result',
      callId: 'a',
      parts: [{ type: 'text', text: 'gone' }, image],
      isError: true,
    }
    const written = write(withParts([{ type: 'text', text: 'So?' }, result]))
    expect(sent(written)).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'Error: gone' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'So?' },
          { type: 'image_url', image_url: { url: 'https://a.example/b.png' } },
        ],
      },
    ])
    expect(written.adapted.map(({ param }) => param)).toEqual([
      'messages[0].content[1].content',
      'messages[0].content[1].is_error',
    ])
  })

  it('members of other wires are named, but for those that change nothing', () => {
    const extras = ['truncation', 'metadata'].map((name) => ({ wire: 'openai-responses' as const, name, value: 'x' }))
    const { body, adapted } = write({ ...read(), extras })
    expect(adapted).toEqual([{ param: 'truncation', how: 'dropped' }])
    expect(Object.keys(body)).toEqual(['model', 'messages'])
    expect(through({ modalities: ['text'], web_search_options: {} }).body).toMatchObject({ modalities: ['text'] })
  })
})

describe('tools', () => {
  const tools = ['f', 'g'].map((name) => ({ type: 'function', function: { name, strict: true, parameters: {} } }))
  const custom = { type: 'custom', custom: { name: 'sh', format: { type: 'text' } } }

  it('come back in their order, custom ones and marks of the cache as well', () => {
    const marked = { ...tools[0]!, cache_control: { type: 'ephemeral', ttl: '1h' } }
    const all = [marked, custom, tools[1], { type: 'web_search' }]
    const functions = [marked, tools[1], { type: 'web_search' }]
    expect(through({ tools: functions }, { model: 'anthropic/claude-x' }).body.tools).toEqual(functions)
    expect(through({ tools: all }, { model: 'gpt-4o' }).body.tools).toEqual([tools[0], ...all.slice(1)])
  })

  it.each([
    'auto',
    'none',
    'required',
    { type: 'function', function: { name: 'f' } },
    { type: 'custom', custom: { name: 'sh' } },
    {
      type: 'allowed_tools',
      allowed_tools: { mode: 'auto', tools: [tools[0]].map(() => ({ type: 'function', function: { name: 'f' } })) },
    },
  ])('choice %j comes back', (tool_choice) => {
    const { body } = through({ tools: [...tools, custom], tool_choice, parallel_tool_calls: false }, { model: 'gpt-5' })
    expect(body).toMatchObject({ tool_choice, parallel_tool_calls: false })
  })

  it('that are not allowed are left out where that can not be said', () => {
    const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] }
    const { body, adapted } = through({ tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } })
    expect(body).toMatchObject({ tools: [tools[1]], tool_choice: 'required' })
    expect(adapted).toEqual([{ param: 'tool_choice.allowed_tools', how: 'emulated' }])
  })

  it('choices without tools are not said: OpenAI refuses them', () => {
    expect(through({ tool_choice: 'auto', parallel_tool_calls: true }).body).toEqual({ ...ASK, model: 'deepseek-chat' })
  })

  it('ids of calls take the form that the provider wants, the same for call and result', () => {
    const id = `toolu_${'x'.repeat(60)}`
    const messages = [
      ...ASK.messages,
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id, type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: id, content: '1' },
    ]
    for (const [model, form] of [
      ['mistral-large', /^[a-zA-Z0-9]{9}$/],
      ['gpt-4o', /^.{1,40}$/],
    ] as const) {
      const [, called, result] = sent(through({ messages }, { model })) as [Json, { tool_calls: Json[] }, Json]
      expect(called.tool_calls[0]!.id).toMatch(form)
      expect(result.tool_call_id).toBe(called.tool_calls[0]!.id)
    }
  })
})

describe('parameters', () => {
  const ALL = {
    temperature: 0,
    top_p: 0.5,
    stop: ['a', 'b'],
    seed: 0,
    n: 2,
    frequency_penalty: 0,
    presence_penalty: -1,
    logit_bias: { 50256: -100 },
    logprobs: true,
    top_logprobs: 3,
    verbosity: 'low',
    service_tier: 'flex',
    user: 'u',
    reasoning_effort: 'minimal',
    max_tokens: 9,
    prompt_cache_key: 'k',
  }

  it('come back as they were said: zero is said, null is not', () => {
    expect(through(ALL, { model: 'gpt-4o' }).body).toEqual({ ...ASK, ...ALL, model: 'gpt-4o' })
    const nulls = Object.fromEntries(Object.keys(ALL).map((name) => [name, null]))
    expect(through(nulls).body).toEqual({ ...ASK, model: 'deepseek-chat' })
  })

  it.each(Object.keys(ALL).filter((name) => name !== 'max_tokens'))(
    '%s, refused by the model, is dropped and named',
    (name) => {
      const { body, adapted } = through(ALL, { model: 'gpt-4o', refuses: [name] })
      expect(name in body).toBe(false)
      expect(adapted).toEqual([{ param: name, how: 'dropped' }])
    },
  )

  it.each([
    ['deepseek-chat', FACTS, 'max_tokens', 100],
    ['gpt-5', { ...FACTS, refuses: ['max_tokens'] }, 'max_completion_tokens', 100],
    ['gpt-5', null, 'max_completion_tokens', 100],
    ['o4-mini', null, 'max_completion_tokens', 100],
    ['gpt-4o', null, 'max_tokens', 100],
    ['gpt-5', { ...FACTS, refuses: ['max_tokens'], maxOutputTokens: 64 }, 'max_completion_tokens', 64],
  ] as const)('%s takes the most tokens as it knows them', (model, facts, name, most) => {
    const prompt = read({ max_completion_tokens: 100 })
    const { body, adapted } = openaiChatDialect.writePrompt(prompt, { model, facts, promptCache: 'off' })
    expect(body).toEqual({ ...ASK, model, [name]: most })
    expect(adapted).toEqual(most === 64 ? [{ param: 'max_tokens', how: 'clamped' }] : [])
  })

  it('ask for the usage of a stream, unless that is refused', () => {
    expect(through({ stream: true }).body).toMatchObject({ stream: true, stream_options: { include_usage: true } })
    const refused = through({ stream: true }, { refuses: ['stream_options'] })
    expect([refused.body.stream_options, refused.adapted]).toEqual([undefined, []])
    expect(through({ stream_options: { include_usage: true } }).body.stream_options).toBe(undefined)
  })

  it.each([
    [{ reasoning_effort: 'high' }, { reasoning_effort: 'high' }, 'effort', []],
    [{ reasoning: { effort: 'low', exclude: true } }, { reasoning_effort: 'low' }, null, []],
    [{ reasoning: { enabled: false } }, { reasoning_effort: 'none' }, null, []],
    [{ thinking: { type: 'enabled', budget_tokens: 4096 } }, { reasoning_effort: 'medium' }, 'effort', ['emulated']],
    [{ reasoning: { max_tokens: 4096 } }, { reasoning: { max_tokens: 4096 } }, 'budget', []],
    [{ thinking: { type: 'disabled' } }, {}, 'none', []],
    [{ reasoning_effort: 'high' }, {}, 'none', ['dropped']],
    [{ thinking: { type: 'adaptive' } }, {}, 'adaptive', []],
  ] as const)('a wish to think as %j', (asked, said, thinking, how) => {
    const { body, adapted } = through(asked, { thinking })
    expect(body).toEqual({ ...ASK, model: 'deepseek-chat', ...said })
    expect(adapted.map((one) => one.how)).toEqual(how)
  })

  const response_format = { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' }, strict: true } }

  it('say a format as it was, or in words to a model that knows no schema', () => {
    for (const format of [response_format, { type: 'json_object' }, { type: 'text' }]) {
      expect(through({ response_format: format }).body).toMatchObject({ response_format: format })
    }
    const told = through({ response_format }, { refuses: ['response_format.json_schema'] })
    expect(told.body).toMatchObject({ response_format: { type: 'json_object' } })
    expect(sent(told)[0]).toMatchObject({ role: 'system', content: expect.stringContaining('{"type":"object"}') })
    expect(told.adapted).toEqual([{ param: 'response_format', how: 'emulated' }])
    expect(through({ response_format }, { refuses: ['response_format'] }).body.response_format).toBe(undefined)
  })

  it('of the cache go to who understands them, and are nowhere in the way', () => {
    const content = [
      { type: 'text', text: 'Long', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'Short' },
    ]
    const messages = [{ role: 'user', content }]
    expect(sent(through({ messages }, { model: 'anthropic/claude-x' }))[0]!.content).toEqual(content)
    expect(sent(through({ messages }, { model: 'anthropic/claude-x', cache: 'off' }))[0]!.content).toBe('Long\n\nShort')
    expect(sent(through({ messages }, { model: 'gpt-4o' }))[0]!.content).toBe('Long\n\nShort')
  })

  it('that no chat provider shares are dropped and named', () => {
    expect(through({ top_k: 5 }).adapted).toEqual([{ param: 'top_k', how: 'dropped' }])
    expect(through({ stop: ['1', '2', '3', '4', '5'] }, { model: 'gpt-4o' })).toMatchObject({
      body: { stop: ['1', '2', '3', '4'] },
      adapted: [{ param: 'stop', how: 'clamped' }],
    })
  })
})

describe('a malformed request names the parameter', () => {
  it.each([
    [{ messages: [1] }, 'messages[0]'],
    [{ messages: [{ role: 'bot', content: '' }] }, 'messages[0].role'],
    [{ messages: [{ role: 'user', content: 1 }] }, 'messages[0].content'],
    [{ messages: [{ role: 'user', content: [1] }] }, 'messages[0].content[0]'],
    [{ messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 'messages[0].content[0].text'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0].image_url.url'],
    [{ messages: [{ role: 'tool', content: '' }] }, 'messages[0].tool_call_id'],
    [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'a' }] }] }, 'messages[0].tool_calls[0].function.name'],
    [{ tools: {} }, 'tools'],
    [{ tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
    [{ tool_choice: 'maybe' }, 'tool_choice'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ stop: [1] }, 'stop'],
    [{ reasoning_effort: 'huge' }, 'reasoning_effort'],
    [{ verbosity: 'loud' }, 'verbosity'],
    [{ response_format: { type: 'xml' } }, 'response_format.type'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema.schema'],
  ])('%j', (more, param) => {
    expect(() => read(more)).toThrow(WireError)
    expect(() => read(more)).toThrow(expect.objectContaining({ param }))
  })
})
