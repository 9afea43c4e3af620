import { TEXT_PROPERTY, TEXT_SCHEMA, TEXT_TOOL } from '../emulation.ts'
import type { CustomTool, FunctionTool, Prompt, ToolChoice } from '../model.ts'
import { type Notes, said } from './notes.ts'

/** `tools` and `toolConfig`, null where there is nothing to say. */
export interface WrittenTools {
  readonly tools: readonly object[] | null
  readonly toolConfig: Record<string, unknown> | null
  readonly hasFunctions: boolean
}

/** All functions stand in one tool of Gemini's, where the first of them stood. */
export function writeTools(prompt: Prompt, notes: Notes): WrittenTools {
  const tools: object[] = []
  const functions: object[] = []
  for (const [at, tool] of (notes.take('tools', prompt.tools) ?? []).entries()) {
    if (tool.type === 'opaque') {
      if (tool.wire === 'gemini') tools.push(tool.value as object)
      else notes.note(`tools[${at}]`, 'dropped')
      continue
    }
    if (functions.length === 0) tools.push({ functionDeclarations: functions })
    if (tool.type === 'custom') notes.note(`tools[${at}]`, 'emulated')
    functions.push(tool.type === 'custom' ? declareCustom(tool) : declare(tool))
  }
  const hasFunctions = functions.length > 0
  if (hasFunctions && prompt.parallelToolCalls === false) notes.note('parallel_tool_calls', 'dropped')
  const calling = hasFunctions ? callingOf(notes.take('tool_choice', prompt.toolChoice), prompt) : null
  return {
    tools: tools.length === 0 ? null : tools,
    toolConfig: calling === null ? null : { functionCallingConfig: calling },
    hasFunctions,
  }
}

function isStrict({ tools }: Prompt): boolean {
  return tools.some((tool) => tool.type === 'function' && tool.strict === true)
}

function declare({ name, description, parameters }: FunctionTool): object {
  return said({ name, description, parametersJsonSchema: parameters })
}

/** A tool whose argument is plain text becomes a function with one argument, whose name tells the reader of the answer. */
function declareCustom({ name, description, format }: CustomTool): object {
  const { syntax, definition } = (format ?? {}) as { syntax?: unknown; definition?: unknown }
  const grammar = typeof definition === 'string' ? { description: `Follows this ${syntax} grammar: ${definition}` } : {}
  const properties = { [TEXT_PROPERTY]: { type: 'string', ...grammar } }
  return said({ name: TEXT_TOOL + name, description, parametersJsonSchema: { ...TEXT_SCHEMA, properties } })
}

/** VALIDATED: the model may call or not, and what it calls fits the schema. */
function callingOf(choice: ToolChoice | null, prompt: Prompt): object | null {
  const strict = isStrict(prompt)
  const nameOf = (name: string) => {
    return prompt.tools.some((tool) => tool.type === 'custom' && tool.name === name) ? TEXT_TOOL + name : name
  }
  if (choice === null) return strict ? { mode: 'VALIDATED' } : null
  switch (choice.type) {
    case 'auto':
      return { mode: strict ? 'VALIDATED' : 'AUTO' }
    case 'none':
      return { mode: 'NONE' }
    case 'required':
      return { mode: 'ANY' }
    case 'tool':
      return { mode: 'ANY', allowedFunctionNames: [nameOf(choice.name)] }
    case 'allowed':
      return { mode: choice.mode === 'required' ? 'ANY' : 'VALIDATED', allowedFunctionNames: choice.names.map(nameOf) }
  }
}
