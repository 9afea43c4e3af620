import type { Message, Part, Prompt } from '../model.ts'
import type { Notes } from './notes.ts'
import { type Block, writePart } from './write-parts.ts'

/** The messages of a prompt -> `system` and turns that alternate, as Anthropic wants them. */

export interface Turn {
  readonly role: 'user' | 'assistant' | 'system'
  content: Block[]
}

export interface Turns {
  readonly system: Block[]
  readonly turns: Turn[]
}

export interface TurnOptions {
  /** The provider's own id of the model. */
  readonly model: string
  readonly notes: Notes
  /** Cache marks are wanted. */
  readonly marks: boolean
}

/** Where a conversation must begin with words of the user and has none. */
const OPENING = '(continue)'
/** Models that take a system message in the middle; those before Claude Opus 4.8 and others' models refuse the role. */
const TAKES_SYSTEM = /claude-(?:opus-(?:4-[89]|[5-9])|sonnet-(?:5-5|[6-9])|haiku-[5-9]|fable|mythos-\d)/

export function writeTurns({ messages }: Prompt, options: TurnOptions): Turns {
  const { notes } = options
  const system: Block[] = []
  const turns: Turn[] = []
  const lead = messages.findIndex((message) => !isSystem(message))
  for (const [at, message] of messages.entries()) {
    if (message.name !== null) notes.add(`messages[${at}].name`, 'dropped')
    if (lead < 0 || at < lead) system.push(...writeParts(message.parts, { at, role: 'system', options }))
    else if (isSystem(message)) writeLateSystem(at, { messages, system, turns, options })
    else addTurn(turns, message.role as Turn['role'], writeMessage(message, at, options))
  }
  return { system, turns: settle(turns, system, options) }
}

function isSystem({ role }: Message): boolean {
  return role === 'system' || role === 'developer'
}

function writeMessage({ role, parts }: Message, at: number, options: TurnOptions): Block[] {
  return writeParts(parts, { at, role: role as Turn['role'], options })
}

function writeParts(
  parts: readonly Part[],
  { at, role, options }: { at: number; role: Turn['role']; options: TurnOptions },
): Block[] {
  const { notes, marks } = options
  return parts.flatMap((part, index) => {
    const path = `messages[${at}].content[${index}]`
    const block = writePart(part, { notes, marks, role, path })
    if (block === null) return []
    if (role !== 'system' || block.type === 'text' || part.type === 'opaque') return [block]
    notes.add(path, 'dropped')
    return []
  })
}

function addTurn(turns: Turn[], role: Turn['role'], content: Block[]): void {
  if (content.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.content.push(...content)
  else turns.push({ role, content })
}

interface Late {
  readonly messages: readonly Message[]
  readonly system: Block[]
  readonly turns: Turn[]
  readonly options: TurnOptions
}

/** In its place where the model and the place allow it (behind a user's turn, before an answer or the end), else first. */
function writeLateSystem(at: number, { messages, system, turns, options }: Late): void {
  const content = writeParts(messages[at]!.parts, { at, role: 'system', options })
  const next = messages.slice(at + 1).find((message) => !isSystem(message))
  const last = turns.at(-1)?.role
  const fits = (last === 'user' || last === 'system') && (next === undefined || next.role === 'assistant')
  if (fits && TAKES_SYSTEM.test(options.model)) return addTurn(turns, 'system', content)
  if (content.length === 0) return
  options.notes.add(`messages[${at}].role`, 'emulated')
  system.push(...content)
}

/** What the API asks of a conversation as a whole. */
function settle(given: Turn[], system: Block[], { notes }: TurnOptions): Turn[] {
  const turns = withoutMedia(given, notes)
  for (const turn of turns) {
    if (turn.role === 'user') turn.content = resultsFirst(turn.content)
  }
  if (turns.length === 0) {
    // Nothing but instructions: someone must say them.
    notes.add('messages[0].role', 'emulated')
    const content = system.length > 0 ? system.splice(0) : [{ type: 'text', text: OPENING }]
    return [{ role: 'user', content }]
  }
  if (turns[0]!.role === 'assistant') {
    notes.add('messages[0].role', 'emulated')
    turns.unshift({ role: 'user', content: [{ type: 'text', text: OPENING }] })
  }
  trimLast(turns)
  return turns
}

/** Pictures and documents may not stand in an assistant's turn: the user shows them with its next words. */
function withoutMedia(given: Turn[], notes: Notes): Turn[] {
  const turns: Turn[] = []
  let shown: Block[] = []
  for (const { role, content } of given) {
    const isMedia = ({ type }: Block) => role === 'assistant' && (type === 'image' || type === 'document')
    const media = content.filter(isMedia)
    const before = role === 'user' ? shown : []
    if (role === 'user') shown = []
    addTurn(turns, role, [...before, ...content.filter((block) => !isMedia(block))])
    shown.push(...media)
    if (media.length > 0) notes.add('messages[].content', 'emulated')
  }
  addTurn(turns, 'user', shown)
  return turns
}

/** Results of tools come before all else in a turn. */
function resultsFirst(content: Block[]): Block[] {
  const isResult = ({ type }: Block) => type === 'tool_result'
  return [...content.filter(isResult), ...content.filter((block) => !isResult(block))]
}

/** An answer that is to be gone on with may not end with white space. */
function trimLast(turns: Turn[]): void {
  const last = turns.at(-1)!
  const block = last.content.at(-1)!
  if (last.role !== 'assistant' || typeof block.text !== 'string') return
  block.text = block.text.trimEnd()
  if (block.text !== '') return
  last.content.pop()
  if (last.content.length === 0) turns.pop()
}
