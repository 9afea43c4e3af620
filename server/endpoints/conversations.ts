import type { Conversation, ConversationItem } from '../../db/model/conversations.ts'
import { makeId } from '../../db/model/ids.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf, readBody } from '../pipeline.ts'
import type { Json } from '../wire/openai-chat/values.ts'
import { conversationFace, named, readItems, readMetadata, readObject } from '../wire/openai-responses/conversation.ts'
import { byId } from '../wire/openai-responses/kept-items.ts'
import { referencesIn } from '../wire/openai-responses/kept-request.ts'
import { WireError } from '../wire/wire.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

const ID_BYTES = 16

/** `POST /v1/conversations`: one of the key's own project, with up to 20 items to begin with. */
export async function createConversation(incoming: Incoming, deps: Deps): Promise<Reply> {
  const { projectId, organizationId } = await principalOf(incoming, deps, 'responses')
  const said = await bodyOf(incoming, deps)
  const metadataJson = asked(() => readMetadata(said.metadata ?? null))
  const createdAtMs = deps.clock.now()
  const id = makeId('conv', createdAtMs, deps.random.bytes(ID_BYTES))
  const conversation: Conversation = { id, projectId, organizationId, metadataJson, createdAtMs }
  const items = await itemsToAdd(said.items ?? [], projectId, deps)
  await deps.conversations.create(conversation, items).catch(away)
  return json(deps, conversationFace(conversation))
}

/** `GET /v1/conversations/{id}` */
export async function conversation(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  return json(deps, conversationFace(await foundConversation(projectId, id, deps)))
}

/** `POST /v1/conversations/{id}`: other metadata in place of what it had. */
export async function updateConversation(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const { metadata } = await bodyOf(incoming, deps)
  if (metadata === undefined) throw invalid('metadata', 'an object')
  const metadataJson = asked(() => readMetadata(metadata))
  if (!(await deps.conversations.setMetadata(projectId, id, metadataJson).catch(away))) throw unknown(id)
  return json(deps, conversationFace(await foundConversation(projectId, id, deps)))
}

/** `DELETE /v1/conversations/{id}`: it is gone for good with its items; responses stay. */
export async function deleteConversation(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  if (!(await deps.conversations.delete(projectId, id).catch(away))) throw unknown(id)
  return json(deps, { id, object: 'conversation.deleted', deleted: true })
}

/** @throws GatewayError `not_found`, of another project's alike */
export async function foundConversation(projectId: string, id: string, deps: Deps): Promise<Conversation> {
  const found = await deps.conversations.find(projectId, id).catch(away)
  if (found === null) throw unknown(id)
  return found
}

/** @throws GatewayError `invalid_request`, `request_too_large` */
export async function bodyOf(incoming: Incoming, deps: Deps): Promise<Json> {
  const body = await readBody(incoming, deps.settings.maxBodyBytes)
  return asked(() => readObject(body))
}

/**
 * The items that a request adds, under their ids, references replaced by what they stand for.
 * @throws GatewayError naming the one that isn't as it should be
 */
export async function itemsToAdd(value: unknown, projectId: string, deps: Deps): Promise<ConversationItem[]> {
  const items = asked(() => readItems(value))
  for (const [index, { id }] of items.entries()) {
    const isRepeated = typeof id === 'string' && items.findIndex((item) => item.id === id) < index
    if (isRepeated) throw repeated(id, index)
  }
  const found = new Map<string, Json>()
  for (const { id, param } of referencesIn(items)) {
    found.set(id, await referredTo(id, { projectId, param: param.replace('input', 'items') }, deps))
  }
  const whole = items.map((item) => (item.type === 'item_reference' ? found.get(String(item.id ?? ''))! : item))
  const suffix = makeId('conv', deps.clock.now(), deps.random.bytes(ID_BYTES)).replace(/^conv_/, '')
  return named(whole, `${suffix}_`)
}

export function repeated(id: string, index: number): GatewayError {
  const says = `The item ${id.slice(0, 64)} is in the conversation already: send only what is new`
  return new GatewayError('invalid_request', says, { param: `items[${index}]` })
}

/** An item of any response or conversation of the project, under the id by which it is referred to. */
async function referredTo(
  id: string,
  { projectId, param }: { readonly projectId: string; readonly param: string },
  deps: Deps,
): Promise<Json> {
  const turn = await deps.responses.findItem(projectId, id, deps.clock.now()).catch(away)
  const item = turn === null ? undefined : byId(turn).get(id)
  if (item !== undefined) return { ...item, id }
  const added = await deps.conversations.findItemAnywhere(projectId, id).catch(away)
  if (added !== null) return { ...(JSON.parse(added.itemJson) as Json), id }
  throw new GatewayError('not_found', `No item ${id.slice(0, 64)} in this project`, { param })
}

export function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) throw new GatewayError('invalid_request', error.message, { param: error.param })
    throw error
  }
}

export function unknown(id: string): GatewayError {
  return new GatewayError('not_found', `Conversation with id "${id.slice(0, 64)}" not found`)
}

export function invalid(param: string, accepted: string): GatewayError {
  return new GatewayError('invalid_request', `"${param}" must be ${accepted}`, { param })
}

export function away(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'Conversations can not be read right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}
