import { TEXT_PROPERTY, TEXT_TOOL } from '../emulation.ts'
import type { Message, Part, Prompt, ToolCall, ToolResult } from '../model.ts'
import { WireError } from '../wire.ts'
import { type Place, writeAudio, writeMedia } from './media.ts'
import type { GeminiModel } from './model.ts'
import { type Notes, said } from './notes.ts'
import { arranged, ownSignature, SignedParts, signFirstCall } from './signatures.ts'

export interface WrittenContents {
  readonly contents: readonly object[]
  /** Texts of `systemInstruction`. */
  readonly system: string[]
}

type Content = { role: 'user' | 'model'; parts: object[] }

/**
 * Messages as `contents`: one after another of the same role become one, so that the results of parallel calls stand
 * together. What a system message says at the beginning goes into the system instruction; one that comes later stays
 * where it is, as the user's.
 * @throws WireError when a result answers no call
 */
export function writeContents(prompt: Prompt, model: GeminiModel, notes: Notes): WrittenContents {
  const writer = new ContentsWriter(model, notes)
  for (const [at, message] of prompt.messages.entries()) writer.write(message, `messages[${at}]`)
  return writer.end()
}

class ContentsWriter {
  readonly #model: GeminiModel
  readonly #notes: Notes
  readonly #system: string[] = []
  readonly #contents: Content[] = []
  /** Names of the functions called so far, by the calls' ids: Gemini wants them with the results. */
  readonly #names = new Map<string, string>()
  /** Pictures and files of results for models that take none in them: they follow when all results have been said. */
  #late: object[] = []

  constructor(model: GeminiModel, notes: Notes) {
    this.#model = model
    this.#notes = notes
  }

  write(message: Message, path: string): void {
    if (message.name !== null) this.#notes.note(`${path}.name`, 'dropped')
    if (message.role === 'assistant') this.#answer(message, path)
    else if (message.role === 'user') this.#ask(message, path)
    else this.#instruct(message, path)
  }

  end(): WrittenContents {
    this.#flush()
    // Google refuses a request with instructions alone, and one that begins with a call.
    if (this.#contents[0]?.role !== 'user') this.#contents.unshift({ role: 'user', parts: [{ text: '' }] })
    if (this.#model.needsSignatures) {
      for (const { role, parts } of this.#contents) if (role === 'model') signFirstCall(parts)
    }
    return { contents: this.#contents, system: this.#system }
  }

  #instruct(message: Message, path: string): void {
    if (this.#contents.length === 0 && this.#model.takesSystem) {
      for (const [at, part] of message.parts.entries()) {
        if (part.type === 'text') this.#system.push(part.text)
        else this.#notes.note(`${path}.content[${at}]`, 'dropped')
      }
    } else {
      this.#notes.note(`${path}.role`, 'renamed')
      this.#ask(message, path)
    }
  }

  #ask(message: Message, path: string): void {
    for (const [at, part] of message.parts.entries()) {
      if (part.type === 'tool-result') this.#open('user').push(this.#result(part, `${path}.content[${at}]`))
      else {
        this.#flush()
        const written = this.#part(part, `${path}.content[${at}]`)
        if (written !== null) this.#open('user').push(written)
      }
    }
  }

  #answer(message: Message, path: string): void {
    this.#flush()
    const signed = new SignedParts(ownSignature)
    const parts = this.#model.needsSignatures ? arranged(message.parts) : message.parts
    for (const [at, part] of parts.entries()) {
      if (part.type === 'reasoning') signed.think(part)
      else if (part.type !== 'text' || part.text !== '') signed.push(this.#part(part, `${path}.content[${at}]`))
    }
    const written = signed.end()
    if (written.length > 0) this.#open('model').push(...written)
  }

  /** The parts of the content that goes on, or of a new one. */
  #open(role: Content['role']): object[] {
    const last = this.#contents.at(-1)
    if (last?.role === role) return last.parts
    const content: Content = { role, parts: [] }
    this.#contents.push(content)
    return content.parts
  }

  #flush(): void {
    if (this.#late.length > 0) this.#open('user').push(...this.#late)
    this.#late = []
  }

  /** Null when it can't be said, which is noted; a thought in a user's message says nothing. */
  #part(part: Part, param: string): object | null {
    const place = { param, notes: this.#notes }
    switch (part.type) {
      case 'text':
      case 'refusal':
        return { text: part.text }
      case 'image':
      case 'file':
        return writeMedia(part, place)
      case 'audio':
        return writeAudio(part)
      case 'tool-call':
        return this.#call(part, place)
      case 'opaque':
        if (part.wire === 'gemini') return part.value as object
        this.#notes.note(param, 'dropped')
        return null
      default:
        return null
    }
  }

  #call(call: ToolCall, { param, notes }: Place): object {
    const name = call.kind === 'custom' ? TEXT_TOOL + call.name : call.name
    this.#names.set(call.id, name)
    return { functionCall: { id: call.id, name, args: argsOf(call, () => notes.note(param, 'renamed')) } }
  }

  #result(result: ToolResult, param: string): object {
    const name = this.#names.get(result.callId)
    if (name === undefined) {
      throw new WireError(
        `No call before it has the id "${result.callId.slice(0, 100)}" that this result answers`,
        param,
      )
    }
    const texts: string[] = []
    const media: object[] = []
    for (const [at, part] of result.parts.entries()) {
      if (part.type === 'text' || part.type === 'refusal') texts.push(part.text)
      else {
        const written = this.#part(part, `${param}.content[${at}]`)
        if (written !== null) media.push(written)
      }
    }
    const response = { [result.isError ? 'error' : 'output']: texts.join('\n') }
    const isInside = this.#model.takesMediaResults && media.length > 0
    if (!isInside) this.#late.push(...media)
    return { functionResponse: said({ id: result.callId, name, response, parts: isInside ? media : null }) }
  }
}

/** The arguments as an object, which is all that Gemini takes: what is none becomes a member of one. */
function argsOf({ arguments: written, kind }: ToolCall, note: () => void): unknown {
  if (kind === 'custom') return { [TEXT_PROPERTY]: written }
  if (written.trim() === '') return {}
  let value: unknown = written
  try {
    value = JSON.parse(written)
  } catch {
    // A model wrote it: no reason to refuse the rest of the conversation.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  note()
  return { arguments: value }
}
