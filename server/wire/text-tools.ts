import type { Adaptation, StreamReader } from './dialect.ts'
import { TEXT_SCHEMA, TEXT_TOOL, textArgument } from './emulation.ts'
import type { Completion, Part, Prompt, StreamEvent, Tool, ToolCall } from './model.ts'

/**
 * Tools whose argument is plain text, for providers that know functions only: each becomes a function with one string,
 * whose name tells what it stands for. Readers of the answer know nothing of the request.
 */
export function withTextTools(prompt: Prompt): { readonly prompt: Prompt; readonly adapted: readonly Adaptation[] } {
  const names = new Set(prompt.tools.filter((tool) => tool.type === 'custom').map(({ name }) => name))
  const hasCalls = prompt.messages.some(({ parts }) => parts.some(isTextCall))
  if (names.size === 0 && !hasCalls) return { prompt, adapted: [] }
  const adapted = prompt.tools.flatMap((tool, at) =>
    tool.type === 'custom' ? [{ param: `tools[${at}]`, how: 'emulated' } as const] : [],
  )
  const named = (name: string) => (names.has(name) ? TEXT_TOOL + name : name)
  const { toolChoice } = prompt
  const choice =
    toolChoice?.type === 'tool'
      ? { ...toolChoice, name: named(toolChoice.name) }
      : toolChoice?.type === 'allowed'
        ? { ...toolChoice, names: toolChoice.names.map(named) }
        : toolChoice
  const messages = prompt.messages.map((message) => ({ ...message, parts: message.parts.map(asFunctionCall) }))
  return { prompt: { ...prompt, messages, tools: prompt.tools.map(asFunction), toolChoice: choice }, adapted }
}

function isTextCall(part: Part): part is ToolCall {
  return part.type === 'tool-call' && part.kind === 'custom'
}

function asFunction(tool: Tool): Tool {
  if (tool.type !== 'custom') return tool
  const { name, description } = tool
  return { type: 'function', name: TEXT_TOOL + name, description, parameters: TEXT_SCHEMA, strict: null }
}

function asFunctionCall(part: Part): Part {
  if (!isTextCall(part)) return part
  return {
    ...part,
    kind: 'function',
    name: TEXT_TOOL + part.name,
    arguments: JSON.stringify({ input: part.arguments }),
  }
}

/** The calls of such functions as what they stand for. */
export function fromTextTools(answer: Completion): Completion {
  if (!answer.choices.some(({ parts }) => parts.some(standsForText))) return answer
  return { ...answer, choices: answer.choices.map((choice) => ({ ...choice, parts: choice.parts.map(asTextCall) })) }
}

function standsForText(part: Part): part is ToolCall {
  return part.type === 'tool-call' && part.name.startsWith(TEXT_TOOL)
}

function asTextCall(part: Part): Part {
  if (!standsForText(part)) return part
  return { ...part, kind: 'custom', name: part.name.slice(TEXT_TOOL.length), arguments: textArgument(part.arguments) }
}

/** The same for a stream: the text of such a call is known when its JSON is whole. */
export function readTextTools(reader: StreamReader): StreamReader {
  /** What came of the calls that are open, by choice. */
  const open = new Map<number, string>()
  const back = (events: StreamEvent[]): StreamEvent[] =>
    open.size === 0 && !events.some(beginsTextCall) ? events : events.flatMap((event) => each(event, open))
  return {
    read: (event, data) => back(reader.read(event, data)),
    close: () => back(reader.close()),
    get finished() {
      return reader.finished
    },
  }
}

function beginsTextCall(event: StreamEvent): boolean {
  return event.type === 'part' && standsForText(event.part)
}

function each(event: StreamEvent, open: Map<number, string>): StreamEvent[] {
  if (event.type === 'part' && standsForText(event.part)) {
    const { part } = event
    open.set(event.choice, part.arguments)
    return [{ ...event, part: { ...part, kind: 'custom', name: part.name.slice(TEXT_TOOL.length), arguments: '' } }]
  }
  if (event.type !== 'delta' && event.type !== 'part-end') return [event]
  const written = open.get(event.choice)
  if (written === undefined) return [event]
  if (event.type === 'delta') {
    open.set(event.choice, written + (event.delta.text ?? ''))
    return []
  }
  open.delete(event.choice)
  return [{ type: 'delta', choice: event.choice, index: event.index, delta: { text: textArgument(written) } }, event]
}
