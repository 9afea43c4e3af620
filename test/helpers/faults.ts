import { gzipSync } from 'node:zlib'
import type { ErrorCode } from '../../server/errors.ts'
import {
  empty,
  garbage,
  gzipBomb,
  hang,
  html,
  huge,
  json,
  openaiFailure,
  redirect,
  sse,
  truncated,
} from './upstream-answers.ts'
import { answer, type Gate, type Plan } from './upstream-plan.ts'

/** What goes wrong at a provider before the caller has heard anything, and what the caller must hear then. */
export interface Fault {
  readonly name: string
  /** Without: whatever was asked for. */
  readonly on?: 'json' | 'stream'
  plan(stood: Gate): Plan
  readonly status: number
  readonly code: ErrorCode
  readonly param?: string
  readonly retryAfter?: string
  readonly says?: RegExp
  /** Milliseconds of the clock until it must be over, counted from where the plan stands still. */
  readonly withinMs?: number
  /** How the provider saw it end. */
  readonly ended?: 'sent' | 'aborted' | 'cut'
}

const BODY = '{"choices":[{"message":{"content":"Hi"}}],"data":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
const FRAME = 'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"text":"Hi"}]}\n\n'
const SSE = { 'content-type': 'text/event-stream' }
const BAD = { status: 502, code: 'provider_error' } as const
const LATE = { status: 504, code: 'provider_timeout' } as const

function refusal(status: number, error: object | string, headers: Record<string, string> = {}): Plan {
  const body = typeof error === 'string' ? error : JSON.stringify({ error })
  return answer({ status, body, headers: { 'content-type': 'application/json', ...headers } })
}

/** Refusals: the provider answers, and says no. */
const REFUSALS: readonly Fault[] = [
  { name: '401', plan: () => openaiFailure(401), ...BAD, says: /tell its operator/ },
  { name: '402', plan: () => openaiFailure(402), ...BAD, says: /tell its operator/ },
  { name: '403', plan: () => openaiFailure(403), ...BAD, says: /tell its operator/ },
  { name: '404 of a model', plan: () => openaiFailure(404), status: 404, code: 'invalid_model', param: 'model' },
  { name: '404 of a path, as HTML', plan: () => html(404), status: 400, code: 'invalid_request' },
  {
    name: '400 with a param',
    plan: () => openaiFailure(400),
    status: 400,
    code: 'invalid_request',
    param: 'temperature',
    says: /^Invalid 'temperature': too high$/,
  },
  { name: '400 without a word', plan: () => refusal(400, ''), status: 400, code: 'invalid_request' },
  { name: '409', plan: () => openaiFailure(409), status: 400, code: 'invalid_request' },
  { name: '413', plan: () => openaiFailure(413), status: 413, code: 'request_too_large' },
  {
    name: "422 with FastAPI's list",
    plan: () => refusal(422, '{"detail":[{"loc":["body","n"],"msg":"n must be 1"},{"msg":"too odd"}]}'),
    status: 400,
    code: 'invalid_request',
    says: /^n must be 1; too odd$/,
  },
  { name: '429', plan: () => openaiFailure(429), status: 429, code: 'rate_limit_exceeded', retryAfter: '7' },
  {
    name: '429 that asks for an hour',
    plan: () => openaiFailure(429, { headers: { 'retry-after': '3600' } }),
    status: 429,
    code: 'rate_limit_exceeded',
    retryAfter: '60',
  },
  {
    name: '429 with a date',
    plan: () => openaiFailure(429, { headers: { 'retry-after': 'Fri, 31 Dec 2027 23:59:59 GMT' } }),
    status: 429,
    code: 'rate_limit_exceeded',
    retryAfter: '1',
  },
  {
    name: '429 that means an empty account',
    plan: () => refusal(429, { message: 'You exceeded your quota', code: 'insufficient_quota' }),
    ...BAD,
  },
  { name: '500', plan: () => openaiFailure(500), ...BAD },
  { name: '500 with a stack', plan: () => refusal(500, 'Error: x\n    at f (/srv/app/index.js:1:1)'), ...BAD },
  { name: '502 as HTML', plan: () => html(502), ...BAD },
  { name: '503', plan: () => openaiFailure(503), ...BAD },
  { name: '529', plan: () => openaiFailure(529), ...BAD },
  { name: '504', plan: () => openaiFailure(504), ...LATE },
  { name: '524 of Cloudflare', plan: () => html(524), ...LATE },
  { name: '408', plan: () => openaiFailure(408), ...LATE },
  { name: 'a redirect', plan: () => redirect('http://127.0.0.1:9/steal', 307), ...BAD },
  { name: 'a refusal of 1 MB', plan: () => refusal(500, { message: 'a'.repeat(1_000_000) }), ...BAD },
  {
    name: 'a refusal without end',
    plan: () => huge(256 * 1024 * 1024, { status: 500 }),
    ...BAD,
    ended: 'aborted',
  },
  {
    name: 'a refusal that repeats keys',
    plan: () => refusal(400, { message: 'Key sk-provider-secret-0123456789 of org-of-the-operator is bad' }),
    status: 400,
    code: 'invalid_request',
    says: /^Key \[redacted\] of \[redacted\] is bad$/,
  },
  {
    name: 'a refusal cut off',
    plan: () => answer({ status: 500, body: BODY, cut: { at: 20 } }),
    ...BAD,
    ended: 'cut',
  },
]

/** Connections that fail, and answers that never come. */
const BROKEN: readonly Fault[] = [
  { name: 'cut before the headers', plan: () => answer({ cut: { at: 'start' } }), ...BAD, ended: 'cut' },
  {
    name: 'reset before the headers',
    plan: () => answer({ cut: { at: 'start', how: 'reset' } }),
    ...BAD,
    ended: 'cut',
  },
  { name: 'cut inside the headers', plan: () => answer({ cut: { at: 'headers' } }), ...BAD, ended: 'cut' },
  { name: 'bytes that are no HTTP', plan: () => garbage(), ...BAD },
  { name: 'headers of a megabyte', plan: () => answer({ headers: { 'x-long': 'a'.repeat(1_000_000) } }), ...BAD },
  { name: 'a length that is no number', plan: () => answer({ headers: { 'content-length': 'x' } }), ...BAD },
  { name: 'no answer at all', plan: (stood) => hang(stood), ...LATE, withinMs: 60_000, ended: 'aborted' },
  {
    name: 'a stall inside a refusal',
    plan: (stood) => answer({ status: 400, body: BODY, stall: { at: 10, gate: stood } }),
    ...LATE,
    withinMs: 90_000,
    ended: 'aborted',
  },
  { name: '204 without a body', plan: () => answer({ status: 204 }), ...BAD },
  { name: '200 without a body or a type', plan: () => answer({}), ...BAD },
  {
    name: 'an encoding named constructor',
    plan: () => json(BODY, { headers: { 'content-encoding': 'constructor' } }),
    ...BAD,
  },
  {
    name: 'an encoding named __proto__',
    plan: () => json(BODY, { headers: { 'content-encoding': '__proto__' } }),
    ...BAD,
  },
  { name: 'an encoding nobody knows', plan: () => json(BODY, { headers: { 'content-encoding': 'zstd' } }), ...BAD },
]

/** Whole answers that are none. */
const BAD_JSON: readonly Omit<Fault, 'on'>[] = [
  { name: 'empty 200', plan: () => empty(), ...BAD },
  { name: 'HTML with 200', plan: () => html(200), ...BAD },
  { name: 'truncated 200', plan: () => truncated(BODY), ...BAD },
  { name: 'JSON cut in order', plan: () => json(BODY.slice(0, -9)), ...BAD },
  { name: 'cut in the body', plan: () => json(BODY, { cut: { at: 30 } }), ...BAD, ended: 'cut' },
  { name: 'reset in the body', plan: () => json(BODY, { cut: { at: 30, how: 'reset' } }), ...BAD, ended: 'cut' },
  { name: 'cut inside a chunk', plan: () => json(BODY, { framing: 'chunked', cut: { at: 30 } }), ...BAD, ended: 'cut' },
  { name: 'an array', plan: () => json('[]'), ...BAD },
  { name: 'null', plan: () => json('null'), ...BAD },
  { name: 'another object', plan: () => json('{"ok":true}'), ...BAD },
  { name: 'an error with 200', plan: () => json('{"error":{"message":"org-of-the-operator is broke"}}'), ...BAD },
  { name: 'a stream', plan: () => sse(`${FRAME}data: [DONE]\n\n`), ...BAD },
  { name: 'no gzip', plan: () => json(BODY, { headers: { 'content-encoding': 'gzip' } }), ...BAD },
  {
    name: 'gzip cut off',
    plan: () => json(gzipSync(BODY).subarray(0, 40), { headers: { 'content-encoding': 'gzip' } }),
    ...BAD,
  },
  {
    name: 'a stall behind the headers',
    plan: (stood) => json(BODY, { stall: { at: 'headers', gate: stood } }),
    ...LATE,
    withinMs: 90_000,
    ended: 'aborted',
  },
  {
    name: 'a stall in the body',
    plan: (stood) => json(BODY, { stall: { at: 30, gate: stood } }),
    ...LATE,
    withinMs: 90_000,
    ended: 'aborted',
  },
]

/** Streams that never begin. */
const BAD_STREAM: readonly Omit<Fault, 'on'>[] = [
  { name: 'JSON', plan: () => json(BODY), ...BAD },
  { name: 'HTML with 200', plan: () => html(200), ...BAD },
  { name: 'empty 200', plan: () => empty(), ...BAD },
  { name: 'an empty stream', plan: () => sse(''), ...BAD },
  { name: 'a packed stream', plan: () => sse(gzipSync(FRAME), { headers: { 'content-encoding': 'gzip' } }), ...BAD },
  { name: 'cut behind the headers', plan: () => sse(FRAME, { cut: { at: 0 } }), ...BAD, ended: 'cut' },
  {
    name: 'a stall behind the headers',
    plan: (stood) => answer({ headers: SSE, framing: 'chunked', body: FRAME, stall: { at: 'headers', gate: stood } }),
    ...LATE,
    withinMs: 60_000,
    ended: 'aborted',
  },
]

export const FAULTS: readonly Fault[] = [
  ...REFUSALS,
  ...BROKEN,
  ...BAD_JSON.map((fault) => ({ ...fault, on: 'json' as const })),
  ...BAD_STREAM.map((fault) => ({ ...fault, on: 'stream' as const })),
]

/** Too large to be sent once for every endpoint. */
export const HEAVY_FAULTS: readonly Fault[] = [
  { name: 'a gzip bomb', on: 'json', plan: () => gzipBomb(512 * 1024 * 1024), ...BAD },
]
