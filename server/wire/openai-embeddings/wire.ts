import { Buffer } from 'node:buffer'
import { inputTotal, NO_USAGE, outputTotal, type Usage } from '../../../db/model/usage.ts'
import { asBuffer, splice, toByteText } from '../bytes.ts'
import { readMember, scanObject } from '../json.ts'
import { sumOf } from '../metered.ts'
import { editRequest, readHead, readOpenaiAnswer, requireKind } from '../openai/shared.ts'
import { estimated, estimateTokens, readOpenaiUsage } from '../openai/usage.ts'
import {
  type Answer,
  AnswerError,
  type Ask,
  type Edited,
  type Metered,
  type PartAnswer,
  type Wire,
  WireError,
} from '../wire.ts'
import { hasTokens, inputsOf, splitInputs } from './inputs.ts'
import { normalised, readVector, writeVector } from './vectors.ts'

const DIMENSIONS = 'dimensions'

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

  edit(ask, edits) {
    if (edits.textsOnly && hasTokens(ask)) {
      throw new WireError('This provider embeds texts, not tokens: send "input" as a string or strings', 'input')
    }
    const edited = editRequest(ask, edits)
    return edits.dimensionsAs === undefined ? edited : withDimensions(ask, edited, edits.dimensionsAs)
  },

  readAnswer(bytes, ask) {
    const value = parse(bytes)
    // What is no list of vectors is refused there, as on the other wires.
    if (!Array.isArray(value?.data) || value.data.length === 0) {
      readOpenaiAnswer(bytes, 'data', () => NO_USAGE)
      throw new AnswerError('The answer has no vector')
    }
    const metered = meteredOf(value, ask)
    const mended = mend(value, ask, metered.usage)
    const text = mended === null ? asBuffer(bytes).toString('latin1') : toByteText(JSON.stringify(mended))
    // The contract's additions are for texts: vectors go out as OpenAI's own, and their headers say the rest.
    return { ...metered, withAdditions: () => text }
  },

  tap() {
    throw new AnswerError('Embeddings are never streamed')
  },

  batches: { split: splitInputs, join },
}

function withDimensions(ask: Ask, edited: Edited, name: string | null): Edited {
  const asked = readMember(ask.body, ask.members, DIMENSIONS)
  if (asked === undefined || asked === null) return edited
  if (name === null)
    throw new WireError('This provider gives vectors of one length: leave "dimensions" out', DIMENSIONS)
  const span = scanObject(edited.body).get(DIMENSIONS)!
  const named = { start: span.keyStart, end: span.start, text: `${JSON.stringify(name)}:` }
  return { ...edited, body: splice(edited.body, [named]) }
}

interface Item {
  readonly object?: unknown
  readonly index?: unknown
  readonly embedding: unknown
}

type Value = Record<string, unknown> & { readonly data: readonly Item[] }

function meteredOf(value: Record<string, unknown>, ask: Ask): Metered {
  const said = readOpenaiUsage(value.usage)
  if (said !== null) return { usage: said, source: 'provider' }
  return { usage: estimated(estimateTokens(readMember(ask.body, ask.members, 'input')), 0), source: 'estimated' }
}

/**
 * The same answer as OpenAI's schema has it: unit vectors in the encoding asked for, one for each input and in their
 * order, with usage; null when it is so already.
 * @throws AnswerError when an item is no vector, or there are more or fewer than inputs
 */
function mend(value: Record<string, unknown>, ask: Ask, usage: Usage): Value | null {
  const items = value.data as Item[]
  const inputs = inputsOf(ask)?.length ?? 1
  if (items.length !== inputs) throw new AnswerError(`The answer has ${items.length} vectors for ${inputs} inputs`)
  const asBase64 = readMember(ask.body, ask.members, 'encoding_format') === 'base64'
  const head = headOf(value, ask, usage)
  let changed = head !== null
  const vectors = items.map((item, position) => {
    const vector = readVector(item?.embedding)
    const unit = normalised(vector)
    const fits = (typeof item.embedding === 'string') === asBase64 && unit === vector
    changed ||= !fits || item.index !== position || item.object !== 'embedding'
    return fits ? (item.embedding as string | number[]) : writeVector(unit, asBase64)
  })
  if (!changed) return null
  const indexes = indexesOf(items)
  const data = items.map((item, position) => ({
    ...item,
    object: 'embedding',
    index: indexes[position]!,
    embedding: vectors[position]!,
  }))
  return { ...value, ...head, data: data.sort((a, b) => a.index - b.index) }
}

/** Members that OpenAI's schema demands and this answer lacks, null when it lacks none. */
function headOf(value: Record<string, unknown>, ask: Ask, usage: Usage): Record<string, unknown> | null {
  const said = value.usage as Record<string, unknown> | null | undefined
  const isCounted = typeof said?.prompt_tokens === 'number' && typeof said.total_tokens === 'number'
  if (value.object === 'list' && typeof value.model === 'string' && isCounted) return null
  return {
    object: 'list',
    model: typeof value.model === 'string' ? value.model : ask.model,
    usage: isCounted ? said : { ...said, ...writtenUsage(usage) },
  }
}

function writtenUsage(usage: Usage): Record<string, unknown> {
  const prompt_tokens = inputTotal(usage)
  return { prompt_tokens, total_tokens: prompt_tokens + outputTotal(usage) }
}

/** Which input each item answers: as it says, or by its place when they don't name each input once. */
function indexesOf(items: readonly Item[]): number[] {
  const places = new Set(items.keys())
  for (const { index } of items) places.delete(index as number)
  return items.map(({ index }, position) => (places.size === 0 ? (index as number) : position))
}

/** The parts as one answer, with the usage of all; each was read by `readAnswer`, so that it answers all its inputs. */
function join(parts: readonly PartAnswer[]): Answer {
  const data: Item[] = []
  let head: Record<string, unknown> = {}
  for (const [at, { answer }] of parts.entries()) {
    const value = JSON.parse(Buffer.from(answer.withAdditions(null), 'latin1').toString()) as Value
    if (at === 0) head = value
    for (const item of value.data) data.push({ ...item, index: data.length })
  }
  const metered = sumOf(parts.map(({ answer }) => answer))
  const text = toByteText(JSON.stringify({ ...head, data, usage: writtenUsage(metered.usage) }))
  return { ...metered, withAdditions: () => text }
}

function parse(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    return JSON.parse(asBuffer(bytes).toString())
  } catch {
    return null
  }
}
