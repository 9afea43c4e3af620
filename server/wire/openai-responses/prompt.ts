import { decode } from '../json.ts'
import type { Effort, Extra, Message, OutputFormat, Prompt, ReasoningWish } from '../model.ts'
import { askedNumber, askedText, flagOr, isRecord, type Json, record, textOr } from '../openai-chat/values.ts'
import { type Ask, WireError } from '../wire.ts'
import { readInput } from './messages.ts'
import { readToolChoice, readTools } from './tools.ts'

/** A request of Responses -> the canonical prompt. */

const WIRE = 'openai-responses'
export const LOGPROBS = 'message.output_text.logprobs'
export const ENCRYPTED = 'reasoning.encrypted_content'

/** Members that have a place of their own in the prompt. */
const MAPPED: ReadonlySet<string> = new Set([
  ...['model', 'stream', 'input', 'instructions', 'tools', 'tool_choice', 'parallel_tool_calls', 'text', 'reasoning'],
  ...['max_output_tokens', 'temperature', 'top_p', 'frequency_penalty', 'presence_penalty', 'top_logprobs', 'include'],
  ...['service_tier', 'safety_identifier', 'user', 'prompt_cache_key'],
])

/**
 * Members that the gateway answers to itself whatever the provider, and labels (Codex sends `client_metadata`): nothing
 * is lost when the provider never hears of them.
 */
const OURS: ReadonlySet<string> = new Set([
  ...['store', 'previous_response_id', 'conversation', 'background', 'metadata', 'client_metadata', 'stream_options'],
])

/** What is there without being said. */
const DEFAULTS: Readonly<Record<string, unknown>> = { truncation: 'disabled' }

/** @throws WireError naming the parameter that is not this wire's */
export function readPrompt(ask: Ask): Prompt {
  const body = record(JSON.parse(decode(ask.body, 0, ask.body.length)))
  const text = objectOf(body, 'text')
  const include = Array.isArray(body.include) ? body.include : []
  const toolChoice = readToolChoice(body.tool_choice)
  return {
    model: ask.model,
    stream: ask.stream,
    messages: [...readInstructions(body), ...readInput(body.input)],
    tools: readTools(body.tools),
    toolChoice,
    parallelToolCalls: flagOr(body.parallel_tool_calls, null),
    format: readFormat(text.format),
    reasoning: readReasoning(body),
    maxOutputTokens: askedNumber(body, 'max_output_tokens'),
    temperature: askedNumber(body, 'temperature'),
    topP: askedNumber(body, 'top_p'),
    topK: null,
    stop: [],
    seed: null,
    n: null,
    frequencyPenalty: askedNumber(body, 'frequency_penalty'),
    presencePenalty: askedNumber(body, 'presence_penalty'),
    logitBias: null,
    logprobs: readLogprobs(body, include),
    verbosity: readVerbosity(text.verbosity),
    serviceTier: askedText(body, 'service_tier'),
    user: askedText(body, 'safety_identifier') ?? askedText(body, 'user'),
    promptCacheKey: askedText(body, 'prompt_cache_key'),
    extras: extrasOf(body, { include, hosted: toolChoice === null }),
  }
}

function readInstructions(body: Json): Message[] {
  const { instructions } = body
  if (typeof instructions !== 'string') return readInput(instructions)
  if (instructions === '') return []
  return [{ role: 'system', name: null, parts: [{ type: 'text', text: instructions }] }]
}

function extrasOf(body: Json, { include, hosted }: { include: unknown[]; hosted: boolean }): Extra[] {
  const extras: Extra[] = []
  const keep = (name: string, value: unknown) => extras.push({ wire: WIRE, name, value })
  for (const [name, value] of Object.entries(body)) {
    if (value === null || MAPPED.has(name) || OURS.has(name) || value === DEFAULTS[name]) continue
    keep(name, value)
  }
  const others = include.filter((name) => name !== LOGPROBS && name !== ENCRYPTED)
  if (others.length > 0) keep('include', others)
  if (hosted && isRecord(body.tool_choice)) keep('tool_choice', body.tool_choice)
  for (const [name, value] of Object.entries(record(body.reasoning))) {
    if (REASONING.has(name) || value === null || value === 'auto') continue
    keep(`reasoning.${name}`, value)
  }
  return extras
}

const REASONING: ReadonlySet<string> = new Set(['effort', 'summary', 'generate_summary'])

function objectOf(body: Json, name: string): Json {
  const value = body[name] ?? {}
  if (isRecord(value)) return value
  throw new WireError(`"${name}" must be an object`, name)
}

function readFormat(value: unknown): OutputFormat | null {
  if (value === undefined || value === null) return null
  const format = record(value)
  if (format.type === 'text') return { type: 'text' }
  if (format.type === 'json_object') return { type: 'json' }
  if (format.type !== 'json_schema') {
    throw new WireError('"text.format.type" must be "text", "json_object" or "json_schema"', 'text.format')
  }
  const schema = format.schema
  if (!isRecord(schema)) throw new WireError('Missing required parameter: "text.format.schema"', 'text.format.schema')
  const name = textOr(format.name, 'answer')
  return {
    type: 'json-schema',
    name,
    description: textOr(format.description, null),
    schema,
    strict: flagOr(format.strict, null),
  }
}

const EFFORTS: ReadonlySet<unknown> = new Set(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
const SUMMARIES: ReadonlySet<unknown> = new Set(['none', 'auto', 'concise', 'detailed'])

function readReasoning(body: Json): ReasoningWish | null {
  const wish = objectOf(body, 'reasoning')
  const effort = wish.effort ?? null
  if (effort !== null && !EFFORTS.has(effort)) {
    throw new WireError(`"reasoning.effort" must be one of ${[...EFFORTS].join(', ')}`, 'reasoning.effort')
  }
  const summary = wish.summary ?? wish.generate_summary ?? null
  if (summary !== null && !SUMMARIES.has(summary)) {
    throw new WireError('"reasoning.summary" must be one of auto, concise, detailed', 'reasoning.summary')
  }
  if (effort === null && summary === null) return null
  return {
    effort: effort as Effort | null,
    budgetTokens: null,
    adaptive: false,
    summary: summary as ReasoningWish['summary'],
  }
}

/** Asked for by a number of alternatives, or by name alone. */
function readLogprobs(body: Json, include: readonly unknown[]): number | null {
  const top = askedNumber(body, 'top_logprobs')
  if (include.includes(LOGPROBS)) return top ?? 0
  return top === 0 ? null : top
}

function readVerbosity(value: unknown): Prompt['verbosity'] {
  if (value === undefined || value === null) return null
  if (value === 'low' || value === 'medium' || value === 'high') return value
  throw new WireError('"text.verbosity" must be one of low, medium, high', 'text.verbosity')
}
