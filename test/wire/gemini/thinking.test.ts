import { describe, expect, it } from 'vitest'
import type { ModelFacts } from '../../../server/wire/dialect.ts'
import type { Prompt } from '../../../server/wire/model.ts'
import { FACTS, NEW, OLD, write } from './samples.ts'

describe('thinking', () => {
  const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
  const NO_WISH = { effort: null, budgetTokens: null, adaptive: false, summary: null }
  const think = (wish: Partial<Prompt['reasoning']>, model = OLD, facts: ModelFacts | null = null) => {
    const { body, adapted } = write({ reasoning: { ...NO_WISH, ...wish } }, { model, facts })
    return [body.generationConfig?.thinkingConfig ?? null, adapted] as const
  }

  it('every effort has a budget before Gemini 3, and a level since', () => {
    const budgets = efforts.map((effort) => think({ effort })[0]?.thinkingBudget)
    expect(budgets).toEqual([0, 1024, 1024, 8192, 24_576, 24_576, 24_576])
    const levels = efforts.map((effort) => think({ effort }, NEW)[0]?.thinkingLevel)
    expect(levels).toEqual(['MINIMAL', 'MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'HIGH', 'HIGH'])
  })

  it('what is no more than the nearest word is reported', () => {
    const reported = (model: string) => efforts.filter((effort) => think({ effort }, model)[1].length > 0)
    expect(reported(OLD)).toEqual(['xhigh', 'max'])
    expect(reported('gemini-2.5-pro')).toEqual(['none', 'xhigh', 'max'])
    expect(reported(NEW)).toEqual(['none', 'xhigh', 'max'])
    expect(think({ effort: 'none' }, NEW)[1]).toEqual(['reasoning_effort=clamped'])
  })

  it.each([
    [OLD, 5000, { thinkingBudget: 5000, includeThoughts: true }, []],
    [OLD, 0, { thinkingBudget: 0 }, []],
    [OLD, 31_999, { thinkingBudget: 24_576, includeThoughts: true }, ['reasoning_effort=clamped']],
    ['gemini-2.5-pro', 31_999, { thinkingBudget: 31_999, includeThoughts: true }, []],
    ['gemini-2.5-pro', 0, { thinkingBudget: 128 }, ['reasoning_effort=clamped']],
    ['gemini-2.5-flash-lite', 100, { thinkingBudget: 512, includeThoughts: true }, ['reasoning_effort=clamped']],
    [NEW, 1024, { thinkingLevel: 'LOW', includeThoughts: true }, ['reasoning_effort=renamed']],
    [NEW, 8000, { thinkingLevel: 'MEDIUM', includeThoughts: true }, ['reasoning_effort=renamed']],
    [NEW, 31_999, { thinkingLevel: 'HIGH', includeThoughts: true }, ['reasoning_effort=renamed']],
  ])('%s asked for a budget of %i tokens', (model, budgetTokens, config, adapted) => {
    expect(think({ budgetTokens }, model)).toEqual([config, adapted])
  })

  it('left to the model is what Gemini calls dynamic', () => {
    expect(think({ adaptive: true })).toEqual([{ thinkingBudget: -1 }, []])
    expect(think({ adaptive: true }, NEW)).toEqual([null, []])
  })

  it('is shown if it is asked for, and not said if not', () => {
    const shown = (['none', 'auto', 'concise', 'detailed', null] as const).map((summary) => think({ summary })[0])
    expect(shown).toEqual([
      { includeThoughts: false },
      { includeThoughts: true },
      { includeThoughts: true },
      { includeThoughts: true },
      null,
    ])
  })

  it('is told as the catalogue says, whatever the name', () => {
    expect(think({ effort: 'low' }, 'x', { ...FACTS, thinking: 'budget' })).toEqual([{ thinkingBudget: 1024 }, []])
    expect(think({ effort: 'low' }, OLD, { ...FACTS, thinking: 'effort' })).toEqual([{ thinkingLevel: 'LOW' }, []])
    const none = { ...FACTS, thinking: 'none' } as const
    expect(think({ effort: 'low' }, OLD, none)).toEqual([null, ['reasoning_effort=dropped']])
    expect(think({ effort: 'none' }, OLD, none)).toEqual([null, []])
  })
})
