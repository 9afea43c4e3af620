export const CATEGORIES = ['chat', 'reasoning', 'coding', 'search', 'embedding', 'transcription'] as const

/** What a model is mainly for; one a model. */
export type Category = (typeof CATEGORIES)[number]

export type Capability =
  | 'chat'
  | 'completions'
  | 'embeddings'
  | 'transcription'
  | 'tools'
  | 'vision'
  | 'audio'
  | 'json_schema'
  | 'reasoning'
  | 'search'

export interface Model {
  /** The provider's own id, as its API takes it. */
  readonly id: string
  readonly provider: string
  readonly name: string
  readonly category: Category
  readonly capabilities: readonly Capability[]
  /** Tokens of prompt and answer together; null when the provider counts otherwise or does not say. */
  readonly contextLength: number | null
  readonly maxOutputTokens: number | null
  /** Unix seconds of the provider's release. */
  readonly created: number
  /** Unix seconds since which the provider advises against it. */
  readonly deprecatedAt?: number
}

/**
 * One line of a provider's table: id, name, category, capabilities (space-separated), context length, longest answer,
 * release date and, where there is one, the date of deprecation (UTC, `YYYY-MM-DD`).
 */
export type Row = readonly [
  id: string,
  name: string,
  category: Category,
  capabilities: string,
  contextLength: number | null,
  maxOutputTokens: number | null,
  released: string,
  deprecated?: string,
]

/** Tables are short lines so that they can be read against the provider's own page. */
export function modelsOf(provider: string, rows: readonly Row[]): Model[] {
  return rows.map(([id, name, category, capabilities, contextLength, maxOutputTokens, released, deprecated]) => ({
    id,
    provider,
    name,
    category,
    capabilities: capabilities.split(' ') as Capability[],
    contextLength,
    maxOutputTokens,
    created: Date.parse(released) / 1000,
    ...(deprecated === undefined ? {} : { deprecatedAt: Date.parse(deprecated) / 1000 }),
  }))
}
