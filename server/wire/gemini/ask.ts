import { asBuffer } from '../bytes.ts'
import type { Effort, Extra, OutputFormat, Prompt, ReasoningWish, Tool, ToolChoice } from '../model.ts'
import type { Ask } from '../wire.ts'
import { member, readContents } from './asked.ts'
import { type Json, number, record, records, text } from './json.ts'
import { toJsonSchema } from './schema.ts'

/** What has a word of its own in the canonical model, in camelCase; the rest is kept as Gemini's own. */
const READ: ReadonlySet<string> = new Set([
  'contents',
  'systemInstruction',
  'tools',
  'toolConfig',
  'generationConfig',
  'serviceTier',
  'model',
])
const READ_CONFIG: ReadonlySet<string> = new Set([
  'maxOutputTokens',
  'temperature',
  'topP',
  'topK',
  'stopSequences',
  'seed',
  'candidateCount',
  'presencePenalty',
  'frequencyPenalty',
  'responseLogprobs',
  'logprobs',
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'thinkingConfig',
])

/** A request of a caller of Gemini's API. @throws WireError naming the member at fault */
export function readGeminiPrompt(ask: Ask): Prompt {
  const body = record(JSON.parse(asBuffer(ask.body).toString()))
  const config = record(member(body, 'generationConfig'))
  const toolConfig = record(member(body, 'toolConfig'))
  const stop = member(config, 'stopSequences')
  const wantsLogprobs = member(config, 'responseLogprobs') === true
  const numberOf = (name: string) => number(member(config, name))
  return {
    model: ask.model,
    stream: ask.stream,
    messages: readContents(body),
    tools: records(body.tools).flatMap(readTools),
    toolChoice: readChoice(record(member(toolConfig, 'functionCallingConfig'))),
    parallelToolCalls: null,
    format: readFormat(config),
    reasoning: readThinking(member(config, 'thinkingConfig')),
    maxOutputTokens: numberOf('maxOutputTokens'),
    temperature: numberOf('temperature'),
    topP: numberOf('topP'),
    topK: numberOf('topK'),
    stop: Array.isArray(stop) ? stop.map(String) : [],
    seed: numberOf('seed'),
    n: numberOf('candidateCount'),
    frequencyPenalty: numberOf('frequencyPenalty'),
    presencePenalty: numberOf('presencePenalty'),
    logitBias: null,
    logprobs: wantsLogprobs ? (numberOf('logprobs') ?? 0) : null,
    verbosity: null,
    serviceTier: readTier(member(body, 'serviceTier')),
    user: null,
    promptCacheKey: null,
    extras: [
      ...unread(body, READ, ''),
      ...unread(config, READ_CONFIG, 'generationConfig.').filter(isMeant),
      ...unread(toolConfig, new Set(['functionCallingConfig']), 'toolConfig.'),
    ],
  }
}

function unread(object: Json, read: ReadonlySet<string>, prefix: string): Extra[] {
  return Object.entries(object).flatMap(([name, value]) => {
    const known = camelCase(name)
    return read.has(known) ? [] : [{ wire: 'gemini' as const, name: prefix + known, value }]
  })
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** An answer in text is what every model gives. */
function isMeant({ name, value }: Extra): boolean {
  return name !== 'generationConfig.responseModalities' || JSON.stringify(value) !== '["TEXT"]'
}

/** Gemini's own tools stay what they are. */
function readTools(tool: Json): Tool[] {
  return Object.entries(tool).flatMap(([name, value]): Tool[] => {
    const known = camelCase(name)
    if (known !== 'functionDeclarations') return [{ type: 'opaque', wire: 'gemini', value: { [known]: value } }]
    return records(value).map((declaration) => ({
      type: 'function',
      name: String(declaration.name),
      description: text(declaration.description),
      parameters: readParameters(declaration),
      strict: null,
    }))
  })
}

function readParameters(declaration: Json): Json | null {
  const schema = member(declaration, 'parametersJsonSchema')
  if (schema !== undefined && schema !== null) return record(schema)
  return declaration.parameters === undefined ? null : toJsonSchema(declaration.parameters)
}

function readChoice(config: Json): ToolChoice | null {
  const allowed = member(config, 'allowedFunctionNames')
  const names = Array.isArray(allowed) ? allowed.map(String) : []
  switch (config.mode) {
    case 'ANY':
      if (names.length === 1) return { type: 'tool', name: names[0]! }
      return names.length === 0 ? { type: 'required' } : { type: 'allowed', mode: 'required', names }
    case 'AUTO':
    case 'VALIDATED':
      return names.length === 0 ? { type: 'auto' } : { type: 'allowed', mode: 'auto', names }
    case 'NONE':
      return { type: 'none' }
    default:
      return null
  }
}

function readFormat(config: Json): OutputFormat | null {
  const type = text(member(config, 'responseMimeType'))
  const own = member(config, 'responseSchema')
  const schema = member(config, 'responseJsonSchema') ?? (own === undefined ? undefined : toJsonSchema(own))
  if (schema !== undefined && schema !== null) {
    return { type: 'json-schema', name: 'answer', description: null, schema: record(schema), strict: null }
  }
  return type === null ? null : { type: type === 'application/json' ? 'json' : 'text' }
}

const EFFORTS: Readonly<Record<string, Effort>> = { MINIMAL: 'minimal', LOW: 'low', MEDIUM: 'medium', HIGH: 'high' }

/** A budget of 0 switches thinking off, -1 leaves it to the model. */
function readThinking(value: unknown): ReasoningWish | null {
  if (typeof value !== 'object' || value === null) return null
  const config = record(value)
  const budget = number(member(config, 'thinkingBudget'))
  const level = text(member(config, 'thinkingLevel'))
  const shown = member(config, 'includeThoughts')
  return {
    effort: budget === 0 ? 'none' : (EFFORTS[level?.toUpperCase() ?? ''] ?? null),
    budgetTokens: budget !== null && budget > 0 ? budget : null,
    adaptive: budget === -1,
    summary: typeof shown !== 'boolean' ? null : shown ? 'auto' : 'none',
  }
}

function readTier(value: unknown): string | null {
  const tier = text(value)
  return tier === 'standard' ? 'default' : tier
}
