import { isActive, type KeptResponse } from '../../db/model/responses.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { DEAD_MS, jobOf, principalOf } from '../pipeline.ts'
import { withStatus } from '../wire/openai-responses/kept-background.ts'
import { shownInput } from '../wire/openai-responses/kept-items.ts'
import { type Item, pageOf } from '../wire/openai-responses/state.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

const PAGE = 20
const LARGEST_PAGE = 100

/** `GET /v1/responses/{id}[?stream=true&starting_after=]`: a stored response of the key's own project. */
export async function response(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const query = new URLSearchParams(incoming.query)
  if (query.get('stream') === 'true') return events(await found(projectId, id, deps), query, deps)
  return json(deps, JSON.parse((await found(projectId, id, deps)).answerJson))
}

/** The events of a response in the background, from any point on, while its process has them. */
function events({ id, projectId }: KeptResponse, query: URLSearchParams, deps: Deps): Reply {
  const after = Number(query.get('starting_after') ?? -1)
  if (!Number.isSafeInteger(after)) throw invalid('starting_after', 'a sequence number')
  const job = jobOf(projectId, id, deps)
  if (job === null || !job.streams) {
    throw new GatewayError('invalid_request', 'The events of this response can not be read again; leave "stream" out', {
      param: 'stream',
    })
  }
  const headers = [...json(deps, null).headers.slice(2), 'content-type', 'text/event-stream; charset=utf-8']
  return { status: 200, headers: [...headers, 'cache-control', 'no-cache'], body: (sink) => job.follow(sink, after) }
}

/** `DELETE /v1/responses/{id}`: it is gone for good; what goes on from it can't any more. */
export async function deleteResponse(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const deleted = await deps.responses.delete(projectId, id).catch(away)
  if (!deleted) throw unknown(id)
  jobOf(projectId, id, deps)?.cancel()
  return json(deps, { id, object: 'response', deleted: true })
}

/** `POST /v1/responses/{id}/cancel`: ends a response that runs in the background, whichever instance runs it. */
export async function cancelResponse(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const kept = await found(projectId, id, deps)
  if (kept.aliveAtMs === null) {
    throw new GatewayError('invalid_request', 'Only responses made with "background": true can be cancelled')
  }
  if (isActive(kept.status)) {
    const end = { id, projectId, status: 'cancelled' as const, answerJson: withStatus(kept.answerJson, 'cancelled') }
    await deps.responses.finish({ ...end, itemIds: kept.itemIds }).catch(away)
    jobOf(projectId, id, deps)?.cancel()
  }
  const now = await found(projectId, id, deps)
  if (now.status === 'cancelled') return json(deps, JSON.parse(now.answerJson))
  throw new GatewayError('invalid_request', `The response has ended already: it is ${now.status}`)
}

/** `GET /v1/responses/{id}/input_items[?limit=&order=&after=]`: all that the model read, the turns before included. */
export async function inputItems(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps, 'responses')
  const page = readPage(new URLSearchParams(incoming.query))
  const chain = await deps.responses.chain(projectId, id, deps.clock.now()).catch(away)
  if (chain === null) throw unknown(id)
  const last = chain.turns.length - 1
  const items = chain.turns.flatMap((turn, index): Item[] =>
    index === last ? shownInput(turn) : [...shownInput(turn), ...outputOf(turn.answerJson)],
  )
  if (page.after !== null && !items.some((item) => item.id === page.after)) throw invalid('after', 'the id of an item')
  return json(deps, pageOf(items, page))
}

function outputOf(answerJson: string): Item[] {
  return (JSON.parse(answerJson) as { readonly output?: Item[] }).output ?? []
}

function readPage(query: URLSearchParams): Parameters<typeof pageOf>[1] {
  const limit = Number(query.get('limit') ?? PAGE)
  const order = query.get('order') ?? 'desc'
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_PAGE) throw invalid('limit', `1 to ${LARGEST_PAGE}`)
  if (order !== 'asc' && order !== 'desc') throw invalid('order', '"asc" or "desc"')
  return { limit, order, after: query.get('after') }
}

/** One that says it runs and whose process is gone has failed. */
async function found(projectId: string, id: string, deps: Deps): Promise<KeptResponse> {
  const nowMs = deps.clock.now()
  const kept = await deps.responses.find(projectId, id, nowMs).catch(away)
  if (kept === null) throw unknown(id)
  if (!isActive(kept.status) || (kept.aliveAtMs ?? 0) > nowMs - DEAD_MS) return kept
  // The database may have been away; then it is this one that knows.
  if (jobOf(projectId, id, deps) !== null) return kept
  const error = { code: 'server_error', message: 'The gateway stopped while it worked on this response; ask again' }
  const answerJson = JSON.stringify({ ...JSON.parse(kept.answerJson), status: 'failed', error })
  const failed = { ...kept, status: 'failed' as const, answerJson }
  await deps.responses.finish(failed).catch(away)
  return failed
}

function unknown(id: string): GatewayError {
  return new GatewayError('not_found', `Response with id "${id.slice(0, 64)}" not found`)
}

function invalid(param: string, accepted: string): GatewayError {
  return new GatewayError('invalid_request', `"${param}" must be ${accepted}`, { param })
}

function away(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'Stored responses can not be read right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}
