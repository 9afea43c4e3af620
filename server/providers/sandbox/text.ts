import { invalidValue, isObject, type Json, missing, wrongType } from './check.ts'
import type { Prompt } from './messages.ts'
import type { Dice } from './random.ts'
import { Refusal } from './reply.ts'
import { instanceOf } from './schema.ts'
import { splitTokens } from './tokens.ts'
import { sentence } from './words.ts'

const QUOTED_CHARS = 120
const FORMATS = ['json_object', 'json_schema', 'text']

/** How an answer's text must look. */
export type Format =
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | { readonly type: 'json_schema'; readonly schema: unknown }

/** @throws Refusal for a format that OpenAI would refuse. */
export function readFormat(body: Json, prompt: Prompt): Format {
  const format = body.response_format
  if (format === undefined || format === null) return { type: 'text' }
  if (!isObject(format)) throw wrongType('response_format', 'an object', format)
  if (format.type === undefined) throw missing('response_format.type')
  if (!FORMATS.includes(String(format.type))) throw invalidValue('response_format.type', format.type, FORMATS)
  if (format.type === 'text') return { type: 'text' }
  if (format.type === 'json_object') {
    if (!prompt.saysJson) {
      throw new Refusal(
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        'messages',
        null,
      )
    }
    return { type: 'json_object' }
  }
  const own = format.json_schema
  if (own === undefined) throw missing('response_format.json_schema')
  if (!isObject(own)) throw wrongType('response_format.json_schema', 'an object', own)
  if (typeof own.name !== 'string') throw missing('response_format.json_schema.name')
  if (own.strict === true && !isObject(own.schema)) throw missing('response_format.json_schema.schema')
  return { type: 'json_schema', schema: own.schema ?? {} }
}

export function writeAnswer(prompt: Prompt, format: Format, dice: Dice): string {
  if (format.type === 'json_schema') return JSON.stringify(instanceOf(format.schema, dice, 'answer'))
  if (format.type === 'json_object') {
    return JSON.stringify({ answer: prose(prompt, dice), sandbox: true, score: dice.int(0, 100) / 100 })
  }
  return prose(prompt, dice)
}

function prose(prompt: Prompt, dice: Dice): string {
  const parts: string[] = []
  if (prompt.toolResults !== null) {
    parts.push(`The tool answered: ${prompt.toolResults.map((result) => quote(result)).join(' and ')}.`)
  } else {
    parts.push('This is the WatchLLM sandbox: no model was called.')
    if (prompt.lastUserText !== '') parts.push(`You wrote: ${quote(prompt.lastUserText)}.`)
    if (prompt.images > 0) parts.push(`With it came ${prompt.images === 1 ? 'an image' : `${prompt.images} images`}.`)
    if (prompt.audioTokens > 0) parts.push('With it came a recording.')
  }
  for (let i = dice.int(1, 4); i > 0; i--) parts.push(sentence(dice))
  return parts.join(' ')
}

function quote(text: string): string {
  const chars = [...text.slice(0, 2 * QUOTED_CHARS)]
  const short = chars.length > QUOTED_CHARS ? `${chars.slice(0, QUOTED_CHARS).join('')}…` : chars.join('')
  return `“${short.replaceAll(/\s+/g, ' ').trim()}”`
}

export interface Cut {
  readonly tokens: readonly string[]
  readonly finish: 'stop' | 'length'
}

/** Ends a text before the first stop sequence, and after so many tokens. */
export function cutText(text: string, stops: readonly string[], maxTokens: number): Cut {
  let end = text.length
  for (const stop of stops) {
    const at = text.indexOf(stop)
    if (at >= 0 && at < end) end = at
  }
  const tokens = splitTokens(text.slice(0, end))
  return tokens.length > maxTokens
    ? { tokens: tokens.slice(0, maxTokens), finish: 'length' }
    : { tokens, finish: 'stop' }
}
