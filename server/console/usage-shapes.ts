import { z } from 'zod'
import { formatUsd } from '../../db/model/money.ts'
import {
  parseUsd,
  readCursor,
  type UsageFilter,
  type UsagePosition,
  type UsageStatus,
  type UsageTotals,
} from '../../db/model/usage-query.ts'
import type { LoggedCall } from '../../db/stores/usage-calls.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, lineSchema, timeSchema } from './page.ts'

/** USD as a decimal string: money is never a float here. */
export const usdSchema = z.string().regex(/^-?\d+(\.\d{1,12})?$/)
export const countSchema = z.number().int().min(0)

const usdInput = z.string().regex(/^\d{1,9}(\.\d{1,12})?$/, 'Give dollars such as 0.002')
/** A time, or a date for its midnight; UTC where it says nothing else. */
export const momentSchema = z.union([z.iso.datetime({ offset: true }), z.iso.date()])

const OUTCOMES = ['ok', 'error', 'aborted', 'cut'] as const

/** Members of the input that choose calls; those of the export too. */
export const usageFilters = {
  from: momentSchema.optional().describe('Inclusive'),
  to: momentSchema.optional().describe('Exclusive'),
  model: lineSchema.optional().describe('The model that answered'),
  key_id: idSchema.optional(),
  provider: lineSchema.optional(),
  status: z
    .string()
    .regex(/^(ok|error|aborted|cut|[1-5]\d\d)$/, `Give one of ${OUTCOMES.join(', ')}, or a status such as 429`)
    .optional()
    .describe('`ok`, `error`, `aborted` (the caller left), `cut` (the provider broke off), or a status such as `429`'),
  cached: z.enum(['true', 'false']).optional().describe('Whether the answer came from the cache'),
  min_cost: usdInput.optional().describe('USD, inclusive'),
  max_cost: usdInput.optional().describe('USD, inclusive'),
  end_user: z.string().min(1).max(512).optional().describe('The `user` or `safety_identifier` of requests'),
  metadata: z
    .string()
    .max(200)
    .regex(/[\p{L}\p{N}]/u, 'Give a word to look for')
    .optional()
    .describe('Words of `x-watchllm-metadata`, all of them; the last may be a beginning'),
}
const filtersSchema = z.object(usageFilters)

/** @throws GatewayError `invalid_request` when nothing can be between the ends that are asked for */
export function readFilters(input: z.output<typeof filtersSchema>): UsageFilter {
  const { from, to, model, key_id, provider, status, cached, min_cost, max_cost, end_user, metadata } = input
  const { fromMs, toMs } = readSpan(from, to)
  return {
    ...(fromMs === null ? {} : { fromMs }),
    ...(toMs === null ? {} : { toMs }),
    ...(model === undefined ? {} : { model }),
    ...(key_id === undefined ? {} : { keyId: key_id }),
    ...(provider === undefined ? {} : { provider }),
    ...(status === undefined ? {} : { status: readStatus(status) }),
    ...(cached === undefined ? {} : { cached: cached === 'true' }),
    ...(min_cost === undefined ? {} : { minCostPico: parseUsd(min_cost) }),
    ...(max_cost === undefined ? {} : { maxCostPico: parseUsd(max_cost) }),
    // What PostgreSQL can't hold was taken out of what is stored as well.
    ...(end_user === undefined ? {} : { endUser: storable(end_user) }),
    ...(metadata === undefined ? {} : { metadata: storable(metadata) }),
  }
}

/** Null: open at that end. */
export function readSpan(from: string | undefined, to: string | undefined) {
  const fromMs = from === undefined ? null : Date.parse(from)
  const toMs = to === undefined ? null : Date.parse(to)
  if (fromMs !== null && toMs !== null && fromMs > toMs) {
    throw new GatewayError('invalid_request', '"from" must not be later than "to"', { param: 'from' })
  }
  return { fromMs, toMs }
}

function readStatus(status: string): UsageStatus {
  return OUTCOMES.find((outcome) => outcome === status) ?? Number(status)
}

function storable(text: string): string {
  return text.replaceAll('\0', '').replace(/\p{Cs}/gu, '\ufffd')
}

export const cursorSchema = z.string().max(200).describe('`next_cursor` of the page before')

/** @throws GatewayError `invalid_request` for what isn't one of ours */
export function readPosition(cursor: string | undefined): UsagePosition | null {
  if (cursor === undefined) return null
  const position = readCursor(cursor)
  if (position === null) {
    throw new GatewayError('invalid_request', '"cursor" must be the `next_cursor` of a page', { param: 'cursor' })
  }
  return position
}

export const logSchema = z.object({
  id: z.string(),
  model: z.string().nullable().describe('The model that answered; null: none was chosen'),
  model_requested: z.string(),
  provider: z.string().nullable(),
  key_id: z.string(),
  endpoint: z.string(),
  stream: z.boolean(),
  status: z.number().int(),
  outcome: z.enum(OUTCOMES),
  error_code: z.string().nullable(),
  tokens_used: countSchema.describe('Input and output'),
  input_tokens: countSchema,
  output_tokens: countSchema,
  cost_usd: usdSchema.nullable().describe('Null: no price is known'),
  charged_usd: usdSchema.nullable().describe('What credits paid; null: it is not charged'),
  cached: z.boolean(),
  tokens_saved: countSchema.optional().describe('Of an answer from the cache'),
  latency_ms: z.number(),
  first_byte_ms: z.number().nullable(),
  end_user: z.string().nullable(),
  metadata: z.string().nullable().describe('As it was given: JSON'),
  created_at: timeSchema,
})

export function shownLog(call: LoggedCall): z.output<typeof logSchema> {
  return {
    id: call.id,
    model: call.model,
    model_requested: call.modelRequested,
    provider: call.provider,
    key_id: call.keyId,
    endpoint: call.endpoint,
    stream: call.stream,
    status: call.status,
    outcome: call.outcome === 'done' ? 'ok' : call.outcome,
    error_code: call.errorCode,
    tokens_used: call.inputTokens + call.outputTokens,
    input_tokens: call.inputTokens,
    output_tokens: call.outputTokens,
    cost_usd: call.costPico === null ? null : formatUsd(call.costPico),
    charged_usd: call.chargedPico === null ? null : formatUsd(call.chargedPico),
    cached: call.cached,
    latency_ms: call.latencyUs / 1000,
    first_byte_ms: call.firstByteUs === null ? null : call.firstByteUs / 1000,
    end_user: call.endUser,
    metadata: call.metadata,
    created_at: isoOf(call.createdAtMs),
  }
}

export const summarySchema = z.object({
  total_requests: countSchema,
  total_tokens: countSchema,
  total_cost: usdSchema,
  total_charged: usdSchema.describe('What of it credits paid'),
  cache_hits: countSchema,
  cache_hit_rate: z.number().min(0).max(1),
})

export function shownSummary(totals: UsageTotals): z.output<typeof summarySchema> {
  return {
    total_requests: totals.requests,
    total_tokens: tokensOf(totals),
    total_cost: formatUsd(totals.costPico),
    total_charged: formatUsd(totals.chargedPico),
    cache_hits: totals.cached,
    cache_hit_rate: hitRate(totals),
  }
}

export function tokensOf({ inputTokens, outputTokens }: UsageTotals): number {
  return inputTokens + outputTokens
}

/** 0 when there are no requests. */
export function hitRate({ cached, requests }: UsageTotals): number {
  return requests === 0 ? 0 : cached / requests
}

export const sumsSchema = z.object({
  requests: countSchema,
  errors: countSchema.describe('Failed, or cut off by the provider'),
  tokens: countSchema,
  input_tokens: countSchema,
  output_tokens: countSchema,
  cost_usd: usdSchema,
  charged_usd: usdSchema.describe('What of it credits paid'),
  latency_ms: z.number().nullable().describe('Mean; null: there are no calls'),
})

export function shownSums(totals: UsageTotals): z.output<typeof sumsSchema> {
  const { requests, errors, inputTokens, outputTokens, costPico, chargedPico, latencyUs } = totals
  return {
    requests,
    errors,
    tokens: tokensOf(totals),
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cost_usd: formatUsd(costPico),
    charged_usd: formatUsd(chargedPico),
    latency_ms: requests === 0 ? null : Math.round(latencyUs / requests) / 1000,
  }
}
