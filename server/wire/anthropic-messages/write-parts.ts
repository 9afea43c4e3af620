import { Buffer } from 'node:buffer'
import { TEXT_PROPERTY, TEXT_TOOL } from '../emulation.ts'
import type { CacheMark, FilePart, ImagePart, Part, ReasoningPart, TextPart, ToolCall, ToolResult } from '../model.ts'
import { REDACTED } from './blocks.ts'
import type { Notes } from './notes.ts'
import { ANTHROPIC, isRecord, parsed } from './values.ts'

/** Parts of a prompt -> content blocks that Anthropic takes. */

export type Block = Record<string, unknown>

export interface PartContext {
  readonly notes: Notes
  readonly role: 'user' | 'assistant' | 'system'
  /** The part's path in the caller's words. */
  readonly path: string
  /** Cache marks are wanted. */
  readonly marks: boolean
}

const IMAGES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp']
const TEXTS = /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|javascript|x-ndjson|toml)\b)/

/** The block for a part; null for what is left out, which the notes tell unless nothing is lost by it. */
export function writePart(part: Part, context: PartContext): Block | null {
  switch (part.type) {
    case 'text':
      return writeText(part, context)
    case 'image':
      return withMark(writeImage(part, context), part.cache, context)
    case 'file':
      return withMark(writeFile(part, context), part.cache, context)
    case 'audio':
      if (part.transcript === undefined || part.transcript === '') return dropped(context)
      context.notes.add(context.path, 'emulated')
      return { type: 'text', text: part.transcript }
    case 'reasoning':
      return writeThought(part)
    case 'tool-call':
      return withMark(writeCall(part, context), part.cache, context)
    case 'tool-result':
      return withMark(writeResult(part, context), part.cache, context)
    case 'refusal':
      return part.text === '' ? null : { type: 'text', text: part.text }
    case 'opaque':
      return part.wire === ANTHROPIC && isRecord(part.value) ? { ...part.value } : dropped(context)
  }
}

function dropped({ notes, path }: PartContext): null {
  notes.add(path, 'dropped')
  return null
}

function withMark(block: Block | null, cache: CacheMark | undefined, { marks }: PartContext): Block | null {
  if (block !== null && cache !== undefined && marks) block.cache_control = writeMark(cache)
  return block
}

export function writeMark({ ttl }: CacheMark): Block {
  return ttl === '1h' ? { type: 'ephemeral', ttl } : { type: 'ephemeral' }
}

function writeText(part: TextPart, context: PartContext): Block | null {
  // The API refuses empty text.
  if (part.text === '') return null
  const block: Block = { type: 'text', text: part.text }
  const own = (part.citations ?? []).flatMap((one) =>
    one.type === 'opaque' && one.wire === ANTHROPIC ? [one.value] : [],
  )
  // Version 2026-10-21 refuses them in a user's text.
  if (own.length > 0 && context.role === 'assistant') block.citations = own
  if (part.citations !== undefined && part.citations.length > (block.citations === undefined ? 0 : own.length)) {
    context.notes.add(`${context.path}.annotations`, 'dropped')
  }
  return withMark(block, part.cache, context)
}

function writeImage({ source, detail }: ImagePart, context: PartContext): Block | null {
  if (detail !== null && detail !== 'auto') context.notes.add(`${context.path}.image_url.detail`, 'dropped')
  if (source.kind === 'url') return { type: 'image', source: { type: 'url', url: source.url } }
  if (source.kind === 'id') {
    if (source.wire !== ANTHROPIC) return dropped(context)
    return { type: 'image', source: { type: 'file', file_id: source.id } }
  }
  const type = source.mediaType === 'image/jpg' ? 'image/jpeg' : source.mediaType
  if (!IMAGES.includes(type)) return dropped(context)
  return { type: 'image', source: { type: 'base64', media_type: type, data: source.data } }
}

function writeFile({ source, filename }: FilePart, context: PartContext): Block | null {
  const title = filename === null ? {} : { title: filename }
  if (source.kind === 'url') return { type: 'document', source: { type: 'url', url: source.url }, ...title }
  if (source.kind === 'id') {
    if (source.wire !== ANTHROPIC) return dropped(context)
    return { type: 'document', source: { type: 'file', file_id: source.id }, ...title }
  }
  const { mediaType, data } = source
  if (IMAGES.includes(mediaType)) return { type: 'image', source: { type: 'base64', media_type: mediaType, data } }
  if (mediaType === 'application/pdf') {
    return { type: 'document', source: { type: 'base64', media_type: mediaType, data }, ...title }
  }
  if (!TEXTS.test(mediaType)) return dropped(context)
  const text = Buffer.from(data, 'base64').toString()
  if (text === '') return null
  return { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text }, ...title }
}

/** Only what Anthropic itself has signed: it refuses any other thought. */
function writeThought({ text, proof }: ReasoningPart): Block | null {
  if (proof === null || proof.wire !== ANTHROPIC) return null
  if (proof.data.startsWith(REDACTED)) return { type: 'redacted_thinking', data: proof.data.slice(REDACTED.length) }
  return { type: 'thinking', thinking: text, signature: proof.data }
}

function writeCall(call: ToolCall, { notes, path }: PartContext): Block {
  const block: Block = { type: 'tool_use', id: writeId(call.id), name: call.name }
  if (call.kind === 'custom') {
    return { ...block, name: TEXT_TOOL + call.name, input: { [TEXT_PROPERTY]: call.arguments } }
  }
  const input = call.arguments.trim() === '' ? {} : parsed(call.arguments)
  if (isRecord(input)) return { ...block, input }
  // Cut or ill-formed: the model is to see what it wrote, and only an object can be said.
  notes.add(`${path}.function.arguments`, 'emulated')
  return { ...block, input: { arguments: call.arguments } }
}

function writeResult(result: ToolResult, context: PartContext): Block {
  const blocks = result.parts.flatMap((part, at) => {
    const block = writePart(part, { ...context, role: 'user', path: `${context.path}.content[${at}]` })
    return block === null ? [] : [block]
  })
  const [first] = blocks
  const isPlain = blocks.length === 1 && first!.type === 'text' && first!.cache_control === undefined
  return {
    type: 'tool_result',
    tool_use_id: writeId(result.callId),
    ...(blocks.length === 0 ? {} : { content: isPlain ? first!.text : blocks }),
    ...(result.isError ? { is_error: true } : {}),
  }
}

/** Ids as the API takes them; any other is written so that two never fall together. */
export function writeId(id: string): string {
  if (id === '') return '_'
  return id.replace(/[^a-zA-Z0-9_-]/g, (char) => `_${char.codePointAt(0)!.toString(16)}_`)
}
