import { Buffer, isUtf8 } from 'node:buffer'
import type { KeptBody } from '../../db/model/call-bodies.ts'
import type { BodyRules } from '../../db/model/settings.ts'
import { bodySteps, jsonSteps, mediaMark } from './redact.ts'
import { saidSteps } from './said.ts'
import type { Steps } from './steps.ts'

/** The bytes of a body, as far as they are taken. */
export interface Copied {
  readonly bytes: Buffer
  /** They are only the beginning. */
  readonly isCut: boolean
  /** Media were left out of them. */
  readonly isChanged: boolean
}

/** One side of a call. */
export interface RawBody extends Copied {
  /** Of all that was sent. */
  readonly length: number
  readonly contentType: string | null
  readonly isStream: boolean
}

/** Taken beyond the cap where something is taken out: what is found at the cap is found whole. */
const MARGIN = 8 * 1024
/** A stream's frames are so many times longer than what they say. */
const FRAMES = 16
const MAX_STREAM = 2 * 1024 * 1024
/** What ends where the bytes were cut may be the beginning of something that no pattern knows. */
const MAX_TAIL = 4096
const MAX_TYPE = 200

/** How many bytes of a body are taken at most. */
export function mostOf({ maxBytes, redact }: BodyRules, isStream: boolean): number {
  if (!redact) return maxBytes
  return isStream ? Math.max(maxBytes, Math.min(maxBytes * FRAMES, MAX_STREAM)) + MARGIN : maxBytes + MARGIN
}

/** As it is stored, but for its seal. */
export function* bodyStepsOf(raw: RawBody, rules: BodyRules): Steps<KeptBody> {
  const { isCut } = raw
  const head = { contentType: typeOf(raw.contentType), bytes: raw.length }
  const text = textOf(raw.bytes, isCut)
  if (text === null || text === '') return { ...head, text: null, truncated: text === '' && isCut, redacted: false }
  const { shown, isChanged } = rules.redact ? yield* redacted(text, raw) : { shown: text, isChanged: false }
  const kept = cutTo(shown, rules.maxBytes)
  return {
    ...head,
    text: kept,
    truncated: isCut || kept.length < shown.length,
    redacted: raw.isChanged || isChanged,
  }
}

interface Redacted {
  readonly shown: string
  readonly isChanged: boolean
}

function* redacted(text: string, { isCut, isStream }: RawBody): Steps<Redacted> {
  const said = isStream ? yield* saidSteps(text) : null
  // Always put together, also where nothing has to go: who reads it needs to know only one form.
  if (said !== null) {
    const shown = JSON.stringify(yield* jsonSteps(said))
    return { shown, isChanged: shown !== JSON.stringify(said) }
  }
  const known = isCut ? withoutTail(text) : text
  const shown = yield* bodySteps(known)
  return { shown, isChanged: shown !== known }
}

/** Without the last word, which may go on. */
function withoutTail(text: string): string {
  const end = text.length - 64
  let at = end
  while (at > 0 && end - at < MAX_TAIL && !/[\s"]/.test(text[at - 1]!)) at--
  return text.slice(0, Math.max(0, at))
}

/** Null: it is no text. */
function textOf(bytes: Buffer, isCut: boolean): string | null {
  const whole = isCut ? bytes.subarray(0, wholeCharacters(bytes)) : bytes
  return isUtf8(whole) ? whole.toString('utf8') : null
}

/** @returns how many bytes there are before a last character that is cut */
function wholeCharacters(bytes: Uint8Array): number {
  let start = bytes.length - 1
  while (start >= 0 && bytes.length - start < 4 && (bytes[start]! & 0xc0) === 0x80) start--
  const first = bytes[start] ?? 0
  const needed = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1
  return start + needed > bytes.length ? Math.max(0, start) : bytes.length
}

/** @returns the text itself where it fits */
function cutTo(text: string, maxBytes: number): string {
  if (text.length <= maxBytes && Buffer.byteLength(text) <= maxBytes) return text
  const bytes = Buffer.from(text).subarray(0, maxBytes)
  return bytes.subarray(0, wholeCharacters(bytes)).toString('utf8')
}

function typeOf(contentType: string | null): string | null {
  return contentType === null ? null : contentType.slice(0, MAX_TYPE).replace(/[^ -~]/g, '')
}

const QUOTE = 0x22
/** Shorter strings stay: patterns look at them later. */
const MIN_MEDIA = 1024
const SAMPLE = 512
const LOOKS_LIKE_MEDIA = /^(?:data:([\w.+/-]{1,128})[\w=;.+-]{0,128};base64,)?([A-Za-z0-9+/\\_-]{256,})$/

/**
 * A copy of the bytes, the first `most` of them. Where much is to be taken out and more comes than that, pictures and
 * sound are left out first, lest nothing else be kept; found by their quotes, since looking at each byte would cost time.
 */
export function copied(bytes: Uint8Array, most: number, leaveMediaOut: boolean): Copied {
  if (bytes.length <= most || !leaveMediaOut) {
    return { bytes: Buffer.from(bytes.subarray(0, most)), isCut: bytes.length > most, isChanged: false }
  }
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: Uint8Array[] = []
  let [from, length, at] = [0, 0, all.indexOf(QUOTE)]
  while (at >= 0 && length + (at - from) < most) {
    const end = all.indexOf(QUOTE, at + 1)
    if (end < 0) break
    const mark = end - at > MIN_MEDIA ? markOf(all, at + 1, end) : null
    if (mark !== null) {
      parts.push(all.subarray(from, at + 1), mark)
      length += at + 1 - from + mark.length
      from = end
    }
    at = end
  }
  const rest = all.subarray(from)
  const isCut = length + rest.length > most
  const joined = Buffer.concat([...parts, rest.subarray(0, Math.max(0, most - length))])
  return { bytes: joined.subarray(0, most), isCut, isChanged: from > 0 }
}

function markOf(all: Buffer, start: number, end: number): Buffer | null {
  const found = LOOKS_LIKE_MEDIA.exec(all.toString('latin1', start, Math.min(start + SAMPLE, end)))
  if (found === null) return null
  const [, type, data = ''] = found
  return Buffer.from(mediaMark(data, end - start, type))
}
