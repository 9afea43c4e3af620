import { type Answered, attemptsOf, type Call, type Quota, type Rate, type Settled } from '../call.ts'
import type { Deps } from '../deps.ts'
import { faceOf, type GatewayError, retryHeaders } from '../errors.ts'
import type { Reply, StreamBody } from '../http.ts'
import type { Replay } from '../idempotency/told.ts'
import { toByteText } from '../wire/bytes.ts'
import type { ByteText } from '../wire/wire.ts'

const JSON_TYPE = 'application/json'
const SSE_TYPE = 'text/event-stream; charset=utf-8'

/** A whole answer with everything that is known of its call. */
export function respondWhole(call: Answered, settled: Settled, body: ByteText): Reply {
  const contentType = call.answer.kind === 'whole' ? (call.answer.contentType ?? null) : null
  const headers = headersOf(call, contentType ?? JSON_TYPE, settled)
  // Whatever a provider calls its bytes, no browser may make more of them.
  if (contentType !== null) headers.push('x-content-type-options', 'nosniff')
  return { status: 200, headers, body }
}

/** A call that goes on without its caller, or needs no provider. @param body the response as it is now, or its events as they come */
export function respondBackground(call: Call, body: ByteText | StreamBody): Reply {
  const streams = typeof body === 'function'
  const headers = headersOf(call, streams ? SSE_TYPE : JSON_TYPE, null)
  if (streams) headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no')
  return { status: 200, headers, body }
}

/** The head of an answer that was another request's before. @param settled null: it still comes */
export function respondReplay(call: Call, settled: Settled | null, replay: Replay): Reply {
  const headers = headersOf(call, replay.contentType, settled)
  headers.push(...replay.headers, 'x-watchllm-route', 'replay', 'x-watchllm-attempts', '0')
  headers.push('x-watchllm-replayed', replay.requestId)
  return { status: 200, headers, body: '' }
}

/** The head of a stream: what is known late follows in its last frames. */
export function respondStream(call: Answered, body: StreamBody, deps: Deps): Reply {
  const raw = call.answer.kind === 'stream' ? (call.answer.raw ?? null) : null
  const type = raw?.contentType ?? call.service.wire.streamForm?.contentType ?? SSE_TYPE
  const headers = headersOf(call, type, null)
  const nowMs = deps.clock.monotonic()
  const overheadMs = nowMs - call.startedAt - (call.timing.firstByteAt - call.timing.sentAt)
  headers.push('x-watchllm-latency-ms', milliseconds(nowMs - call.startedAt))
  headers.push('x-watchllm-overhead-ms', milliseconds(overheadMs))
  headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no')
  if (raw === null) return { status: 200, headers, body }
  headers.push('x-content-type-options', 'nosniff')
  return { status: 200, headers, body, ...(raw.length === null ? {} : { length: raw.length }) }
}

/** An error in its caller's face. */
export function respondError(call: Call, error: GatewayError, settled: Settled | null): Reply {
  const headers = headersOf(call, JSON_TYPE, settled)
  headers.push(...retryHeaders(error))
  return {
    status: error.status,
    headers,
    body: toByteText(JSON.stringify(faceOf(error, call.service.wire.face, call.id))),
  }
}

function headersOf(call: Call, type: string, settled: Settled | null): string[] {
  const headers = [
    'content-type',
    type,
    'x-request-id',
    call.id,
    'request-id',
    call.id,
    'x-watchllm-cached',
    'MISS',
    'x-watchllm-cache',
    'none',
  ]
  if (call.target !== undefined) {
    const { provider, model, rule } = call.target
    headers.push('x-watchllm-provider', provider.id, 'x-watchllm-model', safe(model))
    headers.push('x-watchllm-route', rule, 'x-watchllm-attempts', String(attemptsOf(call)))
  }
  if (call.adapted !== undefined && call.adapted !== null) headers.push('x-watchllm-adapted', call.adapted)
  if (settled !== null) {
    const { record, additions } = settled
    if (additions.costUsd !== null) headers.push('x-watchllm-cost-usd', additions.costUsd)
    headers.push('x-watchllm-latency-ms', milliseconds(record.latencyUs / 1000))
    headers.push('x-watchllm-overhead-ms', milliseconds(record.overheadUs / 1000))
  }
  if (call.rate !== undefined && call.rate !== null) pushRate(headers, call.rate, call.receivedAtMs)
  if (call.quota !== undefined && call.quota !== null) pushQuota(headers, call.quota, call.receivedAtMs)
  return headers
}

function pushRate(headers: string[], rate: Rate, nowMs: number): void {
  const limit = String(rate.limit)
  const remaining = String(rate.remaining)
  const reset = String(Math.ceil(rate.resetMs / 1000))
  headers.push('x-ratelimit-limit', limit, 'x-ratelimit-remaining', remaining, 'x-ratelimit-reset', reset)
  headers.push('x-ratelimit-limit-rpm', limit, 'x-ratelimit-remaining-rpm', remaining, 'x-ratelimit-reset-rpm', reset)
  headers.push('x-ratelimit-limit-requests', limit, 'x-ratelimit-remaining-requests', remaining)
  headers.push('x-ratelimit-reset-requests', durationOf(rate.resetMs - nowMs))
}

/** OpenAI's headers tell of a minute's tokens, or a day's where only these are limited. */
function pushQuota(headers: string[], { minute, day }: Quota, nowMs: number): void {
  if (day !== null) {
    headers.push('x-ratelimit-limit-daily', String(day.limit), 'x-ratelimit-remaining-daily', String(day.remaining))
  }
  const rate = minute ?? day!
  headers.push('x-ratelimit-limit-tokens', String(rate.limit), 'x-ratelimit-remaining-tokens', String(rate.remaining))
  headers.push('x-ratelimit-reset-tokens', durationOf(rate.resetMs - nowMs))
}

/** As OpenAI writes it: `40s`, `6m0s`, `2h0m30s`. Never too short. */
function durationOf(ms: number): string {
  const all = Math.max(0, Math.ceil(ms / 1000))
  const hours = Math.floor(all / 3600)
  const minutes = Math.floor(all / 60) % 60
  const seconds = `${all % 60}s`
  return hours > 0 ? `${hours}h${minutes}m${seconds}` : minutes > 0 ? `${minutes}m${seconds}` : seconds
}

function milliseconds(value: number): string {
  return String(Math.round(Math.max(0, value) * 10) / 10)
}

/** A header carries visible ASCII only; a model's name comes from the caller. */
function safe(value: string): string {
  // By way of bytes: encodeURIComponent throws for half a surrogate pair.
  return /^[\x21-\x7e]*$/.test(value) ? value : encodeURIComponent(Buffer.from(value).toString())
}
