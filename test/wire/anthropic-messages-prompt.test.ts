import { describe, expect, it } from 'vitest'
import type { Part, ReasoningWish } from '../../server/wire/model.ts'
import { WireError } from '../../server/wire/wire.ts'
import { call, prompt, read, said, text, wish } from './anthropic-messages/prompts.ts'

/** Requests: what a caller of Messages says. */

const BASE = { model: 'm', max_tokens: 16, messages: [{ role: 'user', content: 'Hi' }] }

describe('readPrompt() of a golden request', () => {
  const request = {
    model: 'claude-x',
    max_tokens: 2048,
    stream: true,
    system: [{ type: 'text', text: 'Be brief', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Look' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
          { type: 'image', source: { type: 'file', file_id: 'file_1' } },
          { type: 'document', source: { type: 'url', url: 'https://example.org/a.pdf' }, title: 'A' },
          { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'é' }, context: 'said in May' },
        ],
      },
      { role: 'user', content: 'and again' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'Hm', signature: 'sig==' },
          { type: 'redacted_thinking', data: 'EmwK' },
          { type: 'thinking', thinking: 'From Gemini', signature: 'watchllm.gemini.abc' },
          { type: 'redacted_thinking', data: 'watchllm.openai-responses.xyz' },
          { type: 'tool_use', id: 'toolu_1', name: 'look', input: { at: '東京', n: 1.5 } },
          { type: 'server_tool_use', id: 'srv_1', name: 'web_search', input: { query: 'x' } },
        ],
      },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'Fog', is_error: true }] },
      { role: 'system', content: 'From now on in French' },
    ],
    tools: [
      { name: 'look', input_schema: { type: 'object', properties: {} }, strict: true, defer_loading: true },
      { type: 'web_search_20250305', name: 'web_search', max_uses: 2 },
    ],
    tool_choice: { type: 'any', disable_parallel_tool_use: true },
    thinking: { type: 'adaptive', display: 'summarized' },
    output_config: { effort: 'high', format: { type: 'json_schema', schema: { type: 'object' } }, task_budget: 5 },
    metadata: { user_id: 'u-1' },
    service_tier: 'standard_only',
    stop_sequences: ['END'],
    top_k: 5,
    mcp_servers: [{ name: 'm' }],
    container: null,
  }

  it('gives the canonical prompt, with nothing lost', () => {
    const file = { type: 'file', filename: null } as const
    const proof = (wire: string, data: string) => ({ wire, data })
    const thought = { type: 'reasoning', summary: true } as const
    expect(read(request)).toEqual(
      prompt({
        model: 'claude-x',
        stream: true,
        maxOutputTokens: 2048,
        topK: 5,
        stop: ['END'],
        user: 'u-1',
        serviceTier: 'default',
        toolChoice: { type: 'required' },
        parallelToolCalls: false,
        format: { type: 'json-schema', name: 'answer', description: null, schema: { type: 'object' }, strict: true },
        reasoning: wish({ effort: 'high', adaptive: true, summary: 'auto' }),
        messages: [
          { role: 'system', name: null, parts: [{ type: 'text', text: 'Be brief', cache: { ttl: '1h' } }] },
          said(
            'user',
            'Look',
            { type: 'image', detail: null, source: { kind: 'base64', mediaType: 'image/png', data: 'iVBO' } },
            { type: 'image', detail: null, source: { kind: 'id', wire: 'anthropic-messages', id: 'file_1' } },
            { ...file, filename: 'A', source: { kind: 'url', url: 'https://example.org/a.pdf' } },
            { ...file, source: { kind: 'base64', mediaType: 'text/plain', data: 'w6k=' } },
          ),
          said('user', 'and again'),
          said(
            'assistant',
            { ...thought, text: 'Hm', proof: proof('anthropic-messages', 'sig==') } as Part,
            { ...thought, text: '', proof: proof('anthropic-messages', 'redacted:EmwK') } as Part,
            { ...thought, text: 'From Gemini', proof: proof('gemini', 'abc') } as Part,
            { ...thought, text: '', proof: proof('openai-responses', 'xyz') } as Part,
            call('toolu_1', '{"at":"東京","n":1.5}'),
            { type: 'opaque', wire: 'anthropic-messages', value: request.messages[2]!.content[5] },
          ),
          said('user', { type: 'tool-result', callId: 'toolu_1', parts: [text('Fog')], isError: true }),
          said('system', 'From now on in French'),
        ],
        tools: [
          {
            type: 'function',
            name: 'look',
            description: null,
            parameters: { type: 'object', properties: {} },
            strict: true,
          },
          { type: 'opaque', wire: 'anthropic-messages', value: request.tools[1] },
        ],
        extras: [
          { wire: 'anthropic-messages', name: 'messages[0].content[4].context', value: 'said in May' },
          { wire: 'anthropic-messages', name: 'tools[0].defer_loading', value: true },
          { wire: 'anthropic-messages', name: 'output_config.task_budget', value: 5 },
          { wire: 'anthropic-messages', name: 'mcp_servers', value: [{ name: 'm' }] },
        ],
      }),
    )
  })

  const thoughts: [object, ReasoningWish | null][] = [
    [{}, null],
    [{ thinking: { type: 'enabled', budget_tokens: 4000 } }, wish({ budgetTokens: 4000 })],
    [{ thinking: { type: 'disabled' } }, wish({ effort: 'none' })],
    [{ thinking: { type: 'adaptive', display: 'omitted' } }, wish({ adaptive: true, summary: 'none' })],
    [{ output_config: { effort: 'xhigh' } }, wish({ effort: 'xhigh' })],
    [{ thinking: null, output_config: null }, null],
  ]
  it.each(thoughts)('reads the wish to think of %j', (members, expected) => {
    expect(read({ ...BASE, ...members }).reasoning).toEqual(expected)
  })

  it('knows the older name of the format', () => {
    const schema = { type: 'object' }
    expect(read({ ...BASE, output_format: { type: 'json_schema', schema } }).format).toMatchObject({ schema })
  })

  const user = (...content: unknown[]) => ({ messages: [{ role: 'user', content }] })
  const refused: [string, object][] = [
    ['messages[0].role', { messages: [{ role: 'tool', content: 'x' }] }],
    ['messages[0].role', { messages: [7] }],
    ['messages[0].content', { messages: [{ role: 'user' }] }],
    ['messages[0].content[0]', user('x')],
    ['messages[0].content[1]', user({ type: 'text', text: 'a' }, { text: 'b' })],
    ['messages[0].content[0].text', user({ type: 'text' })],
    ['messages[0].content[0].id', user({ type: 'tool_use', name: 'a' })],
    ['messages[0].content[0].content', user({ type: 'tool_result', tool_use_id: 'a', content: 7 })],
    ['messages[0].content[0].content[0]', user({ type: 'tool_result', tool_use_id: 'a', content: ['x'] })],
    ['system[0]', { system: [7] }],
    ['tools', { tools: {} }],
    ['tools[0]', { tools: [7] }],
    ['tools[0].name', { tools: [{ input_schema: {} }] }],
    ['tools[0].input_schema', { tools: [{ name: 'a' }] }],
    ['tool_choice.name', { tool_choice: { type: 'tool' } }],
    ['stop_sequences', { stop_sequences: 'x' }],
    ['temperature', { temperature: 'hot' }],
  ]
  it.each(refused)('refuses what is no request and names %s', (param, members) => {
    try {
      read({ ...BASE, ...members })
    } catch (error) {
      expect(error).toBeInstanceOf(WireError)
      return expect((error as WireError).param).toBe(param)
    }
    throw new Error('It was not refused')
  })
})
