import type { Upstream, UpstreamRequest } from '../upstream.ts'
import type { WireId } from '../wire/wire.ts'

/** A provider is wire + endpoint + auth + named quirks with a reason: data, 10 to 60 lines. */
export interface Provider {
  /** As in `provider/model` and in the price tables' vocabulary. */
  readonly id: string
  readonly name: string
  /** Where its API lives, version path included, no trailing slash; null: only where the operator says. */
  readonly baseUrl: string | null
  /** Environment variables that configure the platform's account: the key, and another base URL. */
  readonly keyVariable: string
  readonly baseUrlVariable: string
  /** Needs no key: it is configured as soon as its base URL is set. */
  readonly keyless?: boolean
  /** The wires it speaks, each with its path under the base URL; those of text in order of preference. */
  readonly wires: { readonly [W in WireId]?: WirePath }
  /** Request headers that carry the key: name, value, …; names in lower case. */
  auth(key: string): string[]
  /** Request headers that are the same for every call: name, value, … */
  readonly headers?: readonly string[]
  /** The caller's own headers that go along when the call stays on its wire, such as `anthropic-beta`. */
  readonly forwards?: readonly string[]
  /** Headers that sign one request, for providers where a key alone isn't enough. `key` is what `keyVariable` holds. */
  readonly sign?: (request: UpstreamRequest, key: string, nowMs: number) => string[]
  /** How streams are framed, where that isn't server-sent events. */
  readonly framing?: 'aws-event-stream'
  readonly quirks?: Quirks
  /** Set for a provider that answers in this process instead of over a socket. */
  readonly inProcess?: Upstream
}

/** Query included; `{model}` stands for the model's id, percent-encoded. Two where streams have a path of their own. */
export type WirePath = string | { readonly whole: string; readonly stream: string }

export interface Quirks {
  /** `stream_options` is refused or unknown: usage comes unasked, or not at all. Why: the provider's own words. */
  readonly noStreamOptions?: string
  /** Embeddings are always numbers: `encoding_format` is refused, unknown or ignored. Why: the provider's own words. */
  readonly plainVectors?: string
}
