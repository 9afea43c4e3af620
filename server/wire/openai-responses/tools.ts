import type { Tool, ToolChoice } from '../model.ts'
import { flagOr, isRecord, type Json, record, records, textOr } from '../openai-chat/values.ts'
import { WireError } from '../wire.ts'

const WIRE = 'openai-responses'

/** Tools and the choice among them, both ways. Tools that a provider runs itself stay as they are. */

/** @throws WireError when the list is none, or a function has no name */
export function readTools(value: unknown): Tool[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new WireError('"tools" must be an array', 'tools')
  return value.flatMap((tool: unknown, index) => {
    const at = `tools[${index}]`
    if (!isRecord(tool)) throw new WireError(`"${at}" must be an object`, at)
    if (tool.type !== 'namespace') return [readTool(tool, at)]
    return records(tool.tools).map((inner, place) => readTool(inNamespace(tool, inner), `${at}.tools[${place}]`))
  })
}

/** A tool of a namespace under a name of its own, as wires without namespaces can say it. */
function inNamespace(namespace: Json, tool: Json): Json {
  return typeof tool.name === 'string' ? { ...tool, name: fullName(namespace.name, tool.name) } : tool
}

export function fullName(namespace: unknown, name: string): string {
  if (typeof namespace !== 'string' || namespace === '') return name
  return namespace.endsWith('__') ? namespace + name : `${namespace}__${name}`
}

function readTool(tool: Json, at: string): Tool {
  if (tool.type !== 'function' && tool.type !== 'custom') return { type: 'opaque', wire: WIRE, value: tool }
  const { name } = tool
  if (typeof name !== 'string' || name === '')
    throw new WireError(`Missing required parameter: "${at}.name"`, `${at}.name`)
  const description = textOr(tool.description, null)
  if (tool.type === 'custom') return { type: 'custom', name, description, format: tool.format ?? null }
  const parameters = isRecord(tool.parameters) ? tool.parameters : null
  return { type: 'function', name, description, parameters, strict: flagOr(tool.strict, null) }
}

/** Null as well for a choice of a tool that the provider runs itself. @throws WireError for what is no choice */
export function readToolChoice(value: unknown): ToolChoice | null {
  if (value === undefined || value === null) return null
  if (value === 'auto' || value === 'none' || value === 'required') return { type: value }
  if (!isRecord(value))
    throw new WireError('"tool_choice" must be "none", "auto", "required" or an object', 'tool_choice')
  if (value.type === 'function' || value.type === 'custom') {
    if (typeof value.name === 'string') return { type: 'tool', name: value.name }
    throw new WireError('Missing required parameter: "tool_choice.name"', 'tool_choice.name')
  }
  if (value.type !== 'allowed_tools') return null
  const tools = records(value.tools)
  const names = tools.map((tool) => tool.name).filter((name) => typeof name === 'string')
  // Tools of the provider's own in the list have no name.
  if (names.length < tools.length) return null
  return { type: 'allowed', mode: value.mode === 'required' ? 'required' : 'auto', names }
}

/** A tool in this wire's words; null when it is another wire's own. */
export function writeTool(tool: Tool): Json | null {
  if (tool.type === 'opaque') return tool.wire === WIRE ? record(tool.value) : null
  const { name, description } = tool
  const told = description === null ? {} : { description }
  if (tool.type === 'custom') {
    const format = flatFormat(tool.format)
    return { type: 'custom', name, ...told, ...(format === null ? {} : { format }) }
  }
  // The wire demands both, and takes a missing `strict` for true where others take it for false.
  const parameters = tool.parameters ?? { type: 'object', properties: {} }
  return { type: 'function', name, ...told, parameters, strict: tool.strict ?? false }
}

/** Chat has the grammar one level deeper than Responses. */
function flatFormat(format: unknown): unknown {
  const { type, grammar } = record(format)
  return isRecord(grammar) ? { type, ...grammar } : (format ?? null)
}

export function writeToolChoice(choice: ToolChoice, tools: readonly Tool[]): unknown {
  const kindOf = (name: string) =>
    tools.some((tool) => tool.type === 'custom' && tool.name === name) ? 'custom' : 'function'
  if (choice.type === 'tool') return { type: kindOf(choice.name), name: choice.name }
  if (choice.type !== 'allowed') return choice.type
  const allowed = choice.names.map((name) => ({ type: kindOf(name), name }))
  return { type: 'allowed_tools', mode: choice.mode, tools: allowed }
}

/** How a request's own list names the tools that other wires have to name or use differently. */
export interface ToolNames {
  /** Tools whose argument is plain text. */
  readonly customs: ReadonlySet<string>
  /** Tools of a namespace, by their full names. */
  readonly inner: ReadonlyMap<string, { readonly namespace: string; readonly name: string }>
}

export function namesOf(tools: readonly Json[]): ToolNames {
  const customs = new Set<string>()
  const inner = new Map<string, { namespace: string; name: string }>()
  for (const tool of tools) {
    const namespace = tool.type === 'namespace' ? textOr(tool.name, '') : ''
    for (const one of namespace === '' ? [tool] : records(tool.tools)) {
      const name = textOr(one.name, '')
      if (one.type === 'custom') customs.add(fullName(namespace, name))
      if (namespace !== '') inner.set(fullName(namespace, name), { namespace, name })
    }
  }
  return { customs, inner }
}

/** The text in the one string argument that stands for it where tools have only JSON; else what the model wrote. */
export function customInput(written: string): string {
  try {
    const value: unknown = JSON.parse(written)
    if (isRecord(value) && typeof value.input === 'string') return value.input
  } catch {
    // A model may forget the JSON around it.
  }
  return written
}
