import { describe, expect, it } from 'vitest'
import { type ErrorCode, openaiFace } from '../server/errors.ts'
import { brokenConnection, nonsense, type Refusal, redact, refusalOf, tooLate } from '../server/failure.ts'
import { jsonValue, Random } from './helpers/random.ts'

const KEY = '0f3c9d1e7b5a48d2aa61c0de77e4b913'

function refused(status: number, body: unknown = '', more: Partial<Refusal> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return refusalOf({ provider: 'Groq', model: 'llama', status, body: text, retryAfter: null, apiKey: KEY, ...more })
}

const said = (message: string, more: object = {}) => ({ error: { message, ...more } })

/** Status of the provider, then code and status of ours. */
const CALLERS_FAULT: [number, ErrorCode, number][] = [
  [400, 'invalid_request', 400],
  [404, 'invalid_request', 400],
  [409, 'invalid_request', 400],
  [413, 'request_too_large', 413],
  [422, 'invalid_request', 400],
  [429, 'rate_limit_exceeded', 429],
]
const TOO_SLOW = [408, 504, 524]

describe('refusalOf()', () => {
  it.each(CALLERS_FAULT)('%i is the caller’s to mend: %s with %i, in the provider’s words', (status, code, ours) => {
    const error = refused(status, said('Your temperature is too high', { param: 'temperature' }))
    expect(error).toMatchObject({ code, status: ours, details: { provider: 'Groq', provider_status: status } })
    expect(error.message).toContain('Your temperature is too high')
    if (code === 'invalid_request') expect(error.param).toBe('temperature')
    expect(refused(status).message).toContain('Groq')
  })

  it.each(TOO_SLOW)('%i is provider_timeout', (status) => {
    expect(refused(status, said('slow'))).toMatchObject({ code: 'provider_timeout', status: 504 })
  })

  it('every other status from 300 to 599 is provider_error, 502, whatever the provider says', () => {
    const known = new Set([...CALLERS_FAULT.map(([status]) => status), ...TOO_SLOW])
    for (let status = 300; status < 600; status++) {
      if (known.has(status)) continue
      const error = refused(status, said('INSIDE'))
      expect(error, String(status)).toMatchObject({ code: 'provider_error', status: 502 })
      expect(error.message, String(status)).not.toContain('INSIDE')
      expect(error.cause, String(status)).toContain('INSIDE')
    }
  })

  it.each([401, 402, 403])("a provider's own %i is never shown as the caller's", (status) => {
    const error = refused(status, said('Incorrect API key provided'))
    expect([error.status, error.final]).toEqual([502, false])
    expect(JSON.stringify(openaiFace(error))).not.toMatch(/API key|invalid_api_key/)
  })

  it.each([
    [404, said('The model `llama` does not exist', { code: 'model_not_found' })],
    [404, said('Nope', { code: 'model_not_found' })],
    [404, [{ error: { code: 404, message: 'models/llama is not found', status: 'NOT_FOUND' } }]],
    [400, { object: 'error', message: 'Invalid model: llama', type: 'invalid_model', code: '1500' }],
  ])('%i %j is invalid_model', (status, body) => {
    expect(refused(status, body)).toMatchObject({ code: 'invalid_model', status: 404, param: 'model' })
  })

  it('an empty account at the provider is no rate limit of the caller', () => {
    for (const quota of [{ code: 'insufficient_quota' }, { type: 'insufficient_quota', code: null }]) {
      expect(refused(429, said('You exceeded your current quota', quota))).toMatchObject({
        code: 'provider_error',
        status: 502,
      })
    }
  })

  it.each([
    [null, 1],
    ['', 1],
    ['0', 1],
    ['-5', 1],
    ['0.2', 1],
    ['7', 7],
    ['7.1', 8],
    ['60', 60],
    ['61', 60],
    ['86400', 60],
    ['1e9', 60],
    ['Infinity', 1],
    ['NaN', 1],
    ['Fri, 21 Nov 2025 07:28:00 GMT', 1],
    ['7, 8', 1],
  ])('a retry-after of %j becomes %i seconds: SDKs sleep as long as they are told', (retryAfter, seconds) => {
    expect(refused(429, said('Slow down'), { retryAfter }).retryAfter).toBe(seconds)
  })

  it.each([
    [{ error: { message: 'words' } }],
    [{ error: 'words' }],
    [{ message: 'words' }],
    [{ detail: 'words' }],
    [{ detail: [{ loc: ['body', 'x'], msg: 'words', type: 'extra_forbidden' }] }],
    [{ object: 'error', message: { detail: [{ msg: 'words' }] } }],
    [[{ error: { message: 'words' } }]],
    [{ error: { message: { message: 'words' } } }],
  ])('finds the words in %j', (body) => {
    expect(refused(400, body).message).toBe('words')
  })

  it.each([
    '<html><body><h1>400 Bad Request</h1></body></html>',
    'upstream connect error',
    '',
    '{',
    'null',
    '5',
    '"x"',
  ])('shows nothing of a body that is no error object, and keeps it for the log: %j', (body) => {
    const error = refused(400, body)
    expect(error.message).toBe('Groq refused the request with 400')
    expect(error.cause).toBe(`Groq answered 400: ${body}`)
  })

  it('never throws, whatever JSON a provider answers with', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = new Random(seed)
      const part = () => jsonValue(random, 3)
      const error = { message: part(), detail: part(), msg: part(), code: part(), type: part(), param: part() }
      const body = random.pick([part(), { error: part() }, { error }, [{ error }], [part()], error, { error: [error] }])
      const refusal = refused(random.pick([400, 401, 404, 422, 429, 500]), body)
      expect(typeof refusal.message, `seed ${seed}`).toBe('string')
      expect(refusal.message, `seed ${seed}`).not.toBe('')
      expect(() => JSON.stringify(openaiFace(refusal))).not.toThrow()
    }
    expect(refused(400, `${'['.repeat(5000)}${']'.repeat(5000)}`).code).toBe('invalid_request')
  })

  it('keeps messages and causes short', () => {
    const error = refused(400, said('x'.repeat(100_000), { param: 'p'.repeat(100_000) }))
    expect(error.message).toHaveLength(600)
    expect(error.param).toHaveLength(600)
    expect(String(error.cause).length).toBeLessThan(700)
  })
})

describe('secrets', () => {
  const SECRETS = [
    KEY,
    'sk-proj-Abc123_def456-ghi789',
    'sk-ant-api03-XXXXXXXXXXXX',
    'sk_live_51Habcdefghij',
    'sk-********************abcd',
    'gsk_AbCdEf123456789',
    'xai-AbCdEf123456789',
    'hf_AbCdEfGhIjKlMnOp',
    'pplx-0123456789abcdef',
    'nvapi-abcdefgh12345',
    'csk-abcdefgh12345678',
    'lgw_proj_0123456789abcdef',
    'AIzaSyA1234567890abcdefghijklmnopqrstuv',
    'org-AbCdEf123456',
    'org_01jabcdefghijk',
    'proj_AbCdEf1234',
    'Bearer abc.def.ghi',
    'bearer abc.def.ghi',
  ]

  it.each(SECRETS)('%s never travels down or into the log, wherever a provider puts it', (secret) => {
    const bodies = [
      said(`Rate limit for ${secret} reached`),
      said(`(${secret})`, { param: secret, code: secret, type: secret }),
      { message: secret },
      { detail: [{ msg: secret }] },
      `<html>${secret}</html>`,
      secret,
      said('x '.repeat(295) + secret),
      'x '.repeat(295) + secret,
    ]
    for (const status of [400, 401, 404, 413, 429, 500]) {
      for (const body of bodies) {
        const error = refused(status, body)
        const shown = `${error.message} ${JSON.stringify(openaiFace(error))} ${String(error.cause)}`
        expect(shown).not.toContain(secret)
        // Nor the half of it that fits before a cut.
        expect(shown).not.toContain(secret.slice(0, 10))
      }
    }
    if (secret === KEY) return
    for (const error of [
      nonsense('Groq', `Got ${secret}`),
      brokenConnection('Groq', { kind: 'network', message: secret }),
    ]) {
      expect(`${error.message} ${String(error.cause)}`).not.toContain(secret)
    }
  })

  it('are told from ordinary words', () => {
    const words = 'The task-force organized a risk-free, key-based proj in desk-top skies; max_tokens is 5'
    expect(redact(words, null)).toBe(words)
    expect(redact('a short key like abc', 'abc')).toBe('a short key like abc')
  })

  it('are cut out every time, in linear time on long texts', () => {
    expect(redact(`${KEY} ${KEY}, sk-aaaaaaaa and sk-bbbbbbbb`, KEY)).toBe(
      '[redacted] [redacted], [redacted] and [redacted]',
    )
    for (const unit of ['sk-', 'Bearer ', 'bearer  ', 'AIza', 'key_', 'org-aaaaa ']) {
      const from = process.hrtime.bigint()
      redact(unit.repeat(200_000), KEY)
      expect(Number(process.hrtime.bigint() - from) / 1e6, unit).toBeLessThan(2000)
    }
  })
})

describe('other failures', () => {
  it.each([
    ['connect', 'Groq can not be reached'],
    ['network', 'The connection to Groq broke'],
    ['protocol', 'Groq answered something that is not HTTP'],
  ] as const)('a broken connection (%s) says what broke and keeps the reason for the log', (kind, message) => {
    const error = brokenConnection('Groq', { kind, message: 'ECONNREFUSED 10.0.0.5:443' })
    expect(error).toMatchObject({ code: 'provider_error', status: 502, message, cause: 'ECONNREFUSED 10.0.0.5:443' })
    expect(JSON.stringify(openaiFace(error))).not.toContain('10.0.0.5')
  })

  it('a provider that is too late is a 504 that names the phase', () => {
    expect(tooLate('Groq', 'no first byte', 60_000)).toMatchObject({
      code: 'provider_timeout',
      status: 504,
      message: 'Groq sent no first byte within 60 s',
    })
  })

  it('nonsense says why in the log only', () => {
    const error = nonsense('Groq', 'The answer is no JSON: <html>')
    expect(error).toMatchObject({ code: 'provider_error', status: 502, cause: 'The answer is no JSON: <html>' })
    expect(JSON.stringify(openaiFace(error))).not.toContain('html')
  })
})
