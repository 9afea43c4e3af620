import { CATEGORIES, isCategory, listModels, type Model, modelEntry, modelOf } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

/** `GET /v1/models[?category=]` */
export async function models(incoming: Incoming, deps: Deps): Promise<Reply> {
  await principalOf(incoming, deps)
  const category = new URLSearchParams(incoming.query).get('category') ?? undefined
  if (category !== undefined && !isCategory(category)) {
    throw new GatewayError('invalid_request', `"category" must be one of ${CATEGORIES.join(', ')}`, {
      param: 'category',
    })
  }
  const data = listModels(category).map((found) => entry(found, deps))
  return json(deps, { object: 'list', data, models: data, total: data.length })
}

/** `GET /v1/models/{id}`; an id may have slashes. */
export async function model(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  await principalOf(incoming, deps)
  const found = modelOf(id)
  if (found !== null) return json(deps, entry(found, deps))
  throw new GatewayError('invalid_model', `Unknown model "${id.slice(0, 128)}": GET /v1/models lists those known`, {
    param: 'model',
  })
}

function entry(found: Model, deps: Deps): unknown {
  return modelEntry(found, deps.prices.priceOf(found.provider, found.id, deps.clock.now()))
}
