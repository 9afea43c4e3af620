import type { ClientDialect, ProviderDialect } from './dialect.ts'
import { type About, translated } from './translate.ts'
import type { Wire, WireId } from './wire.ts'

const CLIENTS: ReadonlyMap<WireId, ClientDialect> = byId([])

const PROVIDERS: ReadonlyMap<WireId, ProviderDialect> = byId([])
/** How a call is put to a provider. */
export interface Spoken {
  /** The provider's end. */
  readonly id: WireId
  readonly wire: Wire
}

/**
 * The caller's own wire where the provider speaks it too, else the first of the provider's that can be translated;
 * null when there is none.
 * @param offered the provider's wires in order of preference
 */
export function wireBetween(client: Wire, offered: readonly WireId[], about: About): Spoken | null {
  if (offered.includes(client.id)) return { id: client.id, wire: client }
  const dialect = CLIENTS.get(client.id)
  if (dialect === undefined) return null
  for (const id of offered) {
    const provider = PROVIDERS.get(id)
    if (provider !== undefined) return { id, wire: translated({ wire: client, dialect }, provider, about) }
  }
  return null
}

function byId<D extends { readonly id: WireId }>(dialects: readonly D[]): ReadonlyMap<WireId, D> {
  return new Map(dialects.map((dialect) => [dialect.id, dialect]))
}
