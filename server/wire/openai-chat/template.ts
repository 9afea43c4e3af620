/**
 * What stands around the text in a stream's chunks, which is the same in hundreds of them: one that fits is known
 * without parsing it.
 */
export interface Template {
  readonly head: string
  readonly tail: string
}

/**
 * @param key how the text begins, such as `"content":"`
 * @returns null when the text can't be told from the rest at a glance
 */
export function templateOf(chunk: string, key: string): Template | null {
  const at = chunk.indexOf(key)
  if (at < 0 || chunk.indexOf(key, at + 1) >= 0) return null
  const start = at + key.length
  const stop = chunk.indexOf('"', start)
  if (stop < 0 || chunk.slice(start, stop).includes('\\')) return null
  return { head: chunk.slice(0, start), tail: chunk.slice(stop) }
}

/** The text of a chunk that is built alike, as it is written in JSON without its quotes; null when it isn't. */
export function textIn(chunk: string, { head, tail }: Template): string | null {
  const end = chunk.length - tail.length
  if (end < head.length || !chunk.endsWith(tail) || !chunk.startsWith(head)) return null
  const text = chunk.slice(head.length, end)
  // A quote, or half an escape before the one that ends it: not built alike after all.
  return text.includes('"') || text.endsWith('\\') ? null : text
}
