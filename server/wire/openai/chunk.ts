import type { Usage } from '../../../db/model/usage.ts'
import { asBuffer, fromLatin1, fromText, latin1, splice } from '../bytes.ts'
import { cutMember, scanObject } from '../json.ts'
import { readOpenaiUsage } from './usage.ts'

/** One chunk of a stream, as text with one character a byte: what its providers hide in it. */

export type Chunk = Readonly<Record<string, unknown>>

const BEYOND_ASCII = /[^ -~\t\r\n]/
const ERROR_EVENT = /^event: ?error\r?$/m
const MAX_FAILURE = 1000

/** The data of an event as an object; null when it is something else. */
export function parseData(data: string | null): Chunk | null {
  if (data === null) return null
  try {
    const value: unknown = JSON.parse(decodeLatin1(data))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Chunk) : null
  } catch {
    return null
  }
}

export function choicesOf(chunk: Chunk): readonly unknown[] {
  return Array.isArray(chunk.choices) ? chunk.choices : []
}

/** Usage in the chunk's own member, or where Groq and Moonshot put it when nobody asks. */
export function usageOf(chunk: Chunk): Usage | null {
  const own = readOpenaiUsage(chunk.usage) ?? readOpenaiUsage(memberOf(chunk.x_groq, 'usage'))
  if (own !== null) return own
  for (const choice of choicesOf(chunk)) {
    const inChoice = readOpenaiUsage(memberOf(choice, 'usage'))
    if (inChoice !== null) return inChoice
  }
  return null
}

/** An error that a provider sent as an event, as text for the log; null when the event is none. */
export function failureOf(frame: string, data: string | null, chunk: Chunk | null): string | null {
  const error = chunk?.error
  if ((typeof error === 'object' && error !== null) || (typeof error === 'string' && error !== '')) {
    return JSON.stringify(error).slice(0, MAX_FAILURE)
  }
  // vLLM's objects, and servers that say it only in the event's name.
  if (data === null || (chunk?.object !== 'error' && !ERROR_EVENT.test(frame))) return null
  return decodeLatin1(data).slice(0, MAX_FAILURE)
}

/** The chunk without its usage. */
export function withoutUsage(data: string): string {
  const bytes = fromLatin1(data)
  try {
    const members = scanObject(bytes)
    return members.has('usage') ? latin1(splice(bytes, [cutMember(members, 'usage')])) : data
  } catch {
    // Twice the same name, or deeper than we read: no reason to break off a stream.
    return latin1(fromText(JSON.stringify({ ...parseData(data), usage: undefined })))
  }
}

/** Text of a string with one character a byte. */
export function decodeLatin1(text: string): string {
  return BEYOND_ASCII.test(text) ? asBuffer(fromLatin1(text)).toString() : text
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Chunk)[name] : undefined
}
