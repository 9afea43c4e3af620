import { Buffer } from 'node:buffer'

const BEYOND_ASCII = /[^ -~\t\r\n]/

/** Replaces bytes `start` to `end` (exclusive) by `text`; an insertion has `start === end`. */
export interface Splice {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The bytes with the splices made, which come in order and don't overlap; everything else is copied untouched. */
export function splice(bytes: Uint8Array, splices: readonly Splice[]): Uint8Array {
  if (splices.length === 0) return bytes
  let length = bytes.length
  for (const { start, end, text } of splices) length += Buffer.byteLength(text) - (end - start)
  const out = Buffer.allocUnsafe(length)
  let from = 0
  let at = 0
  for (const { start, end, text } of splices) {
    if (start > from) {
      out.set(bytes.subarray(from, start), at)
      at += start - from
    }
    at += out.write(text, at)
    from = end
  }
  out.set(bytes.subarray(from), at)
  return out
}

/** Each byte as one character, so that string search works on bytes: positions are the same, ASCII reads as itself. */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return asBuffer(bytes).toString('latin1', start, end)
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function fromLatin1(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

/** UTF-8 text as byte text; plain ASCII, the usual case, is both. */
export function toByteText(text: string): string {
  return BEYOND_ASCII.test(text) ? Buffer.from(text).toString('latin1') : text
}

export function fromText(text: string): Uint8Array {
  return Buffer.from(text)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}
