import type { Adaptation, WriteOptions } from '../dialect.ts'
import type { CacheMark, CustomTool, FunctionTool, Prompt, Tool, ToolChoice } from '../model.ts'
import { WireError } from '../wire.ts'
import { flagOr, isRecord, type Json, record, records, said, textOr } from './values.ts'

const WIRE = 'openai-chat'

/** Tools of a request, `functions` of before there were tools included. @throws WireError */
export function readTools(body: Json): Tool[] {
  const tools = listOf(body, 'tools').map(readTool)
  const functions = listOf(body, 'functions').map((value, at) => readFunction(value, `functions[${at}]`))
  return [...tools, ...functions]
}

function listOf(body: Json, name: string): unknown[] {
  const value = body[name] ?? []
  if (Array.isArray(value)) return value
  throw new WireError(`"${name}" must be a list`, name)
}

function readTool(value: unknown, at: number): Tool {
  const param = `tools[${at}]`
  if (!isRecord(value)) throw new WireError(`"${param}" must be an object`, param)
  const cache = readCache(value)
  if (value.type === 'function') {
    const tool = readFunction(value.function, `${param}.function`)
    const mark = cache ?? readCache(record(value.function))
    return mark === null ? tool : { ...tool, cache: mark }
  }
  if (value.type !== 'custom') return { type: 'opaque', wire: WIRE, value }
  const { name, description, format } = record(value.custom)
  if (typeof name !== 'string') throw new WireError(`"${param}.custom.name" must be a string`, `${param}.custom.name`)
  return { type: 'custom', name, description: textOr(description, null), format: flatFormat(format) }
}

/** A grammar as Responses say it; chat puts it one level deeper. */
function flatFormat(format: unknown): unknown {
  const { type, grammar } = record(format)
  return type === 'grammar' && isRecord(grammar) ? { type, ...grammar } : (format ?? null)
}

function nestedFormat(format: unknown): unknown {
  const { type, ...grammar } = record(format)
  return type === 'grammar' && grammar.grammar === undefined ? { type, grammar } : format
}

function readFunction(value: unknown, param: string): FunctionTool {
  const { name, description, parameters, strict } = record(value)
  if (typeof name !== 'string' || name === '') {
    throw new WireError(`"${param}.name" must be a string that is not empty`, `${param}.name`)
  }
  const schema = isRecord(parameters) ? parameters : null
  return {
    type: 'function',
    name,
    description: textOr(description, null),
    parameters: schema,
    strict: flagOr(strict, null),
  }
}

/** A mark as OpenRouter and Anthropic's own compatible API take it; null when there is none. */
export function readCache({ cache_control }: Json): CacheMark | null {
  if (!isRecord(cache_control) || cache_control.type !== 'ephemeral') return null
  return { ttl: cache_control.ttl === '1h' ? '1h' : '5m' }
}

export function writeCache({ ttl }: CacheMark): Json {
  return ttl === '1h' ? { type: 'ephemeral', ttl } : { type: 'ephemeral' }
}

/** @throws WireError naming what is no choice */
export function readToolChoice(body: Json): ToolChoice | null {
  const choice = body.tool_choice ?? null
  if (choice === null) return readFunctionCall(body.function_call ?? null)
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { type: choice }
  // Mistral's word for `required`.
  if (choice === 'any') return { type: 'required' }
  const { type, function: named, custom, allowed_tools } = record(choice)
  const name = record(type === 'custom' ? custom : named).name
  if ((type === 'function' || type === 'custom') && typeof name === 'string') return { type: 'tool', name }
  if (type === 'allowed_tools') {
    const { mode, tools } = record(allowed_tools)
    const names = records(tools).map((tool) => textOr(record(tool.function ?? tool.custom ?? tool).name, ''))
    return {
      type: 'allowed',
      mode: mode === 'required' ? 'required' : 'auto',
      names: names.filter((one) => one !== ''),
    }
  }
  throw new WireError(
    '"tool_choice" must be "auto", "none", "required", or an object that names a function, a custom tool or allowed tools',
    'tool_choice',
  )
}

function readFunctionCall(choice: unknown): ToolChoice | null {
  if (choice === null) return null
  if (choice === 'auto' || choice === 'none') return { type: choice }
  const { name } = record(choice)
  if (typeof name === 'string') return { type: 'tool', name }
  throw new WireError('"function_call" must be "auto", "none" or name a function', 'function_call')
}

export interface ToolsOf {
  readonly tools: Json[]
  readonly choice: unknown
  readonly adapted: Adaptation[]
}

/**
 * @param how `marks`: cache marks are understood; `allowed`: a choice among tools can be said. Where it can't, the
 * others are left out.
 */
export function writeTools(prompt: Prompt, how: { readonly marks: boolean; readonly allowed: boolean }): ToolsOf {
  const adapted: Adaptation[] = []
  const choice = prompt.toolChoice
  let tools = prompt.tools
  if (choice?.type === 'allowed' && !how.allowed) {
    tools = tools.filter((tool) => tool.type === 'opaque' || choice.names.includes(tool.name))
    adapted.push({ param: 'tool_choice.allowed_tools', how: 'emulated' })
  }
  const written: Json[] = []
  for (const tool of tools) {
    if (tool.type !== 'opaque') written.push(writeTool(tool, how.marks))
    else if (tool.wire === WIRE) written.push(record(tool.value))
    else adapted.push({ param: `tools[${prompt.tools.indexOf(tool)}]`, how: 'dropped' })
  }
  return { tools: written, choice: writeChoice(prompt, how.allowed), adapted }
}

function writeTool(tool: FunctionTool | CustomTool, marks: boolean): Json {
  const { name, description } = tool
  if (tool.type === 'custom')
    return { type: 'custom', custom: said({ name, description, format: nestedFormat(tool.format) }) }
  const { parameters, strict, cache } = tool
  const written = { type: 'function', function: said({ name, description, parameters, strict }) }
  return marks && cache !== undefined ? { ...written, cache_control: writeCache(cache) } : written
}

function writeChoice({ toolChoice, tools }: Prompt, allowed: boolean): unknown {
  if (toolChoice === null) return null
  const named = (name: string) => {
    const type = tools.some((tool) => tool.type === 'custom' && tool.name === name) ? 'custom' : 'function'
    return { type, [type]: { name } }
  }
  if (toolChoice.type === 'tool') return named(toolChoice.name)
  if (toolChoice.type !== 'allowed') return toolChoice.type
  const { mode, names } = toolChoice
  return allowed ? { type: 'allowed_tools', allowed_tools: { mode, tools: names.map(named) } } : mode
}

/** OpenAI's own models by their names: only they know roles, marks and choices that others refuse. */
export function isOpenaiModel(model: string): boolean {
  return /^(?:openai\/)?(?:gpt-(?!oss)|o\d|chatgpt-|codex-)/.test(model)
}

/** Models that take cache marks in chat's words, as OpenRouter and others pass them on. */
export function takesMarks({ model, promptCache }: WriteOptions): boolean {
  return promptCache !== 'off' && /claude|gemini|qwen/i.test(model)
}
