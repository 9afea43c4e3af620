import { createHash } from 'node:crypto'
import type { Admitted } from '../call.ts'
import { GatewayError } from '../errors.ts'
import { asBuffer } from '../wire/bytes.ts'

export const KEY_HEADER = 'idempotency-key'

export interface IdempotencyKey {
  /** Whose it is, and for what. */
  readonly id: string
  /** What is asked. */
  readonly fingerprint: string
}

const VISIBLE = /^[\x21-\x7e]{1,255}$/

/** What a provider is told of them, or what our own answer depends on. */
const HEADERS = ['anthropic-version', 'anthropic-beta', 'openai-beta']
const OPTIONS = ['body', 'route', 'strict', 'prompt-cache', 'memory', 'security', 'cache', 'cache-ttl']

/**
 * A key counts for one endpoint of one project; test keys, which the sandbox answers, have keys of their own.
 * @throws GatewayError `invalid_request`
 */
export function keyOf(call: Admitted, key: string): IdempotencyKey {
  if (!VISIBLE.test(key)) {
    throw new GatewayError('invalid_request', 'Idempotency-Key must have 1 to 255 visible ASCII characters', {
      param: KEY_HEADER,
    })
  }
  const { projectId, kind } = call.principal
  const id = createHash('sha256').update(JSON.stringify([projectId, kind, call.service.name, key]))
  return { id: id.digest('hex'), fingerprint: fingerprintOf(call) }
}

/** The same for requests that ask the same: the body's bytes, and all beside it that the answer depends on. */
function fingerprintOf(call: Admitted): string {
  const hash = createHash('sha256').update(askedBeside(call))
  const { body } = call.ask
  const boundary = boundaryOf(call.incoming.header('content-type'))
  if (boundary === null) return hash.update(body).digest('hex')
  // A form gets a new boundary each time it is sent.
  for (const part of partsOf(asBuffer(body), Buffer.from(boundary))) hash.update(`${part.length}\n`).update(part)
  return hash.digest('hex')
}

/** All that a request asks but its body, as text. */
export function askedBeside({ incoming, service, pinned, said }: Admitted): string {
  const headers = HEADERS.map((name) => incoming.header(name))
  const options = OPTIONS.map((name) => incoming.header(`x-watchllm-${name}`) ?? incoming.header(`x-waddleai-${name}`))
  const type = incoming.header('content-type')?.replace(/;.*/s, '').trim().toLowerCase() ?? null
  return JSON.stringify([service.name, pinned, said, queryOf(incoming.query), type, headers, options])
}

/** Without the API key, which may stand there. */
function queryOf(query: string): string {
  if (query === '') return query
  const pairs = new URLSearchParams(query)
  pairs.delete('key')
  return pairs.toString()
}

function boundaryOf(contentType: string | null): string | null {
  if (contentType === null || !/^multipart\//i.test(contentType)) return null
  return /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType)?.slice(1).find(Boolean) ?? null
}

function* partsOf(body: Buffer, boundary: Buffer): Generator<Buffer> {
  let from = 0
  for (let at = body.indexOf(boundary); at >= 0; at = body.indexOf(boundary, from)) {
    yield body.subarray(from, at)
    from = at + boundary.length
  }
  yield body.subarray(from)
}
