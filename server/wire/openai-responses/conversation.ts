import type { Conversation, ConversationItem } from '../../../db/model/conversations.ts'
import type { KeptTurn } from '../../../db/model/responses.ts'
import { isRecord, type Json, record, textOr } from '../openai-chat/values.ts'
import { WireError } from '../wire.ts'
import { inputOf, isUsable, outputOf } from './kept-items.ts'
import { type Item, mintedId, shownItem } from './state.ts'

/** OpenAI's `/v1/conversations`: what is sent there and what is answered, and what a call adds. */

/** As many may be added at a time. */
const MAX_ITEMS = 20
const MAX_PAIRS = 16
const MAX_KEY = 64
const MAX_VALUE = 512
const ROLES: ReadonlySet<unknown> = new Set(['user', 'assistant', 'system', 'developer'])

/** What a call adds to its conversation: all that it said and all that was answered. */
export function itemsOfTurn(turn: KeptTurn): ConversationItem[] {
  const suffix = turn.id.replace(/^resp_/, '')
  return [...named(inputOf(turn), `${suffix}_in`), ...named(outputOf(turn), `${suffix}_out`)]
}

/** Items under the ids that they have, or are given. @param suffix of those given, before their number */
export function named(items: readonly Item[], suffix: string): ConversationItem[] {
  return items.map((item, index) => ({
    id: isUsable(item.id) ? item.id : mintedId(item, `${suffix}${index}`),
    itemJson: JSON.stringify(item),
  }))
}

/** The items of a conversation as what was said in one turn before. */
export function asTurn(id: string, items: readonly ConversationItem[]): KeptTurn {
  const inputIds = items.map((item) => item.id)
  return { id, inputIds, inputJson: `[${items.map((item) => item.itemJson).join()}]`, answerJson: '{"output":[]}' }
}

/** @returns the place of the first item that is in the conversation already, -1: none */
export function repeatedIn(items: readonly Json[], held: readonly ConversationItem[]): number {
  const ids = new Set(held.map(({ id }) => id))
  return items.findIndex((item) => typeof item.id === 'string' && ids.has(item.id))
}

/** The items that a request adds. @throws WireError naming the one that isn't as it should be */
export function readItems(value: unknown): Item[] {
  if (!Array.isArray(value)) throw new WireError('"items" must be an array', 'items')
  if (value.length > MAX_ITEMS) throw new WireError(`"items" holds ${value.length}: send at most ${MAX_ITEMS}`, 'items')
  return value.map((item: unknown, index) => readItem(item, `items[${index}]`))
}

function readItem(item: unknown, at: string): Item {
  if (!isRecord(item)) throw new WireError(`"${at}" must be an object`, at)
  const type = item.type ?? 'message'
  if (typeof type !== 'string') throw new WireError(`"${at}.type" must be a string`, `${at}.type`)
  if (type !== 'message') return item
  if (!ROLES.has(item.role)) {
    throw new WireError(`"${at}.role" must be one of ${[...ROLES].join(', ')}`, `${at}.role`)
  }
  const { content } = item
  if (typeof content !== 'string' && !(Array.isArray(content) && content.every(isRecord))) {
    throw new WireError(`"${at}.content" must be a string or an array of objects`, `${at}.content`)
  }
  return { ...item, type }
}

/** What a request notes of a conversation, as JSON; null stands for nothing. @throws WireError naming the pair */
export function readMetadata(value: unknown): string {
  if (value !== null && !isRecord(value)) throw new WireError('"metadata" must be an object', 'metadata')
  const pairs = Object.entries(value ?? {})
  if (pairs.length > MAX_PAIRS) {
    throw new WireError(`"metadata" has ${pairs.length} pairs: at most ${MAX_PAIRS} are kept`, 'metadata')
  }
  for (const [key, text] of pairs) {
    const param = `metadata.${key.slice(0, MAX_KEY)}`
    if (key.length > MAX_KEY) throw new WireError(`A key of "metadata" is longer than ${MAX_KEY} characters`, param)
    if (typeof text !== 'string') throw new WireError(`"${param}" must be a string`, param)
    if (text.length > MAX_VALUE) throw new WireError(`"${param}" is longer than ${MAX_VALUE} characters`, param)
  }
  return JSON.stringify(value ?? {})
}

/** A request's body; none is an empty one. @throws WireError */
export function readObject(body: Uint8Array): Json {
  const text = new TextDecoder().decode(body)
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new WireError(`The body is not valid JSON: ${(error as Error).message}`)
  }
  if (!isRecord(value)) throw new WireError('The body must be a JSON object')
  return value
}

export function conversationFace({ id, metadataJson, createdAtMs }: Conversation): object {
  const created_at = Math.floor(createdAtMs / 1000)
  return { id, object: 'conversation', created_at, metadata: JSON.parse(metadataJson) as object }
}

/** An item as it is shown: whole, under its id. */
export function itemFace({ id, itemJson }: ConversationItem): Item {
  const item = record(JSON.parse(itemJson))
  return shownItem({ ...item, type: textOr(item.type, 'message') }, id)
}

export function listFace(items: readonly ConversationItem[], hasMore: boolean): object {
  const data = items.map(itemFace)
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data[data.length - 1]?.id ?? null,
    has_more: hasMore,
  }
}
