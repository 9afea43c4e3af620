import type { CallRecord } from '../../db/model/calls.ts'
import { costPico, formatUsd, PICO_PER_NANO, type Price } from '../../db/model/money.ts'
import { writeTries } from '../../db/model/tries.ts'
import { inputTotal, NO_USAGE, outputTotal } from '../../db/model/usage.ts'
import { attemptsOf, type Call, type Ending, type Settled } from '../call.ts'
import type { Deps } from '../deps.ts'
import { type Paid, settleUse } from '../limits/settlement.ts'
import { tellMissing } from '../limits/watch.ts'
import type { Additions, Metered } from '../wire/wire.ts'

const MAX_ID = 256

const settledCalls = new WeakSet<object>()

const PARTINGS = { done: 'done', error: 'failed', cut: 'failed', aborted: 'gone' } as const

/**
 * Closes a call's account: usage x price, what is counted of it in the place of what was held, and the record that goes
 * to the journal. Exactly once for each call, from whichever exit comes first.
 * @returns null when the call was settled before; a promise only where it used more than it held
 */
export function settle(call: Call, ending: Ending, deps: Deps): Settled | Promise<Settled> | null {
  if (settledCalls.has(call.incoming)) return null
  settledCalls.add(call.incoming)
  call.place?.leave(PARTINGS[ending.outcome])
  const metered = ending.metered
  const price = priceOf(call, deps)
  const cost = metered === null ? 0 : price === null ? null : costOf(metered, price)
  const tokens = metered === null ? 0 : inputTotal(metered.usage) + outputTotal(metered.usage)
  const paid = settleUse(call, { tokens, costPico: cost, isRefused: ending.outcome === 'error' }, deps)
  if (cost === null && call.target !== undefined && call.principal !== undefined) {
    tellMissing(call.principal.organizationId, call.target.provider.id, call.target.model, deps)
  }
  if (!(paid instanceof Promise)) return close(call, { ending, price, cost, paid }, deps)
  return paid.then((who) => close(call, { ending, price, cost, paid: who }, deps))
}

/** The same for a call that held nothing, such as one that gets another's answer. */
export function settleFree(call: Call, ending: Ending, deps: Deps): Settled | null {
  return settle(call, ending, deps) as Settled | null
}

function priceOf({ target, receivedAtMs }: Call, { prices }: Deps): Price | null {
  return target === undefined ? null : prices.priceOf(target.provider.id, target.model, receivedAtMs)
}

interface Closing {
  readonly ending: Ending
  readonly price: Price | null
  readonly cost: number | null
  readonly paid: Paid
}

function close(call: Call, { ending, price, cost, paid }: Closing, deps: Deps): Settled {
  const { target, principal } = call
  const { metered } = ending
  const latencyMs = deps.clock.monotonic() - call.startedAt
  const lastMs =
    call.timing === undefined ? 0 : (ending.providerEndedAt ?? call.timing.firstByteAt) - call.timing.sentAt
  const providerMs = call.tries === undefined ? lastMs : call.tries.reduce((sum, { ms }) => sum + ms, lastMs)
  const record: CallRecord = {
    id: call.id,
    createdAtMs: call.receivedAtMs,
    organizationId: principal?.organizationId ?? '',
    projectId: principal?.projectId ?? '',
    keyId: principal?.keyId ?? '',
    endpoint: call.service.name,
    modelRequested: call.ask?.model ?? '',
    model: target?.model ?? null,
    provider: target?.provider.id ?? null,
    stream: call.ask?.stream ?? false,
    status: ending.status,
    outcome: ending.outcome,
    errorCode: ending.errorCode,
    usage: metered?.usage ?? NO_USAGE,
    usageSource: metered === null || metered.isUncounted === true ? 'none' : metered.source,
    priceId: price?.id ?? null,
    costPico: cost,
    chargedPico: paid.chargedPico,
    latencyUs: Math.round(latencyMs * 1000),
    overheadUs: Math.max(0, Math.round((latencyMs - providerMs) * 1000)),
    firstByteUs: call.timing === undefined ? null : Math.round((call.timing.firstByteAt - call.startedAt) * 1000),
    attempts: attemptsOf(call),
    route: target?.rule ?? null,
    adapted: call.adapted ?? null,
    upstreamId: short(call.timing?.upstreamId ?? null),
    clientRequestId: short(call.incoming.header('x-request-id')),
    endUser: call.ask?.endUser ?? null,
    metadata: call.options?.metadata ?? null,
    charge: paid.charge,
    tries: call.tries === undefined ? null : writeTries(call.tries),
  }
  if (cost !== null && cost > 0 && target?.account.own === false) {
    deps.pauses?.spent(target.provider.id, cost, call.receivedAtMs)
  }
  return { record, price, additions: additionsOf(record, deps.settings.nanoPerToken) }
}

/** Null when what was used can't be counted in what the price is for; a price for each call needs no counting. */
function costOf({ usage, isUncounted }: Metered, price: Price): number | null {
  const isByToken = price.tiers.length > 0 || Object.values(price.rates).some((rate) => rate > 0)
  return isUncounted === true && isByToken ? null : costPico(usage, price)
}

/** The settled call in the journal; calls back once it can't be lost any more. Calls without a key leave no record. */
export function record(settled: Settled, deps: Deps, written: () => void): void {
  if (settled.record.keyId === '') return written()
  deps.journal.append(settled.record, settled.price, written)
}

/** Names that others gave: kept as far as they can be of use. */
function short(id: string | null): string | null {
  return id !== null && id.length > MAX_ID ? id.slice(0, MAX_ID) : id
}

function additionsOf(call: CallRecord, nanoPerToken: number): Additions {
  const cost = call.costPico
  return {
    cached: false,
    costUsd: cost === null ? null : formatUsd(cost),
    latencyMs: Math.round(call.latencyUs / 100) / 10,
    provider: call.provider ?? '',
    modelUsed: call.model ?? '',
    route: call.route ?? '',
    watchllmTokens: cost === null ? null : Math.ceil(cost / (PICO_PER_NANO * nanoPerToken)),
  }
}
