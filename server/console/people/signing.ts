import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** What better-auth signs and seals with. */
export interface SessionSecret {
  /** Names the secret in what was sealed with it: the same for the same master secret, whatever stands beside it. */
  readonly version: number
  readonly value: string
}

const INFO = 'watchllm sessions'

/** One of each master secret, in their order, by HKDF-SHA-256. */
export function sessionSecrets(masterSecrets: readonly string[]): readonly SessionSecret[] {
  return masterSecrets.map((secret) => ({
    version: derive(secret, `${INFO} version`, 4).readUInt32BE() >>> 1,
    value: derive(secret, INFO, 32).toString('base64url'),
  }))
}

function derive(secret: string, info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'watchllm', info, bytes))
}

const PREFIX = 'watchllm'

/** The name of a cookie of ours: browsers take one with this prefix over https only. */
export function cookieName(name: string, isSecure: boolean): string {
  return `${isSecure ? '__Secure-' : ''}${PREFIX}.${name}`
}

export const COOKIE_PREFIX = PREFIX

/**
 * What was signed, by whichever secret; null when none fits.
 * @param raw a cookie's value as it travels: percent-encoded `value.signature` with HMAC-SHA-256 in base64
 */
export function openSigned(
  raw: string,
  secrets: readonly SessionSecret[],
): { value: string; isNewest: boolean } | null {
  const text = decode(raw)
  const dot = text?.lastIndexOf('.') ?? -1
  if (text === null || dot < 1) return null
  const value = text.slice(0, dot)
  const signature = Buffer.from(text.slice(dot + 1))
  const at = secrets.findIndex((secret) => {
    const expected = Buffer.from(signatureOf(value, secret))
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  })
  return at < 0 ? null : { value, isNewest: at === 0 }
}

export function signed(value: string, secret: SessionSecret): string {
  return encodeURIComponent(`${value}.${signatureOf(value, secret)}`)
}

function signatureOf(value: string, secret: SessionSecret): string {
  return createHmac('sha256', secret.value).update(value).digest('base64')
}

/** Every cookie of a header with its value as it travels. */
export function readCookies(header: string | null): readonly (readonly [name: string, raw: string])[] {
  return (header ?? '')
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.includes('='))
    .map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)])
}

/**
 * Signs our cookies anew that an older secret has signed: better-auth knows the newest one only, and a session must
 * outlive the change of the master secret.
 */
export function freshCookies(header: string, secrets: readonly SessionSecret[]): string {
  const newest = secrets[0]
  if (newest === undefined || secrets.length === 1) return header
  return readCookies(header)
    .map(([name, raw]) => {
      const opened = name.includes(`${PREFIX}.`) ? openSigned(raw, secrets) : null
      return opened === null || opened.isNewest ? `${name}=${raw}` : `${name}=${signed(opened.value, newest)}`
    })
    .join('; ')
}

function decode(raw: string): string | null {
  try {
    return decodeURIComponent(raw)
  } catch {
    return null
  }
}
