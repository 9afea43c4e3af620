import { asBuffer, fromText } from '../bytes.ts'
import type { Citation } from '../model.ts'
import { type Json, number, record, records, text } from './json.ts'

/** A source that a candidate names for a claim, its place still counted in bytes of UTF-8. */
export interface Claim {
  readonly url: string
  readonly title: string | null
  readonly startByte: number
  /** Null: for the whole answer. */
  readonly endByte: number | null
  /** The claim itself, where the provider repeats it. */
  readonly segment: string | null
  /** What the source says. */
  readonly quote: string | null
}

/**
 * Everything that a candidate cites: pages, places and documents of its grounding, sources of its citations. What has no
 * address can't be cited in any other wire.
 */
export function claimsOf(candidate: Json): Claim[] {
  const { groundingChunks, groundingSupports } = record(candidate.groundingMetadata)
  const chunks = records(groundingChunks).map(sourceOf)
  const supported = records(groundingSupports).flatMap((support) => {
    const indices = Array.isArray(support.groundingChunkIndices) ? support.groundingChunkIndices : []
    return indices.map((index) => claimOf(chunks[Number(index)] ?? null, record(support.segment)))
  })
  const loose = supported.length === 0 ? chunks.map((chunk) => claimOf(chunk, {})) : []
  const metadata = record(candidate.citationMetadata)
  const cited = records(metadata.citations ?? metadata.citationSources).map((citation) => {
    return claimOf({ url: text(citation.uri), title: text(citation.title), quote: null }, citation)
  })
  return [...supported, ...loose, ...cited].filter((claim) => claim !== null)
}

interface Source {
  readonly url: string | null
  readonly title: string | null
  readonly quote: string | null
}

function sourceOf(chunk: Json): Source {
  const context = record(chunk.retrievedContext)
  const source = record(chunk.web ?? chunk.maps ?? chunk.image ?? context)
  return { url: text(source.uri ?? source.sourceUri), title: text(source.title), quote: text(context.text) }
}

function claimOf(source: Source | null, segment: Json): Claim | null {
  if (source === null || source.url === null) return null
  const { url, title, quote } = source
  const startByte = number(segment.startIndex) ?? 0
  return { url, title, quote, startByte, endByte: number(segment.endIndex), segment: text(segment.text) }
}

/** Finds the places of claims in a text. */
export class Places {
  readonly #text: string
  #bytes: Uint8Array | null = null

  constructor(text: string) {
    this.#text = text
  }

  holds(claim: Claim): boolean {
    return claim.segment !== null && this.#text.includes(claim.segment)
  }

  /** @param before UTF-16 code units of the text that stand in earlier parts */
  cite(claim: Claim, before = 0): Citation {
    const { url, title, quote } = claim
    const [start, end] = this.#find(claim)
    const isInside = start !== null && end !== null && start >= before
    const place = isInside ? { start: start - before, end: end - before } : { start: null, end: null }
    return { type: 'url', url, title, ...place, quote }
  }

  #find({ startByte, endByte, segment }: Claim): [start: number, end: number] | [null, null] {
    if (endByte === null) return [null, null]
    const start = this.#units(startByte)
    const end = this.#units(endByte)
    if (segment === null || this.#text.slice(start, end) === segment) return [start, end]
    const found = this.#text.indexOf(segment)
    return found < 0 ? [null, null] : [found, found + segment.length]
  }

  #units(byte: number): number {
    this.#bytes ??= fromText(this.#text)
    if (this.#bytes.length === this.#text.length) return Math.min(byte, this.#text.length)
    return asBuffer(this.#bytes).toString('utf8', 0, byte).length
  }
}
