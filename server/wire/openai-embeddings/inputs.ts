import { Buffer } from 'node:buffer'
import { asBuffer } from '../bytes.ts'
import { scanObject, skipSpace, skipValue } from '../json.ts'
import { type Ask, WireError } from '../wire.ts'

/** What an embeddings request asks to be embedded: one text, or a list of texts or of token arrays. */

const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const QUOTE = 0x22

/** Byte offsets of one input, end exclusive. */
interface Range {
  readonly start: number
  readonly end: number
}

/** One request becomes no more than so many: they all wait for each other, and count as one to every limit. */
export const MAX_PARTS = 256

/**
 * Each input of a list, null when the request has one alone: a text, or its tokens.
 * @throws WireError when there are more than `limit`
 */
export function inputsOf({ body, members }: Ask, limit = Infinity): Range[] | null {
  const span = members.get('input')!
  if (body[span.start] !== OPEN_BRACKET) return null
  const first = skipSpace(body, span.start + 1)
  if (!isInput(body[first])) return null
  const inputs: Range[] = []
  for (let at = first; at < span.end; ) {
    const end = skipValue(body, at)
    if (inputs.length >= limit)
      throw new WireError(`"input" has more than ${limit} inputs: send fewer at a time`, 'input')
    inputs.push({ start: at, end })
    const behind = skipSpace(body, end)
    if (body[behind] === CLOSE_BRACKET) break
    at = skipSpace(body, behind + 1)
  }
  return inputs
}

/** In a list of inputs, not in one input's list of tokens. */
function isInput(byte: number | undefined): boolean {
  return byte === QUOTE || byte === OPEN_BRACKET
}

/** The request says its input in tokens. */
export function hasTokens({ body, members }: Ask): boolean {
  const span = members.get('input')!
  if (body[span.start] !== OPEN_BRACKET) return false
  const first = body[skipSpace(body, span.start + 1)]
  return first !== QUOTE && first !== CLOSE_BRACKET
}

/**
 * The request in parts of at most `most` inputs each, all else as it was; null when it has no more than that.
 * @throws WireError when it would take more than MAX_PARTS
 */
export function splitInputs(ask: Ask, most: number): Ask[] | null {
  const span = ask.members.get('input')!
  // The shortest list of that many, `["","",…]`, is longer.
  if (span.end - span.start <= 3 * most) return null
  const inputs = inputsOf(ask, most * MAX_PARTS)
  if (inputs === null || inputs.length <= most) return null
  const bytes = asBuffer(ask.body)
  const head = bytes.subarray(0, inputs[0]!.start)
  const tail = bytes.subarray(inputs.at(-1)!.end)
  const parts: Ask[] = []
  for (let from = 0; from < inputs.length; from += most) {
    const last = inputs[Math.min(from + most, inputs.length) - 1]!
    const body = Buffer.concat([head, bytes.subarray(inputs[from]!.start, last.end), tail])
    parts.push({ ...ask, body, members: scanObject(body) })
  }
  return parts
}
