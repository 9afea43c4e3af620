import { describe, expect, it } from 'vitest'
import { OWN_KEY_CHARGE } from '../../db/model/charge.ts'
import { daysBetween } from '../../db/model/reconcile.ts'
import { NO_USAGE } from '../../db/model/usage.ts'
import { Random } from '../helpers/random.ts'
import type { Charged, Reporting, Used } from '../helpers/usage-reports.ts'
import { CENT, call, reconciling } from './reconcile-kit.ts'

describe('reconciling books with seeded deviations', { timeout: 120_000 }, () => {
  const books = reconciling()
  const { reports, setKey, compared, insert } = books

  const DEVIATIONS = ['input', 'cacheRead', 'cacheWrite5m', 'output', 'costPico', 'theirs', 'ours', 'little'] as const

  /** Names on our side, then the provider's, then what both fold to. */
  const FAMILIES: Readonly<Record<Reporting, readonly (readonly [readonly string[], string, string])[]>> = {
    openai: [
      [['gpt-4o-mini', 'gpt-4o-mini-2024-07-18'], 'gpt-4o-mini-2024-07-18', 'gpt-4o-mini'],
      [['text-embedding-3-small'], 'text-embedding-3-small', 'text-embedding-3-small'],
      [['brand-new-9', 'brand-new-9-2026-03-01'], 'brand-new-9-2026-03-01', 'brand-new-9'],
    ],
    anthropic: [
      [['claude-sonnet-4-5', 'claude-sonnet-4-5-20250929'], 'claude-sonnet-4-5-20250929', 'claude-sonnet-4-5'],
      [['claude-haiku-4-5'], 'claude-haiku-4-5-20251001', 'claude-haiku-4-5'],
      [['claude-unheard-of-9'], 'claude-unheard-of-9-20260301', 'claude-unheard-of-9'],
    ],
  }

  it.each(Array.from({ length: 16 }, (_, seed) => seed))(
    'finds exactly the deviations that are there (seed %i)',
    async (seed) => {
      const random = new Random(seed)
      const provider = random.pick(['openai', 'anthropic'] as const)
      await setKey(provider)
      const days = daysBetween('2026-05-01', '2026-05-03')
      const calls: ReturnType<typeof call>[] = []
      const books: Used[] = []
      const charged: Charged[] = []
      const expected: [day: string, model: string, status: string][] = []
      const tolerancePercent = random.pick([0, 1, 5])
      for (const day of days) {
        for (const [names, theirName, folded] of FAMILIES[provider]) {
          const made = callsOf(random, { day, provider, names })
          calls.push(...made)
          const truth = bookOf(made, { day, model: theirName })
          const deviation = random.once(2) ? null : random.pick(DEVIATIONS)
          const { said, status } = deviate(random, { truth, deviation, tolerancePercent })
          books.push(...said)
          if (deviation === 'ours') for (const one of made) calls.splice(calls.indexOf(one), 1)
          expected.push([day, folded, status])
        }
      }
      await insert(random.shuffle([...calls, ...noise(random, provider)]))
      Object.assign(reports, { used: books, charged, perPage: 1 + random.int(3) })
      const input = { provider, from: days[0], to: days[2], tolerance_percent: tolerancePercent }
      const found = (await compared(input)).flatMap(({ day, rows }) =>
        rows.map(({ model, status }) => [day, model, status]),
      )
      const sorted = (rows: readonly (readonly unknown[])[]) => rows.map((row) => row.join(' ')).sort()
      expect(sorted(found)).toEqual(sorted(expected))
    },
  )
})

interface Wanted {
  readonly day: string
  readonly provider: Reporting
  readonly names: readonly string[]
}

/** Some calls, each of which costs some cents. */
function callsOf(random: Random, { day, provider, names }: Wanted) {
  const isEmbedding = names[0]!.includes('embedding')
  return Array.from({ length: 3 + random.int(5) }, () => {
    const cached = isEmbedding
      ? {}
      : {
          cacheRead: 1_000 + random.int(9_000),
          cacheWrite5m: 1_000 + random.int(9_000),
          ...(provider === 'anthropic' ? { cacheWrite1h: random.int(9_000) } : {}),
          output: 1_000 + random.int(9_000),
        }
    return call(day, {
      ...{ provider, model: random.pick(names), usage: { ...NO_USAGE, input: 1_000 + random.int(9_000), ...cached } },
      costPico: 50_000_000_000 + random.int(1_000_000) * 100_000,
    })
  })
}

/** What the provider would have of these calls, added up without the product's help. */
function bookOf(
  calls: ReturnType<typeof callsOf>,
  { day, model }: { readonly day: string; readonly model: string },
): Used {
  const sum = (of: (one: (typeof calls)[number]) => number) => calls.reduce((total, one) => total + of(one), 0)
  return {
    ...{ day, model, requests: calls.length },
    input: sum(({ usage }) => usage.input),
    cacheRead: sum(({ usage }) => usage.cacheRead),
    cacheWrite5m: sum(({ usage }) => usage.cacheWrite5m),
    cacheWrite1h: sum(({ usage }) => usage.cacheWrite1h),
    output: sum(({ usage }) => usage.output),
    costPico: calls.reduce((total, { costPico }) => total + BigInt(costPico ?? 0), 0n),
  }
}

interface Deviating {
  readonly truth: Used
  readonly deviation: string | null
  readonly tolerancePercent: number
}

/** What the provider says where it strays from the truth, and what is to be found of that. */
function deviate(random: Random, { truth, deviation, tolerancePercent }: Deviating): { said: Used[]; status: string } {
  const share = tolerancePercent / 100
  const sign = random.pick([1, -1])
  if (deviation === null) return { said: [truth], status: 'ok' }
  if (deviation === 'theirs') return { said: [], status: 'missing_theirs' }
  if (deviation === 'ours') return { said: [truth], status: 'missing_ours' }
  if (deviation === 'costPico') {
    // More than a cent and more than the tolerance; rounding stays unseen.
    const apart = BigInt(Math.ceil(Number(truth.costPico) * share * 1.2)) + CENT * 2n
    return { said: [{ ...truth, costPico: truth.costPico + BigInt(sign) * apart }], status: 'off' }
  }
  if (deviation === 'little') {
    const apart = Math.floor(truth.input * share * 0.9)
    return { said: [{ ...truth, input: truth.input - apart, costPico: truth.costPico - CENT / 2n }], status: 'ok' }
  }
  const counter = deviation as 'input' | 'cacheRead' | 'cacheWrite5m' | 'output'
  // Embeddings have but one counter.
  const name = truth[counter] === 0 ? 'input' : counter
  const apart = Math.ceil(truth[name] * share * 1.2) + 1
  return { said: [{ ...truth, [name]: truth[name] + sign * apart }], status: 'off' }
}

/** Calls that are none of this provider's business, and such that nothing was used by. */
function noise(random: Random, provider: Reporting) {
  const cost = { costPico: 90_000_000_000, provider, model: random.pick(['gpt-4o-mini', 'claude-sonnet-4-5']) }
  return [
    call('2026-05-01', {
      ...cost,
      charge: OWN_KEY_CHARGE,
      model: provider === 'openai' ? 'gpt-4o-mini' : 'claude-haiku-4-5',
    }),
    call('2026-05-02', { ...cost, provider: 'groq' }),
    call('2026-04-30', cost),
    call('2026-05-04', cost),
  ]
}
