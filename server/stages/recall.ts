import { isActive, type KeptTurn } from '../../db/model/responses.ts'
import { type Admitted, grow, type Keeping, type Past } from '../call.ts'
import { modelOf } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Json } from '../wire/openai-chat/values.ts'
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
  if (wish.conversation !== null) {
    throw new GatewayError('invalid_request', 'Conversations are not kept here: use "previous_response_id"', {
      param: 'conversation',
    })
  }
  const refers = refersToKept(call.ask)
  const goesOn = wish.previousId !== null || refers
  const { rewrite, wire } = call.service
  if (!goesOn && !wish.store && call.memory === undefined && rewrite === undefined) return call
  const past = await pastOf(call, wish, deps)
  const own = asked(() => itemsOf(call.ask))
  const items = refers ? resolved(own, await referred(call, { own, before: past.before }, deps)) : own
  const input = goesOn ? [...resolved(saidIn(past.before), NOTHING), ...items] : null
  const body = keptElsewhere(call.ask, input, thinks(call))
  if (rewrite !== undefined) return grow(call, { ask: asked(() => wire.readAsk(rewrite(body))) })
  const keeping: Keeping = {
    id: responseId(call.id),
    store: wish.store,
    background: wish.background,
    warmUp: wish.warmUp && call.memory !== undefined,
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

async function pastOf(call: Admitted, { previousId }: Wish, deps: Deps): Promise<Past> {
  if (previousId === null) return { before: [], storedBefore: 0 }
  const remembered = call.memory?.turns(previousId) ?? null
  if (remembered !== null) return remembered
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
  return { before: chain.turns, storedBefore: chain.turns.length }
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
    if (turn === null) throw new GatewayError('not_found', `No item ${named(id)} in this project`, { param })
    for (const [itemId, item] of byId(turn)) if (!found.has(itemId)) found.set(itemId, item)
  }
  return found
}

const PREVIOUS = 'previous_response_id'

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
