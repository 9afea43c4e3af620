import type { Usage } from '../../../db/model/usage.ts'
import { decodeLatin1, parseData } from '../openai/chunk.ts'
import { type Json, numberOr, record, textOr } from '../openai-chat/values.ts'
import { dataOf, splitFrames } from '../sse.ts'
import type { ByteText } from '../wire.ts'
import { writeResponsesUsage } from './usage.ts'

/** What is open of an item: the part of a message or thought that is being written. */
interface OpenItem {
  readonly item: Record<string, unknown>
  isDone: boolean
  /** Its parts, by their index. */
  readonly parts: Map<number, Record<string, unknown>>
}

export interface CutStream {
  /** Frames that close what was open, then the terminal event. */
  readonly frames: readonly object[]
  readonly terminal: object
}

/**
 * A stream that ends before its model was done, as if it had come to its `max_output_tokens`: what was open is closed as
 * incomplete, and the response has all that came. @param passed all frames that went out
 */
export function cutResponse(passed: ByteText, created: Json, usage: Usage): CutStream {
  const items = new Map<number, OpenItem>()
  for (const frame of splitFrames(passed)) {
    const data = dataOf(frame)
    const event = data === null ? null : parseData(decodeLatin1(data))
    if (event !== null) follow(items, event)
  }
  const frames: object[] = []
  const output: object[] = []
  for (const [index, open] of [...items].sort(([a], [b]) => a - b)) {
    if (!open.isDone) frames.push(...closing(index, open))
    output.push(open.item)
  }
  const response = {
    ...created,
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    output,
    usage: writeResponsesUsage(usage),
  }
  return { frames, terminal: { type: 'response.incomplete', response } }
}

function follow(items: Map<number, OpenItem>, event: Json): void {
  const index = numberOr(event.output_index, 0)
  const type = textOr(event.type, '')
  if (type === 'response.output_item.added') {
    items.set(index, { item: { ...record(event.item) }, isDone: false, parts: new Map() })
    return
  }
  const open = items.get(index)
  if (open === undefined) return
  if (type === 'response.output_item.done') {
    items.set(index, { item: { ...record(event.item) }, isDone: true, parts: new Map() })
  } else if (type === 'response.content_part.added' || type === 'response.reasoning_summary_part.added') {
    open.parts.set(placeOf(event), { ...record(event.part) })
  } else if (typeof event.delta === 'string') addDelta(open, type, event)
}

function placeOf(event: Json): number {
  return numberOr(event.content_index ?? event.summary_index, 0)
}

function addDelta({ item, parts }: OpenItem, type: string, event: Json): void {
  const delta = event.delta as string
  const part = parts.get(placeOf(event))
  const member = type.endsWith('arguments.delta') ? 'arguments' : type.endsWith('input.delta') ? 'input' : null
  if (member !== null) item[member] = textOr(item[member], '') + delta
  else if (part !== undefined) {
    const name = type.includes('refusal') ? 'refusal' : 'text'
    part[name] = textOr(part[name], '') + delta
  }
}

function closing(index: number, { item, parts }: OpenItem): object[] {
  const all = [...parts].sort(([a], [b]) => a - b)
  const id = textOr(item.id, '')
  const isThought = item.type === 'reasoning'
  const frames = all.flatMap(([at, part]): object[] => {
    const place = { item_id: id, output_index: index, [isThought ? 'summary_index' : 'content_index']: at }
    const kind = isThought ? 'reasoning_summary' : 'output'
    const text = {
      type: `response.${kind}_text.done`,
      ...place,
      text: part.text ?? '',
      ...(isThought ? {} : { logprobs: [] }),
    }
    const done = { type: `response.${isThought ? 'reasoning_summary_part' : 'content_part'}.done`, ...place, part }
    return part.type === 'refusal' ? [done] : [text, done]
  })
  if (all.length > 0) item[isThought ? 'summary' : 'content'] = all.map(([, part]) => part)
  item.status = 'incomplete'
  return [...frames, { type: 'response.output_item.done', output_index: index, item }]
}
