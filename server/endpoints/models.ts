import { mayUse } from '../../db/model/key-rules.ts'
import {
  CATEGORIES,
  isCategory,
  listedModel,
  listModels,
  type Model,
  modelEntry,
  modelOf,
  publicId,
} from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

/** Anthropic's page: its own default and bounds. */
const PAGE = 20
const LARGEST_PAGE = 1000

/**
 * `GET /v1/models[?category=]`: those that the key may use; a page in Anthropic's shape for callers that send `anthropic-version`. Under
 * `/v1/{provider}` that provider's part, as a client finds it whose base URL that is: by the provider's own ids.
 */
export async function models(incoming: Incoming, deps: Deps, place: Place): Promise<Reply> {
  const { rules } = await principalOf(incoming, deps)
  const provider = place.provider ?? undefined
  const query = new URLSearchParams(incoming.query)
  const category = query.get('category') ?? undefined
  if (category !== undefined && !isCategory(category)) {
    throw new GatewayError('invalid_request', `"category" must be one of ${CATEGORIES.join(', ')}`, {
      param: 'category',
    })
  }
  const found = listModels(category, provider).filter((one) => mayUse(rules, one.provider, one.id))
  if (speaksAnthropic(incoming)) return json(deps, page(found, query, provider !== undefined))
  const data = found.map((one) => entry(one, deps, provider !== undefined))
  return json(deps, { object: 'list', data, models: data, total: data.length })
}

/** `GET /v1/models/{id}`; an id may have slashes. Under `/v1/{provider}` by the provider's own id. */
export async function model(incoming: Incoming, deps: Deps, { id, provider }: Place): Promise<Reply> {
  const { rules } = await principalOf(incoming, deps)
  const found = provider === null ? modelOf(id) : (listedModel(provider, id) ?? modelOf(`${provider}/${id}`))
  if (found === null || !mayUse(rules, found.provider, found.id)) {
    throw new GatewayError('invalid_model', `Unknown model "${id.slice(0, 128)}": GET /v1/models lists those known`, {
      param: 'model',
    })
  }
  const own = provider !== null
  return json(deps, speaksAnthropic(incoming) ? info(found, own) : entry(found, deps, own))
}

/** @param own shows the provider's own id, as its API would */
function entry(found: Model, deps: Deps, own: boolean): object {
  const shown = modelEntry(found, deps.prices.priceOf(found.provider, found.id, deps.clock.now()))
  return own ? { ...shown, id: found.id } : shown
}

function speaksAnthropic(incoming: Incoming): boolean {
  return incoming.header('anthropic-version') !== null
}

/** Anthropic's entry of a model. @see https://platform.claude.com/docs/en/api/models/list */
function info(found: Model, own: boolean): { readonly id: string } {
  const deprecated = found.deprecatedAt
  const shown = {
    type: 'model',
    id: own ? found.id : publicId(found),
    display_name: found.name,
    created_at: dateTime(found.created),
    max_input_tokens: found.contextLength,
    max_tokens: found.maxOutputTokens,
    capabilities: null,
    lifecycle: deprecated === undefined ? 'active' : 'deprecated',
    deprecated_at: deprecated === undefined ? null : dateTime(deprecated),
    retires_at: null,
    line: null,
  }
  return shown
}

function dateTime(unixS: number): string {
  return new Date(unixS * 1000).toISOString().replace('.000', '')
}

/** One page of Anthropic's: behind `after_id`, or the last ones before `before_id`. Newest models first. */
function page(found: readonly Model[], query: URLSearchParams, own: boolean): object {
  const limit = limitOf(query)
  const all = [...found].sort((a, b) => b.created - a.created).map((one) => info(one, own))
  const after = placeOf(all, query, 'after_id')
  const before = placeOf(all, query, 'before_id')
  if (after !== null && before !== null) {
    throw new GatewayError('invalid_request', 'Only one of "after_id" and "before_id" can be given', {
      param: 'before_id',
    })
  }
  const start = after !== null ? after + 1 : before !== null ? Math.max(0, before - limit) : 0
  const end = before ?? all.length
  const data = all.slice(start, Math.min(end, start + limit))
  return {
    data,
    has_more: before !== null ? start > 0 : start + data.length < end,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
}

function limitOf(query: URLSearchParams): number {
  const text = query.get('limit')
  if (text === null) return PAGE
  const limit = Number(text)
  if (/^\d{1,4}$/.test(text) && limit >= 1 && limit <= LARGEST_PAGE) return limit
  throw new GatewayError('invalid_request', `"limit" must be a whole number from 1 to ${LARGEST_PAGE}`, {
    param: 'limit',
  })
}

function placeOf(all: readonly { readonly id: string }[], query: URLSearchParams, name: string): number | null {
  const id = query.get(name)
  if (id === null) return null
  const at = all.findIndex((one) => one.id === id)
  if (at >= 0) return at
  throw new GatewayError('invalid_request', `"${name}" must be the id of a model in this list`, { param: name })
}
