import { asBuffer, fromText } from '../bytes.ts'
import type { CacheMark, Citation, Extra, FilePart, Opaque, Part, ReasoningPart, Source } from '../model.ts'
import { openProof } from '../proof.ts'
import { WireError } from '../wire.ts'
import { ANTHROPIC, isRecord, type Json, record, records, textOr } from './values.ts'

/** Content blocks of Messages -> parts: those of a request and those of an answer. */

/** Where a block stands, and what of it no other wire has a word for. */
export interface Place {
  /** Such as `messages[2].content[0]`. */
  readonly path: string
  readonly extras: Extra[]
}

/** A redacted thought and one that is not shown both have a proof and no text; this tells them apart. */
export const REDACTED = 'redacted:'

/** Members of blocks that the parts have a place for; `caller` is written anew. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  text: ['text', 'citations'],
  image: ['source'],
  document: ['source', 'title'],
  thinking: ['thinking', 'signature'],
  redacted_thinking: ['data'],
  tool_use: ['id', 'name', 'input', 'caller'],
  tool_result: ['tool_use_id', 'content', 'is_error'],
}

/** A content, a string or blocks. @throws WireError when it is neither */
export function readContent(content: unknown, place: Place): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  if (!Array.isArray(content)) {
    throw new WireError(`${place.path}: Must be a string or an array of content blocks`, place.path)
  }
  return content.map((block: unknown, at) => {
    const path = `${place.path}[${at}]`
    if (!isRecord(block) || typeof block.type !== 'string') {
      throw new WireError(`${path}: Must be a content block, an object with a "type"`, path)
    }
    return readBlock(block, { path, extras: place.extras })
  })
}

/** One block of any kind. @throws WireError when a known kind lacks what makes it one */
export function readBlock(block: Json, place: Place): Part {
  const part = readKnown(block, place)
  if (part.type !== 'opaque') noteUnknown(block, place)
  return part
}

function readKnown(block: Json, place: Place): Part {
  const cache = readCache(block.cache_control)
  switch (block.type) {
    case 'text':
      return { type: 'text', text: need(block, 'text', place), ...citationsOf(block), ...cache }
    case 'image': {
      const source = readSource(record(block.source))
      return source === null ? opaque(block) : { type: 'image', source, detail: null, ...cache }
    }
    case 'document':
      return readDocument(block, cache)
    case 'thinking':
    case 'redacted_thinking':
      return readThought(block)
    case 'tool_use': {
      const [id, name] = [need(block, 'id', place), need(block, 'name', place)]
      return { type: 'tool-call', id, name, arguments: JSON.stringify(block.input ?? {}), kind: 'function', ...cache }
    }
    case 'tool_result': {
      const callId = need(block, 'tool_use_id', place)
      const inner = { path: `${place.path}.content`, extras: place.extras }
      const parts = block.content === undefined || block.content === null ? [] : readContent(block.content, inner)
      return { type: 'tool-result', callId, parts, isError: block.is_error === true, ...cache }
    }
    default:
      return opaque(block)
  }
}

function need(block: Json, name: string, { path }: Place): string {
  const value = block[name]
  if (typeof value === 'string') return value
  throw new WireError(`${path}.${name}: Field required, a string`, `${path}.${name}`)
}

export function opaque(value: unknown): Opaque {
  return { type: 'opaque', wire: ANTHROPIC, value }
}

function noteUnknown(block: Json, { path, extras }: Place): void {
  const known = KNOWN[String(block.type)] ?? []
  for (const [name, value] of Object.entries(block)) {
    if (name === 'type' || name === 'cache_control' || known.includes(name)) continue
    const isSaid = value !== null && record(value).enabled !== false
    if (isSaid) extras.push({ wire: ANTHROPIC, name: `${path}.${name}`, value })
  }
}

export function readCache(control: unknown): { cache?: CacheMark } {
  if (!isRecord(control)) return {}
  return { cache: { ttl: control.ttl === '1h' ? '1h' : '5m' } }
}

function readSource(source: Json): Source | null {
  const { url, data, media_type: mediaType, file_id: id } = source
  if (source.type === 'url' && typeof url === 'string') return { kind: 'url', url }
  if (source.type === 'file' && typeof id === 'string') return { kind: 'id', wire: ANTHROPIC, id }
  if (typeof data !== 'string' || typeof mediaType !== 'string') return null
  if (source.type === 'base64') return { kind: 'base64', mediaType, data }
  return source.type === 'text' ? plainText(data) : null
}

function plainText(text: string): Source {
  return { kind: 'base64', mediaType: 'text/plain', data: asBuffer(fromText(text)).toString('base64') }
}

function readDocument(block: Json, cache: { cache?: CacheMark }): FilePart | Opaque {
  const given = record(block.source)
  const source = given.type === 'content' ? readPieces(given.content) : readSource(given)
  if (source === null) return opaque(block)
  return { type: 'file', source, filename: textOr(block.title), ...cache }
}

/** A document given as text in pieces; null when there are pictures among them. */
function readPieces(content: unknown): Source | null {
  if (typeof content === 'string') return plainText(content)
  const pieces = records(content).map(({ text }) => text)
  const isText = pieces.length > 0 && pieces.every((piece) => typeof piece === 'string')
  return isText ? plainText(pieces.join('\n\n')) : null
}

function readThought(block: Json): ReasoningPart {
  const base = { type: 'reasoning', summary: true } as const
  if (block.type === 'thinking') {
    const signature = textOr(block.signature) ?? ''
    const proof = signature === '' ? null : openProof(signature, ANTHROPIC)
    return { ...base, text: textOr(block.thinking) ?? '', proof }
  }
  const proof = openProof(textOr(block.data) ?? '', ANTHROPIC)
  return { ...base, text: '', proof: proof.wire === ANTHROPIC ? { ...proof, data: REDACTED + proof.data } : proof }
}

function citationsOf(block: Json): { citations?: Citation[] } {
  const found = records(block.citations)
  if (found.length === 0) return {}
  return { citations: found.map((citation) => readCitation(citation, String(block.text).length)) }
}

/** @param length of the text that rests on it, null while that is not known */
export function readCitation(citation: Json, length: number | null): Citation {
  if (citation.type !== 'web_search_result_location' || typeof citation.url !== 'string') return opaque(citation)
  const range = length === null || length === 0 ? { start: null, end: null } : { start: 0, end: length }
  const { url, title, cited_text: quote } = citation
  return { type: 'url', url, title: textOr(title), ...range, quote: textOr(quote) }
}
