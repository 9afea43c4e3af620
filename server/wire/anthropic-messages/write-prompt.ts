import type { WriteOptions, Written } from '../dialect.ts'
import { ANSWER_TOOL, jsonInstruction } from '../emulation.ts'
import type { Extra, Prompt } from '../model.ts'
import { Notes } from './notes.ts'
import { fitSchema } from './schema.ts'
import { wantedThought, writeThinking } from './thinking.ts'
import { ANTHROPIC } from './values.ts'
import { autoMarks, keepFour } from './write-marks.ts'
import type { Block } from './write-parts.ts'
import { type ToolMembers, writeTools } from './write-tools.ts'
import { type Turn, writeTurns } from './write-turns.ts'

/** What an answer may take when neither caller nor catalogue says: the API demands a number, and every model takes this. */
const DEFAULT_MAX_TOKENS = 8192
/** Left for the answer beside the thought. */
const ANSWER_TOKENS = 4096
/** Least nucleus that the API takes from a model that thinks. */
const MIN_THINKING_TOP_P = 0.95

/** Members of other wires that change nothing about the answer: labels, retention, how usage is told. */
const HARMLESS = new Set(['metadata', 'store', 'stream_options', 'include_usage', 'prompt_cache_retention', 'labels'])

/** The canonical prompt -> a Messages request. */
export function writeMessagesPrompt(prompt: Prompt, options: WriteOptions): Written {
  const notes = new Notes()
  const marks = options.promptCache !== 'off'
  const { system, turns } = writeTurns(prompt, { model: options.model, notes, marks })
  const shape = writeFormat(prompt, { options, notes, system, written: writeTools(prompt, notes, marks) })
  const maxTokens = writeMaxTokens(prompt, options, notes)
  const isForced = shape.choice?.type === 'any' || shape.choice?.type === 'tool'
  const blocked = isForced ? 'always' : hasLostThought(turns) ? 'by-budget' : null
  const wishes = writeThinking(prompt.reasoning, { facts: options.facts, maxTokens, blocked }, notes)
  const outputConfig = { ...(wishes.effort && { effort: wishes.effort }), ...shape.format, ...ownConfig(prompt) }
  const marked = { tools: shape.tools, system, turns }
  if (options.promptCache === 'auto') autoMarks(marked)
  keepFour(marked, notes)
  const body: Block = {
    model: options.model,
    max_tokens: maxTokens,
    ...(system.length > 0 && { system }),
    messages: turns,
    ...(shape.tools.length > 0 && { tools: shape.tools }),
    ...(shape.choice && { tool_choice: shape.choice }),
    ...(wishes.thinking && { thinking: wishes.thinking }),
    ...(Object.keys(outputConfig).length > 0 && { output_config: outputConfig }),
    ...writeSampling(prompt, { options, notes, thinks: wishes.thinks }),
    ...writeTier(prompt, options, notes),
    ...(prompt.user !== null && { metadata: { user_id: prompt.user } }),
    ...(prompt.stream && { stream: true }),
  }
  noteUnsaid(prompt, notes)
  putBack(prompt.extras, body, notes)
  return { body, adapted: notes.adapted }
}

function writeMaxTokens({ maxOutputTokens, reasoning }: Prompt, { facts }: WriteOptions, notes: Notes): number {
  const most = facts?.maxOutputTokens ?? null
  if (maxOutputTokens === null) return most ?? Math.max(DEFAULT_MAX_TOKENS, wantedThought(reasoning) + ANSWER_TOKENS)
  if (most === null || maxOutputTokens <= most) return maxOutputTokens
  notes.add('max_tokens', 'clamped')
  return most
}

/**
 * With thought by budget, an answer that called a tool must have begun with a thought. One that came by another wire, or
 * from another provider, has none.
 */
function hasLostThought(turns: readonly Turn[]): boolean {
  const last = turns.findLast(({ role }) => role === 'assistant')
  if (last === undefined) return false
  const begins = String(last.content[0]!.type)
  return last.content.some(({ type }) => type === 'tool_use') && !begins.endsWith('thinking')
}

interface Shape extends ToolMembers {
  readonly format: { readonly format?: object }
}

interface FormatContext {
  readonly options: WriteOptions
  readonly notes: Notes
  readonly system: Block[]
  readonly written: ToolMembers
}

/** The form of the answer: native, by a forced tool, or by words where neither can say it. */
function writeFormat({ format }: Prompt, { options, notes, system, written }: FormatContext): Shape {
  const plain = { ...written, format: {} }
  if (format === null || format.type === 'text') return plain
  const isNative = !options.facts?.refuses.includes('response_format')
  if (format.type === 'json-schema' && isNative) {
    const { schema, isLess } = fitSchema(format.schema)
    if (isLess) notes.add('response_format', 'clamped')
    return { ...plain, format: { format: { type: 'json_schema', schema } } }
  }
  notes.add('response_format', 'emulated')
  const schema = format.type === 'json-schema' ? format.schema : null
  if (format.type !== 'json-schema' || schema?.type !== 'object') {
    system.push({ type: 'text', text: jsonInstruction(schema) })
    return plain
  }
  const description = format.description ?? 'Give the answer. Call this once, as the last thing.'
  const tool = { name: ANSWER_TOOL, description, input_schema: format.schema }
  const isAlone = written.tools.length === 0 || written.choice?.type === 'none'
  const choice = isAlone ? { type: 'tool', name: ANSWER_TOOL } : { type: 'any' }
  return { tools: [...written.tools, tool], choice, format: {} }
}

function ownConfig({ extras }: Prompt): Block {
  const own = extras.filter(({ wire, name }) => wire === ANTHROPIC && name.startsWith('output_config.'))
  return Object.fromEntries(own.map(({ name, value }) => [name.slice('output_config.'.length), value]))
}

interface SamplingContext {
  readonly options: WriteOptions
  readonly notes: Notes
  readonly thinks: boolean
}

function writeSampling(prompt: Prompt, { options, notes, thinks }: SamplingContext): Block {
  const refuses = options.facts?.refuses ?? []
  const take = <T>(param: string, value: T | null, fits = true): T | null => {
    if (value === null || (fits && !refuses.includes(param))) return value
    notes.add(param, 'dropped')
    return null
  }
  const heat = take('temperature', prompt.temperature, !thinks || prompt.temperature === 1)
  if (heat !== null && heat > 1) notes.add('temperature', 'clamped')
  // Claude 4.1 and later refuse the two together.
  const topP = take('top_p', prompt.topP, heat === null && (!thinks || (prompt.topP ?? 1) >= MIN_THINKING_TOP_P))
  const topK = take('top_k', prompt.topK, !thinks)
  const stop = prompt.stop.filter((text) => text.trim() !== '')
  if (stop.length < prompt.stop.length) notes.add('stop', 'dropped')
  const stops = take('stop', stop.length === 0 ? null : stop)
  return {
    ...(heat !== null && { temperature: Math.min(1, heat) }),
    ...(topP !== null && { top_p: topP }),
    ...(topK !== null && { top_k: topK }),
    ...(stops !== null && { stop_sequences: stops }),
  }
}

/** Tiers by the names of both. */
const TIERS: Readonly<Record<string, string>> = { auto: 'auto', priority: 'auto', default: 'standard_only' }

function writeTier({ serviceTier }: Prompt, { facts }: WriteOptions, notes: Notes): Block {
  if (serviceTier === null) return {}
  const tier = TIERS[serviceTier]
  if (tier !== undefined && !facts?.refuses.includes('service_tier')) return { service_tier: tier }
  notes.add('service_tier', 'dropped')
  return {}
}

/** What the wire has no word for. A key for the prompt cache is a hint that changes nothing about the answer. */
function noteUnsaid(prompt: Prompt, notes: Notes): void {
  const { n, seed, frequencyPenalty, presencePenalty, logitBias, logprobs, verbosity } = prompt
  const unsaid: [string, boolean][] = [
    ['n', n !== null && n !== 1],
    ['seed', seed !== null],
    ['frequency_penalty', frequencyPenalty !== null && frequencyPenalty !== 0],
    ['presence_penalty', presencePenalty !== null && presencePenalty !== 0],
    ['logit_bias', logitBias !== null && Object.keys(logitBias).length > 0],
    ['logprobs', logprobs !== null],
    ['verbosity', verbosity !== null && verbosity !== 'medium'],
  ]
  for (const [param, isLost] of unsaid) if (isLost) notes.add(param, 'dropped')
}

/** Own members go back where they were, those of other wires are told. Paths inside a message only tell what was there. */
function putBack(extras: readonly Extra[], body: Block, notes: Notes): void {
  for (const { wire, name, value } of extras) {
    if (wire !== ANTHROPIC) {
      if (!HARMLESS.has(name)) notes.add(name, 'dropped')
    } else if (!/[.[]/.test(name)) body[name] = value
  }
}
