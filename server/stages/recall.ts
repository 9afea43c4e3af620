import type { ConversationItem, ConversationPlace } from '../../db/model/conversations.ts'
import { isActive, type KeptTurn } from '../../db/model/responses.ts'
import { type Admitted, grow, type Keeping, type Past } from '../call.ts'
import { modelOf } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Json } from '../wire/openai-chat/values.ts'
import { asTurn, repeatedIn } from '../wire/openai-responses/conversation.ts'
import { responseId } from '../wire/openai-responses/echo.ts'
import { byId, saidIn } from '../wire/openai-responses/kept-items.ts'
import {
  itemsOf,
  keptElsewhere,
  readWish,
  referencesIn,
  refersToKept,
  resolved,
  type Wish,
} from '../wire/openai-responses/kept-request.ts'
import { WireError } from '../wire/wire.ts'

/**
 * What a call goes on from, put before what it says: from here on it is a request like any other, for any provider. One
 * that keeps nothing and goes on from nothing stays as it is, byte for byte.
 * @throws GatewayError `not_found` for what isn't kept (any more), `service_unavailable` when that can't be told now
 */
export async function recall(call: Admitted, deps: Deps): Promise<Admitted> {
  const wish = asked(() => readWish(call.ask))
  const refers = refersToKept(call.ask)
  const goesOn = wish.previousId !== null || wish.conversation !== null || refers
  const { rewrite, wire } = call.service
  if (!goesOn && !wish.store && call.memory === undefined && rewrite === undefined) return call
  const warmUp = wish.warmUp && call.memory !== undefined
  const own = asked(() => itemsOf(call.ask))
  const past = wish.conversation === null ? await pastOf(call, wish, deps) : await pastIn(call, { wish, own }, deps)
  const items = refers ? resolved(own, await referred(call, { own, before: past.before }, deps)) : own
  const input = goesOn ? [...resolved(saidIn(past.before), NOTHING), ...items] : null
  const body = keptElsewhere(call.ask, input, thinks(call))
  if (rewrite !== undefined) return grow(call, { ask: asked(() => wire.readAsk(rewrite(body))) })
  const keeping: Keeping = {
    id: responseId(call.id),
    store: wish.store,
    background: wish.background,
    warmUp,
    previousId: wish.previousId,
    ...past,
    inputJson: JSON.stringify(items),
  }
  return grow(call, { ask: asked(() => wire.readAsk(body)), keeping })
}

const NOTHING: ReadonlyMap<string, Json> = new Map()

function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) throw new GatewayError('invalid_request', error.message, { param: error.param })
    throw error
  }
}

/** Models that don't think refuse to be asked for their thoughts. */
function thinks({ ask }: Admitted): boolean {
  return ask.members.has('reasoning') || (modelOf(ask.model)?.capabilities.includes('reasoning') ?? false)
}

type Found = Past & { readonly conversation: ConversationPlace | null }

async function pastOf(call: Admitted, { previousId }: Wish, deps: Deps): Promise<Found> {
  if (previousId === null) return { before: [], storedBefore: 0, conversation: null }
  const remembered = call.memory?.turns(previousId) ?? null
  if (remembered !== null) return { ...remembered, conversation: null }
  const { projectId } = call.principal
  const chain = await ask(deps.responses.chain(projectId, previousId, deps.clock.now()))
  if (chain === null) throw notFound(previousId)
  if (!chain.whole) {
    throw new GatewayError('not_found', `Some response before ${named(previousId)} was deleted: send the whole input`, {
      param: PREVIOUS,
    })
  }
  if (isActive(chain.status)) {
    throw new GatewayError('invalid_request', `The response ${named(previousId)} has not ended yet; wait for it`, {
      param: PREVIOUS,
    })
  }
  return { before: chain.turns, storedBefore: chain.turns.length, conversation: null }
}

/** All items of the conversation, as they are now: what is added from here on comes after this call. */
async function pastIn(
  call: Admitted,
  { wish, own }: { readonly wish: Wish; readonly own: readonly Json[] },
  deps: Deps,
): Promise<Found> {
  const id = wish.conversation!
  if (wish.warmUp && call.memory !== undefined) {
    throw new GatewayError('invalid_request', 'A conversation has no use for "generate": false; add items to it', {
      param: 'generate',
    })
  }
  const { maxBodyBytes } = deps.settings
  const past = await ask(deps.conversations.past(call.principal.projectId, id, maxBodyBytes))
  if (past === null) {
    throw new GatewayError('not_found', `Conversation with id "${named(id)}" not found`, { param: CONVERSATION })
  }
  if (past.items === null) {
    const says = `The conversation holds ${past.bytes} bytes, more than the ${maxBodyBytes} that a request may have`
    throw new GatewayError('invalid_request', `${says}: delete some of its items, or begin another`, {
      param: CONVERSATION,
    })
  }
  refuseRepeated(own, past.items)
  return { before: [asTurn(id, past.items)], storedBefore: 1, conversation: { id, upTo: past.upTo } }
}

/** Who sends again what is there already would have the model read it twice. */
function refuseRepeated(own: readonly Json[], held: readonly ConversationItem[]): void {
  const at = repeatedIn(own, held)
  if (at < 0) return
  const says = `The item ${named(String(own[at]!.id))} is in the conversation already: send only what is new`
  throw new GatewayError('invalid_request', says, { param: `input[${at}]` })
}

/** What the input refers to, found among what was said before or anywhere in the project. */
async function referred(
  call: Admitted,
  { own, before }: { readonly own: readonly Json[]; readonly before: readonly KeptTurn[] },
  deps: Deps,
): Promise<ReadonlyMap<string, Json>> {
  const found = new Map(before.flatMap((turn) => [...byId(turn)]))
  for (const { id, param } of referencesIn(own)) {
    if (found.has(id)) continue
    const turn = await ask(deps.responses.findItem(call.principal.projectId, id, deps.clock.now()))
    for (const [itemId, item] of turn === null ? [] : byId(turn)) if (!found.has(itemId)) found.set(itemId, item)
    if (turn !== null) continue
    const added = await ask(deps.conversations.findItemAnywhere(call.principal.projectId, id))
    if (added === null) throw new GatewayError('not_found', `No item ${named(id)} in this project`, { param })
    found.set(id, JSON.parse(added.itemJson) as Json)
  }
  return found
}

const PREVIOUS = 'previous_response_id'
const CONVERSATION = 'conversation'

function notFound(id: string): GatewayError {
  return new GatewayError('not_found', `Previous response with id "${named(id)}" not found`, { param: PREVIOUS })
}

function named(id: string): string {
  return id.slice(0, 64)
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    throw new GatewayError('service_unavailable', 'Stored responses can not be read right now; try again shortly', {
      retryAfter: 2,
      cause,
    })
  }
}
