import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Deps } from '../../deps.ts'

export const BASE_PATH = '/api/auth'
/** The header in which the peer's address goes to better-auth; what a client sends under this name is dropped. */
export const ADDRESS_HEADER = 'x-watchllm-peer'
export const MIN_PASSWORD = 10
export const MAX_PASSWORD = 128
export const MAX_NAME = 200
const MAX_BODY_BYTES = 64 * 1024
const WINDOW_MS = 60_000

/** `attempt`: somebody may be guessing, or making us write mails. */
type Kind = 'attempt' | 'plain'

/** What of better-auth is open; anything else that it has, or will have, is not there. */
const OPEN: readonly (readonly [method: 'GET' | 'POST', path: RegExp, kind: Kind])[] = [
  ['POST', /^\/sign-up\/email$/, 'attempt'],
  ['POST', /^\/sign-in\/(email|social)$/, 'attempt'],
  ['POST', /^\/sign-out$/, 'plain'],
  ['GET', /^\/callback\/[\w-]{1,40}$/, 'plain'],
  ['POST', /^\/send-verification-email$/, 'attempt'],
  ['GET', /^\/verify-email$/, 'attempt'],
  ['POST', /^\/request-password-reset$/, 'attempt'],
  ['POST', /^\/(reset|change)-password$/, 'attempt'],
  ['POST', /^\/two-factor\/(enable|disable|get-totp-uri|generate-backup-codes)$/, 'attempt'],
  ['POST', /^\/two-factor\/verify-(totp|backup-code)$/, 'attempt'],
  ['GET', /^\/(get-session|list-sessions|list-accounts)$/, 'plain'],
  ['POST', /^\/(revoke-session|revoke-sessions|revoke-other-sessions)$/, 'plain'],
  ['POST', /^\/(update-user|link-social|unlink-account)$/, 'plain'],
]

/** Attempts a minute. */
const PER_ADDRESS = 10
const PER_EMAIL = 5
/** Everything else a minute. */
const PLAIN_PER_ADDRESS = 300

/** What the rest of a request's way needs to know of it. */
export interface Passed {
  /** Below BASE_PATH. */
  readonly path: string
  /** Empty where none was sent. */
  readonly body: Readonly<Record<string, unknown>>
  /** Lower-case; null where the body names none. */
  readonly email: string | null
}

export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
  /** Seconds. */
  readonly retryAfter?: number
}

/**
 * Lets in what is open, is small and well-formed, and doesn't come too often.
 * @param address the peer's; attempts of unknown ones share a limit
 */
export async function passGate(
  request: Request,
  address: string | null,
  { kv, clock }: Pick<Deps, 'kv' | 'clock'>,
): Promise<Passed | Refusal> {
  const whole = new URL(request.url).pathname.replace(/\/{2,}/g, '/')
  const path = whole.slice(BASE_PATH.length).replace(/\/$/, '')
  const kind = OPEN.find(([method, pattern]) => method === request.method && pattern.test(path))?.[2]
  if (kind === undefined) return { status: 404, code: 'NOT_FOUND', message: `No route ${request.method} ${path}` }
  const isAttempt = kind === 'attempt'
  const take = (key: string, limit: number) => kv.take(key, limit, { windowMs: WINDOW_MS, nowMs: clock.now() })
  const network = address === null ? 'unknown' : networkOf(address)
  const byAddress = await take(`people:${kind}:${network}`, isAttempt ? PER_ADDRESS : PLAIN_PER_ADDRESS)
  if (!byAddress.allowed) return tooMany(byAddress.resetMs - clock.now())

  const body = await readBody(request)
  if ('code' in body) return body
  const email = typeof body.value.email === 'string' ? body.value.email.toLowerCase().slice(0, 320) : null
  if (isAttempt && email !== null) {
    const taken = await take(`people:email:${createHash('sha256').update(email).digest('base64url')}`, PER_EMAIL)
    if (!taken.allowed) return tooMany(taken.resetMs - clock.now())
  }
  return { path, body: body.value, email }
}

function tooMany(waitMs: number): Refusal {
  const retryAfter = Math.max(1, Math.ceil(waitMs / 1000))
  return { status: 429, code: 'TOO_MANY_REQUESTS', message: `Too many attempts: wait ${retryAfter} s`, retryAfter }
}

/** An IPv6 customer has 2^64 addresses at hand: those count as one. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!address.includes(':')) return address
  const [head = '', tail = ''] = address.replace(/%.*$/, '').toLowerCase().split('::')
  const [first, last] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = Array.from({ length: Math.max(0, 8 - first!.length - last!.length) }, () => '0')
  const groups = [...first!, ...zeros, ...last!].slice(0, 4)
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}

/** Of members that better-auth would keep at any length. */
const KEPT = z.object({
  name: z.string().trim().min(1).max(MAX_NAME).optional(),
  image: z
    .url({ protocol: /^https$/ })
    .max(2_000)
    .nullish(),
  password: z.string().max(MAX_PASSWORD).optional(),
})

type Body = { readonly value: Readonly<Record<string, unknown>> } | Refusal

async function readBody(request: Request): Promise<Body> {
  if (request.method === 'GET') return { value: {} }
  const text = await readText(request)
  if (text === null) return { status: 413, code: 'BODY_TOO_LARGE', message: 'Bodies may have 64 kB at most' }
  if (text === '') return { value: {} }
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')) {
    return { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Send the body as application/json' }
  }
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { status: 400, code: 'INVALID_BODY', message: 'The body must be a JSON object' }
  }
  const kept = KEPT.safeParse(value)
  if (kept.success) return { value: value as Record<string, unknown> }
  const issue = kept.error.issues[0]!
  return { status: 400, code: 'VALIDATION_ERROR', message: `[body.${issue.path.join('.')}] ${issue.message}` }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Null when it is too large; no more of it than that is read. */
async function readText(request: Request): Promise<string | null> {
  if (request.body === null) return ''
  const reader = request.body.getReader()
  const decoder = new TextDecoder()
  let bytes = 0
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return text + decoder.decode()
    bytes += value.byteLength
    if (bytes > MAX_BODY_BYTES) {
      await reader.cancel().catch(() => {})
      return null
    }
    text += decoder.decode(value, { stream: true })
  }
}
