import type { Deps, ObjectOwner, Principal } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { asBuffer, fromLatin1, toByteText } from '../wire/bytes.ts'
import type { Endpoint, Place } from './endpoint.ts'
import { HOME, passOn, type Through } from './pass-through.ts'

/**
 * Endpoints of what a provider keeps under an id, files and batches. Its account is shared by many projects, so each
 * sees what it has made itself: another's is not found, and lists leave it out.
 */

/** What goes into a path at a provider must be an id and nothing else. */
const ID = /^[A-Za-z0-9][\w.-]{0,127}$/
/** Pages of a provider's list that are read to find one that has something of the project's. */
const MAX_PAGES = 20

export interface Kind {
  /** As in errors, such as `file`. */
  readonly noun: string
  /** The longest page that the provider gives, and the one that it gives unasked. */
  readonly page: { readonly most: number; readonly usual: number }
  /** Ids of other objects that came with this one and are the project's as well. */
  others(object: Readonly<Record<string, unknown>>): readonly unknown[]
}

interface Context {
  readonly deps: Deps
  readonly place: Place
}

/** Notes the object that the provider makes as the project's. @param check refuses a body that names another's objects */
export function createObject(
  through: Through,
  kind: Kind,
  check?: (body: Uint8Array, owns: (ids: readonly string[]) => Promise<ReadonlySet<string>>) => Promise<void>,
): Endpoint {
  return async (incoming, deps, place) => {
    const owner = await ownerOf(incoming, { deps, place })
    const checked =
      check === undefined ? incoming : checking(incoming, (body) => check(body, (ids) => owns(deps, owner, ids)))
    return noted(await passOn(through, checked, { deps, place }), { kind, owner, deps })
  }
}

/** Any use of one object by its id. */
export function useObject(through: Through, kind: Kind): Endpoint {
  return async (incoming, deps, place) => {
    const owner = await ownedBy(incoming, kind, { deps, place })
    return noted(await passOn(through, incoming, { deps, place }), { kind, owner, deps })
  }
}

/** One object's bytes: they are no object, and nothing is read of them. */
export function contentOfObject(through: Through, kind: Kind): Endpoint {
  return async (incoming, deps, place) => {
    await ownedBy(incoming, kind, { deps, place })
    return passOn(through, incoming, { deps, place })
  }
}

export function deleteObject(through: Through, kind: Kind): Endpoint {
  return async (incoming, deps, place) => {
    const owner = await ownedBy(incoming, kind, { deps, place })
    const reply = await passOn(through, incoming, { deps, place })
    if (reply.status === 200) await deps.providerObjects.remove(owner, place.id).catch(away)
    return reply
  }
}

/** A page of what is the project's. The provider's pages are read until one has some, so that none comes back empty. */
export function listObjects(through: Through, kind: Kind): Endpoint {
  return async (incoming, deps, place) => {
    const owner = await ownerOf(incoming, { deps, place })
    const asked = new URLSearchParams(incoming.query)
    const limit = limitOf(asked, kind)
    asked.set('limit', String(kind.page.most))
    for (let page = 1; ; page++) {
      const reply = await passOn(through, withQuery(incoming, asked.toString()), { deps, place })
      const list = reply.status === 200 ? objectOf(reply) : null
      if (list === null || !Array.isArray(list.data)) return reply
      const all = list.data as Record<string, unknown>[]
      const mine = await owns(
        deps,
        owner,
        all.map(({ id }) => String(id)),
      )
      const found = all.filter(({ id }) => mine.has(String(id)))
      const last = all.at(-1)?.id
      const isMore = list.has_more === true && typeof last === 'string'
      if (found.length === 0 && isMore && page < MAX_PAGES) {
        asked.set('after', last)
        continue
      }
      const data = found.slice(0, limit)
      await noteOthers(data, { kind, owner, deps })
      const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
      return withBody(reply, { ...list, data, ...ends, has_more: isMore || found.length > limit })
    }
  }
}

function limitOf(asked: URLSearchParams, { page }: Kind): number {
  const text = asked.get('limit')
  if (text === null) return page.usual
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= page.most) return limit
  throw new GatewayError('invalid_request', `"limit" must be a whole number from 1 to ${page.most}`, { param: 'limit' })
}

/** The provider as the line will choose it: what has no model goes where path, header or the key say, or home. */
async function ownerOf(incoming: Incoming, { deps, place }: Context): Promise<ObjectOwner> {
  const principal: Principal = await principalOf(incoming, deps)
  const named = incoming.header('x-watchllm-route') ?? incoming.header('x-waddleai-route')
  const prefers = principal.rules?.prefers
  const home = prefers?.only === true ? prefers.provider : HOME
  return { projectId: principal.projectId, provider: place.provider ?? named ?? home }
}

async function ownedBy(incoming: Incoming, { noun }: Kind, context: Context): Promise<ObjectOwner> {
  const { id } = context.place
  const owner = await ownerOf(incoming, context)
  if (ID.test(id) && (await owns(context.deps, owner, [id])).has(id)) return owner
  throw new GatewayError('not_found', `No ${noun} ${id.slice(0, 64)} of this project at ${owner.provider.slice(0, 64)}`)
}

function owns({ providerObjects }: Deps, owner: ObjectOwner, ids: readonly string[]): Promise<ReadonlySet<string>> {
  return providerObjects.owned(owner, ids).catch(away)
}

interface Noting {
  readonly kind: Kind
  readonly owner: ObjectOwner
  readonly deps: Deps
}

/** The reply, once what it tells of is known to be the project's: else nobody could ever use it. */
async function noted(reply: Reply, { kind, owner, deps }: Noting): Promise<Reply> {
  const object = reply.status === 200 ? objectOf(reply) : null
  if (object === null || typeof object.id !== 'string') return reply
  const ids = [object.id, ...kind.others(object)].filter((id) => typeof id === 'string')
  await deps.providerObjects.add(owner, ids, deps.clock.now()).catch(away)
  return reply
}

async function noteOthers(objects: readonly Record<string, unknown>[], { kind, owner, deps }: Noting): Promise<void> {
  const ids = objects.flatMap((object) => kind.others(object)).filter((id) => typeof id === 'string')
  if (ids.length > 0) await deps.providerObjects.add(owner, ids, deps.clock.now()).catch(away)
}

function away(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'What belongs to this project can not be read right now; try again', {
    retryAfter: 2,
    cause,
  })
}

function objectOf({ body }: Reply): Record<string, unknown> | null {
  if (typeof body !== 'string') return null
  try {
    const value: unknown = JSON.parse(asBuffer(fromLatin1(body)).toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function withBody(reply: Reply, body: unknown): Reply {
  return { ...reply, body: toByteText(JSON.stringify(body)) }
}

/** The same caller with another query. */
function withQuery(incoming: Incoming, query: string): Incoming {
  return { ...seen(incoming), query }
}

/** The same caller, whose body is looked at before the line reads it. */
function checking(incoming: Incoming, check: (body: Uint8Array) => Promise<void>): Incoming {
  return {
    ...seen(incoming),
    async body(limitBytes) {
      const body = await incoming.body(limitBytes)
      await check(body)
      return body
    },
  }
}

function seen(incoming: Incoming): Incoming {
  return {
    method: incoming.method,
    path: incoming.path,
    query: incoming.query,
    remoteAddress: incoming.remoteAddress,
    header: (name) => incoming.header(name),
    body: (limitBytes) => incoming.body(limitBytes),
    hold: (bytes) => incoming.hold?.(bytes) ?? true,
    onGone: (callback) => incoming.onGone(callback),
  }
}
