import { describe, expect, it } from 'vitest'
import { ask, chat } from './ask-sandbox.ts'

const user = { role: 'user', content: 'hi' }
const calling = {
  role: 'assistant',
  tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
}

const REFUSED: [what: string, body: object, param: string | null, code: string | null][] = [
  ['no messages', { messages: undefined }, 'messages', 'missing_required_parameter'],
  ['messages that are no list', { messages: 'hi' }, 'messages', 'invalid_type'],
  ['no message at all', { messages: [] }, 'messages', 'empty_array'],
  ['a message without role', { messages: [{ content: 'x' }] }, 'messages[0].role', 'missing_required_parameter'],
  ['an unknown role', { messages: [{ role: 'robot', content: 'x' }] }, 'messages[0].role', 'invalid_value'],
  ['a message without content', { messages: [{ role: 'user' }] }, 'messages[0].content', 'missing_required_parameter'],
  ['content that is null', { messages: [{ role: 'user', content: null }] }, 'messages[0].content', 'invalid_type'],
  ['content that is a number', { messages: [{ role: 'user', content: 7 }] }, 'messages[0].content', 'invalid_type'],
  [
    'an unknown content part',
    { messages: [{ role: 'user', content: [{ type: 'smell' }] }] },
    'messages[0].content[0].type',
    'invalid_value',
  ],
  [
    'an image in an assistant message',
    { messages: [{ role: 'assistant', content: [{ type: 'image_url' }] }] },
    'messages[0].content[0].type',
    'invalid_value',
  ],
  [
    'an image without url',
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
    'messages[0].content[0].image_url.url',
    'missing_required_parameter',
  ],
  [
    'a tool message without id',
    { messages: [user, calling, { role: 'tool', content: 'x' }] },
    'messages[2].tool_call_id',
    'missing_required_parameter',
  ],
  [
    'a tool message that answers nothing',
    { messages: [user, { role: 'tool', tool_call_id: 'x', content: 'x' }] },
    'messages.[1].role',
    null,
  ],
  ['a tool call that nothing answers', { messages: [user, calling, user] }, 'messages.[2].role', null],
  ['a tool call at the end', { messages: [user, calling] }, 'messages.[1].role', null],
  ['a temperature above 2', { temperature: 2.1 }, 'temperature', 'decimal_above_max_value'],
  ['a temperature below 0', { temperature: -1 }, 'temperature', 'decimal_below_min_value'],
  ['a temperature that is text', { temperature: 'hot' }, 'temperature', 'invalid_type'],
  ['a top_p above 1', { top_p: 1.1 }, 'top_p', 'decimal_above_max_value'],
  ['a penalty beyond 2', { presence_penalty: -2.5 }, 'presence_penalty', 'decimal_below_min_value'],
  ['max_tokens of 0', { max_tokens: 0 }, 'max_tokens', 'integer_below_min_value'],
  ['max_tokens that is no integer', { max_tokens: 1.5 }, 'max_tokens', 'invalid_type'],
  ['max_tokens beyond the model', { max_tokens: 1e9 }, 'max_tokens', 'invalid_value'],
  ['both limits', { max_tokens: 1, max_completion_tokens: 1 }, 'max_tokens', 'invalid_parameter_combination'],
  ['n of 0', { n: 0 }, 'n', 'integer_below_min_value'],
  ['n beyond 128', { n: 129 }, 'n', 'integer_above_max_value'],
  ['five stop sequences', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'array_above_max_length'],
  ['stop that is a number', { stop: 5 }, 'stop', 'invalid_type'],
  ['stream that is text', { stream: 'yes' }, 'stream', 'invalid_type'],
  ['stream_options without stream', { stream_options: { include_usage: true } }, 'stream_options', 'invalid_value'],
  ['top_logprobs without logprobs', { top_logprobs: 2 }, 'top_logprobs', 'invalid_value'],
  ['21 top_logprobs', { logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'integer_above_max_value'],
  ['an unknown effort', { reasoning_effort: 'heroic' }, 'reasoning_effort', 'invalid_value'],
  ['an empty list of tools', { tools: [] }, 'tools', 'empty_array'],
  [
    'a tool without name',
    { tools: [{ type: 'function', function: {} }] },
    'tools[0].function.name',
    'missing_required_parameter',
  ],
  [
    'a tool name with a space',
    { tools: [{ type: 'function', function: { name: 'a b' } }] },
    'tools[0].function.name',
    'invalid_value',
  ],
  ['tool_choice without tools', { tool_choice: 'auto' }, 'tool_choice', null],
  [
    'tool_choice of an unknown tool',
    {
      tools: [{ type: 'function', function: { name: 'a' } }],
      tool_choice: { type: 'function', function: { name: 'b' } },
    },
    'tool_choice',
    null,
  ],
  ['an unknown response format', { response_format: { type: 'xml' } }, 'response_format.type', 'invalid_value'],
  [
    'a schema without name',
    { response_format: { type: 'json_schema', json_schema: { schema: {} } } },
    'response_format.json_schema.name',
    'missing_required_parameter',
  ],
  [
    'a prompt longer than the context',
    { messages: [{ role: 'user', content: 'word '.repeat(130_000) }] },
    'messages',
    'context_length_exceeded',
  ],
]

describe('sandbox errors', () => {
  it.each(REFUSED)('refuses %s as OpenAI does', async (_, body, param, code) => {
    const { status, json, header } = await chat(body)
    expect(status).toBe(400)
    expect(header('content-type')).toBe('application/json')
    expect(json).toEqual({ error: { message: expect.any(String), type: 'invalid_request_error', param, code } })
  })

  it('refuses a body that is not JSON, not an object, not UTF-8, without a model, or nested too deeply', async () => {
    const bodies = [new TextEncoder().encode('{"model":'), [1], new Uint8Array([0x7b, 0xff, 0x7d]), { messages: [] }]
    for (const body of bodies) expect((await ask('/chat/completions', body)).status).toBe(400)
    const deep = `{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    const outcome = await ask('/chat/completions', new TextEncoder().encode(deep))
    expect(outcome.error).toBeNull()
    expect(outcome.status).toBe(400)
  })

  it('answers 404 for a path that it does not serve and for a sandbox model that it does not have', async () => {
    expect((await ask('/v2/nothing', { model: 'x' })).status).toBe(404)
    const { status, json } = await chat({ model: 'sandbox/nothing' })
    expect([status, json.error.code]).toEqual([404, 'model_not_found'])
  })

  it.each([
    [429, 'rate_limit_exceeded', 'requests'],
    [500, null, 'server_error'],
    [503, 'overloaded', 'server_error'],
    [401, 'invalid_api_key', 'invalid_request_error'],
    [418, null, 'invalid_request_error'],
    [599, null, 'server_error'],
  ])('fails with %i for the model of that name, on every endpoint', async (status, code, type) => {
    for (const path of ['/chat/completions', '/completions', '/embeddings']) {
      const outcome = await ask(path, { model: `sandbox/error-${status}`, messages: [user], input: 'x', stream: true })
      expect(outcome.status).toBe(status)
      expect(outcome.json.error).toMatchObject({ code, type })
      expect(outcome.header('retry-after')).toBe(status === 429 ? '1' : null)
    }
  })

  it('breaks off half-way for sandbox/cut, in a stream and in JSON', async () => {
    for (const stream of [true, false]) {
      const { status, text, error } = await chat({ model: 'sandbox/cut', stream })
      expect(status).toBe(200)
      expect(error?.kind).toBe('network')
      expect(text.length).toBeGreaterThan(100)
      expect(text).not.toContain('[DONE]')
      if (!stream) expect(() => JSON.parse(text)).toThrow()
    }
  })
})
