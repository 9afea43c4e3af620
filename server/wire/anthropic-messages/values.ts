/** Reading JSON of unknown shape, for the files of Anthropic's wire. */

export type Json = Readonly<Record<string, unknown>>

/** What the Messages wire marks its own things with. */
export const ANTHROPIC = 'anthropic-messages'

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value when it is an object, else an empty one. */
export function record(value: unknown): Json {
  return isRecord(value) ? value : {}
}

/** The objects of a list; empty when it is none. */
export function records(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}

/** The value when it is a string, else null. */
export function textOr(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** JSON text as a value, undefined when it is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
