import { decode } from '../json.ts'
import type { Extra, Message, OutputFormat, Prompt, Role, Tool, ToolChoice } from '../model.ts'
import { type Ask, WireError } from '../wire.ts'
import { endUserOf } from './ask.ts'
import { type Place, readCache, readContent } from './blocks.ts'
import { readThinkingWish } from './thinking.ts'
import { ANTHROPIC, isRecord, type Json, record, textOr } from './values.ts'

/** Members that have a place in the prompt. Any other goes into the extras. */
const MAPPED = new Set([
  'model',
  'messages',
  'system',
  'max_tokens',
  'stream',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'tools',
  'tool_choice',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
  'service_tier',
])
const TOOL_MEMBERS = new Set(['type', 'name', 'description', 'input_schema', 'strict', 'cache_control'])
const ROLES: readonly Role[] = ['user', 'assistant', 'system']
/** Anthropic's formats have no name; the wires that need one get this. */
const FORMAT_NAME = 'answer'

/** A Messages request -> the canonical prompt. @throws WireError naming the parameter */
export function readMessagesPrompt(ask: Ask): Prompt {
  const body = record(JSON.parse(decode(ask.body, 0, ask.body.length)))
  const extras: Extra[] = []
  const messages = [...readSystem(body.system, extras), ...readMessages(body.messages, extras)]
  const tools = readTools(body.tools, extras)
  const choice = record(body.tool_choice)
  const format = record(body.output_config).format ?? body.output_format
  const reasoning = readThinkingWish(body, extras)
  for (const [name, value] of Object.entries(body)) {
    if (!MAPPED.has(name) && value !== null) extras.push({ wire: ANTHROPIC, name, value })
  }
  return {
    model: ask.model,
    stream: ask.stream,
    messages,
    tools,
    toolChoice: readToolChoice(choice),
    parallelToolCalls: typeof choice.disable_parallel_tool_use === 'boolean' ? !choice.disable_parallel_tool_use : null,
    format: readFormat(record(format)),
    reasoning,
    maxOutputTokens: numberOf(body, 'max_tokens'),
    temperature: numberOf(body, 'temperature'),
    topP: numberOf(body, 'top_p'),
    topK: numberOf(body, 'top_k'),
    stop: readStop(body.stop_sequences),
    seed: null,
    n: null,
    frequencyPenalty: null,
    presencePenalty: null,
    logitBias: null,
    logprobs: null,
    verbosity: null,
    serviceTier: body.service_tier === 'standard_only' ? 'default' : textOr(body.service_tier),
    user: endUserOf(record(body.metadata).user_id),
    promptCacheKey: null,
    extras,
  }
}

function numberOf(body: Json, name: string): number | null {
  const value = body[name]
  if (value === undefined || value === null) return null
  if (typeof value === 'number') return value
  throw new WireError(`${name}: Must be a number`, name)
}

function readStop(value: unknown): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value
  throw new WireError('stop_sequences: Must be an array of strings', 'stop_sequences')
}

function readSystem(system: unknown, extras: Extra[]): Message[] {
  if (system === undefined || system === null) return []
  const parts = readContent(system, { path: 'system', extras })
  return parts.length === 0 ? [] : [{ role: 'system', name: null, parts }]
}

function readMessages(value: unknown, extras: Extra[]): Message[] {
  if (!Array.isArray(value)) throw new WireError('messages: Must be an array', 'messages')
  return value.map((message: unknown, at) => {
    const path = `messages[${at}]`
    const { role, content } = record(message)
    const known = ROLES.find((one) => one === role)
    if (known === undefined) {
      throw new WireError(`${path}.role: Must be "user", "assistant" or "system"`, `${path}.role`)
    }
    const place: Place = { path: `${path}.content`, extras }
    return { role: known, name: null, parts: readContent(content, place) }
  })
}

function readTools(value: unknown, extras: Extra[]): Tool[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new WireError('tools: Must be an array', 'tools')
  return value.map((tool: unknown, at) => {
    const path = `tools[${at}]`
    if (!isRecord(tool)) throw new WireError(`${path}: Must be an object`, path)
    const type = tool.type ?? 'custom'
    // A toolset or a server's tool: what it takes is known to Anthropic alone.
    if (type !== 'custom') return { type: 'opaque', wire: ANTHROPIC, value: tool }
    const { name, description, input_schema: schema, strict } = tool
    if (typeof name !== 'string' || name === '') {
      throw new WireError(`${path}.name: Field required, a string`, `${path}.name`)
    }
    if (!isRecord(schema)) throw new WireError(`${path}.input_schema: Must be an object`, `${path}.input_schema`)
    for (const [member, said] of Object.entries(tool)) {
      const isSaid = said !== null && said !== false
      if (!TOOL_MEMBERS.has(member) && isSaid) extras.push({ wire: ANTHROPIC, name: `${path}.${member}`, value: said })
    }
    return {
      type: 'function',
      name,
      description: textOr(description),
      parameters: schema,
      strict: typeof strict === 'boolean' ? strict : null,
      ...readCache(tool.cache_control),
    }
  })
}

function readToolChoice({ type, name }: Json): ToolChoice | null {
  if (type === 'auto' || type === 'none') return { type }
  if (type === 'any') return { type: 'required' }
  if (type !== 'tool') return null
  if (typeof name !== 'string') throw new WireError('tool_choice.name: Field required, a string', 'tool_choice.name')
  return { type: 'tool', name }
}

function readFormat({ type, schema }: Json): OutputFormat | null {
  if (type !== 'json_schema') return null
  if (!isRecord(schema)) throw new WireError('output_config.format.schema: Must be an object', 'output_config.format')
  // What Anthropic is given as a schema, it keeps to.
  return { type: 'json-schema', name: FORMAT_NAME, description: null, schema, strict: true }
}
