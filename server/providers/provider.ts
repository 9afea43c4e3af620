import type { Upstream, UpstreamRequest } from '../upstream.ts'
import type { WireId } from '../wire/wire.ts'

/** A provider is wire + endpoint + auth + named quirks with a reason: data, 10 to 60 lines. */
export interface Provider {
  /** As in `provider/model` and in the price tables' vocabulary. */
  readonly id: string
  readonly name: string
  /**
   * Where its API lives, version path included, no trailing slash; null: only where the operator says. `{VARIABLE}`
   * stands for what the operator has set under that name, such as a region: it must be set where there is a key.
   */
  readonly baseUrl: string | null
  /** Environment variables that configure the platform's account: the key, and another base URL. */
  readonly keyVariable: string
  readonly baseUrlVariable: string
  /** Needs no key: it is configured as soon as its base URL is set. */
  readonly keyless?: boolean
  /** The wires it speaks, each with its path under the base URL; those of text in order of preference. */
  readonly wires: WirePaths
  /** What it answers is valid by OpenAI's own schema: it passes whole, where others' answers are mended. */
  readonly followsOpenai?: boolean
  /** For an API in dated versions: when the operator sets `variable`, it fills `{version}` of these paths instead. */
  readonly dated?: { readonly variable: string; readonly wires: WirePaths }
  /** What a GET under the base URL gets with a good key only; null: nothing is known. Absent: `/models`. */
  readonly probe?: string | null
  /** Request headers that carry the key: name, value, …; names in lower case. */
  auth(key: string): string[]
  /** Request headers that are the same for every call: name, value, … */
  readonly headers?: readonly string[]
  /** The caller's own headers that go along when the call stays on its wire, such as `anthropic-beta`. */
  readonly forwards?: readonly string[]
  /**
   * Headers that carry or sign the key for one request, beside those of `auth`: where it depends on the request. The
   * request is as it will be sent; `key` is what `keyVariable` holds.
   */
  readonly sign?: (request: UpstreamRequest, key: string, nowMs: number) => string[]
  /** What streams may come in beside server-sent events, told by the answer's content type. */
  readonly framing?: 'aws-event-stream'
  readonly quirks?: Quirks
  /** Set for a provider that answers in this process instead of over a socket. */
  readonly inProcess?: Upstream
}

export type WirePaths = { readonly [W in WireId]?: WirePath }

/** Query included; `{model}` stands for the model's id, percent-encoded. Two where streams have a path of their own. */
export type WirePath = string | { readonly whole: string; readonly stream: string }

/** Every quirk says why: the provider's own words. */
export interface Quirks {
  /** `stream_options` is refused or unknown: usage comes unasked, or not at all. */
  readonly noStreamOptions?: string
  /** Embeddings are always numbers: `encoding_format` is refused, unknown or ignored. */
  readonly plainVectors?: string
  /** It embeds at most so many inputs a request: more are asked in several. */
  readonly maxEmbeddingInputs?: { readonly most: number; readonly why: string }
  /** It embeds texts only, no arrays of tokens. */
  readonly textsOnly?: string
  /** `dimensions` of embeddings has another name here; null: it can't be asked for. */
  readonly dimensionsAs?: { readonly name: string | null; readonly why: string }
  /** Its Responses API keeps nothing: `store` and `previous_response_id` are refused or ignored. */
  readonly statelessResponses?: string
  /** A wire's body differs here from what the wire says: see `shaped`. */
  readonly body?: { readonly [W in WireId]?: BodyQuirk }
}

export interface BodyQuirk {
  /** Members that are left out: the path says them. */
  readonly without: readonly string[]
  /** Members that are put in front, in place of the caller's own. */
  readonly plus: Readonly<Record<string, string>>
  /** Request headers of the caller, comma-separated lists, that are members of the body here: header -> member. */
  readonly lists: Readonly<Record<string, string>>
  readonly why: string
}
