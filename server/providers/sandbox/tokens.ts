/** A word's beginning or part with the space before it, some marks, or a run of spaces: about four characters. */
const TOKEN = /\s?[\p{L}\p{N}_]{1,5}|\s?[^\s\p{L}\p{N}_]{1,3}|\s+/gu
/** Beyond this many characters the rest is taken to be like the beginning: counting must not take seconds. */
const COUNTED_CHARS = 32_768

/** The pieces in which the sandbox writes and counts text; joined they are the text again. */
export function splitTokens(text: string): string[] {
  return text.match(TOKEN) ?? []
}

export function countTokens(text: string): number {
  if (text.length <= COUNTED_CHARS) return splitTokens(text).length
  return Math.ceil((splitTokens(text.slice(0, COUNTED_CHARS)).length * text.length) / COUNTED_CHARS)
}
