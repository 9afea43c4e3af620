import type { Adaptation } from '../dialect.ts'
import type { Message, Part, ReasoningPart, ToolCall, ToolResult } from '../model.ts'
import type { Json } from '../openai-chat/values.ts'
import { isContent, writeAnnotation, writeInputPart } from './parts.ts'

const WIRE = 'openai-responses'
/** OpenAI refuses longer ids of calls. */
const MAX_CALL_ID = 64

/** Messages as `input`: a message, call, result or thought an item each, in their order. */
export function writeInput(messages: readonly Message[], adapted: Adaptation[]): Json[] {
  const kinds = new Map<string, ToolCall['kind']>()
  for (const { parts } of messages) {
    for (const part of parts) if (part.type === 'tool-call') kinds.set(part.id, part.kind)
  }
  const items: Json[] = []
  messages.forEach((message, index) => {
    const drop = (place: string) => adapted.push({ param: `messages[${index}].${place}`, how: 'dropped' })
    if (message.name !== null) drop('name')
    new Writer(message, { items, kinds, drop }).write()
  })
  return items
}

interface Place {
  readonly items: Json[]
  /** What kind of tool each call was of: its result must name the same. */
  readonly kinds: ReadonlyMap<string, ToolCall['kind']>
  readonly drop: (place: string) => void
}

class Writer {
  readonly #message: Message
  readonly #place: Place
  #content: Json[] = []
  #thought: ReasoningPart[] = []

  constructor(message: Message, place: Place) {
    this.#message = message
    this.#place = place
  }

  write(): void {
    for (const [index, part] of this.#message.parts.entries()) {
      if (part.type === 'reasoning') {
        this.#think(part)
        continue
      }
      this.#thought = []
      const content = this.#contentOf(part)
      if (content !== null) this.#content.push(content)
      else if (!this.#item(part)) this.#place.drop(`content[${index}]`)
    }
    this.#flush()
  }

  #contentOf(part: Part): Json | null {
    if (this.#message.role !== 'assistant') return writeInputPart(part)
    if (part.type === 'refusal') return { type: 'refusal', refusal: part.text }
    if (part.type === 'opaque') return part.wire === WIRE && isContent(part.value) ? (part.value as Json) : null
    if (part.type !== 'text') return null
    const { text, citations = [] } = part
    const annotations = citations.map((one) => writeAnnotation(one, text.length)).filter((one) => one !== null)
    return { type: 'output_text', text, ...(annotations.length === 0 ? {} : { annotations }) }
  }

  /** Only a thought with this wire's own proof can be taken up again: parts without one wait for the one that has it. */
  #think(part: ReasoningPart): void {
    const { proof } = part
    if (proof !== null && proof.wire !== WIRE) {
      this.#thought = []
      return
    }
    this.#thought.push(part)
    if (proof === null) return
    this.#flush()
    const texts = (summary: boolean) => this.#thought.filter((one) => one.summary === summary && one.text !== '')
    const content = texts(false).map(({ text }) => ({ type: 'reasoning_text', text }))
    this.#place.items.push({
      type: 'reasoning',
      summary: texts(true).map(({ text }) => ({ type: 'summary_text', text })),
      ...(content.length === 0 ? {} : { content }),
      encrypted_content: proof.data,
    })
    this.#thought = []
  }

  /** False for what the wire has no word for. */
  #item(part: Part): boolean {
    const item = this.#itemOf(part)
    if (item === null) return false
    this.#flush()
    this.#place.items.push(item)
    return true
  }

  #itemOf(part: Part): Json | null {
    if (part.type === 'tool-call') return writeCall(part)
    if (part.type === 'tool-result') return this.#result(part)
    return part.type === 'opaque' && part.wire === WIRE ? (part.value as Json) : null
  }

  #result(part: ToolResult): Json {
    const content = part.parts.map(writeInputPart)
    content.forEach((one, index) => {
      if (one === null) this.#place.drop(`content[${index}]`)
    })
    const told = content.filter((one) => one !== null)
    const only = told.length === 1 && told[0]!.type === 'input_text' ? told[0]!.text : null
    const type = this.#place.kinds.get(part.callId) === 'custom' ? 'custom_tool_call_output' : 'function_call_output'
    const output = told.length === 0 ? '' : (only ?? told)
    return { type, call_id: fitting(part.callId), output, ...(part.isError ? { status: 'incomplete' } : {}) }
  }

  #flush(): void {
    if (this.#content.length === 0) return
    this.#place.items.push({ type: 'message', role: this.#message.role, content: this.#content })
    this.#content = []
  }
}

function writeCall(call: ToolCall): Json {
  const head = { call_id: fitting(call.id), name: call.name }
  if (call.kind === 'custom') return { type: 'custom_tool_call', ...head, input: call.arguments }
  return { type: 'function_call', ...head, arguments: call.arguments }
}

/** The same id for the same id, and hardly ever for another (FNV-1a over what is cut off). */
function fitting(id: string): string {
  if (id.length <= MAX_CALL_ID) return id
  let hash = 0x811c9dc5
  for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 0x01000193) >>> 0
  return `${id.slice(0, MAX_CALL_ID - 9)}_${hash.toString(16).padStart(8, '0')}`
}
