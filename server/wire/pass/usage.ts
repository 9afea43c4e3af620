import { NO_USAGE, type Usage } from '../../../db/model/usage.ts'
import { readOpenaiUsage } from '../openai/usage.ts'
import { isBelievable, tokenCount } from '../token-count.ts'
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
  if (!isSound(input_tokens) || !isSound(output_tokens)) return null
  const details = group(said.input_tokens_details ?? said.input_token_details)
  const input = tokenCount(input_tokens)
  const imageInput = Math.min(input, tokenCount(details.image_tokens))
  const audioInput = Math.min(input - imageInput, tokenCount(details.audio_tokens))
  const cacheRead = Math.min(input - imageInput - audioInput, tokenCount(details.cached_tokens))
  const output = tokenCount(output_tokens)
  const [audioOutput, imageOutput] = madeOf(id, output, group(said.output_tokens_details))
  return {
    ...NO_USAGE,
    input: input - imageInput - audioInput - cacheRead,
    cacheRead,
    imageInput,
    audioInput,
    output: output - audioOutput - imageOutput,
    audioOutput,
    imageOutput,
  }
}

/** What of the output is sound and what is pictures: all of it where the endpoint makes nothing else and nobody says more. */
function madeOf(id: PassId, output: number, details: Group): [audio: number, image: number] {
  if (id === 'openai-speech') return [output, 0]
  if (!MAKES_IMAGES.has(id)) return [0, 0]
  const isSaid = details.image_tokens !== undefined || details.text_tokens !== undefined
  return [0, isSaid ? Math.min(output, tokenCount(details.image_tokens)) : output]
}

const MAKES_IMAGES: ReadonlySet<PassId> = new Set(['openai-images', 'openai-image-edits', 'openai-image-variations'])

/** Absent, or a number that can be true. */
function isSound(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && isBelievable(value))
}

function group(value: unknown): Group {
  return typeof value === 'object' && value !== null ? (value as Group) : {}
}
