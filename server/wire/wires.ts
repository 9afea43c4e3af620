import { anthropicMessagesDialect } from './anthropic-messages-dialect.ts'
import type { ClientDialect, ProviderDialect } from './dialect.ts'
import { geminiDialect } from './gemini-dialect.ts'
import { openaiChatDialect } from './openai-chat-dialect.ts'
import { openaiCompletionsDialect } from './openai-completions-dialect.ts'
import { openaiResponsesDialect } from './openai-responses-dialect.ts'
import { type About, translated } from './translate.ts'
import type { Wire, WireId } from './wire.ts'

const CLIENTS: ReadonlyMap<WireId, ClientDialect> = byId([
  openaiChatDialect,
  openaiCompletionsDialect,
  openaiResponsesDialect,
  anthropicMessagesDialect,
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

/**
 * The caller's own wire where the provider speaks it too, else the first of the provider's that can be translated;
 * null when there is none.
 * @param offered the provider's wires in order of preference
 */
export function wireBetween(client: Wire, offered: readonly WireId[], about: About): Spoken | null {
  if (offered.includes(client.id)) return { wireId: client.id, wire: client }
  const dialect = CLIENTS.get(client.id)
  if (dialect === undefined) return null
  for (const id of offered) {
    const provider = PROVIDERS.get(id)
    if (provider !== undefined) return { wireId: id, wire: translated({ wire: client, dialect }, provider, about) }
  }
  return null
}

function byId<D extends { readonly id: WireId }>(dialects: readonly D[]): ReadonlyMap<WireId, D> {
  return new Map(dialects.map((dialect) => [dialect.id, dialect]))
}
