import type { ModelFacts } from '../dialect.ts'
import type { Effort, ReasoningWish } from '../model.ts'
import type { GeminiModel } from './model.ts'
import { type Notes, said } from './notes.ts'

const PARAM = 'reasoning_effort'

/** Google's own table for callers of OpenAI's wire: tokens of thinking for each effort. */
const TOKENS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
  xhigh: 24_576,
  max: 24_576,
}

const LEVELS: Readonly<Record<Effort, string>> = {
  none: 'MINIMAL',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
}

/** Efforts that Gemini has no word for. */
const BEYOND: ReadonlySet<Effort> = new Set(['xhigh', 'max'])

export interface Thinker {
  readonly model: GeminiModel
  readonly thinking: ModelFacts['thinking']
}

/** `thinkingConfig` for a wish, null when there is nothing to say. */
export function writeThinking(wish: ReasoningWish | null, thinker: Thinker, notes: Notes): object | null {
  if (wish === null) return null
  const effort = notes.take(PARAM, wish.effort)
  const isAsked = effort !== null || wish.budgetTokens !== null || wish.adaptive
  if (thinker.thinking === 'none') {
    if (isAsked && effort !== 'none') notes.note(PARAM, 'dropped')
    return null
  }
  const amount = byLevel(thinker)
    ? level({ ...wish, effort }, notes)
    : budget({ ...wish, effort }, thinker.model, notes)
  const config = { ...amount, ...said({ includeThoughts: isShown(wish) }) }
  return Object.keys(config).length === 0 ? null : config
}

/** Null: not said. Callers who set a budget are Messages', where thoughts are shown unless they are unwanted. */
function isShown({ summary, budgetTokens }: ReasoningWish): boolean | null {
  if (summary !== null) return summary !== 'none'
  return budgetTokens !== null && budgetTokens > 0 ? true : null
}

function byLevel({ model, thinking }: Thinker): boolean {
  return thinking === null || thinking === 'adaptive' ? model.hasLevels : thinking === 'effort'
}

function level({ effort, budgetTokens }: ReasoningWish, notes: Notes): object {
  if (effort !== null) {
    // Thinking can be made small, but not switched off.
    if (effort === 'none' || BEYOND.has(effort)) notes.note(PARAM, 'clamped')
    return { thinkingLevel: LEVELS[effort] }
  }
  if (budgetTokens === null) return {}
  notes.note(PARAM, 'renamed')
  return { thinkingLevel: LEVELS[effortOf(budgetTokens)] }
}

function effortOf(tokens: number): Effort {
  if (tokens <= 0) return 'minimal'
  return tokens <= TOKENS.low ? 'low' : tokens <= TOKENS.medium ? 'medium' : 'high'
}

function budget(wish: ReasoningWish, { thinking }: GeminiModel, notes: Notes): object {
  const { effort, budgetTokens, adaptive } = wish
  const tokens = budgetTokens ?? (effort === null ? null : TOKENS[effort])
  if (tokens === null) return adaptive ? { thinkingBudget: -1 } : {}
  if (budgetTokens === null && effort !== null && BEYOND.has(effort)) notes.note(PARAM, 'clamped')
  // -1 leaves it to the model.
  if (tokens === -1 || (tokens === 0 && thinking.canRest)) return { thinkingBudget: tokens }
  return { thinkingBudget: notes.within(PARAM, tokens, thinking) }
}
