import type { Message, Part, Role } from '../model.ts'
import { isRecord, type Json, textOr } from '../openai-chat/values.ts'
import { WireError } from '../wire.ts'
import { readItem } from './items.ts'
import { readContent } from './parts.ts'
import { openCompaction } from './state.ts'

/** `input` as messages. */

const WIRE = 'openai-responses'
const ROLES: ReadonlySet<unknown> = new Set(['system', 'developer', 'user', 'assistant'])
/** Items that a caller makes; all others are a model's. */
const BY_CALLER = /_output$|^mcp_approval_response$/

/**
 * A model's items that follow each other become one message, and so do results of tools; a message right after another
 * stays one of its own. @throws WireError naming the item
 */
export function readInput(input: unknown): Message[] {
  if (input === undefined || input === null) return []
  if (typeof input === 'string') return [message('user', [{ type: 'text', text: input }])]
  if (!Array.isArray(input)) throw new WireError('"input" must be a string or an array', 'input')
  const found = new Conversation()
  input.forEach((item: unknown, index) => {
    const at = `input[${index}]`
    if (!isRecord(item)) throw new WireError(`"${at}" must be an object`, at)
    found.add(item, at)
  })
  return found.messages
}

function message(role: Role, parts: readonly Part[]): Message {
  return { role, name: null, parts }
}

class Conversation {
  readonly messages: Message[] = []
  /** Parts of the last message, while items may still be added to it. */
  #turn: { readonly role: Role; readonly parts: Part[] } | null = null
  #afterMessage = false

  add(item: Json, at: string): void {
    const isMessage = item.type === undefined || item.type === null || item.type === 'message'
    if (isMessage) this.#message(item, at)
    else this.#item(item, at)
    this.#afterMessage = isMessage
  }

  #message(item: Json, at: string): void {
    const { role } = item
    if (!ROLES.has(role)) {
      throw new WireError(`"${at}.role" must be "user", "assistant", "system" or "developer"`, `${at}.role`)
    }
    const parts = readContent(item.content, `${at}.content`)
    if (role === 'assistant' && !this.#afterMessage) return this.#join('assistant', parts)
    this.#turn = { role: role as Role, parts: [...parts] }
    this.messages.push(message(role as Role, this.#turn.parts))
    if (role !== 'assistant') this.#turn = null
  }

  #item(item: Json, at: string): void {
    switch (item.type) {
      case 'function_call':
      case 'custom_tool_call':
        requireText(item, 'call_id', at)
        requireText(item, 'name', at)
        return this.#join('assistant', readItem(item, ''))
      case 'function_call_output':
      case 'custom_tool_call_output':
        requireText(item, 'call_id', at)
        return this.#join('user', [readResult(item, at)])
      case 'item_reference':
        throw new WireError(`"${at}" refers to an item that is not stored: ${textOr(item.id, '')}`, at)
      case 'additional_tools':
        this.#turn = null
        this.messages.push(message('developer', [{ type: 'opaque', wire: WIRE, value: item }]))
        return
      case 'compaction':
        return this.#compaction(item)
      default:
        return this.#join(BY_CALLER.test(textOr(item.type, '')) ? 'user' : 'assistant', readItem(item, ''))
    }
  }

  /** What we have compacted ourselves can be read again; a provider's own is for it alone. */
  #compaction(item: Json): void {
    const opened = openCompaction(item)
    if (opened === null) return this.#join('assistant', readItem(item, ''))
    this.#turn = null
    this.messages.push(message('user', [{ type: 'text', text: opened }]))
  }

  #join(role: Role, parts: readonly Part[]): void {
    if (parts.length === 0) return
    if (this.#turn?.role === role) {
      this.#turn.parts.push(...parts)
      return
    }
    this.#turn = { role, parts: [...parts] }
    this.messages.push(message(role, this.#turn.parts))
  }
}

function requireText(item: Json, name: string, at: string): void {
  if (typeof item[name] === 'string' && item[name] !== '') return
  throw new WireError(`Missing required parameter: "${at}.${name}"`, `${at}.${name}`)
}

function readResult(item: Json, at: string): Part {
  const { output } = item
  const content = isRecord(output) ? JSON.stringify(output) : output
  return {
    type: 'tool-result',
    callId: textOr(item.call_id, ''),
    parts: readContent(content, `${at}.output`),
    // The wire has no other word for a call that failed.
    isError: item.status === 'incomplete',
  }
}
