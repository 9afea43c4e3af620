import type { CacheMark, Citation, Part, Source } from '../model.ts'
import { type Json, numberOr, record, records, textOr } from '../openai-chat/values.ts'
import { WireError } from '../wire.ts'

/** Content parts of Responses messages and tool outputs, both ways. */

const WIRE = 'openai-responses'
const DATA_URL = /^data:([^;,]*)(?:;[^;,]*)*;base64,/

/** @param at the content's path in the request, for errors. @throws WireError for what is no content */
export function readContent(content: unknown, at: string): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  if (content === null || content === undefined) return []
  if (!Array.isArray(content)) throw new WireError(`"${at}" must be a string or an array`, at)
  return content.map((part: unknown, index) => {
    if (typeof part !== 'object' || part === null) {
      throw new WireError(`"${at}[${index}]" must be an object`, `${at}[${index}]`)
    }
    return readPart(part as Json)
  })
}

/** One content part of a message, a caller's or a model's. */
export function readPart(part: Json): Part {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: 'text', text: textOr(part.text, ''), ...citationsIn(part), ...cacheIn(part) }
    case 'refusal':
      return { type: 'refusal', text: textOr(part.refusal, '') }
    case 'input_image':
      return readImage(part)
    case 'input_file':
      return readFile(part)
    case 'input_audio': {
      const { data, format } = record(part.input_audio)
      return { type: 'audio', data: textOr(data, ''), format: textOr(format, '') || 'wav' }
    }
    default:
      return { type: 'opaque', wire: WIRE, value: part }
  }
}

function readImage(part: Json): Part {
  const source = sourceOf(textOr(part.image_url, null), textOr(part.file_id, null), 'image/png')
  if (source === null) return { type: 'opaque', wire: WIRE, value: part }
  return { type: 'image', source, detail: textOr(part.detail, null), ...cacheIn(part) }
}

function readFile(part: Json): Part {
  const filename = textOr(part.filename, null)
  const data = textOr(part.file_data, null)
  const bare = data !== null && !data.startsWith('data:')
  const source: Source | null = bare
    ? { kind: 'base64', mediaType: mediaTypeOf(filename), data }
    : sourceOf(data ?? textOr(part.file_url, null), textOr(part.file_id, null), mediaTypeOf(filename))
  if (source === null) return { type: 'opaque', wire: WIRE, value: part }
  return { type: 'file', source, filename, ...cacheIn(part) }
}

function sourceOf(url: string | null, id: string | null, mediaType: string): Source | null {
  if (url === null) return id === null ? null : { kind: 'id', wire: WIRE, id }
  const found = DATA_URL.exec(url.slice(0, 200))
  if (found === null) return { kind: 'url', url }
  return { kind: 'base64', mediaType: found[1] || mediaType, data: url.slice(found[0].length) }
}

/** What a file without a type of its own most likely is: the API began with PDF. */
function mediaTypeOf(filename: string | null): string {
  const extension = filename?.slice(filename.lastIndexOf('.') + 1).toLowerCase()
  if (extension === 'txt') return 'text/plain'
  return extension === undefined || extension === 'pdf' ? 'application/pdf' : 'application/octet-stream'
}

function cacheIn(part: Json): { cache?: CacheMark } {
  return part.prompt_cache_breakpoint ? { cache: { ttl: '5m' } } : {}
}

function citationsIn(part: Json): { citations?: Citation[] } {
  const citations = records(part.annotations).map(readAnnotation)
  return citations.length === 0 ? {} : { citations }
}

export function readAnnotation(annotation: Json): Citation {
  if (annotation.type !== 'url_citation' || typeof annotation.url !== 'string') {
    return { type: 'opaque', wire: WIRE, value: annotation }
  }
  return {
    type: 'url',
    url: annotation.url,
    title: textOr(annotation.title, null),
    start: numberOr(annotation.start_index, null),
    end: numberOr(annotation.end_index, null),
    quote: null,
  }
}

/** @param length of the text it stands in: what has no place of its own is about all of it. Null: not sayable here */
export function writeAnnotation(citation: Citation, length: number): object | null {
  if (citation.type === 'opaque') return citation.wire === WIRE ? (citation.value as object) : null
  const { url, title, start, end } = citation
  return { type: 'url_citation', url, title: title ?? '', start_index: start ?? 0, end_index: end ?? length }
}

/** A part as a caller's content; null when the wire has no word for it. */
export function writeInputPart(part: Part): Json | null {
  switch (part.type) {
    case 'text':
      return { type: 'input_text', text: part.text }
    case 'image': {
      const detail = part.detail === null ? {} : { detail: part.detail }
      const url = urlOf(part.source)
      if (url !== null) return { type: 'input_image', image_url: url, ...detail }
      const id = fileIdOf(part.source)
      return id === null ? null : { type: 'input_image', file_id: id, ...detail }
    }
    case 'file': {
      const { source, filename } = part
      if (source.kind === 'base64') {
        return { type: 'input_file', filename: filename ?? nameFor(source.mediaType), file_data: urlOf(source) }
      }
      const named = filename === null ? {} : { filename }
      if (source.kind === 'url') return { type: 'input_file', ...named, file_url: source.url }
      const id = fileIdOf(source)
      return id === null ? null : { type: 'input_file', file_id: id }
    }
    case 'refusal':
      return { type: 'input_text', text: part.text }
    case 'opaque':
      return part.wire === WIRE && isContent(part.value) ? (part.value as Json) : null
    default:
      return null
  }
}

/** Content, where an opaque value may as well be a whole item. */
export function isContent(value: unknown): boolean {
  return /^(in|out)put_/.test(textOr(record(value).type, ''))
}

function urlOf(source: Source): string | null {
  if (source.kind === 'url') return source.url
  return source.kind === 'base64' ? `data:${source.mediaType};base64,${source.data}` : null
}

/** Both of OpenAI's wires name the same files. */
function fileIdOf(source: Source): string | null {
  if (source.kind !== 'id') return null
  return source.wire === WIRE || source.wire === 'openai-chat' ? source.id : null
}

/** A file that comes as data must have a name. */
function nameFor(mediaType: string): string {
  const subtype = mediaType.slice(mediaType.indexOf('/') + 1).split(/[;+]/)[0]
  return `document.${subtype === 'plain' ? 'txt' : subtype}`
}
