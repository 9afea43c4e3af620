import { scopeOf } from '../../db/model/access.ts'
import type { UsageFilter, UsagePosition } from '../../db/model/usage-query.ts'
import type { UsageStore } from '../../db/stores/usage.ts'
import { BREAKDOWNS } from '../../db/stores/usage-sums.ts'
import { HISTORY } from './usage-history.ts'

const { projectId, organizationId, fromMs, toMs } = HISTORY
const scope = scopeOf(organizationId)
const DAY_MS = 86_400_000
const MIDDLE: UsagePosition = { createdAtMs: (fromMs + toMs) / 2, id: '' }
const OLD: UsagePosition = { createdAtMs: fromMs + DAY_MS, id: '' }

const FILTERS: Readonly<Record<string, UsageFilter>> = {
  none: {},
  'odd times': { fromMs: fromMs + 5 * DAY_MS + 1_234_567, toMs: toMs - 3 * DAY_MS - 7_654_321 },
  'common model': { model: HISTORY.commonModel },
  'scarce model': { model: HISTORY.scarceModel },
  'rare model': { model: HISTORY.rareModel },
  key: { keyId: HISTORY.keyId },
  'rare key': { keyId: HISTORY.rareKeyId },
  provider: { provider: HISTORY.provider },
  'rare provider': { provider: HISTORY.rareProvider },
  ok: { status: 'ok' },
  error: { status: 'error' },
  aborted: { status: 'aborted' },
  cut: { status: 'cut' },
  'status 200': { status: 200 },
  'status 429': { status: 429 },
  'not cached': { cached: false },
  cached: { cached: true },
  'cost from': { minCostPico: 4_999_000_000n },
  'cost to': { maxCostPico: 1_000_000n },
  'hot user': { endUser: HISTORY.hotUser },
  'rare user': { endUser: HISTORY.rareUser },
  'common word': { metadata: 'production' },
  team: { metadata: 'team-7' },
  'beginning of a trace': { metadata: 'trace 3f2' },
  'no such word': { metadata: 'nowhere' },
}

const NAMES = Object.keys(FILTERS)

/** Each filter alone, and with each of those that say something else. */
function filters(): [name: string, filter: UsageFilter][] {
  const alone = NAMES.map((name): [string, UsageFilter] => [name, FILTERS[name]!])
  const pairs = NAMES.flatMap((one, at) =>
    NAMES.slice(at + 1).flatMap((other): [string, UsageFilter][] => {
      const [a, b] = [FILTERS[one]!, FILTERS[other]!]
      const isApart = Object.keys(a).every((member) => !(member in b))
      return one !== 'none' && isApart ? [[`${one} + ${other}`, { ...a, ...b }]] : []
    }),
  )
  return [...alone, ...pairs]
}

export interface Question {
  readonly name: string
  readonly ask: (usage: UsageStore) => Promise<unknown>
}

/** As a request asks for it: a page and its sums, by one filter that was never asked for before. */
async function list(
  usage: UsageStore,
  filter: UsageFilter,
  wish: { readonly limit: number; readonly after: UsagePosition | null },
): Promise<unknown> {
  const ask = { projectId, filter: { ...filter } }
  return [await usage.page(scope, ask, wish), await usage.summary(scope, ask)]
}

export function questions(): Question[] {
  const lists = filters().flatMap(([name, filter]) =>
    (
      [
        ['first', null],
        ['middle', MIDDLE],
        ['last', OLD],
      ] as const
    ).flatMap(([where, after]) =>
      where === 'middle' && name.includes('+')
        ? []
        : [
            {
              name: `list: ${name}, ${where} page`,
              ask: (usage: UsageStore) => list(usage, filter, { limit: 50, after }),
            },
          ],
    ),
  )
  const large = ['none', 'scarce model', 'error', 'cost from'].map((name) => ({
    name: `list of 1000: ${name}`,
    ask: (usage: UsageStore) => list(usage, FILTERS[name]!, { limit: 1000, after: null }),
  }))
  const all = { projectId: null, fromMs: null, toMs: null }
  const sums = BREAKDOWNS.flatMap((by) =>
    [null, projectId].map((id) => ({
      name: `breakdown by ${by}${id === null ? '' : ' of a project'}`,
      ask: (usage: UsageStore) => usage.parts(scope, { ...all, projectId: id }, { by, limit: 100 }),
    })),
  )
  return [
    ...lists,
    ...large,
    ...sums,
    { name: 'quota', ask: (usage) => usage.used(scope, { requestsMs: fromMs, tokensMs: toMs - DAY_MS }) },
    { name: 'stats', ask: async (usage) => [await usage.days(scope, all), await usage.models(scope, all)] },
    {
      name: 'stats of a project',
      ask: async (usage) => [
        await usage.days(scope, { ...all, projectId }),
        await usage.models(scope, { ...all, projectId }),
      ],
    },
  ]
}
