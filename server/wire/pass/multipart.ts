import { Buffer } from 'node:buffer'
import { asBuffer } from '../bytes.ts'
import { WireError } from '../wire.ts'

/** One part of a form, by the place of its content in the bytes (end exclusive). */
export interface FormPart {
  readonly name: string
  /** It carries a file. */
  readonly isFile: boolean
  readonly start: number
  readonly end: number
}

const MAX_PARTS = 1000
/** No client writes longer headers in front of a part. */
const MAX_HEAD_BYTES = 16 * 1024
/** RFC 2046: 1 to 70 characters, in quotes where they need it. */
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i
const PARAMETER = /;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))\s*/y

export function isForm(contentType: string): boolean {
  return /^multipart\/form-data\s*(;|$)/i.test(contentType)
}

/**
 * The parts of a `multipart/form-data` body, found without copying them.
 * @throws WireError when it has no boundary, breaks off, or is not written as RFC 7578 has it
 */
export function readForm(body: Uint8Array, contentType: string): FormPart[] {
  const found = BOUNDARY.exec(contentType)
  const boundary = found?.[1] ?? found?.[2]
  if (boundary === undefined) throw new WireError('The content-type of a form must name its boundary')
  const bytes = asBuffer(body)
  const opening = Buffer.from(`--${boundary}`)
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  let at = bytes.subarray(0, opening.length).equals(opening) ? 0 : bytes.indexOf(delimiter) + 2
  if (at === 1) throw broken('its first boundary is missing')
  const parts: FormPart[] = []
  for (;;) {
    at += opening.length
    if (bytes.toString('latin1', at, at + 2) === '--') return parts
    const line = bytes.indexOf('\r\n', at)
    if (line < 0 || bytes.toString('latin1', at, line).trim() !== '') throw broken('a boundary does not end its line')
    // The line's end may be the first of the two that end a head without headers.
    const headEnd = bytes.indexOf('\r\n\r\n', line)
    if (headEnd < 0 || headEnd - line > MAX_HEAD_BYTES) throw broken('a part has no end of its headers')
    const start = headEnd + 4
    const end = bytes.indexOf(delimiter, start - 2)
    if (end < 0) throw broken('it breaks off within a part')
    parts.push({ ...readHead(bytes.toString('utf8', line + 2, headEnd)), start, end: Math.max(start, end) })
    if (parts.length > MAX_PARTS) throw new WireError(`The form has more than ${MAX_PARTS} parts`)
    at = end + 2
  }
}

function readHead(head: string): { name: string; isFile: boolean } {
  const line = head.split('\r\n').find((header) => /^content-disposition:/i.test(header))
  const parameters = new Map<string, string>()
  if (line?.includes(';')) {
    PARAMETER.lastIndex = line.indexOf(';')
    for (let found = PARAMETER.exec(line); found !== null; found = PARAMETER.exec(line)) {
      const [, name = '', quoted, plain = ''] = found
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain)
    }
  }
  const name = parameters.get('name')
  if (name === undefined) throw broken('a part has no name')
  return { name, isFile: parameters.has('filename') || parameters.has('filename*') }
}

function broken(why: string): WireError {
  return new WireError(`The body is not a valid form: ${why}`)
}
