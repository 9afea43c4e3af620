import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  asGatewayError,
  ERROR_CODES,
  type ErrorCode,
  GatewayError,
  openaiFace,
  retryHeaders,
} from '../server/errors.ts'

/** CONTRACT 7: status, code, type. */
const TABLE: [number, ErrorCode, string][] = [
  [400, 'invalid_request', 'invalid_request_error'],
  [400, 'security_blocked', 'invalid_request_error'],
  [400, 'unknown_model_pricing', 'invalid_request_error'],
  [401, 'invalid_api_key', 'authentication_error'],
  [402, 'insufficient_credits', 'billing_error'],
  [402, 'subscription_expired', 'billing_error'],
  [403, 'model_not_allowed', 'permission_error'],
  [403, 'insufficient_permissions', 'permission_error'],
  [404, 'invalid_model', 'invalid_request_error'],
  [404, 'not_found', 'invalid_request_error'],
  [409, 'idempotency_conflict', 'invalid_request_error'],
  [413, 'request_too_large', 'invalid_request_error'],
  [429, 'rate_limit_exceeded', 'rate_limit_error'],
  [429, 'quota_exceeded', 'rate_limit_error'],
  [429, 'provider_paused', 'rate_limit_error'],
  [500, 'server_error', 'api_error'],
  [502, 'provider_error', 'api_error'],
  [503, 'service_unavailable', 'api_error'],
  [503, 'no_provider_key', 'api_error'],
  [504, 'provider_timeout', 'api_error'],
]

const CONTRACT = new URL('../../shared/CONTRACT.md', import.meta.url)

/** Rows such as "| 404 | `invalid_model` (unknown model), `not_found` |" as pairs of status and code. */
function contractRows(): [number, string][] {
  const section = readFileSync(CONTRACT, 'utf8').split('\n## 7. Errors\n')[1]!.split('\n## ')[0]!
  return Array.from(section.matchAll(/^\| (\d{3}) \| (.*) \|$/gm)).flatMap((row) => {
    const words = Array.from(row[2]!.matchAll(/`([a-z_]+)`/g), (found) => found[1]!)
    const codes = words.filter((word) => !word.endsWith('_error') || row[2]!.startsWith(`\`${word}\``))
    return codes.map((code): [number, string] => [Number(row[1]), code])
  })
}

describe('the code table', () => {
  it.each(TABLE)('%i %s is a %s', (status, code, type) => {
    expect(new GatewayError(code, 'Said')).toMatchObject({ status, code, type, message: 'Said', name: 'GatewayError' })
  })

  it('has these codes and no others', () => {
    expect([...ERROR_CODES].sort()).toEqual(TABLE.map(([, code]) => code).sort())
  })

  it.skipIf(!existsSync(CONTRACT))('is the one of the contract, row by row', () => {
    const ours = TABLE.map(([status, code]) => `${status} ${code}`)
    expect(
      contractRows()
        .map(([status, code]) => `${status} ${code}`)
        .sort(),
    ).toEqual(ours.sort())
  })
})

describe('openaiFace()', () => {
  it('has all four members, null where nothing is known', () => {
    expect(openaiFace(new GatewayError('not_found', 'No such thing'))).toEqual({
      error: { message: 'No such thing', type: 'invalid_request_error', param: null, code: 'not_found' },
    })
  })

  it('names the member at fault and the details where there are any', () => {
    const details = { plan: 'free', limit: 10, reset_at: 1767950160 }
    expect(openaiFace(new GatewayError('quota_exceeded', 'Too many', { param: 'model', details })).error).toEqual({
      message: 'Too many',
      type: 'rate_limit_error',
      param: 'model',
      code: 'quota_exceeded',
      details,
    })
  })

  it.each(ERROR_CODES)('says nothing of stack and cause: %s', (code) => {
    const cause = new Error('SECRET in the cause')
    const face = JSON.stringify(openaiFace(new GatewayError(code, 'Said', { cause, retryAfter: 5 })))
    expect(face).not.toMatch(/SECRET|stack|cause|at .*\.ts/)
  })

  it("keeps the code's type under another status", () => {
    expect(new GatewayError('invalid_request', 'Gone', { status: 499 })).toMatchObject({
      status: 499,
      type: 'invalid_request_error',
    })
  })
})

describe('retryHeaders()', () => {
  const FINAL: ErrorCode[] = [
    'invalid_api_key',
    'insufficient_credits',
    'subscription_expired',
    'model_not_allowed',
    'insufficient_permissions',
    'quota_exceeded',
    'provider_paused',
    'idempotency_conflict',
  ]

  it.each(ERROR_CODES)('tells SDKs not to hammer exactly where a retry can not help: %s', (code) => {
    const error = new GatewayError(code, 'Said')
    expect(error.final).toBe(FINAL.includes(code))
    expect(retryHeaders(error)).toEqual(FINAL.includes(code) ? ['x-should-retry', 'false'] : [])
  })

  it('covers every 401, 402 and 403, quotas, pauses and conflicts', () => {
    const final = TABLE.filter(([status]) => status >= 401 && status <= 403).map(([, code]) => code)
    expect(FINAL).toEqual([...final, 'quota_exceeded', 'provider_paused', 'idempotency_conflict'])
  })

  it('says how long to wait when that is known, 0 included', () => {
    expect(retryHeaders(new GatewayError('rate_limit_exceeded', 'Slow', { retryAfter: 7 }))).toEqual([
      'retry-after',
      '7',
    ])
    expect(retryHeaders(new GatewayError('service_unavailable', 'Busy', { retryAfter: 0 }))).toEqual([
      'retry-after',
      '0',
    ])
    expect(retryHeaders(new GatewayError('quota_exceeded', 'Spent', { retryAfter: 9 }))).toEqual([
      'retry-after',
      '9',
      'x-should-retry',
      'false',
    ])
  })
})

describe('asGatewayError()', () => {
  it('lets its own kind through', () => {
    const error = new GatewayError('not_found', 'No such thing')
    expect(asGatewayError(error)).toBe(error)
  })

  it.each([new TypeError('SECRET of ours'), 'SECRET', undefined, null, { message: 'SECRET' }])(
    'makes a bug a server_error that says nothing of itself: %s',
    (thrown) => {
      const error = asGatewayError(thrown)
      expect(error).toMatchObject({ status: 500, code: 'server_error' })
      expect(error.cause).toBe(thrown)
      expect(JSON.stringify(openaiFace(error))).not.toContain('SECRET')
    },
  )
})
