import type { Change } from '../../db/model/access.ts'
import { credentialContext, hintOf, MAX_CREDENTIALS } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import type { CredentialEdit, Holder } from '../../db/stores/provider-credentials.ts'
import type { OpenedCredential } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Probed } from '../pipeline.ts'
import { checked, checkPlace, keyFor, providerFor, resultOf, tryOut } from './credential-check.ts'
import {
  type CredentialEditInput,
  type NewCredentialInput,
  type ShownCredential,
  shownCredential,
  type testedSchema,
} from './credential-shapes.ts'
import type { Context } from './trpc.ts'

/** What credentials.ts does for a project and platform-credentials.ts for the platform: the same, for another holder. */
export interface Held {
  readonly ctx: Context & { readonly change: Change }
  readonly holder: Holder
}

export async function listCredentials({ ctx, holder }: Held): Promise<{ data: ShownCredential[]; next_cursor: null }> {
  const all = await ctx.control.stores.providerCredentials.list(holder)
  if (all === null) throw noProject()
  return { data: all.map(shownCredential), next_cursor: null }
}

export async function createCredential({ ctx, holder }: Held, input: NewCredentialInput): Promise<ShownCredential> {
  const { deps, control, change } = ctx
  const store = control.stores.providerCredentials
  // First of all: nobody gets a call made for a project that isn't theirs.
  if ((await store.list(holder)) === null) throw noProject()
  const provider = providerFor(ctx, input.provider)
  const id = makeId('crd', change.atMs, deps.random.bytes(16))
  const opened: OpenedCredential = {
    id,
    provider: provider.id,
    own: holder !== 'platform',
    key: keyFor(provider, input.key),
    baseUrl: input.base_url ?? null,
    version: input.version ?? null,
  }
  await checkPlace(ctx, opened)
  const probed = await checked(ctx, opened, { saveUnchecked: input.save_unchecked })
  const { key, baseUrl, version } = opened
  const made = await store.create(change, holder, {
    id,
    provider: provider.id,
    name: input.name ?? provider.name,
    ...sealed(ctx, id, key),
    baseUrl,
    version,
    weight: input.weight,
    check: noted(ctx, probed),
  })
  if (made === 'missing') throw noProject()
  if (made === 'full') {
    throw new GatewayError('invalid_request', `There are ${MAX_CREDENTIALS} credentials already: delete one first`)
  }
  return shownCredential((await store.find(holder, id)) ?? noCredential())
}

export async function updateCredential(
  held: Held,
  given: string,
  input: CredentialEditInput,
): Promise<ShownCredential> {
  const { ctx, holder } = held
  const known = await find(held, given)
  const { id } = known
  const place = {
    baseUrl: input.base_url === undefined ? known.baseUrl : input.base_url,
    version: input.version === undefined ? known.version : input.version,
  }
  const isElsewhere = place.baseUrl !== known.baseUrl || place.version !== known.version
  let probed: Probed | null = null
  if (isElsewhere || input.key !== undefined) {
    const key = input.key ?? opened(ctx, known)
    // Who may change a credential may not read its key: it goes to no place that they name now.
    if (place.baseUrl !== known.baseUrl && input.key === undefined && key !== '') {
      throw new GatewayError('invalid_request', 'Send the key together with another base URL', { param: 'key' })
    }
    const next = { id, provider: known.provider, own: holder !== 'platform', key, ...place }
    await checkPlace(ctx, next)
    probed = await checked(ctx, next, { saveUnchecked: input.save_unchecked })
  }
  const edit: CredentialEdit = {
    ...(input.name === undefined ? {} : { name: input.name }),
    ...(input.weight === undefined ? {} : { weight: input.weight }),
    ...(isElsewhere ? place : {}),
    ...(input.key === undefined ? {} : { key: sealed(ctx, id, input.key) }),
    ...(probed === null ? {} : { check: noted(ctx, probed) }),
  }
  const changed = await ctx.control.stores.providerCredentials.update(ctx.change, holder, { id, ...edit })
  // What failed with the key before says nothing of this one.
  if (probed !== null) ctx.deps.breaker?.reset(known.provider, id)
  return shownCredential(changed ?? noCredential())
}

export async function testCredential(held: Held, given: string): Promise<(typeof testedSchema)['_output']> {
  const { ctx, holder } = held
  const known = await find(held, given)
  const probed = await tryOut(ctx, { ...known, own: holder !== 'platform', key: opened(ctx, known) })
  const noteCheck = ctx.control.stores.providerCredentials.noteCheck
  if (probed.verdict === 'ok') ctx.deps.breaker?.reset(known.provider, known.id)
  const now = (await noteCheck(holder, known.id, noted(ctx, probed))) ?? noCredential()
  return {
    ok: probed.verdict === 'ok',
    verdict: probed.verdict,
    message: resultOf(probed),
    credential: shownCredential(now),
  }
}

/** One by its id, or all of a provider. */
export async function deleteCredential({ ctx, holder }: Held, given: string): Promise<{ deleted: string[] }> {
  const deleted = await ctx.control.stores.providerCredentials.delete(ctx.change, holder, given)
  return { deleted: deleted.length === 0 ? noCredential() : [...deleted] }
}

type Known = NonNullable<Awaited<ReturnType<Context['control']['stores']['providerCredentials']['find']>>>

/** By its id, or by the name of a provider that the holder has one credential for. */
async function find({ ctx, holder }: Held, given: string): Promise<Known> {
  const store = ctx.control.stores.providerCredentials
  const found = await store.find(holder, given)
  if (found !== null) return found
  const named = ((await store.list(holder)) ?? noCredential()).filter((one) => one.provider === given)
  if (named.length > 1) {
    const ids = named.map(({ id }) => id).join(', ')
    throw new GatewayError('invalid_request', `There are several for ${given}: name one by its id (${ids})`, {
      param: 'provider',
    })
  }
  const only = named[0] ?? noCredential()
  return (await store.find(holder, only.id)) ?? noCredential()
}

function sealed({ control }: Context, id: string, key: string): { readonly sealed: string; readonly hint: string } {
  return { sealed: control.vault.seal(key, credentialContext(id)), hint: hintOf(key) }
}

/** @throws GatewayError when no master secret of this process fits */
function opened({ control }: Context, { id, sealed: envelope }: Known): string {
  try {
    return control.vault.open(envelope, credentialContext(id))
  } catch (cause) {
    const message = 'The key can not be opened: send it again, or add the master secret it was sealed with'
    throw new GatewayError('invalid_request', message, { param: 'key', cause })
  }
}

function noted({ deps }: Context, probed: Probed): { readonly atMs: number; readonly result: string } {
  return { atMs: deps.clock.now(), result: resultOf(probed) }
}

function noProject(): GatewayError {
  return new GatewayError('not_found', 'There is no such project')
}

function noCredential(): never {
  throw new GatewayError('not_found', 'There is no such credential')
}
