import { Buffer } from 'node:buffer'
import { asBuffer, fromText } from './bytes.ts'
import { TokenEstimator } from './estimate.ts'
import { readMember } from './json.ts'
import type { Ask } from './wire.ts'

/** How long a prompt is before anybody has counted it. */
export interface PromptSize {
  /** Tokens. */
  readonly tokens: number
  /** It names files, pictures or searches whose size can't be told from here: only the model's own limit bounds it. */
  readonly isOpen: boolean
  /** Of messages, as far as they were counted. */
  readonly messages: number
}

/** Where the wires put what a model reads. */
const PROMPT_MEMBERS = [
  ...['messages', 'prompt', 'input', 'instructions', 'system', 'contents', 'systemInstruction', 'system_instruction'],
  ...['tools', 'functions', 'response_format', 'text', 'output_config', 'generationConfig', 'query', 'documents'],
]
/** Made once: a search for a string makes its bytes each time. */
function words(...all: string[]): Buffer[] {
  return all.map((word) => Buffer.from(word))
}

/** Beginnings of JSON strings, one of which stands in every request with something else than text in it. */
const MEDIA_WORDS = words('"image', '"input_', '"file', '"document', '"inline', '"video', '"audio', '"source')
/** The same of tools that read what nobody here has seen. */
const OPEN_WORDS = words(
  'search',
  'fetch',
  'retriev',
  '"code_',
  '"computer',
  '"mcp',
  '"container',
  '"browse',
  'ontext"',
)
/** What providers put around tools that they were given, beyond the tools' own words. */
const TOKENS_OF_TOOLS = 1_000
/** The largest picture costs so much on the models that charge most for one (gpt-4o-mini); most take a fortieth of it. */
const TOKENS_AN_IMAGE = 50_000
/** A picture on most models. */
const TOKENS_A_USUAL_IMAGE = 1_600
/** A page of 3 000 tokens takes 50 kB at least where it is a picture, and no less than its words where it is text. */
const BYTES_A_FILE_TOKEN = 8
/** Sound of 4 kB a second, the least that is heard as speech, at 25 tokens a second. */
const BYTES_A_SOUND_TOKEN = 100

/**
 * Tokens that a prompt can't exceed: no tokenizer makes more tokens than there are bytes, and the JSON around texts is
 * longer than what a chat template makes of it. Costs a search for a few words where there is text alone.
 */
export function longestPrompt(ask: Ask): PromptSize {
  const { body, members } = ask
  const tools = members.has('tools') ? TOKENS_OF_TOOLS : 0
  const bytes = asBuffer(body)
  if (!MEDIA_WORDS.some((word) => bytes.includes(word)) && !hasOpenTools(ask)) {
    return { tokens: body.length + tools, isOpen: false, messages: 0 }
  }
  const size = new Size((text) => Buffer.byteLength(text), TOKENS_AN_IMAGE)
  size.addMembers(ask)
  // What isn't text stays outside; the rest of the bytes is no shorter than what it becomes.
  const tokens = Math.max(0, body.length - size.mediaBytes) + size.media + tools
  return { tokens, isOpen: size.isOpen, messages: size.messages }
}

function hasOpenTools({ body, members }: Ask): boolean {
  const span = members.get('tools')
  if (span === undefined) return false
  const tools = asBuffer(body.subarray(span.start, span.end))
  return OPEN_WORDS.some((word) => tools.includes(word))
}

/** The same as well as it can be counted here: about right for text, pictures and files at a usual rate. */
export function countedPrompt(ask: Ask): PromptSize {
  const words = new TokenEstimator()
  const count = (text: string): number => {
    const before = words.tokens
    words.add(fromText(text))
    words.endText()
    return words.tokens - before
  }
  const size = new Size(count, TOKENS_A_USUAL_IMAGE)
  size.addMembers(ask)
  const tools = ask.members.has('tools') ? TOKENS_OF_TOOLS / 2 : 0
  return { tokens: size.text + size.media + tools, isOpen: size.isOpen, messages: size.messages }
}

/** Members under which pictures, sound and files stand on one of the wires. */
const IMAGES: ReadonlySet<string> = new Set(['image_url', 'image'])
const SOUNDS: ReadonlySet<string> = new Set(['input_audio', 'audio'])
const BLOBS: ReadonlySet<string> = new Set([
  'data',
  'file_data',
  'fileData',
  'url',
  'image_url',
  'file_url',
  'fileUri',
  'file_uri',
])
/** Tools of providers that read what nobody here has seen. */
const READS_MORE = /search|fetch|retriev|code_|computer|mcp|container|browse|context/i

class Size {
  text = 0
  media = 0
  mediaBytes = 0
  messages = 0
  isOpen = false
  readonly #count: (text: string) => number
  readonly #imageTokens: number

  constructor(count: (text: string) => number, imageTokens: number) {
    this.#count = count
    this.#imageTokens = imageTokens
  }

  addMembers({ body, members }: Ask): void {
    for (const name of PROMPT_MEMBERS) {
      if (!members.has(name)) continue
      const value = readMember(body, members, name)
      if (name === 'tools') this.#addTools(value)
      else this.#add(value)
    }
  }

  #addTools(tools: unknown): void {
    this.text += this.#count(JSON.stringify(tools) ?? '')
    if (!Array.isArray(tools)) return
    for (const tool of tools as Record<string, unknown>[]) {
      const isFunction = tool?.type === 'function' || tool?.type === 'custom' || 'input_schema' in (tool ?? {})
      if (!isFunction && READS_MORE.test(`${String(tool?.type ?? '')} ${Object.keys(tool ?? {}).join(' ')}`)) {
        this.isOpen = true
      }
    }
  }

  #add(value: unknown): void {
    const rest: unknown[] = [value]
    while (rest.length > 0) {
      const next = rest.pop()
      if (typeof next === 'string') this.text += this.#count(next)
      else if (typeof next === 'number') this.text++
      else if (Array.isArray(next)) for (const item of next) rest.push(item)
      else if (typeof next === 'object' && next !== null) this.#addObject(next as Record<string, unknown>, rest)
    }
  }

  #addObject(value: Record<string, unknown>, rest: unknown[]): void {
    if (typeof value.role === 'string') this.messages++
    for (const [name, item] of Object.entries(value)) {
      if (name === 'type' || name === 'role' || name === 'id' || name === 'cache_control') continue
      const kind = kindOf(name, value)
      if (kind === null) rest.push(item)
      else this.#addMedia(kind, item)
    }
  }

  #addMedia(kind: Kind, item: unknown): void {
    const bytes = blobBytes(item)
    this.mediaBytes += bytes
    if (kind === 'image') this.media += this.#imageTokens
    else if (bytes === 0) this.isOpen = true
    else this.media += Math.ceil(bytes / (kind === 'sound' ? BYTES_A_SOUND_TOKEN : BYTES_A_FILE_TOKEN))
  }
}

type Kind = 'image' | 'sound' | 'file'

/** What a member of an object holds when that isn't text; null: text, or more objects. */
function kindOf(name: string, within: Record<string, unknown>): Kind | null {
  if (IMAGES.has(name)) return 'image'
  if (SOUNDS.has(name)) return 'sound'
  if (name === 'source') return within.type === 'image' ? 'image' : textSource(within.source) ? null : 'file'
  if (name === 'inlineData' || name === 'inline_data') return ofMime(within[name])
  if (name === 'fileData' || name === 'file_data' || name === 'file' || name === 'file_id' || name === 'file_url') {
    return within.type === 'input_image' ? 'image' : 'file'
  }
  return null
}

/** Documents of plain text, and of blocks. */
function textSource(source: unknown): boolean {
  const { type } = (typeof source === 'object' && source !== null ? source : {}) as { type?: unknown }
  return type === 'text' || type === 'content'
}

function ofMime(data: unknown): Kind {
  const { mimeType, mime_type } = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>
  const mime = String(mimeType ?? mime_type ?? '')
  return mime.startsWith('image/') ? 'image' : mime.startsWith('audio/') ? 'sound' : 'file'
}

/** Bytes of what is sent along itself; 0 for what is only named. */
function blobBytes(item: unknown): number {
  if (typeof item === 'string') return item.startsWith('http') || item.length < 256 ? 0 : item.length
  if (typeof item !== 'object' || item === null) return 0
  let bytes = 0
  for (const [name, value] of Object.entries(item)) if (BLOBS.has(name)) bytes += blobBytes(value)
  return bytes
}
