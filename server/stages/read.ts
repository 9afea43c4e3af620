import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { KeyRules } from '../../db/model/key-rules.ts'
import { type Asked, type CallOptions, grow, type Known } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { CallerGone } from '../failure.ts'
import { BodyBroken, BodyTooLarge, type Incoming, NoRoom } from '../http.ts'
import type { PromptCache } from '../wire/dialect.ts'
import { type Ask, WireError } from '../wire/wire.ts'

const MAX_METADATA_BYTES = 2048
const NOTHING = new Uint8Array(0)
/** Nothing packs better than that by gzip's own way (deflate). */
const MAX_RATIO = 1032
/** Those refused for want of room come back spread over this time, in seconds. */
const RETRY_WITHIN_S = 10

/**
 * The request's body and head.
 * @throws GatewayError `invalid_request`, `request_too_large`, `service_unavailable` when too much memory is held by other
 * requests' bodies; CallerGone when the body breaks off
 */
export async function read(call: Known, deps: Deps): Promise<Asked> {
  const options = readOptions(call.incoming, call.principal.rules ?? null)
  const { pass } = call.service.wire
  if (pass === undefined) requireJson(call.incoming)
  const body =
    pass !== undefined && pass.method !== 'POST' ? NOTHING : await readBody(call.incoming, deps.settings.maxBodyBytes)
  if (call.principal.rules?.bodies) grow(call, { sent: body })
  return grow(call, { ask: readAsk(call, body), options })
}

function readAsk({ service, said }: Known, body: Uint8Array): Ask {
  if (service.wire.pass === undefined) requireText(body)
  try {
    return service.wire.readAsk(body, said)
  } catch (error) {
    if (error instanceof WireError) throw new GatewayError('invalid_request', error.message, { param: error.param })
    throw error
  }
}

function requireText(body: Uint8Array): void {
  if (body.length === 0) throw new GatewayError('invalid_request', 'The body is empty: send a JSON object')
  if (!isUtf8(body)) throw new GatewayError('invalid_request', 'The body is not valid UTF-8')
}

function requireJson(incoming: Incoming): void {
  const type = incoming.header('content-type')
  if (type === null || type.includes('json') || type.toLowerCase().includes('json')) return
  throw new GatewayError('invalid_request', `Send the body as application/json, not ${type.slice(0, 80)}`)
}

const unzip = promisify(gunzip)

/** The whole body, unpacked. @throws GatewayError as `read` */
export async function readBody(incoming: Incoming, limitBytes: number): Promise<Uint8Array> {
  const packed = isGzip(incoming.header('content-encoding'))
  try {
    const body = await incoming.body(limitBytes)
    return packed ? await unpack(incoming, body, limitBytes) : body
  } catch (error) {
    throw readFailure(error, limitBytes)
  }
}

/** Memory is held before it is used: first so much as the body says that it unpacks to, and where it lied, the most. */
async function unpack(incoming: Incoming, body: Uint8Array, limitBytes: number): Promise<Uint8Array> {
  const most = Math.min(limitBytes, body.length * MAX_RATIO)
  const said = Math.min(most, saidLength(body))
  try {
    return await unpackWithin(incoming, body, said)
  } catch (error) {
    if (said === most || (error as { code?: unknown }).code !== 'ERR_BUFFER_TOO_LARGE') throw error
    return unpackWithin(incoming, body, most)
  }
}

async function unpackWithin(incoming: Incoming, body: Uint8Array, bytes: number): Promise<Uint8Array> {
  if (incoming.hold?.(bytes) === false) throw new NoRoom()
  let used = 0
  try {
    const whole = await unzip(body, { maxOutputLength: Math.max(1, bytes) })
    used = whole.length
    return whole
  } finally {
    incoming.hold?.(used - bytes)
  }
}

/** The last four bytes of gzip (RFC 1952): the length of what it unpacks to, where it is in one piece. */
function saidLength(body: Uint8Array): number {
  const { length } = body
  return length < 4 ? 0 : new DataView(body.buffer, body.byteOffset + length - 4, 4).getUint32(0, true)
}

function isGzip(encoding: string | null): boolean {
  if (encoding === null) return false
  const name = encoding.toLowerCase()
  if (name === 'gzip' || name === 'x-gzip') return true
  if (name === 'identity' || name === '') return false
  throw new GatewayError(
    'invalid_request',
    `Content-encoding ${encoding.slice(0, 40)} is not supported: use gzip or none`,
  )
}

function readFailure(error: unknown, limitBytes: number): Error {
  const code = (error as { code?: unknown }).code
  if (error instanceof BodyTooLarge || code === 'ERR_BUFFER_TOO_LARGE') {
    return new GatewayError('request_too_large', `The body exceeds ${limitBytes} bytes`, {
      details: { limit_bytes: limitBytes },
    })
  }
  if (error instanceof BodyBroken) return new CallerGone()
  if (error instanceof NoRoom) return noRoom()
  if (typeof code === 'string' && code.startsWith('Z_')) {
    return new GatewayError('invalid_request', 'The body is not valid gzip')
  }
  return error as Error
}

let refused = 0

function noRoom(): GatewayError {
  refused++
  return new GatewayError('service_unavailable', 'Too many large requests are under way; try again shortly', {
    retryAfter: 1 + ((refused * 7) % RETRY_WITHIN_S),
  })
}

/** What the headers leave open is as the key says. */
function readOptions(incoming: Incoming, rules: KeyRules | null): CallOptions {
  return {
    additions: readAdditions(option(incoming, 'body'), rules?.bodyAdditions ?? true),
    metadata: readMetadata(option(incoming, 'metadata')),
    provider: option(incoming, 'route'),
    strict: readStrict(option(incoming, 'strict')),
    promptCache: readPromptCache(option(incoming, 'prompt-cache'), rules?.promptCache ?? 'respect'),
  }
}

function readStrict(text: string | null): boolean {
  if (text === null || text === '0' || text === 'false') return false
  if (text === '1' || text === 'true') return true
  throw badOption('strict', '1 or 0')
}

function readAdditions(text: string | null, usual: boolean): boolean {
  return text === null ? usual : text !== 'off'
}

function readPromptCache(text: string | null, usual: PromptCache): PromptCache {
  if (text === null) return usual
  if (text === 'auto' || text === 'respect' || text === 'off') return text
  throw badOption('prompt-cache', 'auto, respect or off')
}

function badOption(name: string, accepted: string): GatewayError {
  const param = `x-watchllm-${name}`
  return new GatewayError('invalid_request', `${param} must be ${accepted}`, { param })
}

function option(incoming: Incoming, name: string): string | null {
  return incoming.header(`x-watchllm-${name}`) ?? incoming.header(`x-waddleai-${name}`)
}

function readMetadata(text: string | null): string | null {
  if (text === null) return null
  const param = 'x-watchllm-metadata'
  if (text.length > MAX_METADATA_BYTES) throw new GatewayError('invalid_request', `${param} exceeds 2 kB`, { param })
  try {
    // Header values come byte for character; JSON is UTF-8.
    const value: unknown = JSON.parse(Buffer.from(text, 'latin1').toString())
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return JSON.stringify(value)
  } catch {
    // Falls through to the one error below.
  }
  throw new GatewayError('invalid_request', `${param} must be a JSON object`, { param })
}
