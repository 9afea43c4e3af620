import { decode } from '../json.ts'
import type { Effort, Extra, OutputFormat, Prompt, ReasoningWish } from '../model.ts'
import { type Ask, WireError } from '../wire.ts'
import { readMessages } from './messages.ts'
import { readToolChoice, readTools } from './tools.ts'
import { askedNumber, askedText, askedTexts, isRecord, type Json, numberOr, record, textOr } from './values.ts'

const WIRE = 'openai-chat'

/** Members that the model has words for; all others travel as extras. */
const MAPPED: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'messages',
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'reasoning',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'top_p',
  'top_k',
  'stop',
  'seed',
  'n',
  'frequency_penalty',
  'presence_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'verbosity',
  'service_tier',
  'user',
  'prompt_cache_key',
])

/** @throws WireError naming the parameter */
export function readPrompt(ask: Ask): Prompt {
  const body = record(JSON.parse(decode(ask.body, 0, ask.body.length)))
  const extras: Extra[] = []
  for (const [name, value] of Object.entries(body)) {
    if (MAPPED.has(name) || value === null) continue
    if (name === 'thinking' && readThinking(value) !== null) continue
    if (name === 'safety_identifier' && typeof body.user !== 'string') continue
    extras.push({ wire: WIRE, name, value })
  }
  return {
    model: ask.model,
    stream: ask.stream,
    messages: readMessages(body.messages),
    tools: readTools(body),
    toolChoice: readToolChoice(body),
    parallelToolCalls: typeof body.parallel_tool_calls === 'boolean' ? body.parallel_tool_calls : null,
    format: readFormat(body.response_format ?? null),
    reasoning: readReasoning(body),
    maxOutputTokens: askedNumber(body, 'max_completion_tokens') ?? askedNumber(body, 'max_tokens'),
    temperature: askedNumber(body, 'temperature'),
    topP: askedNumber(body, 'top_p'),
    topK: askedNumber(body, 'top_k'),
    stop: askedTexts(body, 'stop'),
    seed: askedNumber(body, 'seed'),
    n: askedNumber(body, 'n'),
    frequencyPenalty: askedNumber(body, 'frequency_penalty'),
    presencePenalty: askedNumber(body, 'presence_penalty'),
    logitBias: isRecord(body.logit_bias) ? (body.logit_bias as Record<string, number>) : null,
    logprobs: body.logprobs === true ? (askedNumber(body, 'top_logprobs') ?? 0) : null,
    verbosity: readVerbosity(askedText(body, 'verbosity')),
    serviceTier: askedText(body, 'service_tier'),
    user: askedText(body, 'user') ?? askedText(body, 'safety_identifier'),
    promptCacheKey: askedText(body, 'prompt_cache_key'),
    extras,
  }
}

function readVerbosity(value: string | null): Prompt['verbosity'] {
  if (value === null || value === 'low' || value === 'medium' || value === 'high') return value
  throw new WireError('"verbosity" must be low, medium or high', 'verbosity')
}

function readFormat(value: unknown): OutputFormat | null {
  if (value === null) return null
  const { type, json_schema } = record(value)
  if (type === 'text') return { type }
  if (type === 'json_object') return { type: 'json' }
  const { name, description, schema, strict } = record(json_schema)
  if (type !== 'json_schema') {
    throw new WireError('"response_format.type" must be text, json_object or json_schema', 'response_format.type')
  }
  if (!isRecord(schema)) {
    throw new WireError('"response_format.json_schema.schema" must be an object', 'response_format.json_schema.schema')
  }
  return {
    type: 'json-schema',
    name: textOr(name, 'answer'),
    description: textOr(description, null),
    schema,
    strict: typeof strict === 'boolean' ? strict : null,
  }
}

const EFFORTS: ReadonlySet<unknown> = new Set(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])

function readEffort(value: unknown, param: string): Effort | null {
  if (value === null || value === undefined) return null
  if (EFFORTS.has(value)) return value as Effort
  throw new WireError(`"${param}" must be one of none, minimal, low, medium, high, xhigh, max`, param)
}

/** OpenAI's `reasoning_effort`; OpenRouter's `reasoning`; Anthropic's `thinking`, which many compatible APIs took over. */
function readReasoning(body: Json): ReasoningWish | null {
  const thinking = readThinking(body.thinking)
  const wish = isRecord(body.reasoning) ? body.reasoning : null
  // Groq knows `default`, which is what it says.
  const asked = body.reasoning_effort === 'default' ? null : body.reasoning_effort
  const effort = readEffort(asked, 'reasoning_effort')
  if (effort === null && wish === null) return thinking
  if (wish === null) return { ...(thinking ?? NO_WISH), effort }
  const isOff = wish.enabled === false
  const own = isOff ? 'none' : readEffort(wish.effort, 'reasoning.effort')
  const budgetTokens = numberOr(wish.max_tokens, thinking?.budgetTokens ?? null)
  return {
    effort: effort ?? own,
    budgetTokens,
    adaptive: wish.enabled === true && (effort ?? own ?? budgetTokens) === null,
    summary: wish.exclude === true ? 'none' : null,
  }
}

const NO_WISH: ReasoningWish = { effort: null, budgetTokens: null, adaptive: false, summary: null }

function readThinking(value: unknown): ReasoningWish | null {
  const { type, budget_tokens } = record(value)
  if (type === 'disabled') return { ...NO_WISH, effort: 'none' }
  if (type !== 'enabled' && type !== 'adaptive') return null
  const budgetTokens = numberOr(budget_tokens, null)
  return { ...NO_WISH, budgetTokens, adaptive: type === 'adaptive' || budgetTokens === null }
}
