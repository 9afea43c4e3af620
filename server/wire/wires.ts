import { anthropicMessagesDialect } from './anthropic-messages/dialect.ts'
import type { ClientDialect, ProviderDialect } from './dialect.ts'
import { geminiDialect } from './gemini/dialect.ts'
import { openaiChatDialect } from './openai-chat/dialect.ts'
import { openaiChat } from './openai-chat/wire.ts'
import { openaiCompletionsDialect } from './openai-completions/dialect.ts'
import { openaiResponsesDialect } from './openai-responses/dialect.ts'
import { type About, translated } from './translate.ts'
import type { Wire, WireId } from './wire.ts'

const CLIENTS: ReadonlyMap<WireId, ClientDialect> = byId([
  openaiChatDialect,
  openaiCompletionsDialect,
  openaiResponsesDialect,
  anthropicMessagesDialect,
  geminiDialect,
])

const PROVIDERS: ReadonlyMap<WireId, ProviderDialect> = byId([
  openaiChatDialect,
  openaiResponsesDialect,
  anthropicMessagesDialect,
  geminiDialect,
])

/** How a call is put to a provider. */
export interface Spoken {
  /** The provider's end. */
  readonly wireId: WireId
  readonly wire: Wire
}

export interface Offer {
  /** The provider's wires in order of preference. */
  readonly wires: readonly WireId[]
  /** Its answers may stray from OpenAI's own schema: they are mended on the way. */
  readonly strays: boolean
}

/**
 * The caller's own wire where the provider speaks it too, else the first of the provider's that can be translated;
 * null when there is none.
 */
export function wireBetween(client: Wire, { wires, strays }: Offer, about: About): Spoken | null {
  if (wires.includes(client.id)) {
    const mends = strays && client.id === openaiChat.id
    return { wireId: client.id, wire: mends ? openaiChat.mended(about) : client }
  }
  const dialect = CLIENTS.get(client.id)
  if (dialect === undefined) return null
  for (const id of wires) {
    const provider = PROVIDERS.get(id)
    if (provider !== undefined) return { wireId: id, wire: translated({ wire: client, dialect }, provider, about) }
  }
  return null
}

function byId<D extends { readonly id: WireId }>(dialects: readonly D[]): ReadonlyMap<WireId, D> {
  return new Map(dialects.map((dialect) => [dialect.id, dialect]))
}
