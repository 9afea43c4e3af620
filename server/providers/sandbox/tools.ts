import { invalidValue, isObject, type Json, missing, wrongType } from './check.ts'
import type { Prompt } from './messages.ts'
import type { Dice } from './random.ts'
import { Refusal } from './reply.ts'
import { instanceOf } from './schema.ts'
import { sentence } from './words.ts'

export interface ToolCall {
  readonly id: string
  readonly kind: 'function' | 'custom'
  readonly name: string
  /** JSON for a function, free text for a custom tool. */
  readonly input: string
}

/** Calls that the answer makes, and whether the request spoke the old `functions` dialect. */
export interface ToolPlan {
  readonly calls: readonly ToolCall[]
  readonly legacy: boolean
}

interface Tool {
  readonly kind: 'function' | 'custom'
  readonly name: string
  readonly description: string
  readonly parameters: unknown
}

const NAME = /^[a-zA-Z0-9_-]{1,64}$/
/** How much of a text is looked at to choose a tool. */
const READ_CHARS = 10_000
const SEVERAL = /\b(both|each|several|in parallel|multiple)\b/i

/** Which tools to call, with arguments that satisfy their schemas. @throws Refusal for tools that OpenAI would refuse. */
export function planTools(body: Json, prompt: Prompt, dice: Dice): ToolPlan {
  const legacy = body.tools === undefined && body.functions !== undefined
  const tools = legacy ? readTools(body.functions, 'functions') : readTools(body.tools, 'tools')
  const choice = readChoice(legacy ? body.function_call : body.tool_choice, tools, legacy)
  if (choice === 'none' || tools.length === 0 || prompt.toolResults !== null) return { calls: [], legacy }
  const usable = choice === 'any' ? tools : tools.filter((tool) => choice.has(tool.name))
  const several = !legacy && body.parallel_tool_calls !== false
  return { calls: choose(usable, prompt.lastUserText, several).map((tool) => call(tool, dice)), legacy }
}

function call(tool: Tool, dice: Dice): ToolCall {
  const { kind, name } = tool
  const input = kind === 'custom' ? sentence(dice) : JSON.stringify(argumentsOf(tool.parameters, dice))
  return { id: `call_${dice.id(24)}`, kind, name, input }
}

function argumentsOf(parameters: unknown, dice: Dice): unknown {
  const value = isObject(parameters) ? instanceOf(parameters, dice, 'arguments') : {}
  return isObject(value) ? value : {}
}

/** The tools that the text names, else the one it has most words in common with; twice where it asks for several. */
function choose(tools: readonly Tool[], text: string, several: boolean): Tool[] {
  const words = new Set(wordsOf(text))
  const lower = text.slice(0, READ_CHARS).toLowerCase()
  const named = tools.filter((tool) => lower.includes(tool.name.toLowerCase()))
  if (several && named.length > 1) return named
  let best = tools[0]!
  let most = 0
  for (const tool of tools) {
    const own = new Set(wordsOf(`${tool.name} ${tool.description}`))
    const score = (named.includes(tool) ? 1000 : 0) + [...own].filter((word) => words.has(word)).length
    if (score > most) {
      best = tool
      most = score
    }
  }
  return several && SEVERAL.test(text) ? [best, best] : [best]
}

function wordsOf(text: string): string[] {
  return (
    text
      .slice(0, READ_CHARS)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .match(/[\p{L}\p{N}]{3,}/gu) ?? []
  )
}

function readTools(given: unknown, param: 'tools' | 'functions'): Tool[] {
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) throw wrongType(param, 'an array of objects', given)
  if (given.length === 0) {
    throw new Refusal(
      `Invalid '${param}': empty array. Expected an array with minimum length 1, but got an empty array instead.`,
      param,
      'empty_array',
    )
  }
  return given.map((tool: unknown, i) => readTool(tool, `${param}[${i}]`, param))
}

function readTool(tool: unknown, at: string, param: 'tools' | 'functions'): Tool {
  if (!isObject(tool)) throw wrongType(at, 'an object', tool)
  let kind: Tool['kind'] = 'function'
  let own: unknown = tool
  let inner = at
  if (param === 'tools') {
    if (tool.type === undefined) throw missing(`${at}.type`)
    if (tool.type !== 'function' && tool.type !== 'custom') {
      throw invalidValue(`${at}.type`, tool.type, ['function', 'custom'])
    }
    kind = tool.type
    own = tool[kind]
    inner = `${at}.${kind}`
  }
  if (own === undefined) throw missing(inner)
  if (!isObject(own)) throw wrongType(inner, 'an object', own)
  if (own.name === undefined) throw missing(`${inner}.name`)
  if (typeof own.name !== 'string') throw wrongType(`${inner}.name`, 'a string', own.name)
  if (!NAME.test(own.name)) {
    throw new Refusal(
      `Invalid '${inner}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
      `${inner}.name`,
      'invalid_value',
    )
  }
  const description = typeof own.description === 'string' ? own.description : ''
  return { kind, name: own.name, description, parameters: own.parameters }
}

/** The names that may be called, `any` of them, or `none`. */
function readChoice(given: unknown, tools: readonly Tool[], legacy: boolean): ReadonlySet<string> | 'any' | 'none' {
  const param = legacy ? 'function_call' : 'tool_choice'
  if (given === undefined || given === null) return 'any'
  if (tools.length === 0) {
    throw new Refusal(`'${param}' is only allowed when '${legacy ? 'functions' : 'tools'}' are specified.`, param, null)
  }
  if (given === 'none') return 'none'
  if (given === 'auto' || given === 'required') return 'any'
  if (!isObject(given)) throw invalidValue(param, given, ['none', 'auto', 'required'])
  const names = legacy ? [given.name] : namesOf(given)
  for (const name of names) {
    if (!tools.some((tool) => tool.name === name)) {
      throw new Refusal(
        `Tool choice '${String(name)}' not found in '${legacy ? 'functions' : 'tools'}' parameter.`,
        param,
        null,
      )
    }
  }
  return new Set(names.map(String))
}

function namesOf(choice: Json): unknown[] {
  const nameOf = (tool: unknown) => {
    if (!isObject(tool)) return undefined
    const own = tool.type === 'custom' ? tool.custom : tool.function
    return isObject(own) ? own.name : undefined
  }
  if (choice.type !== 'allowed_tools') return [nameOf(choice)]
  const allowed = isObject(choice.allowed_tools) ? choice.allowed_tools.tools : undefined
  if (!Array.isArray(allowed)) throw missing('tool_choice.allowed_tools.tools')
  return allowed.map(nameOf)
}
