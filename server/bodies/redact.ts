import { NUMBER_PASSES } from './redact-numbers.ts'
import { SECRET_PASSES } from './redact-secrets.ts'
import { finished, type Steps } from './steps.ts'

/**
 * Takes secrets and personal data out of texts, by how they look: keys and tokens, passwords by their names, e-mail
 * addresses, IBANs, card and phone numbers, and media in base64. Rather too much than too little. Pure, in time that
 * grows with the text's length and no faster, whatever it is; doing it twice changes nothing more.
 */
export function redactText(text: string): string {
  return finished(textSteps(text))
}

/** The same for all strings of a JSON value, names of members and long numbers among them. */
export function redactJson(value: unknown): unknown {
  return finished(jsonSteps(value))
}

/** A body as it is sent: JSON stays JSON; of anything else, cut JSON too, what is escaped is read first. */
export function redactBody(text: string): string {
  return finished(bodySteps(text))
}

/** The first names nothing yet that the others would find. */
const PASSES = [withoutMedia, ...SECRET_PASSES, withoutEmails, ...NUMBER_PASSES]
/** Nothing that is looked for is shorter. */
const MIN_LENGTH = 6
/** Longer ones are left between two passes. */
const LONG = 4096

export function* textSteps(text: string): Steps<string> {
  if (text.length < MIN_LENGTH) return text
  let redacted = text
  for (const pass of PASSES) {
    redacted = pass(redacted)
    if (text.length > LONG) yield Math.ceil(text.length / PASSES.length)
  }
  if (text.length <= LONG) yield text.length
  return redacted
}

const PLAIN_NAME = /^[A-Za-z_]{1,32}$/

export function* jsonSteps(value: unknown, depth = 0): Steps<unknown> {
  if (typeof value === 'string') return yield* textSteps(value)
  if (typeof value === 'number') return redactNumber(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return '[nested too deep]'
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const one of value) items.push(yield* jsonSteps(one, depth + 1))
    // Vectors have no texts to count.
    yield value.length
    return items
  }
  const members: [string, unknown][] = []
  for (const [name, one] of Object.entries(value)) {
    const isSecret = typeof one === 'string' && SECRET_NAME.test(name)
    const shown = PLAIN_NAME.test(name) ? name : yield* textSteps(name)
    members.push([shown, isSecret ? '[secret]' : yield* jsonSteps(one, depth + 1)])
  }
  return Object.fromEntries(members)
}

/** As it came where nothing has to go, so that it can be sent again. */
export function* bodySteps(text: string): Steps<string> {
  const parsed = parse(text)
  if (parsed !== null) {
    yield text.length / 8
    const json = written(yield* jsonSteps(parsed.value))
    if (json !== null) return json === written(parsed.value) ? text : json
  }
  const plain = text.includes('\\') ? unescaped(text) : text
  const redacted = yield* textSteps(plain)
  return redacted === plain ? text : redacted
}

function parse(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return null
  }
}

/** Null: it nests too deep to be written. */
function written(value: unknown): string | null {
  try {
    return JSON.stringify(value)
  } catch {
    return null
  }
}

const MAX_DEPTH = 200

/** Members whose value is a secret whatever it looks like. */
const SECRET_NAME =
  /^(?:[a-z0-9]{1,40}[_-]){0,4}(?:passw(?:or)?d|passphrase|secret|api[_-]?key|(?:access|refresh|id|auth)[_-]?token|client[_-]?secret|private[_-]?key|authorization)$/i

function redactNumber(value: number): unknown {
  const text = String(value)
  if (text.length < 13) return value
  const redacted = NUMBER_PASSES.reduce((known, pass) => pass(known), text)
  return redacted === text ? value : redacted
}

/** What stands behind a backslash in JSON, read without knowing where its strings begin. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, hex: string | undefined, one: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return ESCAPED[one] ?? one
  })
}

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

/** Runs that begin where nothing of theirs stands before: each is walked once. */
const MEDIA =
  /(?<![A-Za-z0-9+/_-])(?:data:([\w.+-]{1,64}\/[\w.+-]{1,64})(?:;[\w=.+-]{1,64}){0,4};base64,([A-Za-z0-9+/_-]+={0,2})|([A-Za-z0-9+/_-]{256,}={0,2}))/g

/** As in the pattern. */
const MIN_BARE = 256

/** What files of a kind begin with, in base64. */
const BEGINNINGS: readonly (readonly [string, string])[] = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['R0lGOD', 'image/gif'],
  ['UklGR', 'image/webp or audio/wav'],
  ['JVBERi0', 'application/pdf'],
  ['SUQz', 'audio/mpeg'],
  ['T2dnUw', 'audio/ogg'],
  ['UEsDB', 'application/zip'],
]

function withoutMedia(text: string): string {
  if (text.length < MIN_BARE && !text.includes(';base64,')) return text
  return text.replace(MEDIA, (_, type: string | undefined, named: string | undefined, bare: string | undefined) => {
    const data = (named ?? bare)!
    return mediaMark(data, data.length, type)
  })
}

/** What stands for media: its type and length. @param beginning of it, in base64 */
export function mediaMark(beginning: string, base64Length: number, type?: string): string {
  const guess = BEGINNINGS.find(([bytes]) => beginning.startsWith(bytes))?.[1]
  return `[${type ?? guess ?? 'base64'}, ${Math.floor((base64Length * 3) / 4)} bytes]`
}

const MAX_LOCAL = 64
const MAX_DOMAIN = 253

/** From each @ a bounded way to both sides. */
function withoutEmails(text: string): string {
  let out = ''
  let from = 0
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at
    while (start > from && at - start < MAX_LOCAL && isLocal(text.charCodeAt(start - 1))) start--
    const end = start === at ? at : domainEnd(text, at + 1)
    if (end === at) continue
    out += `${text.slice(from, start)}[e-mail]`
    from = end
    at = end - 1
  }
  return from === 0 ? text : out + text.slice(from)
}

/** @returns index behind the domain; of the @ when there is none */
function domainEnd(text: string, from: number): number {
  let end = from
  let dot = -1
  while (end < text.length && end - from < MAX_DOMAIN && isDomain(text.charCodeAt(end))) {
    if (text.charCodeAt(end) === DOT) dot = end
    end++
  }
  while (end > from && !isWord(text.charCodeAt(end - 1))) end--
  if (dot >= end) dot = text.lastIndexOf('.', end - 1)
  return dot > from && end - dot > 2 ? end : from - 1
}

const DOT = 0x2e
const HYPHEN = 0x2d
/** `!#$%&'*+-./=?^_{|}~` may stand in names; those that end a word in texts and URLs are left out. */
const LOCAL_SIGNS: ReadonlySet<number> = new Set([..."!#$%'*+-._{|}~"].map((sign) => sign.charCodeAt(0)))

function isWord(code: number): boolean {
  const isLetter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a
  return isLetter || (code >= 0x30 && code <= 0x39) || (code > 0xa0 && (code < 0x2000 || code > 0x206f))
}

function isLocal(code: number): boolean {
  return isWord(code) || LOCAL_SIGNS.has(code)
}

function isDomain(code: number): boolean {
  return isWord(code) || code === DOT || code === HYPHEN
}
