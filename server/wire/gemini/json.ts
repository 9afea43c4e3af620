/** Reading Google's JSON, which writes its names in camelCase and takes them in snake_case as well. */

export type Json = Readonly<Record<string, unknown>>

const EMPTY: Json = Object.freeze({})

/** The value as an object; an empty one when it is anything else. */
export function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : EMPTY
}

/** The objects of a list; none when it is no list. */
export function records(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(record) : []
}

/** The text that is there, null for everything else and for none. */
export function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** True for an object with at least one member. */
export function isFilled(value: unknown): boolean {
  return Object.keys(record(value)).length > 0
}
