import type { Fault } from '../db/model/tries.ts'

/** The code table of CONTRACT 7: status and type of each code. What a caller may rely on; tests hold it. */
const TABLE = {
  invalid_request: [400, 'invalid_request_error'],
  security_blocked: [400, 'invalid_request_error'],
  unknown_model_pricing: [400, 'invalid_request_error'],
  invalid_api_key: [401, 'authentication_error'],
  insufficient_credits: [402, 'billing_error'],
  subscription_expired: [402, 'billing_error'],
  model_not_allowed: [403, 'permission_error'],
  insufficient_permissions: [403, 'permission_error'],
  invalid_model: [404, 'invalid_request_error'],
  not_found: [404, 'invalid_request_error'],
  idempotency_conflict: [409, 'invalid_request_error'],
  request_too_large: [413, 'invalid_request_error'],
  rate_limit_exceeded: [429, 'rate_limit_error'],
  quota_exceeded: [429, 'rate_limit_error'],
  provider_paused: [429, 'rate_limit_error'],
  server_error: [500, 'api_error'],
  provider_error: [502, 'api_error'],
  service_unavailable: [503, 'api_error'],
  no_provider_key: [503, 'api_error'],
  provider_timeout: [504, 'api_error'],
} as const

export type ErrorCode = keyof typeof TABLE

export const ERROR_CODES = Object.keys(TABLE) as readonly ErrorCode[]

/** Codes that a retry can't mend: SDKs are told so. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'invalid_api_key',
  'insufficient_credits',
  'subscription_expired',
  'model_not_allowed',
  'insufficient_permissions',
  'quota_exceeded',
  'provider_paused',
  'idempotency_conflict',
])

export interface ErrorOptions {
  /** The request's member at fault, such as `messages[0].role`. */
  readonly param?: string | null
  /** Facts for programs, such as `{plan, limit, reset_at}`. */
  readonly details?: Readonly<Record<string, unknown>>
  /** Seconds. */
  readonly retryAfter?: number
  /** What really happened, for the log only. */
  readonly cause?: unknown
  /** Of a provider's failure; absent: it is none. */
  readonly fault?: Fault
  /** A status other than the code's own: only for a caller's mistake that the provider found. */
  readonly status?: number
}

/** The one error that leaves the gateway. Its message is for the caller: no key, no stack, no address of ours. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly type: string
  readonly param: string | null
  readonly details: Readonly<Record<string, unknown>> | null
  readonly retryAfter: number | null
  readonly fault: Fault | null

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'GatewayError'
    this.code = code
    this.status = options.status ?? TABLE[code][0]
    this.type = TABLE[code][1]
    this.param = options.param ?? null
    this.details = options.details ?? null
    this.retryAfter = options.retryAfter ?? null
    this.fault = options.fault ?? null
  }

  /** True when the same request can't succeed by being sent again. */
  get final(): boolean {
    return FINAL.has(this.code)
  }
}

/** OpenAI's face: `{error: {message, type, param, code, details?}}`. */
export function openaiFace(error: GatewayError): { error: Record<string, unknown> } {
  return {
    error: {
      message: error.message,
      type: error.type,
      param: error.param,
      code: error.code,
      ...(error.details === null ? {} : { details: error.details }),
    },
  }
}

/** Anthropic's words for the types that it has; the code says the rest. */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

/** Anthropic's face: `{type: "error", error: {type, message}, request_id}`, and our code, param and details in it. */
function anthropicFace(error: GatewayError, requestId: string): object {
  const type = ANTHROPIC_TYPES[error.status] ?? (error.status < 500 ? 'invalid_request_error' : 'api_error')
  const { message, code, param, details } = error
  const more = { ...(param === null ? {} : { param }), ...(details === null ? {} : { details }) }
  return { type: 'error', error: { type, message, code, ...more }, request_id: requestId }
}

const GOOGLE_STATUSES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  402: 'FAILED_PRECONDITION',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  413: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

/** Google's face: `{error: {code: status, message, status, details}}` with our code as its reason. */
function googleFace(error: GatewayError): object {
  const { status, message, code, param, details } = error
  const info = { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'watchllm' }
  const metadata = { ...(param === null ? {} : { param }), ...details }
  return {
    error: { code: status, message, status: GOOGLE_STATUSES[status] ?? 'INTERNAL', details: [{ ...info, metadata }] },
  }
}

/** An error's body as callers of a dialect read it. */
export function faceOf(error: GatewayError, face: 'openai' | 'anthropic' | 'google', requestId: string): object {
  if (face === 'anthropic') return anthropicFace(error, requestId)
  return face === 'google' ? googleFace(error) : openaiFace(error)
}

/** `retry-after` in seconds, and a word to SDKs that would hammer: name, value, … */
export function retryHeaders(error: GatewayError): string[] {
  const headers: string[] = []
  if (error.retryAfter !== null) headers.push('retry-after', String(error.retryAfter))
  if (error.final) headers.push('x-should-retry', 'false')
  return headers
}

/** Whatever was thrown as a GatewayError: a bug of ours becomes `server_error` and says nothing of itself. */
export function asGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  return new GatewayError('server_error', 'The gateway failed on this request; try again', { cause: thrown })
}
