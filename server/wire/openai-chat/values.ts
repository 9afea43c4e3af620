import { WireError } from '../wire.ts'

/** Values of JSON that nobody has checked yet. */

export type Json = Readonly<Record<string, unknown>>

const NONE: Json = Object.freeze({})

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object, or an empty one. */
export function record(value: unknown): Json {
  return isRecord(value) ? value : NONE
}

/** The objects of a list; what is no object becomes an empty one. */
export function records(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(record) : []
}

export function textOr<T>(value: unknown, other: T): string | T {
  return typeof value === 'string' ? value : other
}

export function numberOr<T>(value: unknown, other: T): number | T {
  return typeof value === 'number' ? value : other
}

export function flagOr<T>(value: unknown, other: T): boolean | T {
  return typeof value === 'boolean' ? value : other
}

/** Null when it is null or absent. @throws WireError when it is something else but a number */
export function askedNumber(body: Json, name: string): number | null {
  const value = body[name] ?? null
  if (value === null || typeof value === 'number') return value
  throw new WireError(`"${name}" must be a number`, name)
}

/** Null when it is null or absent. @throws WireError when it is something else but a string */
export function askedText(body: Json, name: string): string | null {
  const value = body[name] ?? null
  if (value === null || typeof value === 'string') return value
  throw new WireError(`"${name}" must be a string`, name)
}

/** A string or a list of strings as a list. @throws WireError for anything else */
export function askedTexts(body: Json, name: string): string[] {
  const value = body[name] ?? []
  const list = typeof value === 'string' ? [value] : value
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list
  throw new WireError(`"${name}" must be a string or a list of strings`, name)
}

/** The members that are said: `null` is left out, `undefined` too. */
export function said(members: Json): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined))
}
