import type { ConversationItem } from '../../db/model/conversations.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { conversationFace, itemFace, listFace } from '../wire/openai-responses/conversation.ts'
import { away, bodyOf, foundConversation, invalid, itemsToAdd, repeated, unknown } from './conversations.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

const PAGE = 20
const LARGEST_PAGE = 100

/** `POST /v1/conversations/{id}/items`: up to 20, behind all that is there. */
export async function createConversationItems(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const { items: value } = await bodyOf(incoming, deps)
  const { maxBodyBytes } = deps.settings
  const size = await deps.conversations.size(projectId, id).catch(away)
  if (size === null) throw unknown(id)
  const items = await itemsToAdd(value, projectId, deps)
  for (const [index, item] of items.entries()) {
    const isThere = (await deps.conversations.findItem(projectId, id, item.id).catch(away)) !== null
    if (isThere) throw repeated(item.id, index)
  }
  const bytes = size + items.reduce((sum, item) => sum + Buffer.byteLength(item.itemJson), 0)
  if (bytes > maxBodyBytes) {
    const says = `The conversation would hold ${bytes} bytes, more than the ${maxBodyBytes} that a request may have`
    throw new GatewayError('invalid_request', `${says}: delete some of its items, or begin another`, { param: 'items' })
  }
  const turn = { projectId, conversationId: id, addedBy: null, items, nowMs: deps.clock.now() }
  const added = await deps.conversations.append(turn).catch(away)
  if (added === null) throw unknown(id)
  return json(deps, listFace(added, false))
}

/** `GET /v1/conversations/{id}/items[?limit=&order=&after=]` */
export async function conversationItems(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const query = new URLSearchParams(incoming.query)
  const limit = Number(query.get('limit') ?? PAGE)
  const order = query.get('order') ?? 'desc'
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) throw invalid('limit', `1 to ${LARGEST_PAGE}`)
  if (order !== 'asc' && order !== 'desc') throw invalid('order', '"asc" or "desc"')
  await foundConversation(projectId, id, deps)
  const page = await deps.conversations.page(projectId, id, { limit, order, after: query.get('after') }).catch(away)
  if (page === null) throw invalid('after', 'the id of an item')
  return json(deps, listFace(page.items, page.hasMore))
}

/** `GET /v1/conversations/{id}/items/{item}` */
export async function conversationItem(incoming: Incoming, deps: Deps, { ids }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  return json(deps, itemFace(await foundItem(projectId, ids, deps)))
}

/** `DELETE /v1/conversations/{id}/items/{item}`: it is gone for good, and calls go on without it. */
export async function deleteConversationItem(incoming: Incoming, deps: Deps, { ids }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const [id = '', itemId = ''] = ids
  const conversation = await foundConversation(projectId, id, deps)
  if (!(await deps.conversations.deleteItem(projectId, id, itemId).catch(away))) throw noItem(itemId)
  return json(deps, conversationFace(conversation))
}

async function foundItem(projectId: string, [id = '', itemId = '']: readonly string[], deps: Deps) {
  const item: ConversationItem | null = await deps.conversations.findItem(projectId, id, itemId).catch(away)
  if (item !== null) return item
  await foundConversation(projectId, id, deps)
  throw noItem(itemId)
}

function noItem(id: string): GatewayError {
  return new GatewayError('not_found', `Item with id "${id.slice(0, 64)}" not found in this conversation`)
}
