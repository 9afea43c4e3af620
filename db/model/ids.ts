/** Prefixes say what an id is; 26 Crockford base-32 characters follow: 48 bits of time, then 80 random bits. */
export type IdPrefix =
  | 'org'
  | 'prj'
  | 'key'
  | 'req'
  | 'usr'
  | 'inv'
  | 'tok'
  | 'crd'
  | 'aud'
  | 'conv'
  | 'txn'
  | 'rer'
  | 'bud'
  | 'alr'
  | 'evt'
  | 'dlv'
  | 'whe'
  | 'adk'
  | 'rec'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const RANDOM_CHARS = 16
let timePart = ''
let timePartMs = -1

function encodeTime(epochMs: number): string {
  let rest = epochMs
  let text = ''
  for (let i = 0; i < 10; i++) {
    text = ALPHABET[rest % 32] + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/**
 * An id that sorts by the time it was made, such as `req_01kb2m7…`.
 * @param random 16 bytes, of which 5 bits each are used.
 */
export function makeId(prefix: IdPrefix, epochMs: number, random: Uint8Array): string {
  if (epochMs !== timePartMs) {
    timePart = encodeTime(epochMs)
    timePartMs = epochMs
  }
  let id = `${prefix}_${timePart}`
  for (let i = 0; i < RANDOM_CHARS; i++) id += ALPHABET[random[i]! & 31]
  return id
}

/** The least id of its kind that can be made at that time: ids made before it sort before it. */
export function firstIdAt(prefix: IdPrefix, epochMs: number): string {
  return `${prefix}_${encodeTime(Math.max(0, Math.floor(epochMs)))}`
}

export type KeyKind = 'project' | 'test'

const SECRET = /^lgw_(proj|test)_[A-Za-z0-9_-]{16,128}$/

/** Which kind of API key a secret claims to be, null when it is not the form of one. */
export function keyKindOf(secret: string): KeyKind | null {
  const match = SECRET.exec(secret)
  if (match === null) return null
  return match[1] === 'proj' ? 'project' : 'test'
}

/** What may be shown of a secret: its prefix and six characters. */
export function displayPrefix(secret: string): string {
  return `${secret.slice(0, 15)}…`
}
