import type { Change } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import {
  addFigures,
  adminCredentialContext,
  dayMs,
  type Figures,
  NO_FIGURES,
  type Reconciliation,
} from '../../db/model/reconcile.ts'
import type { SealedAdminCredential } from '../../db/stores/admin-credentials.ts'
import type { NewReconciliation } from '../../db/stores/reconciliations.ts'
import { listedModel } from '../catalog/catalog.ts'
import type { Control, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { nonsense } from '../failure.ts'
import { OddAnswer, type UsageAdapter, type UsageAsk, type UsageRow } from './adapter.ts'
import { anthropicUsage } from './anthropic.ts'
import { getterFor } from './asking.ts'
import { compare } from './compare.ts'
import { openaiUsage } from './openai.ts'

/** Providers whose figures can be read. */
export const ADAPTERS: ReadonlyMap<string, UsageAdapter> = new Map(
  [openaiUsage, anthropicUsage].map((adapter) => [adapter.provider, adapter]),
)

export interface Parts {
  readonly deps: Deps
  readonly control: Control
}

export interface Wish {
  readonly provider: string
  /** Days that are over, one after the other, 31 at most. */
  readonly days: readonly string[]
  readonly tolerancePpm: number
  readonly change: Change
  /** As it is shown who had it made. */
  readonly by: string
  readonly signal: AbortSignal
}

const DAY_MS = 86_400_000

/**
 * Compares our books with a provider's figures, day by day, and saves what came out: all of the days or, when anything
 * fails, none.
 * @returns one for each day, in their order
 * @throws GatewayError `invalid_request` without an adapter or key, `provider_error` and `provider_timeout` when the
 *   provider doesn't give its figures
 */
export async function reconcile(parts: Parts, wish: Wish): Promise<readonly Reconciliation[]> {
  const { control, deps } = parts
  const { provider, days, tolerancePpm, change } = wish
  const adapter = adapterFor(provider)
  const credentials = await control.stores.adminCredentials.list(provider)
  if (credentials.length === 0) {
    throw new GatewayError('invalid_request', `There is no admin key of ${provider}: set one first`, {
      param: 'provider',
    })
  }
  const span = { fromMs: dayMs(days[0]!), toMs: dayMs(days.at(-1)!) + DAY_MS }
  const said: UsageRow[] = []
  for (const credential of credentials) {
    said.push(...(await using(parts, credential, wish.signal, (ask) => adapter.read({ ...ask, ...span }))))
  }
  const booked = await control.stores.reconciliations.ours(provider, span)
  const made = days.map((day): NewReconciliation => {
    const fold = folding(provider, dayMs(day), deps)
    const ours = byModel(
      booked.filter((row) => row.day === day),
      fold,
    )
    const theirs = byModel(
      said.filter((row) => row.day === day),
      fold,
    )
    // Costs were asked for: what isn't among them costs nothing.
    for (const [model, figures] of theirs)
      if (figures.costPico === null) theirs.set(model, { ...figures, costPico: 0n })
    const { rows, ...totals } = compare(ours, theirs, tolerancePpm)
    const modelsOff = rows.filter(({ status }) => status !== 'ok').length
    return {
      id: makeId('rec', change.atMs, deps.random.bytes(16)),
      ...{ provider, day, tolerancePpm, createdAtMs: change.atMs, createdBy: wish.by },
      ...{ models: rows.length, modelsOff, status: modelsOff === 0 ? 'ok' : 'off', rows },
      ...totals,
    }
  })
  await control.stores.reconciliations.save(change, made)
  return made.map(({ rows: _, ...one }) => ({ ...one, latest: true }))
}

/** Asks the provider once for as little as tells whether the key is good. @throws GatewayError when it isn't */
export async function testAdminKey(
  { deps, control }: Parts,
  key: Pick<SealedAdminCredential, 'id' | 'provider' | 'baseUrl' | 'onlyProjects'> & { readonly key: string },
): Promise<void> {
  const toMs = Math.floor(deps.clock.now() / DAY_MS) * DAY_MS
  const ask = askWith({ deps, control }, key, { signal: new AbortController().signal, patient: false })
  await oddly(key.provider, deps, () => adapterFor(key.provider).probe({ ...ask, fromMs: toMs - DAY_MS, toMs }))
}

/** @throws GatewayError `invalid_request` for a provider whose figures can't be read */
export function adapterFor(provider: string): UsageAdapter {
  const adapter = ADAPTERS.get(provider)
  if (adapter !== undefined) return adapter
  const known = [...ADAPTERS.keys()].join(', ')
  throw new GatewayError('invalid_request', `Figures can be read of ${known} only`, { param: 'provider' })
}

/** The key itself. @throws GatewayError when no master secret of this process opens it */
export function openAdminKey({ vault }: Control, { id, sealed }: SealedAdminCredential): string {
  try {
    return vault.open(sealed, adminCredentialContext(id))
  } catch (cause) {
    const message = 'The admin key can not be opened: set it again, or add the master secret it was sealed with'
    throw new GatewayError('invalid_request', message, { cause })
  }
}

/** Uses a key and notes on it how that went. */
async function using<T>(
  parts: Parts,
  credential: SealedAdminCredential,
  signal: AbortSignal,
  use: (ask: Omit<UsageAsk, 'fromMs' | 'toMs'>) => Promise<T>,
): Promise<T> {
  const { deps, control } = parts
  const note = (result: string) =>
    control.stores.adminCredentials.noteCheck(credential.id, { atMs: deps.clock.now(), result })
  try {
    const key = openAdminKey(control, credential)
    const done = await oddly(credential.provider, deps, () =>
      use(askWith(parts, { ...credential, key }, { signal, patient: true })),
    )
    await note('ok')
    return done
  } catch (error) {
    if (error instanceof GatewayError && !signal.aborted) await note(error.message)
    throw error
  }
}

function askWith(
  { deps, control }: Parts,
  { id, provider: name, key, baseUrl, onlyProjects }: Parameters<typeof testAdminKey>[1],
  how: { readonly signal: AbortSignal; readonly patient: boolean },
): Omit<UsageAsk, 'fromMs' | 'toMs'> {
  const provider = deps.providerOf(name)
  const account = control.accountFor({ id, provider: name, own: false, key, baseUrl, version: null })
  if (provider === null || account === null) throw new GatewayError('invalid_request', `Say where your ${name} is`)
  return { only: onlyProjects, get: getterFor({ provider, account, ...how }, deps) }
}

/** @throws GatewayError in place of what is odd in an answer */
async function oddly<T>(provider: string, { providerOf }: Deps, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof OddAnswer)) throw error
    const name = providerOf(provider)?.name ?? provider
    const { code, details } = nonsense(name, error.message)
    throw new GatewayError(code, `${name} did not answer as documented, ${error.message}`, { details: details ?? {} })
  }
}

function byModel(
  rows: readonly { readonly model: string; readonly figures: Figures }[],
  fold: (model: string) => string,
): Map<string, Figures> {
  const models = new Map<string, Figures>()
  for (const { model, figures } of rows) {
    const name = fold(model)
    models.set(name, addFigures(models.get(name) ?? NO_FIGURES, figures))
  }
  return models
}

const SNAPSHOT = /-(?:20\d{2}-\d{2}-\d{2}|20\d{6})$/

/** The name that a model has on both sides: that of its price, so that dated snapshots fold onto their model. */
function folding(provider: string, atMs: number, { prices }: Deps): (model: string) => string {
  return (model) => {
    if (model === '') return model
    return (
      prices.priceOf(provider, model, atMs)?.model ?? listedModel(provider, model)?.id ?? model.replace(SNAPSHOT, '')
    )
  }
}
