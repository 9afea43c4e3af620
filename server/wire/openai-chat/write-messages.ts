import { Buffer } from 'node:buffer'
import type { Adaptation } from '../dialect.ts'
import type { FilePart, ImagePart, Message, Part, TextPart, ToolCall, ToolResult } from '../model.ts'
import { readProof } from './thoughts.ts'
import { isOpenaiModel, writeCache } from './tools.ts'
import { type Json, record, said } from './values.ts'

const WIRE = 'openai-chat'

export interface MessageOptions {
  readonly model: string
  /** Cache marks are understood. */
  readonly marks: boolean
  /** Thoughts go back to the model that had them. */
  readonly thoughts: boolean
}

/** Messages as they go out; what can't be said is added to `adapted`. */
export function writeMessages(
  messages: readonly Message[],
  options: MessageOptions,
  adapted: Adaptation[],
): Record<string, unknown>[] {
  return messages.flatMap((message, at) => new MessageWriter(options, adapted, at).write(message))
}

class MessageWriter {
  readonly #options: MessageOptions
  readonly #adapted: Adaptation[]
  readonly #param: string

  constructor(options: MessageOptions, adapted: Adaptation[], at: number) {
    this.#options = options
    this.#adapted = adapted
    this.#param = `messages[${at}]`
  }

  write(message: Message): Record<string, unknown>[] {
    if (message.role === 'assistant') return [this.#assistant(message)]
    if (message.role === 'user') return this.#user(message)
    const role = message.role === 'developer' && !isOpenaiModel(this.#options.model) ? 'system' : message.role
    return [{ role, content: this.#content(message.parts, 'content') ?? '', ...nameOf(message) }]
  }

  /** Results of tools come first, each a message: they must follow the calls at once. */
  #user(message: Message): Record<string, unknown>[] {
    const written: Record<string, unknown>[] = []
    const rest: Part[] = []
    for (const [at, part] of message.parts.entries()) {
      if (part.type !== 'tool-result') rest.push(part)
      else written.push(this.#result(part, { at, rest }))
    }
    if (rest.length === 0 && written.length > 0) return written
    return [...written, { role: 'user', content: this.#content(rest, 'content') ?? '', ...nameOf(message) }]
  }

  /** What a tool's message can't hold, such as pictures, goes into the user's message behind it. */
  #result(result: ToolResult, { at, rest }: { at: number; rest: Part[] }): Record<string, unknown> {
    const where = `content[${at}]`
    const texts = result.parts.filter((part) => part.type === 'text')
    const others = result.parts.filter((part) => part.type !== 'text')
    if (others.length > 0) {
      rest.push(...others)
      this.#adapt(`${where}.content`, 'emulated')
    }
    let content = textOf(texts)
    if (result.isError) {
      content = `Error: ${content}`
      this.#adapt(`${where}.is_error`, 'emulated')
    }
    const mark = this.#options.marks ? (result.cache ?? texts.at(-1)?.cache) : undefined
    const parts = mark === undefined ? content : [{ type: 'text', text: content, cache_control: writeCache(mark) }]
    return { role: 'tool', tool_call_id: callId(result.callId, this.#options.model), content: parts }
  }

  #assistant(message: Message): Record<string, unknown> {
    const calls = message.parts.filter((part) => part.type === 'tool-call')
    const refusals = message.parts.filter((part) => part.type === 'refusal')
    const audio = message.parts.find((part) => part.type === 'opaque' && record(part.value).type === 'audio')
    const rest = message.parts.filter(
      (part) => part !== audio && part.type !== 'tool-call' && part.type !== 'reasoning' && part.type !== 'refusal',
    )
    const content = this.#content(rest, 'content')
    const refusal = refusals.map(({ text }) => text).join('')
    const isEmpty = calls.length === 0 && refusal === '' && audio === undefined
    return {
      role: 'assistant',
      content: content ?? (isEmpty ? '' : null),
      ...(refusal === '' ? {} : { refusal }),
      ...nameOf(message),
      ...(audio?.type === 'opaque' && audio.wire === WIRE ? { audio: record(audio.value).audio } : {}),
      ...(this.#options.thoughts ? thoughtsOf(message.parts, this.#options.model) : {}),
      ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => writeCall(call, this.#options.model)) }),
    }
  }

  /** Plain text as a string, which all providers take; null when there is nothing. */
  #content(parts: readonly Part[], where: string): unknown {
    const marked = this.#options.marks && parts.some((part) => 'cache' in part && part.cache !== undefined)
    const texts = parts.filter((part) => part.type === 'text')
    if (texts.length === parts.length && !marked) return parts.length === 0 ? null : textOf(texts)
    const written = parts.flatMap((part, at) => this.#part(part, `${where}[${at}]`))
    return written.length === 0 ? null : written
  }

  #part(part: Part, where: string): Json[] {
    switch (part.type) {
      case 'text':
        return [this.#marked({ type: 'text', text: part.text }, part)]
      case 'refusal':
        return [{ type: 'refusal', refusal: part.text }]
      case 'image':
        return this.#image(part, where)
      case 'file':
        return this.#file(part, where)
      case 'audio':
        if (part.format === 'wav' || part.format === 'mp3') {
          return [{ type: 'input_audio', input_audio: { data: part.data, format: part.format } }]
        }
        return this.#lost(where, part.transcript)
      case 'opaque':
        return part.wire === WIRE ? [record(part.value)] : this.#lost(where)
      // A thought has its own place, and is no content.
      case 'reasoning':
        return []
      default:
        return this.#lost(where)
    }
  }

  #image(part: ImagePart, where: string): Json[] {
    const { source, detail } = part
    if (source.kind === 'id') return this.#lost(where)
    const url = source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
    return [this.#marked({ type: 'image_url', image_url: said({ url, detail }) }, part)]
  }

  #file(part: FilePart, where: string): Json[] {
    const { source, filename } = part
    if (source.kind === 'id') {
      // All of OpenAI's wires share one store of files.
      if (!source.wire.startsWith('openai')) return this.#lost(where)
      return [this.#marked({ type: 'file', file: said({ file_id: source.id, filename }) }, part)]
    }
    if (source.kind === 'url') {
      this.#adapt(where, 'emulated')
      return [this.#marked({ type: 'text', text: `${filename ?? 'File'}: ${source.url}` }, part)]
    }
    if (/^text\//.test(source.mediaType)) {
      this.#adapt(where, 'emulated')
      const text = Buffer.from(source.data, 'base64').toString()
      return [this.#marked({ type: 'text', text: filename === null ? text : `${filename}:\n${text}` }, part)]
    }
    const file_data = `data:${source.mediaType};base64,${source.data}`
    return [this.#marked({ type: 'file', file: { filename: filename ?? 'document.pdf', file_data } }, part)]
  }

  #marked(written: Json, { cache }: TextPart | ImagePart | FilePart): Json {
    return this.#options.marks && cache !== undefined ? { ...written, cache_control: writeCache(cache) } : written
  }

  /** Left out, or what was said in place of it. */
  #lost(where: string, instead?: string): Json[] {
    this.#adapt(where, instead === undefined ? 'dropped' : 'emulated')
    return instead === undefined ? [] : [{ type: 'text', text: instead }]
  }

  #adapt(where: string, how: Adaptation['how']): void {
    this.#adapted.push({ param: `${this.#param}.${where}`, how })
  }
}

function nameOf({ name }: Message): Json {
  return name === null ? {} : { name }
}

function textOf(texts: readonly TextPart[]): string {
  return texts.length === 1 ? texts[0]!.text : texts.map(({ text }) => text).join('\n\n')
}

function writeCall({ id, name, arguments: text, kind }: ToolCall, model: string): Json {
  const body = kind === 'custom' ? { name, input: text } : { name, arguments: text }
  return { id: callId(id, model), type: kind, [kind]: body }
}

/** Only what the same model gave out: another refuses the member, or can't read what is in it. */
function thoughtsOf(parts: readonly Part[], model: string): Record<string, unknown> {
  const details: Json[] = []
  const found: Record<string, unknown> = {}
  for (const part of parts) {
    const proof = part.type === 'reasoning' ? readProof(part) : null
    if (proof === null || part.type !== 'reasoning' || !isSameModel(proof.model, model)) continue
    if (proof.in !== 'reasoning_details')
      found[proof.in] = `${(found[proof.in] as string | undefined) ?? ''}${part.text}`
    else
      details.push({ ...proof.detail, ...(part.text === '' ? {} : { [part.summary ? 'summary' : 'text']: part.text }) })
  }
  return details.length === 0 ? found : { ...found, reasoning_details: details }
}

/** Answers name a model more exactly than requests do: `gpt-5` answers as `gpt-5-2025-08-07`. */
function isSameModel(answered: string, asked: string): boolean {
  return answered === '' || answered.startsWith(asked) || asked.startsWith(answered)
}

const MISTRAL = /mistral|mixtral|codestral|ministral|magistral|pixtral|devstral/i

/** Mistral takes nine letters and digits, OpenAI forty characters: longer ones are shortened, the same way each time. */
function callId(id: string, model: string): string {
  if (MISTRAL.test(model)) return /^[a-zA-Z0-9]{9}$/.test(id) ? id : shortened(id, 9)
  return id.length > 40 ? `call_${shortened(id, 20)}` : id
}

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Digits of two FNV-1a hashes that run on: no secret hangs on them, only that they differ. */
function shortened(id: string, length: number): string {
  let [a, b] = [0x811c9dc5, 0xcbf29ce4]
  let text = ''
  for (let round = 0; text.length < length; round++) {
    for (let at = 0; at < id.length; at++) {
      a = Math.imul(a ^ id.charCodeAt(at), 0x01000193)
      b = Math.imul(b ^ (id.charCodeAt(at) + round + at), 0x01000193)
    }
    const digits = [a >>> 0, b >>> 0, (a ^ b) >>> 0]
    text += digits.map((hash) => DIGITS[hash % 62]! + DIGITS[Math.trunc(hash / 62) % 62]!).join('')
  }
  return text.slice(0, length)
}
