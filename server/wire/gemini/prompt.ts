import type { WriteOptions, Written } from '../dialect.ts'
import type { Extra, OutputFormat, Prompt } from '../model.ts'
import { writeContents } from './contents.ts'
import { type GeminiModel, geminiModel } from './model.ts'
import { Notes, said } from './notes.ts'
import { writeThinking } from './thinking.ts'
import { writeTools } from './tools.ts'

const MAX_STOPS = 5
const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 }

/**
 * Members of other wires that change nothing in the answer: labels, what to keep and for how long, what to report. The
 * caller's name for its user and its key for the prompt cache are the same to Gemini, which has no word for them.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  'metadata',
  'store',
  'stream_options',
  'include',
  'safety_identifier',
  'prompt_cache_retention',
  'client_metadata',
])

/** OpenAI's names for Gemini's tiers; `auto` is the default of both. */
const TIERS: Readonly<Record<string, string | null>> = {
  auto: null,
  default: 'standard',
  standard: 'standard',
  flex: 'flex',
  priority: 'priority',
}

/** A request to `generateContent`; model and stream stand in the path. @throws WireError when it can't be said */
export function writeGeminiPrompt(prompt: Prompt, { model: id, facts }: WriteOptions): Written {
  const notes = new Notes(facts)
  const model = geminiModel(id)
  const { contents, system } = writeContents(prompt, model, notes)
  const { tools, toolConfig, hasFunctions } = writeTools(prompt, notes)
  const format = formatOf(prompt, hasFunctions && !model.mixesToolsAndJson, notes)
  if (format.instruction !== null) system.push(format.instruction)
  const body: Record<string, unknown> = said({
    contents,
    systemInstruction: system.length === 0 ? null : { parts: system.map((text) => ({ text })) },
    tools,
    toolConfig,
    generationConfig: generationConfig(prompt, { model, facts, notes, format: format.config }),
    serviceTier: tierOf(prompt.serviceTier, notes),
  })
  return { body: withExtras(body, prompt.extras, notes), adapted: notes.adapted }
}

interface Settings {
  readonly model: GeminiModel
  readonly facts: WriteOptions['facts']
  readonly notes: Notes
  readonly format: Record<string, unknown>
}

function generationConfig(prompt: Prompt, { model, facts, notes, format }: Settings): object | null {
  const stop = prompt.stop.length === 0 ? null : notes.take('stop', prompt.stop)
  if (stop !== null && stop.length > MAX_STOPS) notes.note('stop', 'clamped')
  for (const param of ['logit_bias', 'verbosity'] as const) {
    if ((param === 'verbosity' ? prompt.verbosity : prompt.logitBias) !== null) notes.note(param, 'dropped')
  }
  const logprobs = notes.within('logprobs', prompt.logprobs, { min: 0, max: 20 })
  const config = said({
    maxOutputTokens: notes.within('max_tokens', prompt.maxOutputTokens, { min: 1, max: facts?.maxOutputTokens ?? 1e9 }),
    temperature: notes.within('temperature', prompt.temperature, { min: 0, max: 2 }),
    topP: notes.take('top_p', prompt.topP),
    topK: notes.take('top_k', prompt.topK),
    stopSequences: stop?.slice(0, MAX_STOPS) ?? null,
    seed: notes.within('seed', prompt.seed, INT32),
    candidateCount: notes.within('n', prompt.n, { min: 1, max: 8 }),
    presencePenalty: notes.take('presence_penalty', prompt.presencePenalty),
    frequencyPenalty: notes.take('frequency_penalty', prompt.frequencyPenalty),
    responseLogprobs: logprobs === null ? null : true,
    logprobs: logprobs === 0 ? null : logprobs,
    ...format,
    thinkingConfig: writeThinking(prompt.reasoning, { model, thinking: facts?.thinking ?? null }, notes),
  })
  return Object.keys(config).length === 0 ? null : config
}

interface Format {
  readonly config: Record<string, unknown>
  /** Words for a model that can't be held to the format. */
  readonly instruction: string | null
}

/** @param isRefused the model doesn't take a format beside tools: it is told in words instead */
function formatOf(prompt: Prompt, isRefused: boolean, notes: Notes): Format {
  const format = notes.take('response_format', prompt.format)
  if (format === null || format.type === 'text') return { config: {}, instruction: null }
  const schema = format.type === 'json-schema' ? schemaOf(format) : null
  if (!isRefused) {
    return { config: said({ responseMimeType: 'application/json', responseJsonSchema: schema }), instruction: null }
  }
  notes.note('response_format', 'emulated')
  const fits = schema === null ? '' : `, which fits this JSON Schema: ${JSON.stringify(schema)}`
  return { config: {}, instruction: `Give the final answer as one JSON value without any other text${fits}` }
}

function schemaOf({ schema, description }: OutputFormat & { readonly type: 'json-schema' }): object {
  return description === null || schema.description !== undefined ? schema : { description, ...schema }
}

function tierOf(tier: string | null, notes: Notes): string | null {
  const taken = notes.take('service_tier', tier)
  if (taken === null) return null
  const known = TIERS[taken]
  if (known === undefined) notes.note('service_tier', 'dropped')
  return known ?? null
}

/** Puts back what only Gemini knows; a dot in a name leads into a member, as in `generationConfig.speechConfig`. */
function withExtras(body: Record<string, unknown>, extras: readonly Extra[], notes: Notes): Record<string, unknown> {
  for (const { wire, name, value } of extras) {
    if (wire !== 'gemini') {
      if (!HARMLESS.has(name)) notes.note(name, 'dropped')
      continue
    }
    const dot = name.indexOf('.')
    if (dot < 0) body[name] = value
    else {
      const outer = name.slice(0, dot)
      body[outer] = { ...(body[outer] as object | undefined), [name.slice(dot + 1)]: value }
    }
  }
  return body
}
