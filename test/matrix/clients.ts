import { type Client, cut, NOTHING, needsTools } from './client.ts'
import { gemini } from './client-gemini.ts'
import { CALLS, EARLIER, eventsOf, FORMAT, PIXEL, QUESTION, RESULT, SYSTEM, TOOL, type Understood } from './scenes.ts'

/* biome-ignore lint/suspicious/noExplicitAny: answers are read as their callers read them */
type Any = any

const chat: Client = {
  name: 'chat',
  path: '/v1/chat/completions',
  headers: {},
  cannot: () => null,
  body(scene) {
    const calls = CALLS.slice(0, 1).map(({ id, arguments: args }) => ({
      id,
      type: 'function',
      function: { name: TOOL.name, arguments: args },
    }))
    return cut({
      messages: [
        { role: 'system', content: SYSTEM },
        { role: 'user', content: EARLIER.user },
        { role: 'assistant', content: EARLIER.assistant },
        {
          role: 'user',
          content:
            scene === 'image'
              ? [
                  { type: 'text', text: QUESTION },
                  { type: 'image_url', image_url: { url: `data:image/png;base64,${PIXEL}` } },
                ]
              : QUESTION,
        },
        ...(scene === 'tool result'
          ? [
              { role: 'assistant', content: null, tool_calls: calls },
              { role: 'tool', tool_call_id: CALLS[0]!.id, content: RESULT },
            ]
          : []),
      ],
      tools: needsTools(scene)
        ? [{ type: 'function', function: { name: TOOL.name, description: TOOL.description, parameters: TOOL.schema } }]
        : undefined,
      response_format:
        scene === 'json schema'
          ? { type: 'json_schema', json_schema: { name: FORMAT.name, schema: FORMAT.schema, strict: true } }
          : undefined,
      reasoning_effort: scene === 'reasoning' ? 'high' : undefined,
      stream_options: { include_usage: true },
    })
  },
  whole(answer: Any) {
    if (answer.error !== undefined) return { ...NOTHING, error: answer.error.message }
    const { message, finish_reason } = answer.choices[0]
    return {
      text: message.content ?? '',
      thought: message.reasoning_content ?? message.reasoning ?? '',
      calls: (message.tool_calls ?? []).map(({ function: called }: Any) => parsed(called)),
      finish: finish_reason,
      usage: chatUsage(answer.usage),
      error: null,
    }
  },
  stream(text) {
    const seen = { text: '', thought: '', finish: '', usage: NOTHING.usage, error: null as string | null }
    const calls: { name: string; arguments: string }[] = []
    const events = eventsOf(text)
    for (const { data } of events) {
      if (data === '[DONE]') continue
      const chunk: Any = JSON.parse(data)
      if (chunk.error !== undefined) seen.error = chunk.error.message
      if (chunk.usage) seen.usage = chatUsage(chunk.usage)
      for (const { delta, finish_reason } of chunk.choices ?? []) {
        seen.text += delta.content ?? ''
        seen.thought += delta.reasoning_content ?? delta.reasoning ?? ''
        for (const { index, function: called } of delta.tool_calls ?? []) {
          calls[index] ??= { name: '', arguments: '' }
          calls[index].name += called.name ?? ''
          calls[index].arguments += called.arguments ?? ''
        }
        if (finish_reason) seen.finish = finish_reason
      }
    }
    if (seen.error === null && events.at(-1)?.data !== '[DONE]') throw new Error('The stream has no end')
    return { ...seen, calls: calls.map(parsed) }
  },
}

function parsed(call: { readonly name: string; readonly arguments: string }): { name: string; arguments: unknown } {
  return { name: call.name, arguments: JSON.parse(call.arguments) }
}

function chatUsage(usage: Any): Understood['usage'] {
  return {
    input: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    output: usage.completion_tokens,
  }
}

const completions: Client = {
  name: 'completions',
  path: '/v1/completions',
  headers: {},
  cannot(scene) {
    if (needsTools(scene)) return 'a text completion has no tools'
    if (scene === 'image') return 'a text completion has no images'
    if (scene === 'reasoning') return 'a text completion has no thoughts'
    return scene === 'json schema' ? 'a text completion has no format' : null
  },
  body: () => ({ prompt: QUESTION, max_tokens: 100, stream_options: { include_usage: true } }),
  whole(answer: Any) {
    if (answer.error !== undefined) return { ...NOTHING, error: answer.error.message }
    const { text, finish_reason } = answer.choices[0]
    return { ...NOTHING, text, finish: finish_reason, usage: chatUsage(answer.usage) }
  },
  stream(stream) {
    let [text, finish, usage] = ['', '', NOTHING.usage]
    let error: string | null = null
    for (const { data } of eventsOf(stream)) {
      if (data === '[DONE]') continue
      const chunk: Any = JSON.parse(data)
      if (chunk.error !== undefined) error = chunk.error.message
      if (chunk.usage) usage = chatUsage(chunk.usage)
      for (const choice of chunk.choices ?? []) {
        text += choice.text
        if (choice.finish_reason) finish = choice.finish_reason
      }
    }
    return { ...NOTHING, text, finish, usage, error }
  },
}

const responses: Client = {
  name: 'Responses',
  path: '/v1/responses',
  headers: {},
  cannot: () => null,
  body(scene) {
    return cut({
      instructions: SYSTEM,
      input: [
        { role: 'user', content: EARLIER.user },
        {
          type: 'message',
          id: 'msg_1',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: EARLIER.assistant, annotations: [] }],
        },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: QUESTION },
            ...(scene === 'image'
              ? [{ type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PIXEL}` }]
              : []),
          ],
        },
        ...(scene === 'tool result'
          ? [
              {
                type: 'function_call',
                id: 'fc_1',
                call_id: CALLS[0]!.id,
                name: TOOL.name,
                arguments: CALLS[0]!.arguments,
              },
              { type: 'function_call_output', call_id: CALLS[0]!.id, output: RESULT },
            ]
          : []),
      ],
      tools: needsTools(scene)
        ? [{ type: 'function', name: TOOL.name, description: TOOL.description, parameters: TOOL.schema, strict: false }]
        : undefined,
      text:
        scene === 'json schema'
          ? { format: { type: 'json_schema', name: FORMAT.name, schema: FORMAT.schema, strict: true } }
          : undefined,
      reasoning: scene === 'reasoning' ? { effort: 'high', summary: 'auto' } : undefined,
      store: false,
    })
  },
  whole(answer: Any) {
    return answer.error ? { ...NOTHING, error: answer.error.message } : readResponse(answer)
  },
  stream(text) {
    let [said, args] = ['', '']
    let last: Any = null
    let [sequence, error]: [number, string | null] = [-1, null]
    for (const { name, data } of eventsOf(text)) {
      // The Open Responses specification ends streams so; OpenAI's own end without it.
      if (data === '[DONE]') continue
      const event: Any = JSON.parse(data)
      if (event.type !== name) throw new Error(`Event ${name} of type ${event.type}`)
      if (event.sequence_number !== ++sequence) throw new Error(`${event.sequence_number} is not ${sequence}`)
      if (event.type === 'response.output_text.delta') said += event.delta
      if (event.type === 'response.function_call_arguments.delta') args += event.delta
      if (event.type === 'error') error = event.message ?? event.error.message
      if (event.type === 'response.failed') error = event.response.error.message
      if (event.response) last = event.response
    }
    if (error !== null) return { ...NOTHING, error }
    const read = readResponse(last)
    if (said !== read.text) throw new Error(`Deltas say ${said}, the response ${read.text}`)
    const whole = last.output.map((item: Any) => item.arguments ?? '').join('')
    if (args !== whole) throw new Error(`Deltas say ${args}, the response ${whole}`)
    return read
  },
}

function readResponse(response: Any): Understood {
  const parts = (type: string) => response.output.filter((item: Any) => item.type === type)
  const calls = parts('function_call').map(parsed)
  return {
    text: parts('message')
      .flatMap((item: Any) => item.content)
      .map((part: Any) => part.text ?? '')
      .join(''),
    thought: parts('reasoning')
      .flatMap((item: Any) => [...(item.summary ?? []), ...(item.content ?? [])])
      .map((part: Any) => part.text)
      .join(''),
    calls,
    finish: response.status === 'completed' ? (calls.length > 0 ? 'tool_calls' : 'stop') : response.status,
    usage: {
      input: response.usage.input_tokens,
      cached: response.usage.input_tokens_details.cached_tokens,
      output: response.usage.output_tokens,
    },
    error: null,
  }
}

const messages: Client = {
  name: 'Messages',
  path: '/v1/messages',
  headers: { 'anthropic-version': '2023-06-01' },
  cannot: () => null,
  body(scene) {
    return cut({
      max_tokens: 4096,
      system: [{ type: 'text', text: SYSTEM }],
      messages: [
        { role: 'user', content: EARLIER.user },
        { role: 'assistant', content: EARLIER.assistant },
        {
          role: 'user',
          content: [
            { type: 'text', text: QUESTION },
            ...(scene === 'image'
              ? [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } }]
              : []),
          ],
        },
        ...(scene === 'tool result'
          ? [
              {
                role: 'assistant',
                content: [
                  { type: 'tool_use', id: CALLS[0]!.id, name: TOOL.name, input: JSON.parse(CALLS[0]!.arguments) },
                ],
              },
              { role: 'user', content: [{ type: 'tool_result', tool_use_id: CALLS[0]!.id, content: RESULT }] },
            ]
          : []),
      ],
      tools: needsTools(scene)
        ? [{ name: TOOL.name, description: TOOL.description, input_schema: TOOL.schema }]
        : undefined,
      output_config: scene === 'json schema' ? { format: { type: 'json_schema', schema: FORMAT.schema } } : undefined,
      thinking: scene === 'reasoning' ? { type: 'enabled', budget_tokens: 2048 } : undefined,
    })
  },
  whole(answer: Any) {
    return answer.type === 'error' ? { ...NOTHING, error: answer.error.message } : readMessage(answer)
  },
  stream(text) {
    let message: Any = null
    let [ended, error]: [boolean, string | null] = [false, null]
    for (const { name, data } of eventsOf(text)) {
      const event: Any = JSON.parse(data)
      if (event.type !== name) throw new Error(`Event ${name} of type ${event.type}`)
      if (event.type === 'message_start') message = event.message
      if (event.type === 'content_block_start') message.content[event.index] = { ...event.content_block, json: '' }
      if (event.type === 'content_block_delta') {
        const block = message.content[event.index]
        const { type, text: more, thinking, partial_json, signature } = event.delta
        if (type === 'text_delta') block.text += more
        if (type === 'thinking_delta') block.thinking += thinking
        if (type === 'input_json_delta') block.json += partial_json
        if (type === 'signature_delta') block.signature = signature
      }
      if (event.type === 'content_block_stop') {
        const block = message.content[event.index]
        if (block.type === 'tool_use') block.input = JSON.parse(block.json === '' ? '{}' : block.json)
      }
      if (event.type === 'message_delta') {
        Object.assign(message, event.delta, { usage: { ...message.usage, ...event.usage } })
      }
      if (event.type === 'message_stop') ended = true
      if (event.type === 'error') error = event.error.message
    }
    if (error !== null) return { ...NOTHING, error }
    if (!ended) throw new Error('The stream has no end')
    return readMessage(message)
  },
}

const STOP_REASONS: Record<string, string> = { end_turn: 'stop', tool_use: 'tool_calls', max_tokens: 'length' }

function readMessage(message: Any): Understood {
  const blocks = (type: string) => message.content.filter((block: Any) => block.type === type)
  const { input_tokens, cache_read_input_tokens = 0, cache_creation_input_tokens = 0, output_tokens } = message.usage
  return {
    text: blocks('text')
      .map((block: Any) => block.text)
      .join(''),
    thought: blocks('thinking')
      .map((block: Any) => block.thinking)
      .join(''),
    calls: blocks('tool_use').map(({ name, input }: Any) => ({ name, arguments: input })),
    finish: STOP_REASONS[message.stop_reason] ?? message.stop_reason,
    usage: {
      input: input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0),
      cached: cache_read_input_tokens ?? 0,
      output: output_tokens,
    },
    error: null,
  }
}

export const CLIENTS: readonly Client[] = [chat, completions, responses, messages, gemini]
