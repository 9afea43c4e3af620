import { type Splice, splice } from './bytes.ts'
import { readMember, scanObject } from './json.ts'
import type { Ask, Members, WireId } from './wire.ts'

/** What a request says of how long its answer may be. */
export interface OutputWish {
  /** Tokens of one answer; null: not said. */
  readonly most: number | null
  /** How many answers are asked for. */
  readonly answers: number
}

/** Where each wire says how long an answer may be, the first that is there holds; and how many are wanted. */
const SAID: { readonly [id in WireId]?: { readonly most: readonly string[]; readonly answers: readonly string[] } } = {
  'openai-chat': { most: ['max_completion_tokens', 'max_tokens'], answers: ['n'] },
  'openai-completions': { most: ['max_tokens'], answers: ['n', 'best_of'] },
  'openai-responses': { most: ['max_output_tokens'], answers: [] },
  'anthropic-messages': { most: ['max_tokens'], answers: [] },
}

const CONFIG = 'generationConfig'
/** OpenAI's least on the Responses API. */
const MIN_RESPONSE_TOKENS = 16
/** Anthropic's least for a thought. */
const MIN_BUDGET_TOKENS = 1024

/** Reads a request on the wire that it came in on. */
export function outputWish(id: WireId, { body, members }: Ask): OutputWish {
  if (id === 'gemini') return geminiWish(body, members)
  const said = SAID[id]
  if (said === undefined) return { most: null, answers: 1 }
  const read = (name: string): number | null => whole(members.has(name) ? readMember(body, members, name) : null)
  const most = said.most.map(read).filter((one) => one !== null)
  const answers = Math.max(1, ...said.answers.map((name) => read(name) ?? 1))
  const prompts = id === 'openai-completions' ? promptsIn(body, members) : 1
  return { most: most.length === 0 ? null : Math.max(...most), answers: answers * prompts }
}

/** Every prompt of a list gets its own answers; a list of numbers is one prompt. */
function promptsIn(body: Uint8Array, members: Members): number {
  const span = members.get('prompt')
  if (span === undefined || body[span.start] !== 0x5b) return 1
  const prompts = readMember(body, members, 'prompt') as unknown[]
  return typeof prompts[0] === 'number' ? 1 : Math.max(1, prompts.length)
}

function geminiWish(body: Uint8Array, members: Members): OutputWish {
  const name = members.has(CONFIG) ? CONFIG : 'generation_config'
  const config = members.has(name) ? readMember(body, members, name) : null
  if (typeof config !== 'object' || config === null) return { most: null, answers: 1 }
  const { maxOutputTokens, max_output_tokens, candidateCount, candidate_count } = config as Record<string, unknown>
  const answers = whole(candidateCount ?? candidate_count) ?? 1
  return { most: whole(maxOutputTokens ?? max_output_tokens), answers: Math.max(1, answers) }
}

function whole(value: unknown): number | null {
  return typeof value === 'number' && value >= 1 && value <= Number.MAX_SAFE_INTEGER ? Math.ceil(value) : null
}

/** Whether a provider can be told on this wire how long an answer may be. */
export function canCap(id: WireId): boolean {
  return id === 'gemini' || SAID[id] !== undefined
}

/**
 * A request as it goes to the provider, its answer no longer than so many tokens; the same bytes where it says so already.
 * @param id the provider's wire. @param isNew `max_tokens` is refused there, in favour of `max_completion_tokens`
 */
export function withOutputCap(
  body: Uint8Array,
  { id, cap, isNew }: { readonly id: WireId; readonly cap: number; readonly isNew: boolean },
): Uint8Array {
  const members = scanObject(body)
  if (id === 'gemini') return cappedGemini(body, members, cap)
  const names = SAID[id]?.most
  if (names === undefined) return body
  const most = id === 'openai-responses' ? Math.max(MIN_RESPONSE_TOKENS, cap) : cap
  const said = names.filter((name) => members.has(name))
  if (said.length === 0) {
    const name = id === 'openai-chat' && !isNew ? 'max_tokens' : names[0]!
    return splice(body, [insertion(members, body, `"${name}":${most}`)])
  }
  const splices = said.flatMap((name) => lowered(body, members, name, most))
  if (id === 'anthropic-messages' && splices.length > 0) splices.push(...thoughtWithin(body, members, most))
  return splice(
    body,
    splices.sort((a, b) => a.start - b.start),
  )
}

function lowered(body: Uint8Array, members: Members, name: string, most: number): Splice[] {
  const value = readMember(body, members, name)
  const { start, end } = members.get(name)!
  return typeof value === 'number' && value <= most ? [] : [{ start, end, text: String(most) }]
}

/** A thought must be shorter than the answer that it is part of: one that has no room left is not asked for. */
function thoughtWithin(body: Uint8Array, members: Members, most: number): Splice[] {
  const span = members.get('thinking')
  const thinking = span === undefined ? null : readMember(body, members, 'thinking')
  if (typeof thinking !== 'object' || thinking === null) return []
  const { budget_tokens: budget, ...rest } = thinking as Record<string, unknown>
  if (typeof budget !== 'number' || budget < most) return []
  const { start, end } = span!
  const within = most > MIN_BUDGET_TOKENS ? { ...rest, budget_tokens: Math.max(MIN_BUDGET_TOKENS, most - 1) } : null
  return [{ start, end, text: JSON.stringify(within ?? { type: 'disabled' }) }]
}

function cappedGemini(body: Uint8Array, members: Members, cap: number): Uint8Array {
  const name = members.has(CONFIG) ? CONFIG : members.has('generation_config') ? 'generation_config' : null
  if (name === null) return splice(body, [insertion(members, body, `"${CONFIG}":{"maxOutputTokens":${cap}}`)])
  const config = readMember(body, members, name)
  const said = typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {}
  const most = whole(said.maxOutputTokens ?? said.max_output_tokens)
  if (most !== null && most <= cap) return body
  const { max_output_tokens: _, ...rest } = said
  const { start, end } = members.get(name)!
  return splice(body, [{ start, end, text: JSON.stringify({ ...rest, maxOutputTokens: cap }) }])
}

/** A new member, before all others. */
function insertion(members: Members, body: Uint8Array, member: string): Splice {
  const first = members.values().next().value
  if (first === undefined) return { start: 0, end: body.length, text: `{${member}}` }
  return { start: first.keyStart, end: first.keyStart, text: `${member},` }
}
