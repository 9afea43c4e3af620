import type { CallRecord, Outcome } from '../../db/model/calls.ts'
import { inputTotal, NO_USAGE, outputTotal } from '../../db/model/usage.ts'
import { NO_TOTALS, type UsageFilter, type UsageTotals } from '../../db/model/usage-query.ts'
import { sampleCall } from './samples.ts'

/** Numbers that look like chance and are the same in every run. */
export function chance(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const HOUR_MS = 3_600_000
const MODELS = ['gpt-4o-mini', 'gpt-4o', 'claude-sonnet', 'rare']
const METADATA = [
  '{"team":"search","trace":"1e5x-7"}',
  '{"team":"ads","env":"production"}',
  '{"team":"search","note":"Zo\\u00eb said \\"hi\\""}',
  '{"path":"/v1/a-b_c","mail":"ann@example.com"}',
]

/** Calls of some days with all that can be filtered; several share a millisecond, and some lie on borders of hours. */
export function history(count: number, options: { readonly startMs: number; readonly stepMs: number }): CallRecord[] {
  const of = chance(count)
  let atMs = options.startMs
  return Array.from({ length: count }, (_, i) => {
    if (of(3) > 0) atMs += of(options.stepMs)
    if (of(9) === 0) atMs = Math.ceil(atMs / HOUR_MS) * HOUR_MS - of(2)
    const outcome: Outcome = of(8) === 0 ? (['error', 'aborted', 'cut'] as const)[of(3)]! : 'done'
    const status = outcome === 'error' ? [400, 429, 502][of(3)]! : outcome === 'aborted' && of(2) === 0 ? 499 : 200
    const isRare = i % 61 === 7
    const model = of(20) === 0 ? null : isRare ? 'rare' : MODELS[of(3)]!
    return sampleCall({
      createdAtMs: atMs,
      organizationId: 'org_a',
      projectId: of(10) === 0 ? 'prj_b' : 'prj_a',
      keyId: isRare ? 'key_rare' : `key_${of(2)}`,
      model,
      provider: model === null ? null : model.startsWith('gpt') ? 'openai' : 'anthropic',
      outcome,
      status,
      errorCode: outcome === 'error' ? 'provider_error' : null,
      usage: {
        ...NO_USAGE,
        input: of(1000),
        cacheRead: of(9),
        cacheWrite1h: of(5),
        output: of(900),
        audioOutput: of(7),
        imageInput: of(3),
        imageOutput: of(3),
      },
      costPico: of(12) === 0 ? null : of(4) === 0 ? 0 : Number.MAX_SAFE_INTEGER - of(1_000_000),
      chargedPico: i % 3 === 0 ? i * 1_000_003 : null,
      latencyUs: of(2_000_000),
      endUser: of(3) === 0 ? `user-${of(3)}` : null,
      metadata: of(4) === 0 ? METADATA[of(METADATA.length)]! : null,
    })
  })
}

/** The log as it must be: slow, and plainly right. */
export function chosen(calls: readonly CallRecord[], projectId: string, filter: UsageFilter): CallRecord[] {
  return calls
    .filter((call) => call.projectId === projectId && passes(call, filter))
    .sort((a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? 1 : -1))
}

function passes(call: CallRecord, filter: UsageFilter): boolean {
  const { fromMs, toMs, model, keyId, provider, status, cached, minCostPico, maxCostPico, endUser, metadata } = filter
  if (fromMs !== undefined && call.createdAtMs < fromMs) return false
  if (toMs !== undefined && call.createdAtMs >= toMs) return false
  if (model !== undefined && call.model !== model) return false
  if (keyId !== undefined && call.keyId !== keyId) return false
  if (provider !== undefined && call.provider !== provider) return false
  if (typeof status === 'number' && call.status !== status) return false
  if (typeof status === 'string' && call.outcome !== (status === 'ok' ? 'done' : status)) return false
  if (cached === true) return false
  if (minCostPico !== undefined && (call.costPico === null || BigInt(call.costPico) < minCostPico)) return false
  if (maxCostPico !== undefined && (call.costPico === null || BigInt(call.costPico) > maxCostPico)) return false
  if (endUser !== undefined && call.endUser !== endUser) return false
  return metadata === undefined || (call.metadata !== null && hasWords(call.metadata, metadata))
}

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')

function hasWords(text: string, query: string): boolean {
  const has = new Set(wordsOf(text))
  const escaped = query.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const words = wordsOf(escaped)
  const last = words.pop()
  return last !== undefined && words.every((word) => has.has(word)) && [...has].some((word) => word.startsWith(last))
}

export function sumOf(calls: readonly CallRecord[]): UsageTotals {
  const sum = { ...NO_TOTALS }
  for (const call of calls) {
    Object.assign(sum, {
      requests: sum.requests + 1,
      errors: sum.errors + (call.outcome === 'error' || call.outcome === 'cut' ? 1 : 0),
      inputTokens: sum.inputTokens + inputTotal(call.usage),
      outputTokens: sum.outputTokens + outputTotal(call.usage),
      costPico: sum.costPico + BigInt(call.costPico ?? 0),
      chargedPico: sum.chargedPico + BigInt(call.chargedPico ?? 0),
      latencyUs: sum.latencyUs + call.latencyUs,
    })
  }
  return sum
}
