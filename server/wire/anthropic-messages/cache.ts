import { type Splice, splice } from '../bytes.ts'
import { cutMember, decode, scanObject, skipSpace, skipValue } from '../json.ts'
import type { Ask, Span } from '../wire.ts'

/** Cache marks of a request that stays on its wire: set or taken out where they stand, all else byte for byte. */

const NAME = '"cache_control"'
const MARK = `${NAME}:{"type":"ephemeral"}`
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const QUOTE = 0x22
/** Blocks that can't be marked. */
const UNMARKABLE = ['thinking', 'redacted_thinking']

type Range = Pick<Span, 'start' | 'end'>

/** The caller has set marks of its own (or only quotes one: then it is left to its own devices). */
export function hasCacheMarks(ask: Ask): boolean {
  return decode(ask.body, 0, ask.body.length).includes(NAME)
}

/**
 * Marks behind what stays the same from call to call: the tools, the system prompt, the last two turns of the user;
 * together the four that the API allows. Nothing when the caller has set some.
 */
export function setCacheMarks(ask: Ask): Splice[] {
  if (hasCacheMarks(ask)) return []
  const { body, members } = ask
  const found = [markLastTool(body, members.get('tools')), markContent(body, members.get('system'))]
  const turns = elements(body, members.get('messages')).filter((turn) => memberText(body, turn, 'role') === '"user"')
  for (const turn of turns.slice(-2)) found.push(markContent(body, memberOf(body, turn, 'content')))
  return found.flat()
}

/** Takes every mark out. */
export function dropCacheMarks(ask: Ask): Splice[] {
  if (!hasCacheMarks(ask)) return []
  const { body, members } = ask
  const cuts: Splice[] = []
  if (members.has('cache_control')) cuts.push(cutMember(members, 'cache_control'))
  for (const name of ['tools', 'system']) cuts.push(...blockCuts(body, members.get(name)))
  for (const turn of elements(body, members.get('messages'))) {
    cuts.push(...blockCuts(body, memberOf(body, turn, 'content')))
  }
  return cuts
}

/** @returns the request's bytes with the splices, in whatever order they come */
export function spliced(ask: Ask, splices: Splice[]): Uint8Array {
  return splice(
    ask.body,
    splices.sort((a, b) => a.start - b.start),
  )
}

function blockCuts(body: Uint8Array, blocks: Range | undefined): Splice[] {
  return elements(body, blocks).flatMap((block) => {
    if (body[block.start] !== OPEN_BRACE) return []
    const members = scanObject(body.subarray(block.start, block.end))
    // A tool's result has blocks of its own.
    const inner = members.has('tool_use_id') ? blockCuts(body, memberOf(body, block, 'content')) : []
    if (!members.has('cache_control')) return inner
    const { start, end, text } = cutMember(members, 'cache_control')
    return [...inner, { start: block.start + start, end: block.start + end, text }]
  })
}

function markLastTool(body: Uint8Array, tools: Range | undefined): Splice[] {
  // A tool that is loaded later is no part of the prompt's beginning.
  const early = elements(body, tools).filter((tool) => memberText(body, tool, 'defer_loading') !== 'true')
  return markBlock(body, early.at(-1))
}

/** Marks the end of a content, text or blocks. */
function markContent(body: Uint8Array, content: Range | undefined): Splice[] {
  if (content === undefined) return []
  const { start, end } = content
  if (body[start] !== QUOTE) return markBlock(body, elements(body, content).at(-1))
  if (end - start < 3) return []
  return [
    { start, end: start, text: '[{"type":"text","text":' },
    { start: end, end, text: `,${MARK}}]` },
  ]
}

function markBlock(body: Uint8Array, block: Range | undefined): Splice[] {
  if (block === undefined || body[block.start] !== OPEN_BRACE) return []
  const type = memberText(body, block, 'type')
  if (UNMARKABLE.some((name) => type === `"${name}"`) || memberText(body, block, 'text') === '""') return []
  const at = block.start + 1
  return [{ start: at, end: at, text: `${MARK},` }]
}

function elements(body: Uint8Array, list: Range | undefined): Range[] {
  const found: Range[] = []
  if (list === undefined || body[list.start] !== OPEN_BRACKET) return found
  let at = skipSpace(body, list.start + 1)
  while (at < list.end - 1) {
    const end = skipValue(body, at)
    found.push({ start: at, end })
    at = skipSpace(body, skipSpace(body, end) + 1)
  }
  return found
}

function memberOf(body: Uint8Array, object: Range, name: string): Range | undefined {
  if (body[object.start] !== OPEN_BRACE) return undefined
  const span = scanObject(body.subarray(object.start, object.end)).get(name)
  return span && { start: object.start + span.start, end: object.start + span.end }
}

function memberText(body: Uint8Array, object: Range, name: string): string | null {
  const span = memberOf(body, object, name)
  return span === undefined ? null : decode(body, span.start, span.end)
}
