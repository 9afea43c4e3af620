import type { RecordedRequest } from '../helpers/upstream.ts'
import { answer, type Plan } from '../helpers/upstream-plan.ts'
import { frames, type Json, pieces } from '../matrix/scenes.ts'

/** What the model was told to do, and what it says when its tool has done it. */
export const TASK = 'Create the file result.txt with the text: made through the gateway'
export const CONTENT = 'made through the gateway'
export const DONE = 'The file result.txt is written.'

/* biome-ignore lint/suspicious/noExplicitAny: requests are read as their providers read them */
type Any = any

interface Offered {
  readonly name: string
  readonly schema: Any
}

/**
 * A small language model: as long as no tool has answered it calls the one that can write a file, then it says that it
 * is done. Speaks the wire of the path on which it is asked.
 */
export function fileWriter(request: RecordedRequest): Plan {
  const body: Any = request.json()
  const wire = WIRES.find(({ path }) => path.test(request.path))
  if (wire === undefined) return answer({ status: 404, body: '{"error":{"message":"No such path"}}' })
  const tool = wire.hasResult(body) ? null : toolFor(wire.tools(body))
  // What a client asks beside its task, such as a title, has no tools.
  const said = tool === null ? wire.says(DONE, body) : wire.calls(tool.name, JSON.stringify(tool.arguments), body)
  const type = said.stream ? 'text/event-stream' : 'application/json'
  return answer({ body: said.text, headers: { 'content-type': type } })
}

/** The client's own tool for shell commands or files, and how it wants to be called. */
function toolFor(tools: readonly Offered[]): { name: string; arguments: Json } | null {
  const command = `printf '%s' '${CONTENT}' > result.txt`
  const CALLS: Record<string, Json> = {
    Bash: { command, description: 'Write the file' },
    bash: { command, description: 'Write the file' },
    exec_command: { cmd: command },
    shell_command: { command },
    shell: { command: ['bash', '-lc', command] },
  }
  const found = tools.find(({ name }) => CALLS[name] !== undefined)
  return found === undefined ? null : { name: found.name, arguments: CALLS[found.name]! }
}

interface Said {
  readonly stream: boolean
  readonly text: string
}

interface ModelWire {
  readonly path: RegExp
  tools(body: Any): Offered[]
  hasResult(body: Any): boolean
  says(text: string, body: Any): Said
  calls(name: string, args: string, body: Any): Said
}

const chatUsage = { prompt_tokens: 50, completion_tokens: 10, total_tokens: 60 }

function chatSaid(body: Any, message: Json, finish: string): Said {
  const base = { id: 'chatcmpl-1', created: 1_790_000_000, model: body.model }
  if (body.stream !== true) {
    const choices = [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finish }]
    return {
      stream: false,
      text: JSON.stringify({ ...base, object: 'chat.completion', choices, usage: chatUsage }),
    }
  }
  const chunk = (delta: Json, reason: string | null) => ({
    ...base,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: reason }],
  })
  const calls = (message.tool_calls ?? []) as Any[]
  const deltas = [
    { role: 'assistant', content: '' },
    ...pieces((message.content ?? '') as string).map((content) => ({ content })),
    ...calls.flatMap((call, index) => [
      { tool_calls: [{ index, ...call, function: { ...call.function, arguments: '' } }] },
      ...pieces(call.function.arguments).map((piece) => ({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
  ]
  const chunks = [
    ...deltas.map((delta) => chunk(delta, null)),
    chunk({}, finish),
    { ...chunk({}, null), choices: [], usage: chatUsage },
  ]
  return { stream: true, text: frames([...chunks.map((data) => [null, data] as const), [null, '[DONE]']]) }
}

const chat: ModelWire = {
  path: /\/chat\/completions$/,
  tools: (body) => (body.tools ?? []).map(({ function: tool }: Any) => ({ name: tool.name, schema: tool.parameters })),
  hasResult: (body) => body.messages.some(({ role }: Any) => role === 'tool'),
  says: (text, body) => chatSaid(body, { content: text }, 'stop'),
  calls(name, args, body) {
    const call = { id: 'call_write0001', type: 'function', function: { name, arguments: args } }
    return chatSaid(body, { content: null, tool_calls: [call] }, 'tool_calls')
  },
}

function messageSaid(body: Any, block: Any, reason: string): Said {
  const usage = { input_tokens: 50, output_tokens: 10 }
  const base = { id: 'msg_1', type: 'message', role: 'assistant', model: body.model, stop_sequence: null }
  if (body.stream !== true) {
    return { stream: false, text: JSON.stringify({ ...base, content: [block], stop_reason: reason, usage }) }
  }
  const isText = block.type === 'text'
  const text = isText ? block.text : JSON.stringify(block.input)
  const events: Any[] = [
    { type: 'message_start', message: { ...base, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: { ...block, ...(isText ? { text: '' } : { input: {} }) } },
    ...pieces(text).map((piece) => ({
      type: 'content_block_delta',
      index: 0,
      delta: isText ? { type: 'text_delta', text: piece } : { type: 'input_json_delta', partial_json: piece },
    })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: reason, stop_sequence: null }, usage },
    { type: 'message_stop' },
  ]
  return { stream: true, text: frames(events.map((event) => [event.type, event] as const)) }
}

const messages: ModelWire = {
  path: /\/messages$/,
  tools: (body) => (body.tools ?? []).map(({ name, input_schema }: Any) => ({ name, schema: input_schema })),
  hasResult: (body) =>
    body.messages.some(
      ({ content }: Any) => Array.isArray(content) && content.some(({ type }: Any) => type === 'tool_result'),
    ),
  says: (text, body) => messageSaid(body, { type: 'text', text }, 'end_turn'),
  calls: (name, args, body) =>
    messageSaid(body, { type: 'tool_use', id: 'toolu_write0001', name, input: JSON.parse(args) }, 'tool_use'),
}

function geminiSaid(stream: boolean, part: Any): Said {
  const value = {
    candidates: [{ content: { role: 'model', parts: [part] }, index: 0, finishReason: 'STOP' }],
    usageMetadata: { promptTokenCount: 50, candidatesTokenCount: 10, totalTokenCount: 60 },
    modelVersion: 'gemini',
    responseId: 'gem-1',
  }
  return { stream, text: stream ? frames([[null, value]]) : JSON.stringify(value) }
}

/** Whether it streams stands in the path. */
function gemini(stream: boolean): ModelWire {
  return {
    path: stream ? /:streamGenerateContent/ : /:generateContent$/,
    tools: (body) =>
      (body.tools ?? [])
        .flatMap((tool: Any) => tool.functionDeclarations ?? [])
        .map((tool: Any) => ({ name: tool.name, schema: tool.parametersJsonSchema ?? tool.parameters })),
    hasResult: (body) =>
      body.contents.some(({ parts }: Any) => parts.some((part: Any) => part.functionResponse !== undefined)),
    says: (text) => geminiSaid(stream, { text }),
    calls: (name, args) => geminiSaid(stream, { functionCall: { name, args: JSON.parse(args) } }),
  }
}

const WIRES: readonly ModelWire[] = [chat, messages, gemini(true), gemini(false)]
