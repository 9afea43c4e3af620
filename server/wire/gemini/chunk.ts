import { type Json, record, records, text } from './json.ts'

/** One answer or one chunk of a stream: what it says of itself. */

const MAX_FAILURE = 1000

/** Everything a model wrote: text, thoughts, names and arguments of calls. */
export function textsOf(chunk: Json): string[] {
  const parts = records(chunk.candidates).flatMap((candidate) => records(record(candidate.content).parts))
  return parts.flatMap((part) => {
    const others = [part.functionCall, part.executableCode, part.codeExecutionResult]
    const written = others.filter((other) => other !== undefined).map((other) => JSON.stringify(other))
    return typeof part.text === 'string' ? [part.text, ...written] : written
  })
}

/** Something of the answer is in it: a part of whatever kind. */
export function hasParts(chunk: Json): boolean {
  return records(chunk.candidates).some((candidate) => records(record(candidate.content).parts).length > 0)
}

/** The answer ends with it: a candidate tells why it ended, or the prompt was blocked. */
export function isLast(chunk: Json): boolean {
  if (text(record(chunk.promptFeedback).blockReason) !== null) return true
  return records(chunk.candidates).some((candidate) => text(candidate.finishReason) !== null)
}

/** An error in a chunk's place, as text for the log; null when it is none. */
export function failureOf(chunk: Json): string | null {
  const { error } = chunk
  const isError = (typeof error === 'object' && error !== null) || (typeof error === 'string' && error !== '')
  return isError ? JSON.stringify(error).slice(0, MAX_FAILURE) : null
}
