import { type ErrorOptions, GatewayError } from './errors.ts'
import type { UpstreamError } from './upstream.ts'

/** What a provider's failure means for the caller (CONTRACT 7). */

/** The caller left before its answer began. */
export class CallerGone extends Error {}

/** SDKs sleep as long as they are told: never more than this. */
const MAX_RETRY_AFTER_S = 60
const MAX_MESSAGE = 600

export interface Refusal {
  readonly provider: string
  readonly model: string
  readonly status: number
  readonly body: string
  readonly retryAfter: string | null
  /** The key that was sent: cut out of whatever the provider says. */
  readonly apiKey: string | null
}

/** An HTTP status of 300 or more as the error that the caller sees. */
export function refusalOf(refusal: Refusal): GatewayError {
  const { status, provider } = refusal
  const said = readError(refusal.body, refusal.apiKey)
  const { message } = said
  const details = { provider, provider_status: status }
  const cause = `${provider} answered ${status}: ${redact(refusal.body, refusal.apiKey).slice(0, MAX_MESSAGE)}`
  const options = { details, cause }
  const isNoModel = said.codes.some((code) => NO_MODEL.has(code))
  if ((status === 400 && isNoModel) || (status === 404 && (isNoModel || /model/i.test(message)))) {
    return new GatewayError('invalid_model', message || `${provider} has no model "${refusal.model}"`, {
      ...options,
      fault: 'model',
      param: 'model',
    })
  }
  if (status === 413) {
    const text = message || `${provider} finds it too large`
    return new GatewayError('request_too_large', text, { ...options, fault: 'caller' })
  }
  if (status === 400 && ACCOUNT_AT_FAULT.test(`${said.codes.join(' ')} ${message}`))
    return refusedAccount(provider, options)
  if (status === 400 || status === 404 || status === 409 || status === 422) {
    const text = message || `${provider} refused the request with ${status}`
    return new GatewayError('invalid_request', text, { ...options, fault: 'caller', param: said.param, status: 400 })
  }
  if (status === 429 && !said.codes.includes('insufficient_quota')) {
    return new GatewayError(
      'rate_limit_exceeded',
      `${provider} is limiting requests: ${message || 'try again later'}`,
      {
        ...options,
        fault: 'overload',
        retryAfter: seconds(refusal.retryAfter),
      },
    )
  }
  if (status === 408 || status === 504 || status === 524) {
    return new GatewayError('provider_timeout', `${provider} took too long to answer`, { ...options, fault: 'late' })
  }
  if (status === 401 || status === 402 || status === 403 || status === 429) {
    return refusedAccount(provider, options)
  }
  const fault = status < 400 ? 'nonsense' : status === 503 || status === 529 ? 'overload' : 'provider'
  return new GatewayError('provider_error', `${provider} failed with ${status}`, { ...options, fault })
}

/** Providers that say 400 of an account: Anthropic's without credits, Google's with a wrong key. */
const ACCOUNT_AT_FAULT = /credit balance is too low|\bAPI_KEY_INVALID\b|API key not valid/

function refusedAccount(provider: string, options: ErrorOptions): GatewayError {
  const what = `${provider} refuses this gateway's account; tell its operator`
  return new GatewayError('provider_error', what, { ...options, fault: 'account' })
}

/** A stream that begins with an error in the place of content. @param said its words, for the log */
export function failedInStream(provider: string, said: string): GatewayError {
  const fault = /overloaded|rate.?limit|resource_exhausted|unavailable|\b(?:429|503|529)\b/i.test(said)
    ? 'overload'
    : 'provider'
  return new GatewayError('provider_error', `${provider} failed before it said anything`, {
    details: { provider },
    cause: redact(said, null),
    fault,
  })
}

/** A connection that failed, as the error that the caller sees. */
export function brokenConnection(provider: string, error: UpstreamError): GatewayError {
  const what = {
    connect: `${provider} can not be reached`,
    network: `The connection to ${provider} broke`,
    protocol: `${provider} answered something that is not HTTP`,
  }[error.kind]
  const fault = error.kind === 'protocol' ? 'nonsense' : 'network'
  return new GatewayError('provider_error', what, { details: { provider }, cause: redact(error.message, null), fault })
}

export function tooLate(provider: string, phase: string, limitMs: number): GatewayError {
  return new GatewayError('provider_timeout', `${provider} sent ${phase} within ${limitMs / 1000} s`, {
    details: { provider },
    fault: 'late',
  })
}

/** An answer that makes no sense. @param why for the log only */
export function nonsense(provider: string, why: string): GatewayError {
  return new GatewayError('provider_error', `${provider} sent an answer that can not be used`, {
    details: { provider },
    cause: redact(why, null),
    fault: 'nonsense',
  })
}

interface SaidError {
  readonly message: string
  /** Its `code` and `type`, where these are words. */
  readonly codes: readonly string[]
  readonly param: string | null
}

/** OpenAI's word and Mistral's. */
const NO_MODEL: ReadonlySet<string> = new Set(['model_not_found', 'invalid_model'])

/** What a provider's refusal says, without secrets; '' when it says nothing. @param apiKey what was sent, cut out of it */
export function messageOf(body: string, apiKey: string | null): string {
  return readError(body, apiKey).message
}

/** OpenAI's shape and its cousins: `{error: {message}}`, `{error: "…"}`, `{message}`, `{detail: [{msg}]}`. No secrets. */
function readError(body: string, apiKey: string | null): SaidError {
  const none: SaidError = { message: '', codes: [], param: null }
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return none
  }
  if (typeof value !== 'object' || value === null) return none
  const outer = (Array.isArray(value) ? value[0] : value) as Record<string, unknown> | undefined
  const inner = outer?.error ?? outer
  // Cut to length only when the secrets are out: half a key is no longer found.
  const clean = (text: string) => redact(text, apiKey).slice(0, MAX_MESSAGE)
  const { code, type, param } = (typeof inner === 'object' && inner !== null ? inner : {}) as Record<string, unknown>
  const codes = [code, type].filter((word) => typeof word === 'string')
  return { message: clean(wordsOf(inner, 0)), codes, param: typeof param === 'string' ? clean(param) : null }
}

/** Some put a list of complaints where others have a string, and some wrap it once more. */
function wordsOf(said: unknown, depth: number): string {
  if (typeof said === 'string') return said
  if (typeof said !== 'object' || said === null || depth > 3) return ''
  if (Array.isArray(said)) {
    const words = said.slice(0, 10).map((item) => wordsOf(item, depth + 1))
    return words.filter((word) => word !== '').join('; ')
  }
  const { message, detail, msg } = said as Record<string, unknown>
  return wordsOf(message ?? detail ?? msg, depth + 1)
}

/** Keys, bearer tokens and account ids must not travel down, nor into logs. */
const SECRETS =
  /\b(?:sk|pk|rk|gsk|csk|xai|hf|fw|tgp|pplx|nvapi|lgw|org|proj|key)[-_][\w*-]{6,}|\bAIza[\w-]{20,}|\b[Bb]earer\s+\S+/g

export function redact(text: string, apiKey: string | null): string {
  const without = apiKey === null || apiKey.length < 4 ? text : text.replaceAll(apiKey, '[redacted]')
  return without.replace(SECRETS, '[redacted]')
}

function seconds(header: string | null): number {
  const value = Number(header)
  return header !== null && Number.isFinite(value) && value > 0 ? Math.min(Math.ceil(value), MAX_RETRY_AFTER_S) : 1
}
