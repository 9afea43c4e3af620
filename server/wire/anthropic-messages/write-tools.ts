import { TEXT_SCHEMA, TEXT_TOOL } from '../emulation.ts'
import type { Prompt, Tool } from '../model.ts'
import type { Notes } from './notes.ts'
import { ANTHROPIC, isRecord } from './values.ts'
import { type Block, writeMark } from './write-parts.ts'

/** Tools and the choice among them. */

export interface ToolMembers {
  readonly tools: Block[]
  readonly choice: Block | null
}

export function writeTools(prompt: Prompt, notes: Notes, marks: boolean): ToolMembers {
  const named = allowedNames(prompt, notes)
  const tools = prompt.tools.flatMap((tool, at) => {
    if (named !== null && tool.type !== 'opaque' && !named.includes(tool.name)) return []
    const block = writeTool(tool, `tools[${at}]`, notes)
    if (block !== null && marks && tool.type === 'function' && tool.cache !== undefined) {
      block.cache_control = writeMark(tool.cache)
    }
    return block === null ? [] : [block]
  })
  return { tools, choice: writeChoice(prompt, tools, notes) }
}

/** The names that are left of the tools when only some are allowed; null: all. */
function allowedNames({ toolChoice }: Prompt, notes: Notes): readonly string[] | null {
  if (toolChoice?.type !== 'allowed') return null
  notes.add('tool_choice', 'emulated')
  return toolChoice.names
}

function writeTool(tool: Tool, path: string, notes: Notes): Block | null {
  if (tool.type === 'opaque') {
    if (tool.wire === ANTHROPIC && isRecord(tool.value)) return { ...tool.value }
    notes.add(path, 'dropped')
    return null
  }
  const description = tool.description === null ? {} : { description: tool.description }
  if (tool.type === 'custom') {
    notes.add(path, 'emulated')
    const grammar = isRecord(tool.format) && tool.format.type !== 'text' ? JSON.stringify(tool.format) : ''
    const told = [tool.description ?? '', grammar && `The input must follow this format: ${grammar}`].filter(Boolean)
    const words = told.length === 0 ? {} : { description: told.join('\n\n') }
    return { name: TEXT_TOOL + tool.name, ...words, input_schema: TEXT_SCHEMA }
  }
  const strict = tool.strict === true ? { strict: true } : {}
  return { name: tool.name, ...description, input_schema: objectSchema(tool.parameters), ...strict }
}

/** The API wants an object at the top, and to be told so. */
function objectSchema(parameters: Readonly<Record<string, unknown>> | null): object {
  if (parameters === null) return { type: 'object', properties: {} }
  return parameters.type === undefined ? { type: 'object', ...parameters } : parameters
}

function writeChoice(
  { toolChoice, parallelToolCalls, tools: asked }: Prompt,
  tools: Block[],
  notes: Notes,
): Block | null {
  const single = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {}
  if (tools.length === 0) {
    if (toolChoice !== null && toolChoice.type !== 'none' && toolChoice.type !== 'auto')
      notes.add('tool_choice', 'dropped')
    return null
  }
  switch (toolChoice?.type) {
    case undefined:
      return parallelToolCalls === false ? { type: 'auto', ...single } : null
    case 'auto':
      return { type: 'auto', ...single }
    case 'none':
      return { type: 'none' }
    case 'required':
      return { type: 'any', ...single }
    case 'allowed':
      return { type: toolChoice.mode === 'required' ? 'any' : 'auto', ...single }
    case 'tool': {
      const isText = asked.some((tool) => tool.type === 'custom' && tool.name === toolChoice.name)
      return { type: 'tool', name: (isText ? TEXT_TOOL : '') + toolChoice.name, ...single }
    }
  }
}
