import type { Message, Part, Source, ToolResult } from '../model.ts'
import { WireError } from '../wire.ts'
import { type Json, record, records, text } from './json.ts'
import { proven, readMedia, thought } from './parts.ts'
import { proofIn } from './seal.ts'

/** A member by its name in camelCase, or in snake_case, which Google takes as well. */
export function member(object: Json, name: string): unknown {
  return object[name] ?? object[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)]
}

/**
 * `systemInstruction` and `contents` as messages. Contents of the model that follow each other are one message: clients
 * keep the chunks of a stream as they came.
 * @throws WireError naming the part for a result that answers no call, and for contents that are none
 */
export function readContents(body: Json): Message[] {
  const reader = new ContentsReader()
  const messages: Message[] = []
  const system = member(body, 'systemInstruction')
  if (system !== undefined && system !== null) {
    const parts = typeof system === 'string' ? [{ text: system }] : records(record(system).parts)
    messages.push({ role: 'system', name: null, parts: reader.parts(parts, 'systemInstruction') })
  }
  const contents = Array.isArray(body.contents) ? body.contents : [body.contents]
  for (const [at, content] of contents.entries()) {
    const path = `contents[${at}]`
    if (typeof content !== 'object' || content === null) throw new WireError(`"${path}" must be an object`, path)
    const { role, parts } = content as Json
    if (!Array.isArray(parts)) throw new WireError(`"${path}.parts" must be an array`, `${path}.parts`)
    const read = reader.parts(records(parts), path)
    const last = messages.at(-1)
    if (role !== 'model') {
      // Instructions alone are sent with an empty text.
      messages.push({ role: 'user', name: null, parts: read.length === 0 ? [{ type: 'text', text: '' }] : read })
      continue
    }
    const earlier = last?.role === 'assistant' ? messages.pop()!.parts : []
    messages.push({ role: 'assistant', name: null, parts: joined([...earlier, ...read]) })
  }
  return messages
}

class ContentsReader {
  #made = 0
  /** Calls that no result has answered yet, in order: results without an id answer the first of their name. */
  readonly #unanswered: { readonly id: string; readonly name: string }[] = []

  parts(parts: readonly Json[], path: string): Part[] {
    return parts.flatMap((part, at) => this.#part(part, `${path}.parts[${at}]`))
  }

  #part(part: Json, path: string): Part[] {
    const signature = text(member(part, 'thoughtSignature'))
    const proof = signature === null ? null : proofIn(signature)
    if (part.thought === true && typeof part.text === 'string') return [thought(part.text, proof)]
    const body = this.#body(part, path)
    if (body?.type === 'opaque' || proof === null) return body === null ? [] : [body]
    return body === null ? [proven(proof)] : [proven(proof), body]
  }

  #body(part: Json, path: string): Part | null {
    if (typeof part.text === 'string') return part.text === '' ? null : { type: 'text', text: part.text }
    const call = member(part, 'functionCall')
    if (call !== undefined) return this.#call(record(call))
    const result = member(part, 'functionResponse')
    if (result !== undefined) return this.#result(record(result), `${path}.functionResponse`)
    return readFile(part) ?? { type: 'opaque', wire: 'gemini', value: part }
  }

  #call(call: Json): Part {
    const id = text(call.id) ?? `call_${++this.#made}`
    const name = String(call.name ?? '')
    this.#unanswered.push({ id, name })
    return { type: 'tool-call', id, name, arguments: JSON.stringify(call.args ?? {}), kind: 'function' }
  }

  #result(result: Json, path: string): ToolResult {
    const given = text(result.id)
    const at = this.#unanswered.findIndex(({ id, name }) => (given === null ? name === result.name : id === given))
    const [answered] = at < 0 ? [] : this.#unanswered.splice(at, 1)
    const callId = given ?? answered?.id
    if (callId === undefined) throw new WireError(`No call of "${String(result.name)}" waits for this result`, path)
    const { said, isError } = readResponse(record(result.response))
    const media = records(result.parts).flatMap((part) => readFile(part) ?? [])
    return { type: 'tool-result', callId, parts: [{ type: 'text', text: said }, ...media], isError }
  }
}

/** Google's names for what a function gave and for what went wrong; whatever else it is, is what it gave. */
function readResponse(response: Json): { said: string; isError: boolean } {
  const [name, ...others] = Object.keys(response)
  if (others.length > 0 || (name !== 'output' && name !== 'error'))
    return { said: JSON.stringify(response), isError: false }
  const value = response[name]
  return { said: typeof value === 'string' ? value : JSON.stringify(value), isError: name === 'error' }
}

function readFile(part: Json): Part | null {
  const inline = record(member(part, 'inlineData'))
  if (text(inline.data) !== null) return readMedia(String(member(inline, 'mimeType')), String(inline.data))
  const file = record(member(part, 'fileData'))
  const uri = text(member(file, 'fileUri'))
  if (uri === null) return null
  const isOwn = uri.includes('generativelanguage.googleapis.com/')
  const source: Source = isOwn ? { kind: 'id', wire: 'gemini', id: uri } : { kind: 'url', url: uri }
  const isImage = String(member(file, 'mimeType')).startsWith('image/')
  return isImage ? { type: 'image', source, detail: null } : { type: 'file', source, filename: null }
}

/** The last part has a signature of its own, which is for that part alone. */
function isSigned(parts: readonly Part[]): boolean {
  const before = parts.at(-2)
  return before?.type === 'reasoning' && before.text === '' && before.proof !== null && !before.summary
}

/** The pieces of a stream that a client sends back as they came, put together: text, and a thought up to its proof. */
function joined(parts: readonly Part[]): Part[] {
  const whole: Part[] = []
  for (const part of parts) {
    const last = whole.at(-1)
    if (part.type === 'text' && last?.type === 'text' && !isSigned(whole)) {
      whole[whole.length - 1] = { ...last, text: last.text + part.text }
    } else if (part.type === 'reasoning' && part.summary && last?.type === 'reasoning' && last.summary && !last.proof) {
      whole[whole.length - 1] = thought(last.text + part.text, part.proof)
    } else whole.push(part)
  }
  return whole
}
