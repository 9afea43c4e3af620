import { Buffer } from 'node:buffer'
import { asBuffer, concat, fromText } from './bytes.ts'
import { AnswerError } from './wire.ts'

/** A longer message is none: AWS's own limit is 16 MiB of payload and 128 kB of headers. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024 + 128 * 1024 + 16

/** Total length, length of the headers, checksum of the two. */
const PRELUDE_BYTES = 12
const CHECKSUM_BYTES = 4

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** CRC-32 as in ISO 3309 and zip. */
function crc32(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff
  for (let at = from; at < to; at++) crc = TABLE[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

export interface AwsMessage {
  /** Those of text only: `:message-type`, `:event-type`, `:exception-type`, `:content-type` and the like. */
  readonly headers: ReadonlyMap<string, string>
  readonly payload: Uint8Array
}

/**
 * One whole message of `application/vnd.amazon.eventstream`. @throws AnswerError when a checksum or a length is wrong
 * @see https://smithy.io/2.0/aws/amazon-eventstream.html
 */
export function readAwsMessage(bytes: Uint8Array): AwsMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const total = lengthOf(view)
  if (total !== bytes.length) throw broken('its length is not what it says')
  const end = total - CHECKSUM_BYTES
  if (crc32(bytes, 0, end) !== view.getUint32(end)) throw broken('its checksum is wrong')
  const payloadAt = PRELUDE_BYTES + view.getUint32(4)
  return { headers: readHeaders(bytes, view, payloadAt), payload: bytes.subarray(payloadAt, end) }
}

/** The message's length by its prelude, which must be there whole. */
function lengthOf(view: DataView): number {
  const total = view.getUint32(0)
  const headers = view.getUint32(4)
  if (crc32(new Uint8Array(view.buffer, view.byteOffset, 8), 0, 8) !== view.getUint32(8)) {
    throw broken('the checksum of its lengths is wrong')
  }
  if (total > MAX_MESSAGE_BYTES) throw broken(`it exceeds ${MAX_MESSAGE_BYTES} bytes`)
  if (total < PRELUDE_BYTES + headers + CHECKSUM_BYTES) throw broken('its headers are longer than itself')
  return total
}

/** Bytes that a header's value takes by its type; types 6 and 7 say their length in two bytes of their own. */
const VALUE_BYTES: readonly number[] = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]
const TEXT = 7

function readHeaders(bytes: Uint8Array, view: DataView, end: number): Map<string, string> {
  const headers = new Map<string, string>()
  let at = PRELUDE_BYTES
  while (at < end) {
    const nameEnd = at + 1 + bytes[at]!
    const type = bytes[nameEnd]
    const fixed = type === undefined ? undefined : VALUE_BYTES[type]
    if (nameEnd >= end || fixed === undefined) throw broken('its headers can not be read')
    let valueAt = nameEnd + 1
    let length = fixed
    if (fixed < 0) {
      if (valueAt + 2 > end) throw broken('its headers can not be read')
      length = view.getUint16(valueAt)
      valueAt += 2
    }
    if (valueAt + length > end) throw broken('its headers can not be read')
    if (type === TEXT) headers.set(textOf(bytes, at + 1, nameEnd), textOf(bytes, valueAt, valueAt + length))
    at = valueAt + length
  }
  return headers
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return asBuffer(bytes).toString('utf8', from, to)
}

function broken(why: string): AnswerError {
  return new AnswerError(`A message of the event stream is broken: ${why}`)
}

/** Anthropic's types for the exceptions that end a stream. */
const ERROR_TYPES: ReadonlyMap<string, string> = new Map([
  ['throttlingException', 'rate_limit_error'],
  ['serviceUnavailableException', 'overloaded_error'],
  ['validationException', 'invalid_request_error'],
  ['modelTimeoutException', 'timeout_error'],
])

/**
 * Bedrock's InvokeModelWithResponseStream -> server-sent events of the Messages wire, wherever the chunks were cut:
 * each chunk's JSON becomes the event of its `type`, an exception an `error` event.
 */
export class AwsEventStream {
  #held: Uint8Array[] = []
  #heldBytes = 0
  /** So many bytes must be there before the next look is worth it. */
  #awaited = PRELUDE_BYTES

  /** Events that are complete by now, null when there are none. @throws AnswerError on what is no event stream */
  push(chunk: Uint8Array): Uint8Array | null {
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes < this.#awaited) return null
    const bytes = concat(this.#held)
    let events = ''
    let at = 0
    for (;;) {
      const left = bytes.length - at
      this.#awaited = PRELUDE_BYTES
      if (left < PRELUDE_BYTES) break
      const length = lengthOf(new DataView(bytes.buffer, bytes.byteOffset + at, PRELUDE_BYTES))
      this.#awaited = length
      if (left < length) break
      events += eventOf(readAwsMessage(bytes.subarray(at, at + length)))
      at += length
    }
    this.#held = at === bytes.length ? [] : [bytes.subarray(at)]
    this.#heldBytes = bytes.length - at
    return events === '' ? null : fromText(events)
  }

  /** The connection was closed. @throws AnswerError in the middle of a message */
  end(): void {
    if (this.#heldBytes > 0) throw new AnswerError('The event stream ended in the middle of a message')
  }
}

function eventOf({ headers, payload }: AwsMessage): string {
  const kind = headers.get(':message-type')
  if (kind === 'exception' || kind === 'error') return errorOf(headers, payload)
  if (headers.get(':event-type') !== 'chunk') return ''
  const { bytes } = parsed(payload)
  if (typeof bytes !== 'string') throw new AnswerError('A chunk of the event stream has no bytes')
  const data = Buffer.from(bytes, 'base64').toString()
  const quick = /^\{"type":"([a-z_]+)"/.exec(data)
  if (quick !== null && !data.includes('\n') && !data.includes('\r')) return `event: ${quick[1]}\ndata: ${data}\n\n`
  const event = parsed(fromText(data))
  if (typeof event.type !== 'string') throw new AnswerError('A chunk of the event stream has no type')
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function errorOf(headers: ReadonlyMap<string, string>, payload: Uint8Array): string {
  const name = headers.get(':exception-type') ?? headers.get(':error-code') ?? ''
  const { message } = payload.length === 0 ? { message: undefined } : parsed(payload)
  const text = typeof message === 'string' ? message : (headers.get(':error-message') ?? name)
  const error = { type: ERROR_TYPES.get(name) ?? 'api_error', message: text === '' ? 'The stream failed' : text }
  return `event: error\ndata: ${JSON.stringify({ type: 'error', error })}\n\n`
}

function parsed(json: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(textOf(json, 0, json.length))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Told below, as for any other value.
  }
  throw new AnswerError('A payload of the event stream is no JSON object')
}
