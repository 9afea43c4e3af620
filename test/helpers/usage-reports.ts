import { formatUsd } from '../../db/model/money.ts'
import { dayAt, dayMs, daysBetween } from '../../db/model/reconcile.ts'
import type { Chooser, RecordedRequest } from './upstream.ts'
import { json } from './upstream-answers.ts'
import type { Plan } from './upstream-plan.ts'

/** The usage and cost reports of OpenAI and Anthropic, as their documents have them, over whatever a test says was used. */

export const ADMIN_KEYS = { openai: 'sk-admin-0123456789-good', anthropic: 'sk-ant-admin01-0123456789-good' } as const
export type Reporting = keyof typeof ADMIN_KEYS

/** What the provider knows of one model's day. */
export interface Used {
  readonly day: string
  readonly model: string
  readonly requests: number
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite5m: number
  readonly cacheWrite1h: number
  readonly output: number
  readonly costPico: bigint
  /** Project or workspace; absent: the default one. */
  readonly part?: string
}

export interface Charged {
  readonly day: string
  readonly what: string
  readonly costPico: bigint
  readonly part?: string
}

export interface Reports {
  used: readonly Used[]
  /** What belongs to no model. */
  charged: readonly Charged[]
  /** Days in one page. */
  perPage: number
}

/** Answers both providers' reports, by their paths. */
export function reportsOf(reports: Reports): Chooser {
  return (request) => {
    const url = new URL(request.path, 'http://provider.test')
    if (url.pathname.startsWith('/v1/organization/')) return openai(request, url, reports)
    if (url.pathname.startsWith('/v1/organizations/')) return anthropic(request, url, reports)
    return json({ error: { message: `Unknown path ${url.pathname}` } }, { status: 404 })
  }
}

function openai({ headers }: RecordedRequest, url: URL, reports: Reports): Plan {
  if (headers.authorization !== `Bearer ${ADMIN_KEYS.openai}`) {
    const message = `Incorrect API key provided: ${headers.authorization?.slice(7)}.`
    return json(
      { error: { message, type: 'invalid_request_error', param: null, code: 'invalid_api_key' } },
      { status: 401 },
    )
  }
  const query = url.searchParams
  const [start, end] = [Number(query.get('start_time')), Number(query.get('end_time'))]
  const what = url.pathname.slice('/v1/organization/'.length)
  const isCosts = what === 'costs'
  if (!Number.isInteger(start) || !Number.isInteger(end) || Number(query.get('limit')) > (isCosts ? 180 : 31)) {
    return json(
      { error: { message: 'Bad range', type: 'invalid_request_error', param: null, code: null } },
      { status: 400 },
    )
  }
  const isAsked = ({ part }: { readonly part?: string }): boolean =>
    !query.has('project_ids[]') || query.getAll('project_ids[]').includes(part ?? '')
  const grouping = query.getAll('group_by[]')
  const buckets = daysIn(start * 1000, end * 1000).map((day) => ({
    object: 'bucket',
    start_time: dayMs(day) / 1000,
    end_time: dayMs(day) / 1000 + 86_400,
    results: isCosts
      ? openaiCosts(reports, day, grouping.includes('line_item')).filter(isAsked)
      : reports.used
          .filter((used) => used.day === day && reportOf(used.model) === what && isAsked(used))
          .map((used) => openaiUsage(used, grouping.includes('model') ? used.model : null)),
  }))
  return paged(buckets, query, { reports, more: { object: 'page' } })
}

/** The report that a model's calls are in. */
function reportOf(model: string): string {
  if (model.includes('embedding')) return 'usage/embeddings'
  if (model.startsWith('omni-moderation')) return 'usage/moderations'
  if (model.startsWith('dall-e')) return 'usage/images'
  if (model.startsWith('tts-')) return 'usage/audio_speeches'
  if (model.startsWith('whisper')) return 'usage/audio_transcriptions'
  return 'usage/completions'
}

function openaiUsage(used: Used, model: string | null): object {
  const { requests, input, cacheRead, cacheWrite5m, output } = used
  const common = { num_model_requests: requests, project_id: null, user_id: null, api_key_id: null, model }
  switch (reportOf(used.model)) {
    case 'usage/completions':
      return {
        ...{ object: 'organization.usage.completions.result', ...common, batch: null, service_tier: null },
        ...{ input_tokens: input + cacheRead + cacheWrite5m, output_tokens: output, input_uncached_tokens: input },
        ...{ input_cached_tokens: cacheRead, input_cache_write_tokens: cacheWrite5m, input_audio_tokens: 0 },
      }
    case 'usage/embeddings':
      return { object: 'organization.usage.embeddings.result', ...common, input_tokens: input }
    case 'usage/images':
      return { object: 'organization.usage.images.result', ...common, images: requests, size: null, source: null }
    default:
      return { object: 'organization.usage.result', ...common, characters: input }
  }
}

/** A model's cost comes as several line items: numbers, or of late text. */
function openaiCosts({ used, charged }: Reports, day: string, byItem: boolean) {
  const line = (item: string, value: number | string, part: string | undefined) => ({
    object: 'organization.costs.result',
    amount: { value, currency: 'usd' },
    line_item: byItem ? item : null,
    project_id: null,
    ...(part === undefined ? {} : { part }),
  })
  return [
    ...used
      .filter((one) => one.day === day)
      .flatMap(({ model, costPico, part }) => [
        line(`${model}, input`, Number(formatUsd(costPico / 3n)), part),
        line(`${model}, cached input`, '0E-6176', part),
        line(`${model}, output`, formatUsd(costPico - costPico / 3n), part),
      ]),
    ...charged
      .filter((one) => one.day === day)
      .map(({ what, costPico, part }) => line(what, Number(formatUsd(costPico)), part)),
  ]
}

function anthropic({ headers }: RecordedRequest, url: URL, reports: Reports): Plan {
  if (headers['x-api-key'] !== ADMIN_KEYS.anthropic || headers['anthropic-version'] !== '2023-06-01') {
    const error = { type: 'authentication_error', message: 'invalid x-api-key' }
    return json({ type: 'error', error }, { status: 401 })
  }
  const query = url.searchParams
  const [start, end] = [Date.parse(query.get('starting_at') ?? ''), Date.parse(query.get('ending_at') ?? '')]
  if (Number.isNaN(start) || Number.isNaN(end) || Number(query.get('limit')) > 31) {
    return json({ type: 'error', error: { type: 'invalid_request_error', message: 'Bad range' } }, { status: 400 })
  }
  const isUsage = url.pathname === '/v1/organizations/usage_report/messages'
  const only = query.getAll('workspace_ids[]')
  const grouping = query.getAll('group_by[]')
  const isAsked = ({ part }: Used): boolean => only.length === 0 || only.includes(part ?? '')
  const buckets = daysIn(start, end).map((day) => ({
    starting_at: `${day}T00:00:00Z`,
    ending_at: new Date(dayMs(day) + 86_400_000).toISOString(),
    results: isUsage
      ? reports.used.filter((used) => used.day === day && isAsked(used)).map((used) => anthropicUsage(used, grouping))
      : anthropicCosts(reports, day, grouping),
  }))
  return paged(buckets, query, { reports, more: {} })
}

function anthropicUsage(used: Used, grouping: readonly string[]): object {
  return {
    uncached_input_tokens: used.input,
    cache_creation: { ephemeral_1h_input_tokens: used.cacheWrite1h, ephemeral_5m_input_tokens: used.cacheWrite5m },
    cache_read_input_tokens: used.cacheRead,
    output_tokens: used.output,
    server_tool_use: { web_search_requests: 0 },
    ...{ api_key_id: null, workspace_id: null, service_tier: null, context_window: null },
    model: grouping.includes('model') ? used.model : null,
  }
}

/** Decimal strings in cents. */
function anthropicCosts({ used, charged }: Reports, day: string, grouping: readonly string[]): object[] {
  const named = grouping.includes('description')
  const line = (
    model: string | null,
    pico: bigint,
    more: { readonly what: string; readonly part?: string | undefined },
  ) => ({
    amount: formatUsd(pico * 100n),
    currency: 'USD',
    ...{ cost_type: named ? 'tokens' : null, description: named ? more.what : null, model: named ? model : null },
    ...{ context_window: null, service_tier: null, token_type: null },
    workspace_id: grouping.includes('workspace_id') ? (more.part ?? null) : null,
  })
  return [
    ...used
      .filter((one) => one.day === day)
      .flatMap(({ model, costPico, part }) => [
        line(model, costPico / 4n, { what: `${model} Usage - Input Tokens`, part }),
        line(model, costPico - costPico / 4n, { what: `${model} Usage - Output Tokens`, part }),
      ]),
    ...charged.filter((one) => one.day === day).map(({ what, costPico, part }) => line(null, costPico, { what, part })),
  ]
}

function daysIn(fromMs: number, toMs: number): string[] {
  return daysBetween(dayAt(fromMs), dayAt(toMs - 1))
}

interface Paging {
  readonly reports: Reports
  readonly more: object
}

function paged(buckets: readonly object[], query: URLSearchParams, { reports, more }: Paging): Plan {
  const from = Number(query.get('page')?.slice('page_'.length) ?? 0)
  const to = Math.min(from + reports.perPage, from + Number(query.get('limit') ?? 7))
  const hasMore = to < buckets.length
  return json({ ...more, data: buckets.slice(from, to), has_more: hasMore, next_page: hasMore ? `page_${to}` : null })
}
