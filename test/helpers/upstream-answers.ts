import { gzipSync } from 'node:zlib'
import { type AnswerOptions, answer, type Gate, gate, type HeaderList, type Plan, steps } from './upstream-plan.ts'

/** Ready-made answers of a provider, from what everyone hopes for to what gateways meet in the night. */

/** What providers add of their own and no caller of a gateway may see: their cookies, organization, limits, software. */
export const PROVIDER_HEADERS: HeaderList = {
  server: 'cloudflare',
  'cf-ray': '9a1f00d2ab3c4d5e-FRA',
  'cf-cache-status': 'DYNAMIC',
  'set-cookie': ['__cf_bm=secret-bm-cookie; path=/; HttpOnly; Secure', '_cfuvid=secret-uvid; path=/; HttpOnly'],
  'openai-organization': 'org-of-the-operator',
  'openai-project': 'proj_of_the_operator',
  'openai-processing-ms': '412',
  'openai-version': '2020-10-01',
  'x-request-id': 'req_of_the_provider',
  'x-ratelimit-limit-requests': '10000',
  'x-ratelimit-remaining-requests': '9999',
  'strict-transport-security': 'max-age=31536000',
  'alt-svc': 'h3=":443"; ma=86400',
}

/** Bytes or an object as `application/json`. */
export function json(value: object | string | Uint8Array, options: AnswerOptions = {}): Plan {
  const body = typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value)
  return answer({ ...options, body, headers: { 'content-type': 'application/json', ...options.headers } })
}

/** Bytes as `text/event-stream`, chunked, a write for each frame unless told otherwise. */
export function sse(frames: string | Uint8Array, options: AnswerOptions = {}): Plan {
  const headers = {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    ...options.headers,
  }
  return answer({ framing: 'chunked', split: 'frames', ...options, body: frames, headers })
}

/** A page where an API should be: a proxy in between, a wrong base URL, a login wall. */
export function html(status = 200, options: AnswerOptions = {}): Plan {
  const body = `<!DOCTYPE html>\n<html><head><title>${status}</title></head><body><h1>nginx</h1></body></html>\n`
  return answer({
    ...options,
    status,
    body,
    headers: { 'content-type': 'text/html; charset=utf-8', ...options.headers },
  })
}

/** An error with OpenAI's body. 401 and 403 name the operator's key and organization, as the real ones do. */
export function openaiFailure(status: number, options: AnswerOptions = {}): Plan {
  return json(
    { error: openaiError(status) },
    { ...options, status, headers: { ...retryHeaders(status), ...options.headers } },
  )
}

/** An error with Anthropic's body. */
export function anthropicFailure(status: number, options: AnswerOptions = {}): Plan {
  const type = ANTHROPIC_TYPES[status] ?? 'api_error'
  const body = { type: 'error', error: { type, message: `Anthropic says ${type}` }, request_id: 'req_of_the_provider' }
  return json(body, { ...options, status, headers: { ...retryHeaders(status), ...options.headers } })
}

export function redirect(location: string, status = 302): Plan {
  return answer({ status, headers: { location }, body: 'Moved' })
}

/** 200 with nothing in it. */
export function empty(options: AnswerOptions = {}): Plan {
  return json('', options)
}

/** 200 that promises more bytes than it sends, then closes. */
export function truncated(body: string | Uint8Array, missingBytes = 100): Plan {
  return json(body, { declaredLength: Buffer.byteLength(body) + missingBytes })
}

/** Never answers: holds the request until the gate opens, then hangs up. */
export function hang(until: Gate = gate()): Plan {
  return steps({ do: 'wait', gate: until }, { do: 'cut', how: 'close' })
}

/** Bytes that are not HTTP. */
export function garbage(bytes: string | Uint8Array = '\x16\x03\x01 this is no HTTP\r\n\r\n'): Plan {
  return steps({ do: 'write', bytes: Buffer.from(bytes) }, { do: 'cut', how: 'close' })
}

/** One JSON string that goes on and on, made while it is read: memory stays flat here. */
export function huge(totalBytes = 256 * 1024 * 1024, options: AnswerOptions = {}): Plan {
  return answer({
    headers: { 'content-type': 'application/json' },
    ...options,
    *body() {
      yield Buffer.from('{"id":"chatcmpl-huge","object":"chat.completion","choices":[{"message":{"content":"')
      const piece = Buffer.alloc(64 * 1024, 'a')
      for (let sent = 0; sent < totalBytes; sent += piece.length) yield piece
      yield Buffer.from('"}}]}')
    },
  })
}

/** One endless line of an event stream: a frame that never ends. */
export function hugeFrame(totalBytes = 256 * 1024 * 1024, options: AnswerOptions = {}): Plan {
  return huge(totalBytes, { headers: { 'content-type': 'text/event-stream' }, ...options })
}

const BOMB_MEMBER_BYTES = 64 * 1024 * 1024
let bombMember: Buffer | null = null

/** `content-encoding: gzip`, a thousand times larger unpacked: members of 64 MiB of zeros. */
export function gzipBomb(unpackedBytes = 4 * 1024 * 1024 * 1024): Plan {
  bombMember ??= gzipSync(Buffer.alloc(BOMB_MEMBER_BYTES))
  const member = bombMember
  return answer({
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    *body() {
      for (let made = 0; made < unpackedBytes; made += BOMB_MEMBER_BYTES) yield member
    },
  })
}

/** A plan for the first request, one for the second, …; the last one for all that follow. */
export function inTurn(...plans: readonly [Plan, ...Plan[]]): (request: unknown, index: number) => Plan {
  return (_request, index) => plans[Math.min(index, plans.length - 1)]!
}

const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
}

function retryHeaders(status: number): HeaderList {
  return status === 429 || status === 503 || status === 529 ? { 'retry-after': '7' } : {}
}

function openaiError(status: number): { message: string; type: string; param: string | null; code: string | null } {
  switch (status) {
    case 400:
      return {
        message: "Invalid 'temperature': too high",
        type: 'invalid_request_error',
        param: 'temperature',
        code: null,
      }
    case 401: {
      const message = 'Incorrect API key provided: sk-of-t**********rator. Organization org-of-the-operator'
      return { message, type: 'invalid_request_error', param: null, code: 'invalid_api_key' }
    }
    case 403: {
      const message = 'Project proj_of_the_operator does not have access to model gpt-4o'
      return { message, type: 'invalid_request_error', param: null, code: 'model_not_found' }
    }
    case 404:
      return {
        message: 'The model does not exist',
        type: 'invalid_request_error',
        param: null,
        code: 'model_not_found',
      }
    case 429: {
      const message = 'Rate limit reached for gpt-4o in organization org-of-the-operator. Please try again in 7s'
      return { message, type: 'requests', param: null, code: 'rate_limit_exceeded' }
    }
    default:
      return { message: 'The server had an error', type: 'server_error', param: null, code: null }
  }
}
