import { Buffer } from 'node:buffer'
import { type Splice, splice } from '../bytes.ts'
import { readMember, scanObject, withoutMembers } from '../json.ts'
import { type Json, record, records, said, textOr } from '../openai-chat/values.ts'

/** What keeping responses for callers takes, apart from keeping them: a stored exchange as input, and back. */

export type Item = Json

/** A model's items as the input of the turn that follows. @param response as it was answered */
export function itemsOfAnswer(response: unknown): Item[] {
  return records(record(response).output)
}

/** The input of a request as items; a string is a user's message. */
export function itemsOfInput(input: unknown): Item[] {
  if (typeof input === 'string') return [userMessage(input)]
  return records(input).map((item) => (isMessage(item) ? { type: 'message', ...item } : item))
}

/**
 * The request with those items before its own, and no reference to what is stored any more; the rest of its bytes
 * untouched. References to items are replaced by the items themselves where `stored` knows them.
 */
export function withHistory(
  body: Uint8Array,
  items: readonly Item[],
  stored: ReadonlyMap<string, Item> = new Map(),
): Uint8Array {
  const members = scanObject(body)
  const own = itemsOfInput(readMember(body, members, 'input')).map((item) => {
    return (item.type === 'item_reference' ? stored.get(textOr(item.id, '')) : undefined) ?? item
  })
  const input = JSON.stringify([...items, ...own])
  const span = members.get('input')
  const splices: Splice[] = []
  if (span !== undefined) splices.push({ start: span.start, end: span.end, text: input })
  else {
    const first = members.values().next().value!.keyStart
    splices.push({ start: first, end: first, text: `"input":${input},` })
  }
  return withoutMembers(splice(body, splices), ['previous_response_id', 'conversation'])
}

/** The ids of the stored items that a request refers to. */
export function referencesIn(body: Uint8Array): string[] {
  const items = records(readMember(body, scanObject(body), 'input'))
  return items.filter(({ type }) => type === 'item_reference').map(({ id }) => textOr(id, ''))
}

/**
 * The items of a request as `GET /v1/responses/{id}/input_items` lists them, in the order they were sent: each with an
 * id, messages with a status and their content as parts. @param suffix makes the ids, such as the call's own id
 */
export function inputItemsOf(body: Uint8Array, suffix: string): Item[] {
  const items = itemsOfInput(readMember(body, scanObject(body), 'input'))
  return items.map((item, index) => shownItem(item, textOr(item.id, '') || mintedId(item, `${suffix}_in${index}`)))
}

/** An item as lists show it: with an id, messages with a status and their content as parts. */
export function shownItem(item: Item, id: string): Item {
  if (isMessage(item))
    return { id, status: 'completed', ...said({ ...item, id }), type: 'message', content: contentOf(item) }
  return { id, ...(HAS_STATUS.has(item.type) ? { status: 'completed' } : {}), ...said({ ...item, id }) }
}

/** An id for one that has none; its beginning says what kind of item it is. */
export function mintedId(item: Item, suffix: string): string {
  return `${prefixOf(item.type)}_${suffix}`
}

const HAS_STATUS: ReadonlySet<unknown> = new Set([
  'function_call',
  'function_call_output',
  'custom_tool_call',
  'custom_tool_call_output',
])

const PREFIXES: Readonly<Record<string, string>> = {
  message: 'msg',
  reasoning: 'rs',
  function_call: 'fc',
  function_call_output: 'fco',
  custom_tool_call: 'ctc',
  custom_tool_call_output: 'ctco',
  compaction: 'cmp',
}

function prefixOf(type: unknown): string {
  return PREFIXES[textOr(type, '')] ?? 'item'
}

export interface Page {
  readonly limit: number
  readonly order: 'asc' | 'desc'
  readonly after: string | null
}

/** One page of items in the API's list form; the order is that of the request, `desc` its reverse. */
export function pageOf(items: readonly Item[], { limit, order, after }: Page): object {
  const all = order === 'desc' ? items.toReversed() : items
  const from = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1
  const data = all.slice(from, from + limit)
  const idOf = (item: Item | undefined) => item?.id ?? null
  return {
    object: 'list',
    data,
    first_id: idOf(data[0]),
    last_id: idOf(data.at(-1)),
    has_more: from + limit < all.length,
  }
}

export function isMessage(item: Item): boolean {
  return (item.type ?? 'message') === 'message' && typeof item.role === 'string'
}

export function userMessage(text: string): Item {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] }
}

/** A message's content as parts. */
export function contentOf(item: Item): unknown {
  if (typeof item.content !== 'string') return item.content ?? []
  if (item.role !== 'assistant') return [{ type: 'input_text', text: item.content }]
  return [{ type: 'output_text', text: item.content, annotations: [], logprobs: [] }]
}

/** What we have compacted reads `watchllm.compaction.` and the summary; a provider's own is for it alone. */
export const COMPACTION_SEAL = 'watchllm.compaction.'

/** The text that a compaction of ours stands for, null for a provider's own. */
export function openCompaction(item: Item): string | null {
  const sealed = textOr(item.encrypted_content, '')
  if (!sealed.startsWith(COMPACTION_SEAL)) return null
  const summary = Buffer.from(sealed.slice(COMPACTION_SEAL.length), 'base64url').toString()
  return `Handover of the conversation so far, written when it was shortened:\n\n${summary}`
}
