import { Buffer } from 'node:buffer'
import { asBuffer, type Splice, splice } from '../bytes.ts'
import { readMember, scanObject, withoutMembers } from '../json.ts'
import { isRecord, type Json, records } from '../openai-chat/values.ts'
import { type Ask, WireError } from '../wire.ts'
import { itemsOfInput, openCompaction } from './state.ts'

/**
 * Requests of Responses that go on from what was kept: a provider never sees an id of ours, but all that was said, and is
 * told to store nothing. So a conversation may go on at any provider, whichever answered before.
 */

/** What a request says about being kept. */
export interface Wish {
  /** The answer may be asked for later: so unless `store` is false. */
  readonly store: boolean
  readonly previousId: string | null
  readonly conversation: string | null
  readonly background: boolean
  /** `generate` is false: what is said is kept for a later call, and no model is asked. */
  readonly warmUp: boolean
}

const ENCRYPTED = 'reasoning.encrypted_content'
/** Cheaper to look for than to parse every input. */
const REFERENCE = Buffer.from('"item_reference"')
const COMPACTION = Buffer.from('"compaction"')

/** @throws WireError naming the member that isn't as it should be */
export function readWish({ body, members }: Ask): Wish {
  const flag = (name: string, usual: boolean): boolean => {
    const value = readMember(body, members, name) ?? usual
    if (typeof value !== 'boolean') throw new WireError(`"${name}" must be true or false`, name)
    return value
  }
  const previous = readMember(body, members, 'previous_response_id') ?? null
  if (previous !== null && typeof previous !== 'string') {
    throw new WireError('"previous_response_id" must be a string', 'previous_response_id')
  }
  const conversation = idIn(readMember(body, members, 'conversation') ?? null)
  if (conversation !== null && (previous ?? '') !== '') {
    throw new WireError('Use "previous_response_id" or "conversation", not both', 'conversation')
  }
  const store = flag('store', true)
  const background = flag('background', false)
  if (background && !store)
    throw new WireError('A response in the background must be stored: leave "store" out', 'store')
  return {
    store,
    previousId: previous === '' ? null : previous,
    conversation,
    background,
    warmUp: !flag('generate', true),
  }
}

function idIn(value: unknown): string | null {
  if (value === null) return null
  const id = isRecord(value) ? value.id : value
  if (typeof id === 'string' && id !== '') return id
  throw new WireError('"conversation" must be an id, or an object with an "id"', 'conversation')
}

/** True when the input has to be rewritten whatever is kept: it refers to items, or holds what we have compacted. */
export function refersToKept({ body, members }: Ask): boolean {
  const span = members.get('input')
  if (span === undefined) return false
  const input = asBuffer(body.subarray(span.start, span.end))
  return input.includes(REFERENCE) || input.includes(COMPACTION)
}

/** The request's own input as a list of items. @throws WireError */
export function itemsOf({ body, members }: Ask): Json[] {
  const input = readMember(body, members, 'input') ?? []
  if (typeof input !== 'string' && !Array.isArray(input)) {
    throw new WireError('"input" must be a string or an array', 'input')
  }
  const odd = typeof input === 'string' ? -1 : input.findIndex((item: unknown) => !isRecord(item))
  if (odd >= 0) throw new WireError(`"input[${odd}]" must be an object`, `input[${odd}]`)
  return itemsOfInput(input)
}

/** Ids of the items that an input refers to, with where it does. */
export function referencesIn(items: readonly Json[]): { readonly id: string; readonly param: string }[] {
  return items.flatMap((item, index) =>
    item.type === 'item_reference' ? [{ id: String(item.id ?? ''), param: `input[${index}]` }] : [],
  )
}

/** References replaced by what they stand for, and what we have compacted by its text. */
export function resolved(items: readonly Json[], kept: ReadonlyMap<string, Json>): Json[] {
  return items.flatMap((item) => {
    const found = item.type === 'item_reference' ? kept.get(String(item.id)) : item
    if (found === undefined || isEmptyThought(found)) return []
    const text = found.type === 'compaction' ? openCompaction(found) : null
    return text === null ? [found] : itemsOfInput(text)
  })
}

/** A thought of which a provider was to remember the content: to all others it says nothing, and some refuse it. */
function isEmptyThought(item: Json): boolean {
  return item.type === 'reasoning' && !item.encrypted_content && records(item.content).length === 0
}

/**
 * The request as any provider may get it.
 * @param input all items that the model is to read; null: as they are
 * @param thinks the model thinks: its thoughts are asked for in a form that can be given back
 */
export function keptElsewhere(ask: Ask, input: readonly Json[] | null, thinks: boolean): Uint8Array {
  const body = withoutMembers(ask.body, ['previous_response_id', 'conversation', 'background', 'generate'])
  const members = scanObject(body)
  const splices: Splice[] = []
  const first = members.values().next().value?.keyStart
  // Where only the id of a conversation was said, nothing is left of the request.
  if (first === undefined) return Buffer.from(JSON.stringify({ store: false, ...(input === null ? {} : { input }) }))
  const set = (name: string, value: unknown): void => {
    const text = JSON.stringify(value)
    const span = members.get(name)
    if (span === undefined) splices.push({ start: first, end: first, text: `${JSON.stringify(name)}:${text},` })
    else splices.push({ start: span.start, end: span.end, text })
  }
  set('store', false)
  if (input !== null) set('input', input)
  const include = readMember(body, members, 'include') ?? []
  if (thinks && Array.isArray(include) && !include.includes(ENCRYPTED)) set('include', [...include, ENCRYPTED])
  return splice(
    body,
    splices.sort((a, b) => a.start - b.start),
  )
}
