import { MODEL, type ProviderEnd } from './provider-end.ts'
import { gemini } from './provider-gemini.ts'
import { COUNTED, callsOf, frames, type Json, pieces, type Scene, THOUGHT, TOOL, textOf } from './scenes.ts'

/* biome-ignore lint/suspicious/noExplicitAny: requests are read as their providers read them */
type Any = any

const thinks = (scene: Scene) => scene === 'reasoning'

const chatUsage = {
  prompt_tokens: COUNTED.input,
  completion_tokens: COUNTED.output,
  total_tokens: COUNTED.input + COUNTED.output,
  prompt_tokens_details: { cached_tokens: COUNTED.cached },
  completion_tokens_details: { reasoning_tokens: COUNTED.reasoning },
}

const chat: ProviderEnd = {
  name: 'chat',
  wire: 'openai-chat',
  path: '/chat/completions',
  hears(body: Any) {
    const system = body.messages.filter(({ role }: Any) => role === 'system' || role === 'developer')
    return {
      system: system.map(({ content }: Any) => chatText(content)).join('\n'),
      turns: body.messages
        .filter((message: Any) => !system.includes(message))
        .flatMap(({ role, content, tool_calls = [] }: Any) => [
          ...(role === 'tool' ? [`[result ${chatText(content)}]`] : []),
          ...(role !== 'tool' && content ? [`${role}: ${chatText(content)}`] : []),
          ...tool_calls.map(({ function: called }: Any) => `[call ${called.name} ${called.arguments}]`),
        ]),
      tools: (body.tools ?? []).map(({ function: tool }: Any) => ({ name: tool.name, schema: tool.parameters })),
      format: body.response_format?.json_schema?.schema ?? null,
      thinks: body.reasoning_effort !== undefined,
      stream: body.stream === true,
    }
  },
  whole(scene) {
    const calls = callsOf(scene).map(({ id, arguments: args }) => ({
      id,
      type: 'function',
      function: { name: TOOL.name, arguments: args },
    }))
    return {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_790_000_000,
      model: MODEL,
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: calls.length > 0 ? null : textOf(scene),
            ...(thinks(scene) ? { reasoning_content: THOUGHT } : {}),
            ...(calls.length > 0 ? { tool_calls: calls } : {}),
          },
          finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
        },
      ],
      usage: chatUsage,
    }
  },
  stream(scene) {
    const calls = callsOf(scene)
    const chunk = (delta: Json, finish: string | null = null) => ({
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1_790_000_000,
      model: MODEL,
      choices: [{ index: 0, delta, finish_reason: finish }],
    })
    const chunks = [
      chunk({ role: 'assistant', content: '' }),
      ...(thinks(scene) ? pieces(THOUGHT).map((piece) => chunk({ reasoning_content: piece })) : []),
      ...pieces(textOf(scene)).map((piece) => chunk({ content: piece })),
      ...calls.flatMap(({ id, arguments: args }, index) => [
        chunk({ tool_calls: [{ index, id, type: 'function', function: { name: TOOL.name, arguments: '' } }] }),
        ...pieces(args).map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
      ]),
      chunk({}, calls.length > 0 ? 'tool_calls' : 'stop'),
      { ...chunk({}), choices: [], usage: chatUsage },
    ]
    return frames([...chunks.map((data) => [null, data] as const), [null, '[DONE]']])
  },
  refusal: (message) => ({ error: { message, type: 'invalid_request_error', param: null, code: null } }),
  failing: (message) =>
    frames([
      [
        null,
        {
          id: 'c',
          object: 'chat.completion.chunk',
          created: 1,
          model: MODEL,
          choices: [{ index: 0, delta: { role: 'assistant', content: 'Sun' }, finish_reason: null }],
        },
      ],
      [null, { error: { message, type: 'server_error' } }],
    ]),
}

function chatText(content: Any): string {
  if (typeof content === 'string') return content
  return content
    .map((part: Any) => (part.type === 'text' ? part.text : `[image ${part.image_url.url.split(',')[1]}]`))
    .join('')
}

const responsesUsage = {
  input_tokens: COUNTED.input,
  input_tokens_details: { cached_tokens: COUNTED.cached },
  output_tokens: COUNTED.output,
  output_tokens_details: { reasoning_tokens: COUNTED.reasoning },
  total_tokens: COUNTED.input + COUNTED.output,
}

function responseItems(scene: Scene): Any[] {
  const calls = callsOf(scene).map(({ id, arguments: args }, at) => ({
    type: 'function_call',
    id: `fc_${at}`,
    call_id: id,
    name: TOOL.name,
    arguments: args,
    status: 'completed',
  }))
  const message = {
    type: 'message',
    id: 'msg_1',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: textOf(scene), annotations: [], logprobs: [] }],
  }
  const reasoning = {
    type: 'reasoning',
    id: 'rs_1',
    summary: [{ type: 'summary_text', text: THOUGHT }],
    encrypted_content: 'c2VhbGVk',
  }
  return [...(thinks(scene) ? [reasoning] : []), ...(calls.length > 0 ? calls : [message])]
}

function response(status: string, output: Any[], usage: Any): Any {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1_790_000_000,
    status,
    model: MODEL,
    output,
    usage,
    error: null,
  }
}

const responses: ProviderEnd = {
  name: 'Responses',
  wire: 'openai-responses',
  path: '/responses',
  hears(body: Any) {
    const input = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input
    const isSystem = ({ role }: Any) => role === 'system' || role === 'developer'
    const said = input.filter(isSystem).map(({ content }: Any) => responsesText(content))
    return {
      system: [...(body.instructions ? [body.instructions] : []), ...said].join('\n'),
      turns: input
        .filter((item: Any) => !isSystem(item))
        .map((item: Any) => {
          if (item.type === 'function_call') return `[call ${item.name} ${item.arguments}]`
          if (item.type === 'function_call_output') return `[result ${responsesText(item.output)}]`
          return `${item.role}: ${responsesText(item.content)}`
        }),
      tools: (body.tools ?? []).map(({ name, parameters }: Any) => ({ name, schema: parameters })),
      format: body.text?.format?.schema ?? null,
      thinks: body.reasoning !== undefined,
      stream: body.stream === true,
    }
  },
  whole: (scene) => response('completed', responseItems(scene), responsesUsage),
  stream(scene) {
    const events: Any[] = []
    const say = (type: string, more: Json) => events.push({ type, sequence_number: events.length, ...more })
    say('response.created', { response: response('in_progress', [], null) })
    say('response.in_progress', { response: response('in_progress', [], null) })
    for (const [output_index, item] of responseItems(scene).entries()) {
      const at = { item_id: item.id, output_index }
      if (item.type === 'function_call') {
        say('response.output_item.added', { output_index, item: { ...item, arguments: '', status: 'in_progress' } })
        for (const delta of pieces(item.arguments)) say('response.function_call_arguments.delta', { ...at, delta })
        say('response.function_call_arguments.done', { ...at, name: item.name, arguments: item.arguments })
      } else if (item.type === 'message') {
        const part = item.content[0]
        const in_part = { ...at, content_index: 0 }
        say('response.output_item.added', { output_index, item: { ...item, content: [], status: 'in_progress' } })
        say('response.content_part.added', { ...in_part, part: { ...part, text: '' } })
        for (const delta of pieces(part.text)) say('response.output_text.delta', { ...in_part, delta, logprobs: [] })
        say('response.output_text.done', { ...in_part, text: part.text, logprobs: [] })
        say('response.content_part.done', { ...in_part, part })
      } else {
        const part = item.summary[0]
        const in_part = { ...at, summary_index: 0 }
        say('response.output_item.added', { output_index, item: { ...item, summary: [], encrypted_content: null } })
        say('response.reasoning_summary_part.added', { ...in_part, part: { ...part, text: '' } })
        for (const delta of pieces(part.text)) say('response.reasoning_summary_text.delta', { ...in_part, delta })
        say('response.reasoning_summary_text.done', { ...in_part, text: part.text })
        say('response.reasoning_summary_part.done', { ...in_part, part })
      }
      say('response.output_item.done', { output_index, item })
    }
    say('response.completed', { response: response('completed', responseItems(scene), responsesUsage) })
    return frames(events.map((event) => [event.type, event] as const))
  },
  refusal: (message) => ({ error: { message, type: 'invalid_request_error', param: null, code: null } }),
  failing(message) {
    const created = { type: 'response.created', sequence_number: 0, response: response('in_progress', [], null) }
    const error = { type: 'error', sequence_number: 1, code: 'server_error', message, param: null }
    return frames([created, error].map((event) => [event.type, event] as const))
  },
}

function responsesText(content: Any): string {
  if (typeof content === 'string') return content
  return content
    .map((part: Any) => (part.type === 'input_image' ? `[image ${part.image_url.split(',')[1]}]` : part.text))
    .join('')
}

const messagesUsage = {
  input_tokens: COUNTED.input - COUNTED.cached,
  cache_read_input_tokens: COUNTED.cached,
  cache_creation_input_tokens: 0,
  output_tokens: COUNTED.output,
}

function messageBlocks(scene: Scene): Any[] {
  const calls = callsOf(scene).map(({ id, arguments: args }) => ({
    type: 'tool_use',
    id,
    name: TOOL.name,
    input: JSON.parse(args),
  }))
  return [
    ...(thinks(scene) ? [{ type: 'thinking', thinking: THOUGHT, signature: 'c2lnbmVk' }] : []),
    ...(calls.length > 0 ? calls : [{ type: 'text', text: textOf(scene) }]),
  ]
}

function message(content: Any[], usage: Any, stop_reason: string | null): Any {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: MODEL,
    content,
    stop_reason,
    stop_sequence: null,
    usage,
  }
}

const stopReason = (scene: Scene) => (callsOf(scene).length > 0 ? 'tool_use' : 'end_turn')

const messages: ProviderEnd = {
  name: 'Messages',
  wire: 'anthropic-messages',
  path: '/messages',
  hears(body: Any) {
    return {
      system:
        typeof body.system === 'string' ? body.system : (body.system ?? []).map(({ text }: Any) => text).join('\n'),
      turns: body.messages.flatMap(({ role, content }: Any) => {
        if (typeof content === 'string') return [`${role}: ${content}`]
        const found: string[] = []
        let text = ''
        for (const block of content) {
          if (block.type === 'text') text += block.text
          if (block.type === 'image') text += `[image ${block.source.data}]`
          if (block.type === 'tool_use') found.push(`[call ${block.name} ${JSON.stringify(block.input)}]`)
          if (block.type === 'tool_result') found.push(`[result ${chatText(block.content)}]`)
        }
        return text === '' ? found : [`${role}: ${text}`, ...found]
      }),
      tools: (body.tools ?? []).map(({ name, input_schema }: Any) => ({ name, schema: input_schema })),
      format: body.output_config?.format?.schema ?? body.output_format?.schema ?? null,
      thinks: body.thinking !== undefined && body.thinking.type !== 'disabled',
      stream: body.stream === true,
    }
  },
  whole: (scene) => message(messageBlocks(scene), messagesUsage, stopReason(scene)),
  stream(scene) {
    const events: Any[] = [
      { type: 'message_start', message: message([], { ...messagesUsage, output_tokens: 1 }, null) },
      { type: 'ping' },
    ]
    for (const [index, block] of messageBlocks(scene).entries()) {
      const deltas = (type: string, name: string, text: string) =>
        pieces(text).map((piece) => ({ type: 'content_block_delta', index, delta: { type, [name]: piece } }))
      const empty = { text: { text: '' }, thinking: { thinking: '', signature: '' }, tool_use: { input: {} } }
      const opened = { ...block, ...empty[block.type as 'text' | 'thinking' | 'tool_use'] }
      events.push({ type: 'content_block_start', index, content_block: opened })
      if (block.type === 'text') events.push(...deltas('text_delta', 'text', block.text))
      if (block.type === 'thinking') {
        events.push(...deltas('thinking_delta', 'thinking', block.thinking))
        const delta = { type: 'signature_delta', signature: block.signature }
        events.push({ type: 'content_block_delta', index, delta })
      }
      if (block.type === 'tool_use') {
        events.push(...deltas('input_json_delta', 'partial_json', JSON.stringify(block.input)))
      }
      events.push({ type: 'content_block_stop', index })
    }
    const delta = { stop_reason: stopReason(scene), stop_sequence: null }
    events.push({ type: 'message_delta', delta, usage: { output_tokens: COUNTED.output } }, { type: 'message_stop' })
    return frames(events.map((event) => [event.type, event] as const))
  },
  refusal: (text) => ({ type: 'error', error: { type: 'invalid_request_error', message: text }, request_id: 'req_p' }),
  failing(text) {
    const start = { type: 'message_start', message: message([], messagesUsage, null) }
    const open = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }
    const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Sun' } }
    const error = { type: 'error', error: { type: 'overloaded_error', message: text } }
    return frames([start, open, delta, error].map((event) => [event.type, event] as const))
  },
}

export const PROVIDERS: readonly ProviderEnd[] = [chat, responses, messages, gemini]
