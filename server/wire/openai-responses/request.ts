import type { Adaptation, WriteOptions, Written } from '../dialect.ts'
import type { Effort, OutputFormat, Prompt, ReasoningWish } from '../model.ts'
import { isRecord, type Json, record, said } from '../openai-chat/values.ts'
import { writeInput } from './input.ts'
import { ENCRYPTED, LOGPROBS } from './prompt.ts'
import { writeTool, writeToolChoice } from './tools.ts'

/** The canonical prompt -> a request of Responses. */

const WIRE = 'openai-responses'
/** Less is refused. */
const MIN_OUTPUT_TOKENS = 16

/** Other wires' members that don't change the answer: labels, what is stored, how a stream is framed. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['metadata', 'store', 'stream_options', 'include_usage', 'prompt_cache_retention', 'betas', 'anthropic_beta'],
])

/** Nothing is stored at the provider: history is ours, and comes with every request. */
export function writePrompt(prompt: Prompt, options: WriteOptions): Written {
  const { facts } = options
  const adapted: Adaptation[] = []
  const drop = (param: string) => adapted.push({ param, how: 'dropped' })
  const allowed = <T>(param: string, value: T | null): T | null => {
    if (value === null || !facts?.refuses.includes(param)) return value
    drop(param)
    return null
  }
  const logprobs = allowed('logprobs', prompt.logprobs)
  const reasoning = facts?.thinking === 'none' ? refused(prompt, drop) : allowed('reasoning_effort', prompt.reasoning)
  const include = [...(thinks(prompt, options) ? [ENCRYPTED] : []), ...(logprobs === null ? [] : [LOGPROBS])]
  const body: Record<string, unknown> = said({
    model: options.model,
    input: writeInput(prompt.messages, adapted),
    tools: toolsOf(prompt, drop),
    tool_choice: allowed('tool_choice', prompt.toolChoice && writeToolChoice(prompt.toolChoice, prompt.tools)),
    parallel_tool_calls: allowed('parallel_tool_calls', prompt.parallelToolCalls),
    text: textOf({
      format: allowed('response_format', prompt.format),
      verbosity: allowed('verbosity', prompt.verbosity),
    }),
    reasoning: reasoning && wishOf(reasoning, adapted),
    max_output_tokens: clamped(prompt, options, adapted),
    temperature: allowed('temperature', prompt.temperature),
    top_p: allowed('top_p', prompt.topP),
    top_logprobs: logprobs,
    include: include.length === 0 ? null : include,
    service_tier: allowed('service_tier', prompt.serviceTier),
    prompt_cache_key: allowed('prompt_cache_key', prompt.promptCacheKey),
    safety_identifier: allowed('user', prompt.user),
    store: false,
    stream: prompt.stream ? true : null,
  })
  for (const [param, value] of unsayable(prompt)) if (value) drop(param)
  for (const extra of prompt.extras) {
    if (extra.wire === WIRE) putBack(body, extra.name, extra.value)
    else if (!HARMLESS.has(extra.name)) drop(extra.name)
  }
  return { body, adapted }
}

function refused(prompt: Prompt, drop: (param: string) => void): null {
  if (prompt.reasoning !== null && prompt.reasoning.effort !== 'none') drop('reasoning_effort')
  return null
}

/** What the wire has no member for. */
function unsayable(prompt: Prompt): [string, unknown][] {
  return [
    ['top_k', prompt.topK !== null],
    ['stop', prompt.stop.length > 0],
    ['seed', prompt.seed !== null],
    ['n', prompt.n !== null && prompt.n > 1],
    ['frequency_penalty', prompt.frequencyPenalty],
    ['presence_penalty', prompt.presencePenalty],
    ['logit_bias', prompt.logitBias !== null],
  ]
}

/**
 * Thoughts are asked for in a form that can be sent back, where the model is known to think or was told to: others
 * refuse the wish.
 */
function thinks(prompt: Prompt, { facts }: WriteOptions): boolean {
  if (facts?.thinking === 'none') return false
  if (facts?.thinking !== null && facts?.thinking !== undefined) return true
  if (prompt.reasoning !== null && prompt.reasoning.effort !== 'none') return true
  return prompt.messages.some(({ parts }) =>
    parts.some((part) => part.type === 'reasoning' && part.proof?.wire === WIRE),
  )
}

function toolsOf(prompt: Prompt, drop: (param: string) => void): Json[] | null {
  const tools: Json[] = []
  prompt.tools.forEach((tool, index) => {
    const written = writeTool(tool)
    if (written === null) drop(`tools[${index}]`)
    else tools.push(written)
  })
  return tools.length === 0 ? null : tools
}

interface TextWish {
  readonly format: OutputFormat | null
  readonly verbosity: Prompt['verbosity']
}

function textOf({ format, verbosity }: TextWish): Json | null {
  if (format === null && verbosity === null) return null
  return said({ format: format && formatOf(format), verbosity })
}

function formatOf(format: OutputFormat): Json {
  if (format.type !== 'json-schema') return { type: format.type === 'json' ? 'json_object' : 'text' }
  const { name, description, schema, strict } = format
  return said({ type: 'json_schema', name, description, schema, strict })
}

/** A budget in tokens becomes the effort that spends about as much. */
function wishOf(wish: ReasoningWish, adapted: Adaptation[]): Json | null {
  let { effort } = wish
  if (effort === null && wish.budgetTokens !== null) {
    effort = effortFor(wish.budgetTokens)
    adapted.push({ param: 'reasoning_effort', how: 'renamed' })
  }
  const summary = wish.summary === 'none' ? null : wish.summary
  return effort === null && summary === null ? null : said({ effort, summary })
}

function effortFor(budgetTokens: number): Effort {
  if (budgetTokens === 0) return 'none'
  if (budgetTokens <= 4096) return 'low'
  return budgetTokens <= 16_384 ? 'medium' : 'high'
}

function clamped(prompt: Prompt, { facts }: WriteOptions, adapted: Adaptation[]): number | null {
  const wanted = prompt.maxOutputTokens
  if (wanted === null) return null
  const most = facts?.maxOutputTokens ?? wanted
  const given = Math.max(MIN_OUTPUT_TOKENS, Math.min(wanted, most))
  if (given !== wanted) adapted.push({ param: 'max_completion_tokens', how: 'clamped' })
  return given
}

/** A name such as `reasoning.context` is a member's member; a list goes on where there is one. */
function putBack(body: Record<string, unknown>, name: string, value: unknown): void {
  const [outer, inner] = name.split('.') as [string, string?]
  const there = body[outer]
  if (inner !== undefined) body[outer] = { ...record(there), [inner]: value }
  else if (Array.isArray(there) && Array.isArray(value)) body[outer] = [...there, ...value]
  else if (!isRecord(there)) body[outer] = value
}
