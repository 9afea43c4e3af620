import { asBuffer, type Splice, splice } from './bytes.ts'
import { type Members, type Span, WireError } from './wire.ts'

/** Deeper nesting than this is refused: no API asks for it, and recursive readers behind us would fall over. */
export const MAX_DEPTH = 128

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Strings longer than this are walked by words. */
const SHORT = 32

/**
 * Where each top-level member of a JSON object stands, found in one pass over its bytes without building the values:
 * a body of 100 kB costs a tenth of parsing it. The whole text is checked against the JSON grammar.
 * @throws WireError when the bytes are no JSON object, name a member twice or nest deeper than MAX_DEPTH.
 */
export function scanObject(bytes: Uint8Array): Members {
  const members = new Map<string, Span>()
  let at = skipSpace(bytes, 0)
  if (bytes[at] !== OPEN_BRACE) throw new WireError('The body must be a JSON object')
  at = skipSpace(bytes, at + 1)
  if (bytes[at] === CLOSE_BRACE) at++
  else {
    for (;;) {
      const keyStart = at
      if (bytes[at] !== QUOTE) throw bad(bytes, at)
      const keyEnd = skipString(bytes, at)
      at = skipSpace(bytes, keyEnd)
      if (bytes[at] !== COLON) throw bad(bytes, at)
      const start = skipSpace(bytes, at + 1)
      const end = skipValue(bytes, start)
      const key = readKey(bytes, keyStart, keyEnd)
      if (members.has(key)) throw new WireError(`The body names "${key.slice(0, 64)}" twice`, key.slice(0, 64))
      members.set(key, { keyStart, start, end })
      at = skipSpace(bytes, end)
      if (bytes[at] === CLOSE_BRACE) {
        at++
        break
      }
      if (bytes[at] !== COMMA) throw bad(bytes, at)
      at = skipSpace(bytes, at + 1)
    }
  }
  at = skipSpace(bytes, at)
  if (at < bytes.length) throw bad(bytes, at)
  return members
}

/** The value of one member, undefined when it is absent. */
export function readMember(bytes: Uint8Array, members: Members, name: string): unknown {
  const span = members.get(name)
  return span === undefined ? undefined : JSON.parse(decode(bytes, span.start, span.end))
}

/** The object without those members; the rest of its bytes as they were. */
export function withoutMembers(object: Uint8Array, names: readonly string[]): Uint8Array {
  let rest = object
  for (const name of names) {
    const members = scanObject(rest)
    if (members.has(name)) rest = splice(rest, [cutMember(members, name)])
  }
  return rest
}

/** Takes one member out, with the comma that goes with it. The member must be there. */
export function cutMember(members: Members, name: string): Splice {
  const { keyStart, end } = members.get(name)!
  let before: Span | undefined
  let isNext = false
  for (const span of members.values()) {
    if (isNext) return { start: keyStart, end: span.keyStart, text: '' }
    if (span.keyStart === keyStart) isNext = true
    else before = span
  }
  return { start: before?.end ?? keyStart, end, text: '' }
}

/** Text of a range of bytes that are known to be UTF-8; what isn't becomes U+FFFD. */
export function decode(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString('utf8', start, end)
}

function readKey(bytes: Uint8Array, start: number, end: number): string {
  const key = decode(bytes, start + 1, end - 1)
  return key.includes('\\') ? JSON.parse(`"${key}"`) : key
}

export function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from
  for (;;) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
    at++
  }
}

/** @param from index of the opening quote. @returns index behind the closing one. */
function skipString(bytes: Uint8Array, from: number): number {
  const length = bytes.length
  const hurry = Math.min(from + SHORT, length)
  let at = from + 1
  while (at < hurry) {
    const byte = bytes[at]!
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at = skipEscape(bytes, at)
    else if (byte < 0x20) throw bad(bytes, at)
    else at++
  }
  return at < length ? skipLongString(bytes, at) : fail(bytes)
}

/**
 * The rest of a long string, four bytes at a time: prompts are mostly plain text, and looking at each byte alone costs
 * twice as much. A word is left to the byte-wise steps when a quote, a backslash or a control byte may be in it.
 */
function skipLongString(bytes: Uint8Array, from: number): number {
  const shift = bytes.byteOffset & 3
  const words = new Int32Array(bytes.buffer, bytes.byteOffset - shift, (bytes.length + shift) >> 2)
  const length = bytes.length
  let at = from
  while (at < length) {
    const byte = bytes[at]!
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at = skipEscape(bytes, at)
    else if (byte < 0x20) throw bad(bytes, at)
    else at++
    if (((at + shift) & 3) !== 0) continue
    let word = (at + shift) >> 2
    while (word < words.length && isPlain(words[word]!)) word++
    at = (word << 2) - shift
  }
  return fail(bytes)
}

/** No byte of the word is a quote, a backslash or below 0x20 (a false alarm is possible, a miss is not). */
function isPlain(word: number): boolean {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  const hits = ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | ((word - 0x20202020) & ~word)
  return (hits & 0x80808080) === 0
}

function fail(bytes: Uint8Array): never {
  throw bad(bytes, bytes.length)
}

function skipEscape(bytes: Uint8Array, from: number): number {
  switch (bytes[from + 1]) {
    case QUOTE:
    case BACKSLASH:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return from + 2
    case 0x75: // u
      for (let i = from + 2; i < from + 6; i++) if (!isHex(bytes[i])) throw bad(bytes, i)
      return from + 6
    default:
      throw bad(bytes, from + 1)
  }
}

/** Walks the value that begins at `from`, of any kind, without recursion. @returns index behind it. */
export function skipValue(bytes: Uint8Array, from: number): number {
  // True where the level is an object.
  const objects: boolean[] = []
  let at = from
  for (;;) {
    const byte = bytes[at]
    let opened = false
    if (byte === QUOTE) at = skipString(bytes, at)
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      const object = byte === OPEN_BRACE
      if (objects.length === MAX_DEPTH - 1) throw new WireError(`The body nests deeper than ${MAX_DEPTH} levels`)
      at = skipSpace(bytes, at + 1)
      if (bytes[at] === (object ? CLOSE_BRACE : CLOSE_BRACKET)) at++
      else {
        objects.push(object)
        opened = true
      }
    } else at = skipScalar(bytes, at)
    // Behind a value: close what ends here, then go on to the next value of the innermost level.
    while (!opened) {
      if (objects.length === 0) return at
      const object = objects[objects.length - 1]!
      at = skipSpace(bytes, at)
      if (bytes[at] === COMMA) {
        at = skipSpace(bytes, at + 1)
        break
      }
      if (bytes[at] !== (object ? CLOSE_BRACE : CLOSE_BRACKET)) throw bad(bytes, at)
      at++
      objects.pop()
    }
    if (objects[objects.length - 1]) {
      if (bytes[at] !== QUOTE) throw bad(bytes, at)
      at = skipSpace(bytes, skipString(bytes, at))
      if (bytes[at] !== COLON) throw bad(bytes, at)
      at = skipSpace(bytes, at + 1)
    }
  }
}

function skipScalar(bytes: Uint8Array, from: number): number {
  switch (bytes[from]) {
    case 0x74:
      return skipWord(bytes, from, 'true')
    case 0x66:
      return skipWord(bytes, from, 'false')
    case 0x6e:
      return skipWord(bytes, from, 'null')
    default:
      return skipNumber(bytes, from)
  }
}

function skipWord(bytes: Uint8Array, from: number, word: string): number {
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word.charCodeAt(i)) throw bad(bytes, from + i)
  return from + word.length
}

function skipNumber(bytes: Uint8Array, from: number): number {
  let at = from
  if (bytes[at] === 0x2d) at++
  if (bytes[at] === 0x30) at++
  else at = skipDigits(bytes, at)
  if (bytes[at] === 0x2e) at = skipDigits(bytes, at + 1)
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    at++
    if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++
    at = skipDigits(bytes, at)
  }
  return at
}

function skipDigits(bytes: Uint8Array, from: number): number {
  let at = from
  while (isDigit(bytes[at])) at++
  if (at === from) throw bad(bytes, at)
  return at
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function isHex(byte: number | undefined): boolean {
  return byte !== undefined && (isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66))
}

function bad(bytes: Uint8Array, at: number): WireError {
  if (at >= bytes.length) return new WireError('The body is not valid JSON: it ends too early')
  return new WireError(`The body is not valid JSON: unexpected character at byte ${at}`)
}
