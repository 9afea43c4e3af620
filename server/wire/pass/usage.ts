import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import { readOpenaiUsage } from '../openai/usage.ts'
import type { Metered, PassId } from '../wire.ts'

/** Used without saying what: a picture, a second of sound, a search. */
export const UNCOUNTED: Metered = { usage: NO_USAGE, source: 'estimated', isUncounted: true }

type Group = Readonly<Record<string, unknown>>

/**
 * What an answer, or one event of a streamed one, says was used. Images and audio count in `input_tokens` and
 * `output_tokens`, Cohere in `billed_units`, others as chat does; null when it says nothing in tokens.
 */
export function readPassUsage(id: PassId, answer: Group): Metered | null {
  const said = group(answer.usage)
  const usage =
    inputOutput(id, said) ?? readOpenaiUsage(said) ?? inputOutput(id, group(group(answer.meta).billed_units))
  return usage === null ? null : { usage, source: 'provider' }
}

function inputOutput(id: PassId, said: Group): Usage | null {
  const { input_tokens, output_tokens } = said
  if (input_tokens === undefined && output_tokens === undefined) return null
  if (!isBelievable(input_tokens) || !isBelievable(output_tokens)) return null
  const details = group(said.input_tokens_details ?? said.input_token_details)
  const input = count(input_tokens)
  const imageInput = Math.min(input, count(details.image_tokens))
  const audioInput = Math.min(input - imageInput, count(details.audio_tokens))
  const cacheRead = Math.min(input - imageInput - audioInput, count(details.cached_tokens))
  const output = count(output_tokens)
  const speaks = id === 'openai-speech'
  return {
    ...NO_USAGE,
    input: input - imageInput - audioInput - cacheRead,
    cacheRead,
    imageInput,
    audioInput,
    output: speaks ? 0 : output,
    audioOutput: speaks ? output : 0,
  }
}

/** More tokens than any model takes in one call: a provider that says more is not believed. */
const MAX_TOKENS = 20_000_000

function count(value: unknown): number {
  return typeof value === 'number' && value > 0 && value <= MAX_TOKENS ? Math.trunc(value) : 0
}

function isBelievable(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && value >= 0 && value <= MAX_TOKENS)
}

function group(value: unknown): Group {
  return typeof value === 'object' && value !== null ? (value as Group) : {}
}
