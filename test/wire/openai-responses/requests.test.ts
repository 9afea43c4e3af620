import { describe, expect, it } from 'vitest'
import type { ModelFacts } from '../../../server/wire/dialect.ts'
import type { Message, Part, Prompt } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
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
