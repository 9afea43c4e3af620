import { describe, expect, it } from 'vitest'
import type { ModelFacts } from '../../../server/wire/dialect.ts'
import type { Message, Part, Prompt } from '../../../server/wire/model.ts'
import { openaiResponses } from '../../../server/wire/openai-responses.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses-dialect.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { jsonBytes } from '../../helpers/wire.ts'
import { CODEX } from './codex.ts'

type Json = Record<string, unknown>

const read = (body: Json) =>
  dialect.readPrompt(openaiResponses.readAsk(jsonBytes({ model: 'm', input: 'Hi', ...body })))
const write = (prompt: Prompt, facts: ModelFacts | null = null) =>
  dialect.writePrompt(prompt, { model: 'gpt-5', facts, promptCache: 'respect' })

const BARE = read({})
const promptOf = (more: Partial<Prompt>): Prompt => ({ ...BARE, ...more })
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
        { type: 'function_call_output', call_id: 'c1', output: 'one' },
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
      user(result('c1', text('one')), result('c2', text('two'))),
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

describe('writePrompt()', () => {
  it('writes nothing that was not said, but that nothing is to be stored', () => {
    const { body, adapted } = write(BARE)
    expect(body).toEqual({
      model: 'gpt-5',
      input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }],
      store: false,
    })
    expect(adapted).toEqual([])
  })

  it('writes each part of a turn as the item it is', () => {
    const messages: Message[] = [
      { role: 'developer', name: null, parts: [text('Be brief')] },
      user(text('Look'), {
        type: 'image',
        source: { kind: 'base64', mediaType: 'image/png', data: 'QUJD' },
        detail: 'high',
      }),
      assistant(
        { type: 'reasoning', text: 'Hm', summary: true, proof: null },
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'openai-responses', data: 'own' } },
        text('Ok'),
        call('c1'),
        call('c2', 'custom'),
        text('Wait'),
      ),
      user(
        result('c1', text('one')),
        { ...(result('c2') as Part & { type: 'tool-result' }), isError: true },
        text('Go'),
      ),
    ]
    expect(write(promptOf({ messages })).body.input).toEqual([
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Be brief' }] },
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'Look' },
          { type: 'input_image', image_url: 'data:image/png;base64,QUJD', detail: 'high' },
        ],
      },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm' }], encrypted_content: 'own' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Ok' }] },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
      { type: 'custom_tool_call', call_id: 'c2', name: 'f', input: 'a b' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Wait' }] },
      { type: 'function_call_output', call_id: 'c1', output: 'one' },
      { type: 'custom_tool_call_output', call_id: 'c2', output: '', status: 'incomplete' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Go' }] },
    ])
  })

  it("leaves thoughts without a proof of its own out, which is nobody's loss", () => {
    const foreign: Part = {
      type: 'reasoning',
      text: 'T',
      summary: false,
      proof: { wire: 'anthropic-messages', data: 's' },
    }
    const bare: Part = { type: 'reasoning', text: 'T', summary: false, proof: null }
    const { body, adapted } = write(promptOf({ messages: [assistant(foreign, bare, text('Ok'))] }))
    expect((body.input as Json[]).map(({ type }) => type)).toEqual(['message'])
    expect(adapted).toEqual([])
  })

  it.each<[string, Partial<Prompt>]>([
    ['stop', { stop: ['END'] }],
    ['seed', { seed: 0 }],
    ['n', { n: 2 }],
    ['top_k', { topK: 5 }],
    ['logit_bias', { logitBias: { 5: 1 } }],
    ['frequency_penalty', { frequencyPenalty: 0.5 }],
    ['presence_penalty', { presencePenalty: 0.5 }],
    ['messages[0].content[0]', { messages: [user({ type: 'audio', data: 'QUJD', format: 'wav' })] }],
    ['messages[0].content[0]', { messages: [user({ type: 'opaque', wire: 'gemini', value: {} })] }],
    ['messages[0].name', { messages: [{ ...user(text('Hi')), name: 'Ann' }] }],
    ['tools[0]', { tools: [{ type: 'opaque', wire: 'anthropic-messages', value: { type: 'bash_20250124' } }] }],
    ['thinking_config', { extras: [{ wire: 'gemini', name: 'thinking_config', value: {} }] }],
  ])('tells that %s is dropped', (param, more) => {
    const { adapted, body } = write(promptOf(more))
    expect(adapted).toEqual([{ param, how: 'dropped' }])
    expect(body).not.toHaveProperty(param)
  })

  it('does not tell of labels that change no answer', () => {
    const extras = [{ wire: 'openai-chat', name: 'metadata', value: { a: 'b' } } as const]
    expect(write(promptOf({ extras })).adapted).toEqual([])
  })

  it('respects what the model refuses and how long it may answer', () => {
    const facts: ModelFacts = {
      maxOutputTokens: 100,
      refuses: ['temperature', 'parallel_tool_calls'],
      thinking: 'none',
    }
    const reasoning = { effort: 'high', budgetTokens: null, adaptive: false, summary: null } as const
    const { body, adapted } = write(
      promptOf({ temperature: 1, parallelToolCalls: true, maxOutputTokens: 900, reasoning }),
      facts,
    )
    expect(body).toMatchObject({ max_output_tokens: 100 })
    for (const name of ['temperature', 'parallel_tool_calls', 'reasoning', 'include'])
      expect(body).not.toHaveProperty(name)
    expect(adapted).toEqual([
      { param: 'reasoning_effort', how: 'dropped' },
      { param: 'parallel_tool_calls', how: 'dropped' },
      { param: 'max_completion_tokens', how: 'clamped' },
      { param: 'temperature', how: 'dropped' },
    ])
    expect(write(promptOf({ maxOutputTokens: 5 }))).toMatchObject({
      body: { max_output_tokens: 16 },
      adapted: [{ param: 'max_completion_tokens', how: 'clamped' }],
    })
  })

  it('asks for thoughts that can be given back, of models that think', () => {
    const effort = { effort: 'low', budgetTokens: null, adaptive: false, summary: null } as const
    expect(write(promptOf({ reasoning: effort })).body).toMatchObject({
      reasoning: { effort: 'low' },
      include: ['reasoning.encrypted_content'],
      store: false,
    })
    const facts: ModelFacts = { maxOutputTokens: null, refuses: [], thinking: 'effort' }
    expect(write(BARE, facts).body.include).toEqual(['reasoning.encrypted_content'])
    expect(write(BARE).body).not.toHaveProperty('include')
  })

  it.each([
    [0, 'none'],
    [1024, 'low'],
    [10_000, 'medium'],
    [32_000, 'high'],
  ])('turns a budget of %i tokens into effort %s, and says so', (budgetTokens, effort) => {
    const reasoning = { effort: null, budgetTokens, adaptive: false, summary: 'auto' } as const
    expect(write(promptOf({ reasoning }))).toMatchObject({
      body: { reasoning: { effort, summary: 'auto' } },
      adapted: [{ param: 'reasoning_effort', how: 'renamed' }],
    })
  })

  it('writes tools and choices in its own words', () => {
    const tools: Prompt['tools'] = [
      { type: 'function', name: 'f', description: 'F', parameters: null, strict: null },
      {
        type: 'custom',
        name: 'p',
        description: null,
        format: { type: 'grammar', grammar: { syntax: 'lark', definition: 'a' } },
      },
    ]
    const choice = (toolChoice: Prompt['toolChoice']) => write(promptOf({ tools, toolChoice })).body.tool_choice
    expect(write(promptOf({ tools })).body.tools).toEqual([
      { type: 'function', name: 'f', description: 'F', parameters: { type: 'object', properties: {} }, strict: false },
      { type: 'custom', name: 'p', format: { type: 'grammar', syntax: 'lark', definition: 'a' } },
    ])
    expect(choice({ type: 'required' })).toBe('required')
    expect(choice({ type: 'tool', name: 'p' })).toEqual({ type: 'custom', name: 'p' })
    expect(choice({ type: 'allowed', mode: 'auto', names: ['f'] })).toEqual({
      type: 'allowed_tools',
      mode: 'auto',
      tools: [{ type: 'function', name: 'f' }],
    })
  })

  it('shortens ids of calls that are too long, both ends alike and no two to the same', () => {
    const long = (end: string) => `call_${'x'.repeat(80)}_${end}`
    const messages = [
      assistant(call(long('a')), call(long('b'))),
      user(result(long('a'), text('1')), result(long('b'), text('2'))),
    ]
    const ids = (write(promptOf({ messages })).body.input as Json[]).map(({ call_id }) => String(call_id))
    expect(ids.slice(0, 2)).toEqual(ids.slice(2))
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(id.length).toBeLessThanOrEqual(64)
  })

  it('puts its own extras back where they were', () => {
    const body = {
      max_tool_calls: 3,
      truncation: 'auto',
      include: ['file_search_call.results'],
      reasoning: { effort: 'low', context: 'all_turns' },
    }
    expect(write(read(body)).body).toMatchObject({
      ...body,
      include: ['reasoning.encrypted_content', 'file_search_call.results'],
    })
  })
})

describe('a request of Codex', () => {
  const prompt = read(CODEX)

  it('is read whole: its grammar tool, its thoughts, its calls and their results', () => {
    expect(prompt.tools.map((tool) => (tool.type === 'opaque' ? 'opaque' : `${tool.type} ${tool.name}`))).toEqual([
      'function exec_command',
      'function update_plan',
      'custom apply_patch',
      'opaque',
    ])
    expect(prompt.messages.map(({ role, parts }) => [role, parts.map(({ type }) => type).join(' ')])).toEqual([
      ['system', 'text'],
      ['developer', 'text'],
      ['user', 'text'],
      ['assistant', 'reasoning text tool-call tool-call'],
      ['user', 'tool-result tool-result'],
    ])
    expect(prompt.extras).toEqual([])
  })

  it('loses nothing on the way to another provider of Responses', () => {
    const { body, adapted } = write(prompt)
    expect(adapted).toEqual([])
    expect(body.tools).toHaveLength(4)
    expect(body).toMatchObject({
      parallel_tool_calls: true,
      text: { verbosity: 'low' },
      prompt_cache_key: 'k',
      stream: true,
    })
  })
})
