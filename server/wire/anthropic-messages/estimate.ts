import { fromText } from '../bytes.ts'
import { TokenEstimator } from '../estimate.ts'
import { readMember } from '../json.ts'
import type { Ask } from '../wire.ts'
import { isRecord, type Json, record } from './values.ts'

/** What the format adds around each message and each tool. */
const TOKENS_A_MESSAGE = 4
/** Anthropic puts prompts of its own before tools and before a schema to answer by: measured on Claude 4.5 to 4.8. */
const TOKENS_OF_TOOLS = 470
const TOKENS_OF_FORMAT = 150
/** Around a call of a tool, and around its result. */
const TOKENS_A_CALL = 25
/** A picture of 1.15 megapixels, to which larger ones are shrunk: width x height / 750. */
const TOKENS_AN_IMAGE = 1500
/** A page of a PDF takes 1,500 to 3,000 tokens, and about 50 kB. */
const TOKENS_A_PAGE = 2000
const BASE64_A_PAGE = 68_000
/** Members that no model reads, or that are counted at a flat rate. */
const UNREAD = new Set(['type', 'role', 'id', 'tool_use_id', 'signature', 'data', 'cache_control', 'source'])

/**
 * Tokens of a Messages prompt that nobody counted, for `count_tokens` of providers that have none and for usage that no
 * provider reported. Pictures and documents at a flat rate; always an estimate.
 */
export function estimateMessages(ask: Ask): number {
  const read = (name: string) => readMember(ask.body, ask.members, name)
  const tools = read('tools')
  const hasTools = Array.isArray(tools) && tools.length > 0
  const counter = new Counter()
  for (const part of [read('system'), read('messages')]) counter.add(part)
  const format = record(read('output_config')).format
  // Schemas are read as they are written.
  for (const part of [hasTools ? tools : undefined, format]) counter.add(JSON.stringify(part))
  return counter.tokens + (hasTools ? TOKENS_OF_TOOLS : 0) + (isRecord(format) ? TOKENS_OF_FORMAT : 0)
}

class Counter {
  #flat = 0
  readonly #words = new TokenEstimator()

  get tokens(): number {
    return this.#flat + this.#words.tokens
  }

  /** Every string in it, however deep it stands. */
  add(value: unknown): void {
    const rest: unknown[] = [value]
    while (rest.length > 0) {
      const next = rest.pop()
      if (typeof next === 'string') this.#addText(next)
      else if (typeof next === 'number') this.#flat++
      else if (Array.isArray(next)) for (const item of next) rest.push(item)
      else if (isRecord(next)) this.#addMembers(next, rest)
    }
  }

  #addText(text: string): void {
    this.#words.add(fromText(text))
    this.#words.endText()
  }

  #addMembers(value: Json, rest: unknown[]): void {
    if (typeof value.role === 'string') this.#flat += TOKENS_A_MESSAGE
    if (value.type === 'tool_use' || value.type === 'tool_result') this.#flat += TOKENS_A_CALL
    for (const [name, item] of Object.entries(value)) {
      if (!UNREAD.has(name)) rest.push(name === 'input' ? JSON.stringify(item) : item)
      else if (name === 'source') this.#addSource(value.type, item)
    }
  }

  #addSource(type: unknown, source: unknown): void {
    if (!isRecord(source)) return
    if (type === 'image') this.#flat += TOKENS_AN_IMAGE
    else if (source.type === 'text' && typeof source.data === 'string') this.#addText(source.data)
    else if (source.type === 'content') this.add(source.content)
    else {
      const bytes = typeof source.data === 'string' ? source.data.length : 0
      this.#flat += TOKENS_A_PAGE * Math.max(1, Math.ceil(bytes / BASE64_A_PAGE))
    }
  }
}
