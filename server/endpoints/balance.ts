import { type Scope, scopeOf } from '../../db/model/access.ts'
import { formatUsd } from '../../db/model/money.ts'
import type { Control, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import { json } from './reply.ts'

/** How long it waits for calls that just ended here to be counted; those of other instances are late by 0.3 s. */
const DRAIN_MS = 200

/**
 * `GET /v1/balance`: what is left of the organization's credits, USD, and month. The balance is null where calls aren't charged.
 * Without the control plane, or while its database is away, 503.
 */
export async function balance(incoming: Incoming, deps: Deps): Promise<Reply> {
  const { organizationId, plan } = await principalOf(incoming, deps)
  const { control, clock } = deps
  if (control === null) throw away(null)
  await deps.journal.drained(DRAIN_MS).catch(() => {})
  const now = new Date(clock.now())
  const monthMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)
  const since = { requestsMs: monthMs, tokensMs: monthMs }
  const scope = scopeOf(organizationId)
  const { requests } = await control.stores.usage.used(scope, since).catch(fail)
  return json(deps, {
    balance: await left(control, scope).catch(fail),
    plan: plan.id,
    used_this_month: requests,
    quota_this_month: plan.requestsPerMonth,
    quota_reset_at: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString(),
  })
}

async function left({ stores }: Control, scope: Scope): Promise<string | null> {
  if ((await stores.ledger.pays(scope)) === 'none') return null
  const { balancePico } = await stores.ledger.balance(scope)
  return formatUsd(balancePico)
}

function fail(cause: unknown): never {
  throw away(cause)
}

function away(cause: unknown): GatewayError {
  return new GatewayError('service_unavailable', 'Usage can not be read right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}
