import { Buffer } from 'node:buffer'
import { asBuffer, concat, fromLatin1, latin1, type Splice, splice } from '../bytes.ts'
import { scanObject } from '../json.ts'
import { dataOf, splitFrames, withData } from '../sse.ts'

/** What a response says of itself as its caller knows it, whatever its provider was told. */
export interface KeptFace {
  readonly id: string
  readonly previousId: string | null
  /** The conversation that it belongs to; null: none, though it was asked for; absent: it was not. */
  readonly conversation?: { readonly id: string } | null
  readonly store: boolean
  readonly background: boolean
}

/** The response with its face; everything else stays as it came. @param response a JSON object's bytes */
export function withFace(response: Uint8Array, face: KeptFace): Uint8Array {
  const members = scanObject(response)
  const splices: Splice[] = []
  const added: string[] = []
  const set = (name: string, value: unknown): void => {
    const text = JSON.stringify(value)
    const span = members.get(name)
    if (span === undefined) added.push(`"${name}":${text}`)
    else splices.push({ start: span.start, end: span.end, text })
  }
  set('id', face.id)
  set('previous_response_id', face.previousId)
  if (face.conversation !== undefined) set('conversation', face.conversation)
  set('store', face.store)
  if (face.background || members.has('background')) set('background', face.background)
  const end = response.lastIndexOf(0x7d)
  if (added.length > 0) splices.push({ start: end, end, text: `${members.size > 0 ? ',' : ''}${added.join(',')}` })
  return splice(
    response,
    splices.sort((a, b) => a.start - b.start),
  )
}

/** A string of JSON can't hold it: its quotes would be escaped. */
const RESPONSE = Buffer.from('"response"')
const ENDS = /"type"\s*:\s*"response\.(completed|incomplete|failed|cancelled)"/

/** Gives a stream's events the face, and holds back the one that ends it. */
export class KeptStream {
  readonly #face: KeptFace
  /** The event that ends it, as it came, and what followed. */
  #end: string | null = null
  #rest: Uint8Array[] = []

  constructor(face: KeptFace) {
    this.#face = face
  }

  /** The last response, JSON bytes with the face; null when the stream didn't come to its end. */
  get response(): Uint8Array | null {
    const data = this.#end === null ? null : dataOf(this.#end)
    return data === null ? null : responseIn(fromLatin1(data), this.#face)
  }

  /** @param frames whole ones. @returns those to send now */
  push(frames: Uint8Array): Uint8Array | null {
    if (this.#end !== null) {
      this.#rest.push(frames)
      return null
    }
    if (!asBuffer(frames).includes(RESPONSE)) return frames
    let out = ''
    for (const frame of splitFrames(latin1(frames))) {
      if (this.#end !== null) this.#rest.push(fromLatin1(frame))
      else if (frame.includes('"response"') && ENDS.test(frame)) this.#end = frame
      else out += frame.includes('"response"') ? faced(frame, this.#face) : frame
    }
    return out === '' ? null : fromLatin1(out)
  }

  /** What was held back. @param face what is true by now, such as that it could not be stored */
  last(face: KeptFace): Uint8Array | undefined {
    const parts = this.#end === null ? this.#rest : [fromLatin1(faced(this.#end, face)), ...this.#rest]
    return parts.length === 0 ? undefined : concat(parts)
  }
}

function faced(frame: string, face: KeptFace): string {
  const data = dataOf(frame)
  if (data === null) return frame
  const bytes = fromLatin1(data)
  const span = spanOf(bytes)
  if (span === null) return frame
  const response = withFace(bytes.subarray(span.start, span.end), face)
  return withData(frame, data.slice(0, span.start) + latin1(response) + data.slice(span.end))
}

function responseIn(data: Uint8Array, face: KeptFace): Uint8Array | null {
  const span = spanOf(data)
  return span === null ? null : withFace(data.subarray(span.start, span.end), face)
}

/** Where an event's response stands; null when it has none, or is no JSON: that is for others to find fault with. */
function spanOf(data: Uint8Array): { readonly start: number; readonly end: number } | null {
  try {
    const span = scanObject(data).get('response')
    return span !== undefined && data[span.start] === 0x7b ? span : null
  } catch {
    return null
  }
}
