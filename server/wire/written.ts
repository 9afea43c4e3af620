import { fromText } from './bytes.ts'
import type { TokenEstimator } from './estimate.ts'
import { decodeLatin1 } from './openai/chunk.ts'
import type { ByteText } from './wire.ts'

/** Text as it is written in JSON, looked at where it stands in a stream's bytes. */

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** From behind the opening quote up to the closing one. */
export interface Written {
  readonly start: number
  readonly stop: number
}

/** Index of the quote that closes the JSON string whose text begins at `from`, `limit` when there is none before it. */
export function endOfString(text: ByteText, from: number, limit: number): number {
  let at = from
  while (at < limit) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    at += code === BACKSLASH ? 2 : 1
  }
  return limit
}

/** Adds the words of one string. @param bytes the same as `text` */
export function countWritten(
  words: TokenEstimator,
  bytes: Uint8Array,
  { text, start, stop }: Written & { readonly text: ByteText },
): void {
  const written = text.slice(start, stop)
  if (written.includes('\\')) words.add(fromText(unescaped(written)))
  else words.add(bytes, start, stop)
}

function unescaped(written: ByteText): string {
  try {
    return JSON.parse(`"${decodeLatin1(written)}"`)
  } catch {
    return decodeLatin1(written)
  }
}
