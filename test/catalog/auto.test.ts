import { describe, expect, it } from 'vitest'
import { autoModels, isTask, listModels, modelOf, resolveModel, TASKS, taskOf } from '../../server/catalog/catalog.ts'
import { createPrices } from '../../server/catalog/prices.ts'
import { PROVIDERS } from '../../server/providers/index.ts'

const all = () => true
const none = () => false
const providers = [...PROVIDERS.keys()].filter((id) => id !== 'sandbox')
const { priceOf } = createPrices()

describe('taskOf()', () => {
  it('reads the task out of a model name', () => {
    expect(taskOf('auto')).toBe('general')
    for (const task of TASKS) expect(taskOf(`auto:${task}`)).toBe(task)
  })

  it.each(['', 'auto:', 'auto:nonsense', 'AUTO', 'auto:Coding', 'gpt-4o', 'automatic', 'auto:constructor'])(
    'has none for %s',
    (model) => {
      expect(taskOf(model)).toBeNull()
    },
  )

  it('leaves no name of a listed model to the router', () => {
    for (const model of listModels()) expect(taskOf(model.id)).toBeNull()
    expect(isTask('__proto__')).toBe(false)
  })
})

describe.each(TASKS)('autoModels(%s)', (task) => {
  it('offers live models, each once, that resolve to where they are said to be', () => {
    const picks = autoModels(task, all)
    expect(picks.length).toBeGreaterThan(4)
    expect(new Set(picks.map(({ id }) => id)).size).toBe(picks.length)
    for (const pick of picks) {
      expect(resolveModel(pick.id)).toMatchObject({ provider: pick.provider, model: pick.model })
      const model = modelOf(pick.id)!
      expect([model.name, model.deprecatedAt]).toEqual([pick.name, undefined])
      expect(model.capabilities).toContain('chat')
      expect(pick.provider).not.toBe('sandbox')
      expect(pick.reason.length).toBeGreaterThan(10)
    }
  })

  it('puts models with credentials first, in the same order, and says which they are', () => {
    const order = autoModels(task, none)
    expect(order.some(({ configured }) => configured)).toBe(false)
    for (const provider of new Set(order.map((pick) => pick.provider))) {
      const picks = autoModels(task, (id) => id === provider)
      const here = order.filter((pick) => pick.provider === provider).map(({ id }) => id)
      expect(picks.slice(0, here.length).map(({ id, configured }) => [id, configured])).toEqual(
        here.map((id) => [id, true]),
      )
      expect(picks.slice(here.length).map(({ id }) => id)).toEqual(
        order.filter((pick) => pick.provider !== provider).map(({ id }) => id),
      )
    }
  })
})

describe('the choice', () => {
  it.each(['general', 'fast', 'cheap'] as const)('of %s has something of every provider', (task) => {
    expect(new Set(autoModels(task, all).map(({ provider }) => provider))).toEqual(new Set(providers))
  })

  it('sees where the task is to see, thinks where it is to think, and uses tools to code', () => {
    const has = { vision: 'vision', reasoning: 'reasoning', coding: 'tools' } as const
    for (const [task, capability] of Object.entries(has)) {
      for (const { id } of autoModels(task as keyof typeof has, all)) {
        expect(modelOf(id)!.capabilities, id).toContain(capability)
      }
    }
  })

  it('of cheap costs less than a tenth of the first of reasoning', () => {
    const usd = (task: 'cheap' | 'reasoning') => {
      const { provider, model } = autoModels(task, all)[0]!
      const { rates } = priceOf(provider, model, Date.parse('2026-11-20'))!
      return rates.input + rates.output
    }
    expect(usd('cheap')).toBeLessThan(usd('reasoning') / 10)
  })

  it('of chinese begins with makers from China', () => {
    expect(autoModels('chinese', all)[0]!.provider).toBe('qwen')
  })
})
