import { describe, expect, it } from 'vitest'
import { fallbacksOf, type RoutingRules, rulesOf } from '../../db/model/key-rules.ts'
import {
  type KeySettings,
  MAX_ALIASES,
  MAX_FALLBACKS,
  PROJECT_DEFAULTS,
  type ProjectRouting,
  projectSettingsSchema,
  ROUTING_DEFAULTS,
} from '../../db/model/settings.ts'

const routingOf = (routing: Partial<ProjectRouting>, settings: Partial<KeySettings> = {}): RoutingRules | null =>
  rulesOf({ settings, projectSettings: { routing }, defaultProvider: null })?.routing ?? null

describe('routing rules', () => {
  it('are none where settings say what holds without them: such a key is under no rule', () => {
    expect(rulesOf({ settings: {}, projectSettings: { routing: {} }, defaultProvider: null })).toBeNull()
    const said = { settings: { hedgeAfterMs: null }, projectSettings: { routing: ROUTING_DEFAULTS } }
    expect(rulesOf({ ...said, defaultProvider: null })).toBeNull()
    expect(rulesOf({ ...said, settings: { bodyAdditions: false }, defaultProvider: null })?.routing).toBeNull()
  })

  it.each<[Partial<ProjectRouting>]>([
    [{ policy: 'cheapest' }],
    [{ chain: ['groq'] }],
    [{ equivalents: false }],
    [{ hedgeAfterMs: 300 }],
  ])('of %o are that, and else as without settings', (said) => {
    expect(routingOf(said)).toEqual({ ...ROUTING_DEFAULTS, aliases: new Map(), fallbacks: new Map(), ...said })
  })

  it('have names in maps: what an object inherits is no alias', () => {
    const rules = routingOf({ aliases: { fast: 'groq/openai/gpt-oss-20b' }, fallbacks: { 'gpt-4o': ['gpt-4.1'] } })!
    expect(rules.aliases.get('fast')).toBe('groq/openai/gpt-oss-20b')
    expect([rules.aliases.get('constructor'), rules.aliases.get('__proto__')]).toEqual([undefined, undefined])
  })

  it.each([
    [null, null, null],
    [null, 0, null],
    [null, 200, 200],
    [300, null, 300],
    [300, 0, null],
    [300, 200, 200],
  ])('of a project that hedges after %s and a key that says %s hedge after %s', (project, key, expected) => {
    const rules = routingOf({ policy: 'fastest', hedgeAfterMs: project }, { hedgeAfterMs: key })
    expect(rules?.hedgeAfterMs).toBe(expected)
    expect(routingOf({ hedgeAfterMs: project }, { hedgeAfterMs: key })?.hedgeAfterMs ?? null).toBe(expected)
  })
})

describe('the models that a project falls back on', () => {
  const rules = routingOf({
    fallbacks: {
      fast: ['alias'],
      'gpt-4o': ['bare'],
      'openai/gpt-5': ['pinned'],
      'openai/gpt-oss-120b': ['slash'],
      'groq/openai/gpt-oss-120b': ['host'],
    },
  })

  it.each([
    ['fast', { provider: 'openai', model: 'gpt-4o' }, ['alias']],
    ['gpt-4o', { provider: 'openai', model: 'gpt-4o' }, ['bare']],
    ['openai/gpt-4o', { provider: 'openai', model: 'gpt-4o' }, ['bare']],
    ['gpt-4o', { provider: 'azure-openai', model: 'gpt-4o' }, ['bare']],
    ['gpt-5', { provider: 'openai', model: 'gpt-5' }, ['pinned']],
    ['gpt-5', { provider: 'azure-openai', model: 'gpt-5' }, []],
    // Its id alone would be another provider's model.
    ['openrouter/openai/gpt-oss-120b', { provider: 'openrouter', model: 'openai/gpt-oss-120b' }, []],
    ['groq/openai/gpt-oss-120b', { provider: 'groq', model: 'openai/gpt-oss-120b' }, ['host']],
    ['nothing', null, []],
    ['fast', null, ['alias']],
    ['constructor', { provider: 'openai', model: 'constructor' }, []],
  ])('by the name %s that leads to %o are %o', (requested, found, expected) => {
    expect(fallbacksOf(rules, requested, found)).toEqual(expected)
  })

  it('are none without settings', () => {
    for (const none of [null, undefined, routingOf({ policy: 'cheapest' })]) {
      expect(fallbacksOf(none, 'gpt-4o', { provider: 'openai', model: 'gpt-4o' })).toEqual([])
    }
  })
})

describe('the settings of a project', () => {
  const many = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at))
  const takes = (routing: object) => projectSettingsSchema.safeParse({ ...PROJECT_DEFAULTS, routing }).success

  it.each<[object, boolean]>([
    [{}, true],
    [ROUTING_DEFAULTS, true],
    [{ policy: 'random' }, false],
    [{ polices: 'order' }, false],
    [{ chain: many(32, (n) => `p${n}`) }, true],
    [{ chain: many(33, (n) => `p${n}`) }, false],
    [{ aliases: Object.fromEntries(many(MAX_ALIASES, (n) => [`a${n}`, 'gpt-4o'])) }, true],
    [{ aliases: Object.fromEntries(many(MAX_ALIASES + 1, (n) => [`a${n}`, 'gpt-4o'])) }, false],
    [{ aliases: { '': 'gpt-4o' } }, false],
    [{ aliases: { a: 7 } }, false],
    [{ fallbacks: { a: many(MAX_FALLBACKS, (n) => `m${n}`) } }, true],
    [{ fallbacks: { a: many(MAX_FALLBACKS + 1, (n) => `m${n}`) } }, false],
    [{ fallbacks: { a: [] } }, false],
    [{ fallbacks: Object.fromEntries(many(101, (n) => [`a${n}`, ['gpt-4o']])) }, false],
    [{ hedgeAfterMs: 50 }, true],
    [{ hedgeAfterMs: 49 }, false],
    [{ hedgeAfterMs: 60_001 }, false],
    [{ hedgeAfterMs: 100.5 }, false],
  ])('take routing %o: %s', (routing, expected) => {
    expect(takes(routing)).toBe(expected)
  })
})
