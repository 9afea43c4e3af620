import { describe, expect, it } from 'vitest'
import { chat } from './ask-sandbox.ts'
import { violations } from './json-schema.ts'

const weather = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
    days: { type: 'integer', minimum: 1, maximum: 7 },
  },
  required: ['city', 'unit', 'days'],
  additionalProperties: false,
}
const tools = [
  { type: 'function', function: { name: 'send_mail', description: 'Sends an e-mail', parameters: { type: 'object' } } },
  { type: 'function', function: { name: 'get_weather', description: 'Weather forecast', parameters: weather } },
]
const user = (content: string) => [{ role: 'user', content }]
const ask = { messages: user('What is the weather forecast for Paris?'), tools }

describe('sandbox tools', () => {
  it('calls the tool that the question is about, with arguments that satisfy its schema', async () => {
    const { json } = await chat(ask)
    const [choice] = json.choices
    expect(choice.finish_reason).toBe('tool_calls')
    expect(choice.message.content).toBeNull()
    const [call] = choice.message.tool_calls
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } })
    expect(call.id).toMatch(/^call_\w{24}$/)
    expect(violations(weather, JSON.parse(call.function.arguments))).toEqual([])
    expect(json.usage.completion_tokens).toBeGreaterThan(5)
  })

  it('calls the tool that tool_choice names, or one of those it allows', async () => {
    const named = await chat({ ...ask, tool_choice: { type: 'function', function: { name: 'send_mail' } } })
    expect(named.json.choices[0].message.tool_calls[0].function.name).toBe('send_mail')
    const allowed = {
      type: 'allowed_tools',
      allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'send_mail' } }] },
    }
    const limited = await chat({ ...ask, tool_choice: allowed })
    expect(limited.json.choices[0].message.tool_calls[0].function.name).toBe('send_mail')
  })

  it('calls none when tool_choice is none', async () => {
    const { json } = await chat({ ...ask, tool_choice: 'none' })
    expect(json.choices[0].finish_reason).toBe('stop')
    expect(json.choices[0].message.tool_calls).toBeUndefined()
  })

  it('calls several at once when several are named or asked for, and only one when that is forbidden', async () => {
    const both = { tools, messages: user('Call get_weather and send_mail') }
    const names = async (body: object) =>
      (await chat(body)).json.choices[0].message.tool_calls.map((c: { function: { name: string } }) => c.function.name)
    expect(await names(both)).toEqual(['send_mail', 'get_weather'])
    expect(await names({ ...both, parallel_tool_calls: false })).toHaveLength(1)
    expect(await names({ tools, messages: user('The weather forecast of both Paris and Oslo') })).toEqual([
      'get_weather',
      'get_weather',
    ])
  })

  it('answers in text that tells the result after a tool message', async () => {
    const first = await chat(ask)
    const { message } = first.json.choices[0]
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny, 21 degrees' }
    const { json } = await chat({ tools, messages: [...ask.messages, message, result] })
    expect(json.choices[0].finish_reason).toBe('stop')
    expect(json.choices[0].message.content).toContain('sunny, 21 degrees')
  })

  it('streams a call as OpenAI does: index, id, type and name first, then its arguments in pieces', async () => {
    const [json, { events }] = await Promise.all([chat(ask), chat({ ...ask, stream: true })])
    const deltas = events.map((event) => event.choices[0].delta)
    expect(deltas[0]).toMatchObject({ role: 'assistant', content: null })
    expect(deltas[0].tool_calls[0]).toMatchObject({
      index: 0,
      type: 'function',
      function: { name: 'get_weather', arguments: '' },
    })
    const rest = deltas.slice(1, -1)
    expect(rest.length).toBeGreaterThan(3)
    expect(rest.every((delta) => delta.tool_calls[0].index === 0 && !('id' in delta.tool_calls[0]))).toBe(true)
    const whole = rest.map((delta) => delta.tool_calls[0].function.arguments).join('')
    expect(whole).toBe(json.json.choices[0].message.tool_calls[0].function.arguments)
    expect(events.at(-1).choices[0].finish_reason).toBe('tool_calls')
  })

  it('streams several calls under their own indexes', async () => {
    const { events } = await chat({ tools, stream: true, messages: user('Call get_weather and send_mail') })
    const heads = events.flatMap((event) => event.choices[0].delta.tool_calls ?? []).filter((call) => 'id' in call)
    expect(heads.map((call) => call.index)).toEqual([0, 1])
  })

  it('gives free text to a custom tool', async () => {
    const custom = [{ type: 'custom', custom: { name: 'run_code', description: 'Runs code' } }]
    const { json } = await chat({ tools: custom })
    const [call] = json.choices[0].message.tool_calls
    expect(call).toMatchObject({ type: 'custom', custom: { name: 'run_code' } })
    expect(call.custom.input.length).toBeGreaterThan(0)
    const { events } = await chat({ tools: custom, stream: true })
    expect(events[0].choices[0].delta.tool_calls[0]).toMatchObject({ index: 0, type: 'custom', custom: { input: '' } })
  })

  it('speaks the old functions dialect to those who ask in it', async () => {
    const { json } = await chat({ functions: [tools[1]!.function], function_call: { name: 'get_weather' } })
    expect(json.choices[0].finish_reason).toBe('function_call')
    expect(violations(weather, JSON.parse(json.choices[0].message.function_call.arguments))).toEqual([])
    const { events } = await chat({ functions: [tools[1]!.function], stream: true })
    expect(events[0].choices[0].delta.function_call).toEqual({ name: 'get_weather', arguments: '' })
  })

  it('ends with length when the limit leaves no room for the call', async () => {
    const { json } = await chat({ ...ask, max_tokens: 2 })
    expect(json.choices[0].finish_reason).toBe('length')
    expect(json.choices[0].message.tool_calls).toBeUndefined()
  })
})

describe('sandbox response_format', () => {
  const format = (schema: object) => ({ type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } })

  it('answers with JSON that satisfies the schema, streamed or not', async () => {
    const body = { response_format: format(weather) }
    const [json, stream] = await Promise.all([chat(body), chat({ ...body, stream: true })])
    const { content } = json.json.choices[0].message
    expect(violations(weather, JSON.parse(content))).toEqual([])
    expect(stream.events.map((event) => event.choices[0].delta.content ?? '').join('')).toBe(content)
  })

  it('answers json_object with an object, and refuses it when no message speaks of JSON', async () => {
    const { json } = await chat({ messages: user('Answer in JSON'), response_format: { type: 'json_object' } })
    expect(JSON.parse(json.choices[0].message.content)).toBeTypeOf('object')
    const refused = await chat({ response_format: { type: 'json_object' } })
    expect(refused.status).toBe(400)
    expect(refused.json.error.message).toContain("the word 'json'")
  })

  it('calls the tool first when there are both, then answers by the schema', async () => {
    const both = { tools, response_format: format(weather) }
    const first = await chat({ ...ask, ...both })
    const { message } = first.json.choices[0]
    expect(message.tool_calls).toHaveLength(1)
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' }
    const second = await chat({ ...both, messages: [...ask.messages, message, result] })
    expect(violations(weather, JSON.parse(second.json.choices[0].message.content))).toEqual([])
  })
})
