import type { Usage } from '../../../db/model/usage.ts'
import { latin1, type Splice, splice } from '../bytes.ts'
import { cutMember, readMember, scanObject } from '../json.ts'
import {
  type Answer,
  AnswerError,
  type Ask,
  type Edited,
  type Edits,
  type Members,
  type Span,
  WireError,
} from '../wire.ts'
import { type Body, withAdditions } from './additions.ts'
import { readOpenaiUsage, writeOpenaiUsage } from './usage.ts'

/** What OpenAI's endpoints share: the head of a request, the named edits, the shape of an answer. */

const OPTIONS = 'stream_options'

/** @throws WireError for anything but a JSON object that names a model. */
export function readHead(body: Uint8Array): Ask {
  const members = scanObject(body)
  const model = readMember(body, members, 'model')
  if (typeof model !== 'string' || model === '') {
    throw new WireError('You must provide a model parameter: a string such as "gpt-4o-mini"', 'model')
  }
  if (model.length > 256) throw new WireError('The model name is longer than 256 characters', 'model')
  const stream = readFlag(body, members, 'stream')
  const endUser = members.has('safety_identifier') || members.has('user') ? readEndUser(body, members) : null
  return { body, members, model, stream, wantsUsage: stream && wantsUsage(body, members), endUser }
}

function readFlag(body: Uint8Array, members: Members, name: string): boolean {
  const value = readMember(body, members, name)
  if (value === undefined || value === null || value === false) return false
  if (value === true) return true
  throw new WireError(`"${name}" must be true or false`, name)
}

function wantsUsage(body: Uint8Array, members: Members): boolean {
  const options = optionsOf(body, members)
  return options !== null && readMember(options.bytes, options.members, 'include_usage') === true
}

interface Options {
  readonly bytes: Uint8Array
  readonly members: Members
}

/** Null when they are null or absent. @throws WireError when they are anything else but an object */
function optionsOf(body: Uint8Array, members: Members): Options | null {
  const span = members.get(OPTIONS)
  if (span === undefined) return null
  if (body[span.start] === 0x7b) {
    const bytes = body.subarray(span.start, span.end)
    return { bytes, members: scanObject(bytes) }
  }
  if (readMember(body, members, OPTIONS) === null) return null
  throw new WireError(`"${OPTIONS}" must be an object`, OPTIONS)
}

function readEndUser(body: Uint8Array, members: Members): string | null {
  const value = readMember(body, members, 'safety_identifier') ?? readMember(body, members, 'user')
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : null
}

/** @throws WireError unless the member is there and is of that kind; looks at its first byte only. */
export function requireKind(ask: Ask, name: string, kinds: readonly ('array' | 'string' | 'object')[]): void {
  const span = ask.members.get(name)
  const found = span === undefined ? null : ask.body[span.start]
  for (const kind of kinds) {
    if (found === (kind === 'array' ? 0x5b : kind === 'string' ? 0x22 : 0x7b)) return
  }
  const what = kinds.map((kind) => (kind === 'string' ? 'a string' : `an ${kind}`)).join(' or ')
  throw new WireError(span === undefined ? `Missing required parameter: "${name}"` : `"${name}" must be ${what}`, name)
}

export function editRequest(ask: Ask, edits: Edits): Edited {
  const splices: Splice[] = []
  if (edits.model !== ask.model) splices.push(replace(ask.members.get('model')!, edits.model))
  if (ask.stream && edits.askUsage && !ask.wantsUsage) splices.push(askForUsage(ask))
  // A provider that can't be asked refuses the member; the tap makes up for it.
  if (ask.stream && !edits.askUsage && ask.members.has(OPTIONS)) splices.push(cutMember(ask.members, OPTIONS))
  if (edits.plainVectors && ask.members.has(ENCODING)) splices.push(cutMember(ask.members, ENCODING))
  if (splices.length > 1) splices.sort((a, b) => a.start - b.start)
  return { body: splice(ask.body, splices), adapted: [] }
}

const ENCODING = 'encoding_format'

function askForUsage(ask: Ask): Splice {
  const span = ask.members.get(OPTIONS)
  if (span === undefined) {
    const first = ask.members.values().next().value!.keyStart
    return { start: first, end: first, text: `"${OPTIONS}":{"include_usage":true},` }
  }
  const options = optionsOf(ask.body, ask.members)
  if (options === null) return replace(span, { include_usage: true })
  const said = options.members.get('include_usage')
  if (said !== undefined) return { start: span.start + said.start, end: span.start + said.end, text: 'true' }
  const comma = options.members.size === 0 ? '' : ','
  return { start: span.start + 1, end: span.start + 1, text: `"include_usage":true${comma}` }
}

function replace(span: Span, value: unknown): Splice {
  return { start: span.start, end: span.end, text: JSON.stringify(value) }
}

/**
 * A whole JSON answer of OpenAI's shape.
 * @param list the member that must be there for the answer to be one, such as `choices`.
 * @param guess usage when the provider says none.
 * @throws AnswerError when it is not JSON, is empty, cut, or an error in an answer's clothes.
 */
export function readOpenaiAnswer(bytes: Uint8Array, list: string, guess: () => Usage): Answer {
  const text = latin1(bytes)
  return openaiAnswer({ bytes, text, value: parseAnswer(text) }, list, guess)
}

/** The same for an answer that has been parsed. */
export function openaiAnswer(body: Body, list: string, guess: () => Usage): Answer {
  const { text, value } = body
  const items = value[list]
  if (!Array.isArray(items)) throw new AnswerError(`The answer has no "${list}": ${text.slice(0, 300)}`)
  if (items.length === 0 && isSomething(value.error)) throw new AnswerError(`An error: ${text.slice(0, 300)}`)
  const said = readOpenaiUsage(value.usage)
  const usage = said ?? guess()
  const isEstimated = said === null
  const made = isEstimated ? writeOpenaiUsage(usage) : null
  return {
    usage,
    source: isEstimated ? 'estimated' : 'provider',
    withAdditions(additions) {
      return additions === null ? text : withAdditions(body, { additions, made, isEstimated })
    },
  }
}

/** Parsed byte for character: the structure and all that is ASCII are right, which is all that is read of it. */
function parseAnswer(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw new AnswerError(`The answer is no JSON: ${(error as Error).message}`)
  }
  throw new AnswerError('The answer is no JSON object')
}

function isSomething(error: unknown): boolean {
  return error !== undefined && error !== null && error !== ''
}
