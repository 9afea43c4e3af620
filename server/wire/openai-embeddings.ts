import { Buffer } from 'node:buffer'
import { asBuffer, fromText } from './bytes.ts'
import { readMember } from './json.ts'
import { editRequest, readHead, readOpenaiAnswer, requireKind } from './openai.ts'
import { estimated, estimateTokens } from './openai-usage.ts'
import { AnswerError, type Ask, type Wire, WireError } from './wire.ts'

/** OpenAI's embeddings: `POST /v1/embeddings`. What a provider gives in another form than asked is mended. */
export const openaiEmbeddings: Wire = {
  id: 'openai-embeddings',
  face: 'openai',

  readAsk(body) {
    const ask = readHead(body)
    requireKind(ask, 'input', ['string', 'array'])
    const format = readMember(body, ask.members, 'encoding_format')
    if (format !== undefined && format !== 'float' && format !== 'base64') {
      throw new WireError('"encoding_format" must be "float" or "base64"', 'encoding_format')
    }
    return { ...ask, stream: false, wantsUsage: false }
  },

  edit: editRequest,

  readAnswer(bytes, ask) {
    const mended = mend(bytes, ask)
    const answer = readOpenaiAnswer(mended, 'data', () =>
      estimated(estimateTokens(readMember(ask.body, ask.members, 'input')), 0),
    )
    // The contract's additions are for texts: vectors go out as OpenAI's own, and their headers say the rest.
    return { ...answer, withAdditions: () => answer.withAdditions(null) }
  },

  tap() {
    throw new AnswerError('Embeddings are never streamed')
  },
}

interface Item {
  readonly index?: unknown
  readonly embedding: unknown
}

/** How far a vector's squared length may be from 1 and still count as normalised: float32 rounding. */
const UNIT_TOLERANCE = 1e-3

/**
 * The same answer with unit vectors, in the order of the input and the encoding asked for; untouched when it is so.
 * @throws AnswerError when an item is no vector
 */
function mend(bytes: Uint8Array, ask: Ask): Uint8Array {
  const answer = parse(bytes)
  if (!Array.isArray(answer?.data) || answer.data.length === 0) return bytes
  const items = answer.data as Item[]
  const wantsBase64 = readMember(ask.body, ask.members, 'encoding_format') === 'base64'
  let changed = false
  const vectors = items.map((item, position) => {
    const given = item?.embedding
    const vector = typeof given === 'string' ? fromBase64(given) : floats(given)
    const unit = normalised(vector)
    changed ||= (typeof given === 'string') !== wantsBase64 || unit !== vector || item.index !== position
    return unit
  })
  if (!changed) return bytes
  const indexes = indexesOf(items)
  const data = items.map((item, position) => ({
    ...item,
    object: 'embedding',
    index: indexes[position]!,
    embedding: wantsBase64 ? toBase64(vectors[position]!) : Array.from(vectors[position]!),
  }))
  return fromText(JSON.stringify({ ...answer, data: data.sort((a, b) => a.index - b.index) }))
}

/** Which input each item answers: as it says, or by its place when they don't name each input once. */
function indexesOf(items: readonly Item[]): number[] {
  const places = new Set(items.keys())
  for (const { index } of items) places.delete(index as number)
  return items.map(({ index }, position) => (places.size === 0 ? (index as number) : position))
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    return JSON.parse(asBuffer(bytes).toString())
  } catch {
    return null
  }
}

const NO_VECTOR = 'An embedding of the answer is neither numbers nor base64'

function floats(value: unknown): Float64Array {
  if (!Array.isArray(value) || value.length === 0 || value.some((part) => typeof part !== 'number')) {
    throw new AnswerError(NO_VECTOR)
  }
  return Float64Array.from(value as number[])
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** Little-endian float32, as OpenAI has it. */
function fromBase64(text: string): Float64Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 0 || bytes.length % 4 !== 0 || !BASE64.test(text)) throw new AnswerError(NO_VECTOR)
  const vector = new Float64Array(bytes.length >> 2)
  for (let i = 0; i < vector.length; i++) vector[i] = bytes.readFloatLE(i * 4)
  return vector
}

function toBase64(vector: Float64Array): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (let i = 0; i < vector.length; i++) bytes.writeFloatLE(vector[i]!, i * 4)
  return bytes.toString('base64')
}

/**
 * The vector with length 1; the same object when it has it already, or has none (all zeros).
 * @throws AnswerError when it has no length because a part is no number, or too large for one
 */
function normalised(vector: Float64Array): Float64Array {
  let square = 0
  for (const part of vector) square += part * part
  if (!Number.isFinite(square)) throw new AnswerError(NO_VECTOR)
  if (square === 0 || Math.abs(square - 1) < UNIT_TOLERANCE) return vector
  const length = Math.sqrt(square)
  return vector.map((part) => part / length)
}
