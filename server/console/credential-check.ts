import type { OpenedCredential } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { type Probed, probe } from '../pipeline.ts'
import type { Context } from './trpc.ts'

type Provider = NonNullable<ReturnType<Context['deps']['providerOf']>>

/** @throws GatewayError `invalid_request` for one that there is none of, or that needs no account */
export function providerFor({ deps }: Context, id: string): Provider {
  const provider = deps.providerOf(id)
  if (provider !== null && provider.inProcess === undefined) return provider
  throw new GatewayError('invalid_request', `Unknown provider "${id}"`, { param: 'provider' })
}

/** The key, '' where there is none and the provider needs none. @throws GatewayError `invalid_request` */
export function keyFor(provider: Provider, given: string | undefined): string {
  if (given !== undefined) return given
  if (provider.keyless === true) return ''
  throw new GatewayError('invalid_request', `${provider.name} needs a key`, { param: 'key' })
}

/**
 * Holds where a credential leads against what its holder may say of that: a tenant's must be public, whatever else.
 * @throws GatewayError `invalid_request`
 */
export async function checkPlace(ctx: Context, credential: OpenedCredential): Promise<void> {
  const { control } = ctx
  const { provider: id, baseUrl, version, own } = credential
  const provider = providerFor(ctx, id)
  if (version !== null && provider.dated === undefined) {
    throw new GatewayError('invalid_request', `${provider.name} has no dated versions`, { param: 'version' })
  }
  if (baseUrl !== null) {
    const objection = own ? await control.tenantHosts.objection(baseUrl) : objectionToForm(baseUrl)
    if (objection !== null) throw new GatewayError('invalid_request', objection, { param: 'base_url' })
  }
  if (control.accountFor(credential) === null) {
    throw new GatewayError('invalid_request', `Say where your ${provider.name} is`, { param: 'base_url' })
  }
}

/** Who runs the gateway may use any host, in a URL that says nothing else. */
function objectionToForm(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === ''
  if (isPlain && !/[?#\s]/.test(text)) return null
  return 'The base URL must begin with https:// or http:// and have no user, query and fragment'
}

/** A test call by the way that calls go. Never rejects for what the provider does. */
export function tryOut(ctx: Context, credential: OpenedCredential): Promise<Probed> {
  const account = ctx.control.accountFor(credential)
  const provider = providerFor(ctx, credential.provider)
  if (account !== null) return probe(provider, account, ctx.deps)
  return Promise.resolve({ verdict: 'unreachable', said: `Nobody has said where ${provider.name} is` })
}

/** A test call before saving. @throws GatewayError `invalid_request` when it fails and that isn't to be overlooked */
export async function checked(
  ctx: Context,
  credential: OpenedCredential,
  { saveUnchecked }: { readonly saveUnchecked: boolean },
): Promise<Probed> {
  const probed = await tryOut(ctx, credential)
  if (saveUnchecked || probed.verdict === 'ok' || probed.verdict === 'unchecked') return probed
  throw new GatewayError('invalid_request', `${probed.said}; send "save_unchecked": true to save it all the same`, {
    param: probed.verdict === 'refused' ? 'key' : 'base_url',
  })
}

/** As it is kept and shown. */
export function resultOf({ verdict, said }: Probed): string {
  return verdict === 'ok' ? 'ok' : verdict === 'unchecked' ? `not checked: ${said}` : said
}
