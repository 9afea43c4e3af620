import { mayUse } from '../../db/model/key-rules.ts'
import { accountFor } from '../accounts.ts'
import { autoModels, isTask, TASKS } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { json } from './reply.ts'

const MOST_ALTERNATIVES = 4

/** `GET /v1/models/auto[?task=]`: the model that `auto` or `auto:task` leads to now, and what comes after it. */
export async function modelsAuto(incoming: Incoming, deps: Deps): Promise<Reply> {
  const principal = await principalOf(incoming, deps)
  const task = new URLSearchParams(incoming.query).get('task') ?? 'general'
  if (!isTask(task)) {
    throw new GatewayError('invalid_request', `"task" must be one of ${TASKS.join(', ')}`, { param: 'task' })
  }
  const all = autoModels(task, (provider) => accountFor(principal, provider, deps) !== null)
  const picks = all.filter(({ provider, model }) => mayUse(principal.rules, provider, model))
  if (picks.length === 0) throw new GatewayError('model_not_allowed', `This key may use no model for ${task}`)
  const [primary, ...alternatives] = picks
    .slice(0, 1 + MOST_ALTERNATIVES)
    .map(({ id, name, provider, reason, configured }) => ({ id, name, provider, reason, configured }))
  return json(deps, { task, primary, alternatives })
}
