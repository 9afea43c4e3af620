import type { Adaptation, WriteOptions, Written } from '../dialect.ts'
import type { Effort, OutputFormat, Prompt } from '../model.ts'
import { chatTier } from './finish.ts'
import { isOpenaiModel, takesMarks, writeTools } from './tools.ts'
import { said } from './values.ts'
import { writeMessages } from './write-messages.ts'

const WIRE = 'openai-chat'

/** Members of other wires that carry no meaning for the answer: bookkeeping of the caller's, or how it is sent. */
const HARMLESS: ReadonlySet<string> = new Set([
  'metadata',
  'client_metadata',
  'store',
  'stream_options',
  'include',
  'safety_identifier',
  'prompt_cache_retention',
  'prompt_cache_options',
])

/** More sequences than this OpenAI refuses. */
const MAX_STOPS = 4

/**
 * A request in OpenAI's words. Of `facts.refuses` it heeds, beside the names of parameters: `max_tokens` (then it is
 * `max_completion_tokens`), `stream_options`, `response_format.json_schema` (then the schema is told in words),
 * `reasoning_content` (then thoughts stay out).
 */
export function writePrompt(prompt: Prompt, options: WriteOptions): Written {
  const { model, facts } = options
  const adapted: Adaptation[] = []
  const refuses = new Set(facts?.refuses ?? [])
  const isOpenai = isOpenaiModel(model)
  const tools = writeTools(prompt, { marks: takesMarks(options), allowed: isOpenai })
  adapted.push(...tools.adapted)
  const format = writeFormat(prompt, refuses, adapted)
  const thoughts = !refuses.has('reasoning_content')
  const messages = writeMessages(prompt.messages, { model, marks: takesMarks(options), thoughts }, adapted)
  if (format.said !== null) instruct(messages, format.said)
  const hasTools = tools.tools.length > 0
  const body: Record<string, unknown> = said({
    model,
    messages,
    tools: hasTools ? tools.tools : null,
    tool_choice: hasTools ? tools.choice : null,
    parallel_tool_calls: hasTools ? prompt.parallelToolCalls : null,
    response_format: format.member,
    ...writeReasoning(prompt, options, adapted),
    ...writeMaxTokens(prompt, options, adapted),
    temperature: prompt.temperature,
    top_p: prompt.topP,
    stop: writeStop(prompt.stop, isOpenai, adapted),
    seed: prompt.seed,
    n: prompt.n,
    frequency_penalty: prompt.frequencyPenalty,
    presence_penalty: prompt.presencePenalty,
    logit_bias: prompt.logitBias,
    logprobs: prompt.logprobs === null ? null : true,
    top_logprobs: prompt.logprobs === 0 ? null : prompt.logprobs,
    verbosity: prompt.verbosity,
    service_tier: writeTier(prompt.serviceTier, adapted),
    user: prompt.user,
    // No other provider knows it; a hint for speed alone.
    prompt_cache_key: isOpenai ? prompt.promptCacheKey : null,
  })
  if (prompt.topK !== null) adapted.push({ param: 'top_k', how: 'dropped' })
  writeExtras(prompt, body, adapted)
  if (prompt.stream) {
    body.stream = true
    body.stream_options = { ...(body.stream_options as object | undefined), include_usage: true }
  } else delete body.stream_options
  for (const name of refuses) {
    if (!(name in body) || name === 'max_tokens' || name === 'messages' || name === 'model') continue
    delete body[name]
    if (name !== 'stream_options') adapted.push({ param: name, how: 'dropped' })
  }
  return { body, adapted }
}

function writeExtras(prompt: Prompt, body: Record<string, unknown>, adapted: Adaptation[]): void {
  for (const { wire, name, value } of prompt.extras) {
    if (wire === WIRE) body[name] = value
    else if (!HARMLESS.has(name)) adapted.push({ param: name, how: 'dropped' })
  }
}

function writeMaxTokens({ maxOutputTokens }: Prompt, options: WriteOptions, adapted: Adaptation[]): object {
  if (maxOutputTokens === null) return {}
  const { facts, model } = options
  const cap = facts?.maxOutputTokens ?? null
  const isNew = facts === null ? /^(?:openai\/)?(?:o\d|gpt-5)/.test(model) : facts.refuses.includes('max_tokens')
  const name = isNew ? 'max_completion_tokens' : 'max_tokens'
  if (cap === null || maxOutputTokens <= cap) return { [name]: maxOutputTokens }
  adapted.push({ param: 'max_tokens', how: 'clamped' })
  return { [name]: cap }
}

function writeStop(stop: readonly string[], isOpenai: boolean, adapted: Adaptation[]): readonly string[] | null {
  if (stop.length === 0) return null
  if (!isOpenai || stop.length <= MAX_STOPS) return stop
  adapted.push({ param: 'stop', how: 'clamped' })
  return stop.slice(0, MAX_STOPS)
}

function writeTier(tier: string | null, adapted: Adaptation[]): string | null {
  const known = chatTier(tier)
  if (known !== tier) adapted.push({ param: 'service_tier', how: known === null ? 'dropped' : 'renamed' })
  return known
}

/** Budgets up to these numbers of tokens are that effort. */
const BUDGETS: readonly (readonly [number, Effort])[] = [
  [2048, 'low'],
  [8192, 'medium'],
]

function writeReasoning({ reasoning }: Prompt, { facts }: WriteOptions, adapted: Adaptation[]): object {
  if (reasoning === null) return {}
  const { effort, budgetTokens, summary } = reasoning
  const thinking = facts?.thinking ?? null
  const drop = (param: string) => adapted.push({ param, how: 'dropped' })
  if (thinking === 'none') {
    if (effort !== 'none') drop('reasoning_effort')
    return {}
  }
  if (summary === 'concise' || summary === 'detailed') drop('reasoning.summary')
  if (thinking === 'budget' && budgetTokens !== null) return { reasoning: { max_tokens: budgetTokens } }
  if (effort !== null) return { reasoning_effort: effort }
  // The model decides: nothing is to be said.
  if (budgetTokens === null) return {}
  adapted.push({ param: 'reasoning_effort', how: 'emulated' })
  return { reasoning_effort: BUDGETS.find(([most]) => budgetTokens <= most)?.[1] ?? 'high' }
}

interface Format {
  readonly member: object | null
  /** What the model is told in words instead. */
  readonly said: string | null
}

function writeFormat({ format }: Prompt, refuses: ReadonlySet<string>, adapted: Adaptation[]): Format {
  if (format === null) return { member: null, said: null }
  const isRefused = refuses.has('response_format')
  if (format.type === 'text') return { member: isRefused ? null : { type: 'text' }, said: null }
  if (format.type === 'json' && !isRefused) return { member: { type: 'json_object' }, said: null }
  if (format.type === 'json-schema' && !isRefused && !refuses.has('response_format.json_schema')) {
    return { member: writeSchema(format), said: null }
  }
  adapted.push({ param: 'response_format', how: 'emulated' })
  const schema =
    format.type === 'json-schema' ? ` that satisfies this JSON schema:\n${JSON.stringify(format.schema)}` : ''
  return {
    member: isRefused ? null : { type: 'json_object' },
    said: `Answer with nothing but one JSON object${schema}`,
  }
}

function writeSchema({ name, description, schema, strict }: OutputFormat & { type: 'json-schema' }): object {
  return { type: 'json_schema', json_schema: said({ name, description, schema, strict }) }
}

/** Behind the system's messages, so that what a provider has cached of them stays. */
function instruct(messages: Record<string, unknown>[], content: string): void {
  const at = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer')
  messages.splice(at < 0 ? messages.length : at, 0, { role: 'system', content })
}
