import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLANS, planSchema } from '../db/model/plans.ts'
import { type Config, ConfigError, type Env, readConfig } from '../server/config.ts'
import { plansOf } from '../server/main/presets.ts'
import { PROVIDERS } from '../server/providers/index.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'watchllm-plans-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (env: Env = {}): Config => readConfig(env, PROVIDERS.values())

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** The one line that a bad environment gets. */
function refusal(env: Env): string {
  try {
    plansOf(read(env))
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error(`Accepted: ${JSON.stringify(env)}`)
}

describe('WATCHLLM_PLANS', () => {
  const files: [name: string, content: string][] = [
    ['empty', ''],
    ['no JSON', '{\n  nonsense\n}'],
    ['cut off', '[{"id":'],
    ['an object', '{}'],
    ['a plan without limits', '[{"id":"x","name":"X"}]'],
    ['a limit of zero', JSON.stringify([{ ...PLANS[0], requestsPerMinute: 0 }])],
    ['a limit in words', JSON.stringify([{ ...PLANS[0], requestsPerMinute: 'ten' }])],
    ['a bad id', JSON.stringify([{ ...PLANS[0], id: 'Über Plan' }])],
    ['a member nobody knows', JSON.stringify([{ ...PLANS[0], rpm: 5 }])],
    ['one plan twice', JSON.stringify([PLANS[0], PLANS[0]])],
    ['one plan twice in the place of all', JSON.stringify({ replace: true, plans: [PLANS[0], PLANS[0]] })],
    ['no plan in the place of all', JSON.stringify({ replace: true, plans: [] })],
    ['a word for the place', JSON.stringify({ replace: 'yes', plans: PLANS })],
    ['a member of the file nobody knows', JSON.stringify({ plans: PLANS, currency: 'eur' })],
    ['spend as a number', JSON.stringify([{ ...PLANS[0], spendPerMonth: 5 }])],
  ]
  it.each(files)('WATCHLLM_PLANS as a file that is %s', (name, content) => {
    const line = refusal({ WATCHLLM_PLANS: file(`${name}.json`, content) })
    expect(line).toMatch(/^WATCHLLM_PLANS must /)
    expect(line).not.toMatch(/\n/)
  })

  const own = { id: 'basic', name: 'Basic', requestsPerMinute: 60, requestsPerMonth: null, tokensPerDay: 500_000 }

  it('adds plans to those that are shipped, and replaces those of the same id', () => {
    const free = { ...own, id: 'free', name: 'Gratis' }
    const env = { WATCHLLM_PLANS: file('plans.json', JSON.stringify([own, free])), WATCHLLM_BOOTSTRAP_PLAN: 'free' }
    const { plans, bootstrapPlan } = read(env)
    expect(plans.map(({ id }) => id).sort()).toEqual(['agency', 'basic', 'free', 'pro', 'starter', 'unlimited'])
    expect(bootstrapPlan).toEqual(planSchema.parse(free))
  })

  it('says which member of which plan is wrong', () => {
    const content = JSON.stringify([own, { ...own, id: 'more', tokensPerDay: 'many' }])
    expect(refusal({ WATCHLLM_PLANS: file('plans3.json', content) })).toContain('plans.1.tokensPerDay')
  })

  it('takes the place of all that are shipped when it says so, as the second preset does', () => {
    const { plans } = read({ WATCHLLM_PLANS: join(import.meta.dirname, '../db/presets/plans-by-tokens.json') })
    expect(plans.map(({ id }) => id)).toEqual(['basic', 'pro', 'enterprise', 'unlimited'])
  })

  it('can name the plan of the default organization', () => {
    const env = { WATCHLLM_PLANS: file('plans2.json', JSON.stringify([own])), WATCHLLM_BOOTSTRAP_PLAN: 'basic' }
    expect(read(env).bootstrapPlan).toEqual(planSchema.parse(own))
    expect(refusal({ ...env, WATCHLLM_BOOTSTRAP_PLAN: 'gold' })).toContain('basic')
  })

  it('has its models named as calls have them', () => {
    const models = ['gpt-4o', 'openai/gpt-4o', 'anthropic/*', 'groq/some-model']
    const content = JSON.stringify([{ ...own, allowedModels: models }])
    const plans = plansOf(read({ WATCHLLM_PLANS: file('models.json', content) }))
    expect(plans.find(({ id }) => id === 'basic')?.allowedModels).toEqual(models)
  })

  it.each(['no-such-model', 'nobody/*', 'nobody/gpt-4o'])('does not name the model %s, which nobody has', (model) => {
    const content = JSON.stringify([{ ...own, allowedModels: ['gpt-4o', model] }])
    const line = refusal({ WATCHLLM_PLANS: file('unknown.json', content) })
    expect(line).toBe(`WATCHLLM_PLANS must name models that there are: the plan basic has "${model}"`)
  })
})
