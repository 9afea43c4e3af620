import { Buffer } from 'node:buffer'
import type { AudioPart, Citation } from '../model.ts'
import { isRecord, type Json, numberOr, record, textOr } from './values.ts'

/** Citations and sound, as OpenAI's chat answers have them. */

const WIRE = 'openai-chat'

/** An `annotations` list; what is no citation of a page stays as it is. */
export function readAnnotations(value: unknown): Citation[] {
  return Array.isArray(value) ? value.filter(isRecord).map(readAnnotation) : []
}

function readAnnotation(annotation: Json): Citation {
  const { url, title, start_index, end_index, content } = record(annotation.url_citation)
  if (annotation.type !== 'url_citation' || typeof url !== 'string') {
    return { type: 'opaque', wire: WIRE, value: annotation }
  }
  return {
    type: 'url',
    url,
    title: textOr(title, null),
    start: numberOr(start_index, null),
    end: numberOr(end_index, null),
    // OpenRouter's word for it.
    quote: textOr(content, null),
  }
}

/** @param shift characters of the message before the text that is cited in */
export function writeAnnotations(citations: readonly Citation[], shift: number): Json[] {
  return citations.flatMap((citation) => {
    if (citation.type === 'opaque') return citation.wire === WIRE ? [record(citation.value)] : []
    const { url, title, start, end, quote } = citation
    const [start_index, end_index] = [shift + (start ?? 0), shift + (end ?? 0)]
    const members = { start_index, end_index, title: title ?? '', url }
    return [{ type: 'url_citation', url_citation: quote === null ? members : { ...members, content: quote } }]
  })
}

/** Perplexity's sources, which stand beside the choices: numbers of them are in the text. */
export function readSources(answer: Json): Citation[] {
  const found = Array.isArray(answer.search_results) ? answer.search_results : answer.citations
  if (!Array.isArray(found)) return []
  return found.flatMap((source: unknown): Citation[] => {
    const { url, title } = typeof source === 'string' ? { url: source, title: null } : record(source)
    if (typeof url !== 'string') return []
    return [{ type: 'url', url, title: textOr(title, null), start: null, end: null, quote: null }]
  })
}

/** How sound begins, as base64 text; OpenAI's answers don't say what it is. */
const SOUNDS: readonly (readonly [string, string])[] = [
  ['UklGR', 'wav'],
  ['SUQz', 'mp3'],
  ['//', 'mp3'],
  ['ZkxhQ', 'flac'],
  ['T2dnU', 'opus'],
]

export function readAudio(data: string, transcript: unknown): AudioPart {
  const format = SOUNDS.find(([start]) => data.startsWith(start))?.[1] ?? 'pcm16'
  return { type: 'audio', data, format, ...(typeof transcript === 'string' ? { transcript } : {}) }
}

/** Pieces of base64, each a whole number of bytes, as one. */
export function joinBase64(pieces: readonly string[]): string {
  if (pieces.slice(0, -1).every((piece) => !piece.endsWith('='))) return pieces.join('')
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))).toString('base64')
}

/** OpenAI keeps what was spoken for an hour; nothing is kept here, so that the id is a name only. */
export function writeAudio({ data, transcript }: AudioPart, by: { id: string; createdAtS: number }): Json {
  return { id: by.id, expires_at: by.createdAtS + 3600, data, transcript: transcript ?? '' }
}
