import { invalidValue, type Json, missing, readNumber, wrongType } from './check.ts'
import { sandboxModel } from './model.ts'
import { Dice, hashOf } from './random.ts'
import { jsonPiecesReply, Refusal, type Reply } from './reply.ts'
import { countTokens } from './tokens.ts'

const CONTEXT_TOKENS = 8_192
const MOST_INPUTS = 2_048
const FORMATS = ['float', 'base64']
/** Places of the vector that one trigram moves. */
const PLACES = 4
/** Trigrams beyond this many no longer change the vector: long inputs must not take seconds. */
const MOST_TRIGRAMS = 40_000

/** Its pieces are the trigrams of a text, or of a list of token ids. */
interface Input {
  readonly units: readonly string[]
  readonly tokens: number
}

/** One request of `/embeddings`. @throws Refusal as OpenAI would. */
export function answerEmbeddings(body: Json, seed: number): Reply {
  const name = String(body.model)
  sandboxModel(name)
  const full = name.includes('large') ? 3072 : 1536
  const asked = readNumber(body, 'dimensions', { low: 1, high: full, whole: true })
  if (asked !== null && name.endsWith('ada-002')) {
    throw new Refusal('This model does not support specifying dimensions.', 'dimensions', null)
  }
  const format = body.encoding_format ?? 'float'
  if (!FORMATS.includes(String(format))) throw invalidValue('encoding_format', format, FORMATS)
  const inputs = readInputs(body)
  const tokens = inputs.reduce((sum, input) => sum + input.tokens, 0)
  const usage = { prompt_tokens: tokens, total_tokens: tokens }
  const write = (input: Input) => {
    const vector = vectorOf(input.units, full, asked ?? full)
    return format === 'base64' ? base64Of(vector) : [...vector]
  }
  return jsonPiecesReply(
    pieces(inputs, write, `"model":${JSON.stringify(name)},"usage":${JSON.stringify(usage)}`),
    seed,
  )
}

/** The answer's JSON, one vector at a time: thousands of them at once would hold up everyone else. */
function* pieces(inputs: readonly Input[], write: (input: Input) => unknown, rest: string): Generator<string> {
  for (const [index, input] of inputs.entries()) {
    const item = JSON.stringify({ object: 'embedding', index, embedding: write(input) })
    const before = index === 0 ? '{"object":"list","data":[' : ','
    yield before + item + (index === inputs.length - 1 ? `],${rest}}\n` : '')
  }
}

/**
 * A vector of length 1 in which like inputs lie close: each trigram moves a few places that its hash chooses.
 * Fewer dimensions are the beginning of the full vector, made one long again, as OpenAI's are.
 */
function vectorOf(units: readonly string[], full: number, wanted: number): Float64Array {
  const vector = new Float64Array(full)
  const padded = ['<', ...units, '>']
  // So that no input has a vector of zeros, whatever its beginning.
  const ground = new Dice(hashOf(units.slice(0, 1000).join('')))
  for (let i = 0; i < full; i++) vector[i] = (ground.next() - 0.5) * 0.02
  for (let i = 0; i + 2 < padded.length && i < MOST_TRIGRAMS; i++) {
    const hash = hashOf(`${padded[i]}${padded[i + 1]}${padded[i + 2]}`)
    for (let place = 0; place < PLACES; place++) {
      const mixed = Math.imul(hash ^ Math.imul(place, 0x9e3779b9), 0x85ebca6b) >>> 0
      vector[mixed % full]! += mixed & 0x8000_0000 ? 1 : -1
    }
  }
  const kept = vector.subarray(0, wanted)
  let square = 0
  for (const value of kept) square += value * value
  const length = Math.sqrt(square)
  // Eight decimals, so that both formats carry the same numbers and JSON stays short.
  return kept.map((value) => Math.round((value / length) * 1e8) / 1e8)
}

/** Little-endian float32. */
function base64Of(vector: Float64Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4))
  for (const [i, value] of vector.entries()) view.setFloat32(i * 4, value, true)
  let binary = ''
  for (let i = 0; i < view.byteLength; i++) binary += String.fromCharCode(view.getUint8(i))
  return btoa(binary)
}

function readInputs(body: Json): Input[] {
  const { input } = body
  if (input === undefined || input === null) throw missing('input')
  const inputs = inputsOf(input)
  if (inputs.length > MOST_INPUTS) {
    throw new Refusal(
      `Invalid 'input': array too long. Expected an array with maximum length ${MOST_INPUTS}, but got an array with length ${inputs.length} instead.`,
      'input',
      'array_above_max_length',
    )
  }
  for (const { tokens } of inputs) {
    if (tokens === 0) throw new Refusal("Invalid 'input': input cannot be an empty string.", 'input', 'invalid_value')
    if (tokens > CONTEXT_TOKENS) {
      throw new Refusal(
        `This model's maximum context length is ${CONTEXT_TOKENS} tokens, however you requested ${tokens} tokens ` +
          `(${tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length.`,
        'input',
        'context_length_exceeded',
      )
    }
  }
  return inputs
}

function inputsOf(input: unknown): Input[] {
  const expected = 'a string, array of strings, array of integers or array of arrays of integers'
  if (typeof input === 'string') return [ofText(input)]
  if (!Array.isArray(input)) throw wrongType('input', expected, input)
  if (input.length === 0) {
    throw new Refusal(
      "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'input',
      'empty_array',
    )
  }
  if (input.every((item) => typeof item === 'string')) return input.map(ofText)
  if (input.every((item) => Number.isInteger(item))) return [ofTokens(input)]
  if (input.every((item) => Array.isArray(item) && item.every((id) => Number.isInteger(id)))) return input.map(ofTokens)
  throw wrongType('input', expected, input)
}

function ofText(text: string): Input {
  return { units: [...text.toLowerCase().slice(0, MOST_TRIGRAMS)], tokens: countTokens(text) }
}

function ofTokens(ids: readonly number[]): Input {
  return { units: ids.map((id) => ` ${id}`), tokens: ids.length }
}
