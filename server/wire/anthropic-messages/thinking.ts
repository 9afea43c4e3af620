import type { ModelFacts } from '../dialect.ts'
import type { Effort, Extra, ReasoningWish } from '../model.ts'
import type { Notes } from './notes.ts'
import { ANTHROPIC, type Json, record } from './values.ts'

/** How much thinking is wanted, in Anthropic's words and back. */

const EFFORTS: readonly Effort[] = ['low', 'medium', 'high', 'xhigh', 'max']
/** Anthropic's own least. */
const MIN_BUDGET_TOKENS = 1024
/** What an effort is worth where only a budget can be said. */
const BUDGET_TOKENS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 2048,
  medium: 8192,
  high: 16_384,
  xhigh: 32_768,
  max: 65_536,
}
/** Of the output that is left to a budget made from an effort. */
const SHARE = 0.75

/** The wish of a Messages request: `thinking` and `output_config.effort`. */
export function readThinkingWish(body: Json, extras: Extra[]): ReasoningWish | null {
  const thinking = record(body.thinking)
  const { effort: said, format: _, ...others } = record(body.output_config)
  const keep = (name: string, value: unknown) => extras.push({ wire: ANTHROPIC, name, value })
  for (const [name, value] of Object.entries(others)) keep(`output_config.${name}`, value)
  const effort = EFFORTS.find((one) => one === said) ?? null
  const base = { budgetTokens: null, adaptive: false, summary: summaryOf(thinking.display) }
  switch (thinking.type) {
    case 'disabled':
      if (effort !== null) keep('output_config.effort', said)
      return { ...base, effort: 'none' }
    case 'enabled': {
      const budget = thinking.budget_tokens
      return { ...base, effort, budgetTokens: typeof budget === 'number' ? budget : null }
    }
    case 'adaptive':
      return { ...base, effort, adaptive: true }
    case undefined:
      return effort === null ? null : { ...base, effort }
    default:
      keep('thinking', body.thinking)
      return effort === null ? null : { ...base, effort }
  }
}

function summaryOf(display: unknown): ReasoningWish['summary'] {
  return display === 'omitted' ? 'none' : display === 'summarized' ? 'auto' : null
}

export interface ThinkingRoom {
  readonly facts: ModelFacts | null
  /** What the answer may take, thought included. */
  readonly maxTokens: number
  /** Why the model may not think at all: a tool is forced on it, or its last thought is gone. */
  readonly blocked: 'always' | 'by-budget' | null
}

export interface Thinking {
  /** The member `thinking`, null for none. */
  readonly thinking: Json | null
  /** The member `output_config.effort`. */
  readonly effort: Effort | null
  /** The model thinks: sampling parameters must keep away. */
  readonly thinks: boolean
}

const NONE: Thinking = { thinking: null, effort: null, thinks: false }
const OFF: Thinking = { ...NONE, thinking: { type: 'disabled' } }
const PARAM = 'reasoning_effort'

/** What a wish becomes on a model. What could not be kept is told in the notes. */
export function writeThinking(wish: ReasoningWish | null, room: ThinkingRoom, notes: Notes): Thinking {
  if (wish === null || isUnsaid(wish)) return NONE
  const knows = room.facts?.thinking ?? (wish.budgetTokens !== null ? 'budget' : 'adaptive')
  if (wish.effort === 'none') return knows === 'none' ? NONE : OFF
  if (knows === 'none') return without(NONE, notes)
  const display = displayOf(wish.summary)
  if (knows === 'budget') return writeBudget(wish, room, notes)
  const effort = effortOf(wish, notes)
  // An effort is for all of the output, not for thought alone: it can stay.
  if (room.blocked === 'always') return without({ ...OFF, effort }, notes)
  if (knows === 'effort') return { thinking: null, effort, thinks: false }
  return { thinking: { type: 'adaptive', ...display }, effort, thinks: true }
}

function isUnsaid({ effort, budgetTokens, adaptive, summary }: ReasoningWish): boolean {
  return effort === null && budgetTokens === null && !adaptive && (summary === null || summary === 'none')
}

function without(thinking: Thinking, notes: Notes): Thinking {
  notes.add(PARAM, 'dropped')
  return thinking
}

function displayOf(summary: ReasoningWish['summary']): Json {
  if (summary === null) return {}
  return { display: summary === 'none' ? 'omitted' : 'summarized' }
}

function effortOf({ effort, budgetTokens }: ReasoningWish, notes: Notes): Effort | null {
  if (effort === 'minimal') {
    notes.add(PARAM, 'clamped')
    return 'low'
  }
  if (effort !== null || budgetTokens === null) return effort
  notes.add(PARAM, 'emulated')
  return EFFORTS.find((one) => BUDGET_TOKENS[one] >= budgetTokens) ?? 'max'
}

function writeBudget(wish: ReasoningWish, { blocked, maxTokens }: ThinkingRoom, notes: Notes): Thinking {
  const isTooSmall = maxTokens <= MIN_BUDGET_TOKENS
  if (blocked !== null || isTooSmall) return without(OFF, notes)
  const wanted = wish.budgetTokens ?? BUDGET_TOKENS[wish.effort ?? 'medium']
  const most = wish.budgetTokens === null ? Math.floor(maxTokens * SHARE) : maxTokens - 1
  const budget = Math.max(MIN_BUDGET_TOKENS, Math.min(wanted, most))
  if (wish.budgetTokens === null) notes.add(PARAM, 'emulated')
  else if (budget !== wanted) notes.add(PARAM, 'clamped')
  return {
    thinking: { type: 'enabled', budget_tokens: budget, ...displayOf(wish.summary) },
    effort: null,
    thinks: true,
  }
}

/** Tokens of thought that a wish asks for where nothing else is said of the answer's length. */
export function wantedThought(wish: ReasoningWish | null): number {
  if (wish === null) return 0
  return wish.budgetTokens ?? BUDGET_TOKENS[wish.effort ?? 'none']
}
