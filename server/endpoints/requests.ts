import type { CallRecord } from '../../db/model/calls.ts'
import { MULTIPLIER_ONE, readCharge } from '../../db/model/charge.ts'
import { type CostLine, costLines, formatUsd } from '../../db/model/money.ts'
import { readTries } from '../../db/model/tries.ts'
import type { Deps, Receipt } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf } from '../pipeline.ts'
import type { Place } from './endpoint.ts'
import { json } from './reply.ts'

/** How long a receipt waits for calls that just ended to reach the database. */
const DRAIN_MS = 2000
const TOKENS_A_MILLION = 1_000_000

/** `GET /v1/requests/{id}`: the receipt of one call of the key's own project, there as soon as its answer is. */
export async function request(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId } = await principalOf(incoming, deps)
  const receipt = await find(deps, projectId, id).catch(away)
  if (receipt === null) throw new GatewayError('not_found', `No call ${id.slice(0, 64)} in this project`)
  return json(deps, face(receipt))
}

async function find(deps: Deps, projectId: string, id: string): Promise<Receipt | null> {
  const stored = await deps.receipts.find(projectId, id)
  if (stored !== null) return stored
  await deps.journal.drained(DRAIN_MS)
  return deps.receipts.find(projectId, id)
}

function away(cause: unknown): never {
  throw new GatewayError('service_unavailable', 'Receipts can not be read right now; try again shortly', {
    retryAfter: 2,
    cause,
  })
}

function face({ call, price }: Receipt): Record<string, unknown> {
  const { usage } = call
  return {
    id: call.id,
    object: 'watchllm.receipt',
    created_at: new Date(call.createdAtMs).toISOString(),
    endpoint: call.endpoint,
    model_requested: call.modelRequested,
    model: call.model,
    provider: call.provider,
    route: call.route,
    stream: call.stream,
    status: call.status,
    outcome: call.outcome,
    error_code: call.errorCode,
    usage: {
      input: usage.input,
      cache_read: usage.cacheRead,
      cache_write_5m: usage.cacheWrite5m,
      cache_write_1h: usage.cacheWrite1h,
      output: usage.output,
      reasoning: usage.reasoning,
      audio_input: usage.audioInput,
      audio_output: usage.audioOutput,
      image_input: usage.imageInput,
      image_output: usage.imageOutput,
      source: call.usageSource,
    },
    cost: cost({ call, price }),
    charge: charge(call),
    latency_ms: call.latencyUs / 1000,
    overhead_ms: call.overheadUs / 1000,
    first_byte_ms: call.firstByteUs === null ? null : call.firstByteUs / 1000,
    attempts: attempts(call),
    adapted: call.adapted === null ? [] : call.adapted.split(','),
    upstream_request_id: call.upstreamId,
    client_request_id: call.clientRequestId,
    user: call.endUser,
    metadata: call.metadata === null ? null : JSON.parse(call.metadata),
  }
}

/** Every target that was asked, in the order in which it was; the last is whose answer the caller got, if any. */
function attempts({ provider, model, outcome, tries, attempts: count }: CallRecord): readonly object[] {
  const failed = readTries(tries).map((one) => ({
    provider: one.provider,
    model: one.model,
    outcome: 'error',
    fault: one.fault,
    provider_status: one.status,
    latency_ms: one.ms,
  }))
  const answered = provider !== null && count > failed.length
  return answered ? [...failed, { provider, model, outcome }] : failed
}

const COUNTER_NAMES: { readonly [counter in CostLine['counter']]: string } = {
  input: 'input',
  cacheRead: 'cache_read',
  cacheWrite5m: 'cache_write_5m',
  cacheWrite1h: 'cache_write_1h',
  output: 'output',
  audioInput: 'audio_input',
  audioOutput: 'audio_output',
  imageInput: 'image_input',
  imageOutput: 'image_output',
}

/** Every factor of the bill; the lines and the fee for the call add up to the total. */
function cost({ call, price }: Receipt): Record<string, unknown> {
  if (price === null || call.costPico === null)
    return { usd: null, price_version: call.priceId, source: null, lines: [] }
  const lines = costLines(call.usage, price)
  return {
    usd: formatUsd(call.costPico),
    price_version: price.id,
    source: price.source,
    // A call that failed costs no fee either.
    per_call_usd: formatUsd(call.costPico - lines.reduce((sum, { amountPico }) => sum + amountPico, 0)),
    lines: lines.map((line) => ({
      counter: COUNTER_NAMES[line.counter],
      tokens: line.tokens,
      usd_per_million: formatUsd(line.ratePico * TOKENS_A_MILLION),
      usd: formatUsd(line.amountPico),
    })),
  }
}

/**
 * Who paid, and of credits every factor: cost x organization's x model's multiplier, less what was waived, is the charge.
 * `platform`: whoever runs this gateway.
 */
function charge({ provider, chargedPico, charge: text }: CallRecord): Record<string, unknown> {
  const how = readCharge(text)
  if (how?.paidBy === 'credits') {
    return {
      paid_by: 'credits',
      usd: formatUsd(chargedPico ?? 0),
      multipliers: { organization: decimal(how.multipliers.organization), model: decimal(how.multipliers.model) },
      reserved_usd: formatUsd(how.reservedPico),
      waived_usd: formatUsd(how.waivedPico),
    }
  }
  const paidBy = how === null ? (provider === null ? null : 'platform') : how.paidBy
  return { paid_by: paidBy, usd: null, multipliers: null, reserved_usd: null, waived_usd: null }
}

function decimal(multiplier: number): string {
  return String(multiplier / MULTIPLIER_ONE)
}
