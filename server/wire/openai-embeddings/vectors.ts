import { Buffer } from 'node:buffer'
import { AnswerError } from '../wire.ts'

/** Vectors as APIs write them: numbers, or base64 of little-endian float32. */

/** How far a vector's squared length may be from 1 and still count as normalised: float32 rounding. */
const UNIT_TOLERANCE = 1e-3

const NO_VECTOR = 'An embedding of the answer is neither numbers nor base64'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** @throws AnswerError when it is no vector */
export function readVector(value: unknown): Float64Array {
  return typeof value === 'string' ? fromBase64(value) : floats(value)
}

function floats(value: unknown): Float64Array {
  if (!Array.isArray(value) || value.length === 0 || value.some((part) => typeof part !== 'number')) {
    throw new AnswerError(NO_VECTOR)
  }
  return Float64Array.from(value as number[])
}

function fromBase64(text: string): Float64Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length === 0 || bytes.length % 4 !== 0 || !BASE64.test(text)) throw new AnswerError(NO_VECTOR)
  const vector = new Float64Array(bytes.length >> 2)
  for (let i = 0; i < vector.length; i++) vector[i] = bytes.readFloatLE(i * 4)
  return vector
}

export function writeVector(vector: Float64Array, asBase64: boolean): string | number[] {
  return asBase64 ? toBase64(vector) : Array.from(vector)
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
export function normalised(vector: Float64Array): Float64Array {
  let square = 0
  for (const part of vector) square += part * part
  if (!Number.isFinite(square)) throw new AnswerError(NO_VECTOR)
  if (square === 0 || Math.abs(square - 1) < UNIT_TOLERANCE) return vector
  const length = Math.sqrt(square)
  return vector.map((part) => part / length)
}
