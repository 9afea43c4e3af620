import { describe, expect, it } from 'vitest'
import { GatewayError } from '../server/errors.ts'
import { FALLBACK_WIRES, fallbackModelsIn, withoutFallbacks } from '../server/fallbacks.ts'
import { anthropicMessages } from '../server/wire/anthropic-messages/wire.ts'
import { openaiChat } from '../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../server/wire/openai-completions/wire.ts'
import { openaiResponses } from '../server/wire/openai-responses/wire.ts'
import type { Ask } from '../server/wire/wire.ts'

const messages = [{ role: 'user', content: 'Hi' }]
const WIRES = [
  [openaiChat, { messages }],
  [openaiCompletions, { prompt: 'Hi' }],
  [openaiResponses, { input: 'Hi' }],
  [anthropicMessages, { messages, max_tokens: 5 }],
] as const

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

describe.each(WIRES.map(([wire, body]) => [wire.id, wire, body] as const))('a request of %s', (_id, wire, body) => {
  const asked = (more: object): Ask => wire.readAsk(bytes({ ...more, model: 'gpt-4o', ...body }))

  it('may name models to fall back on, each counted once, its own not at all', () => {
    expect(FALLBACK_WIRES.has(wire.id)).toBe(true)
    expect(fallbackModelsIn(asked({ models: ['b', 'gpt-4o', 'a/x', 'b'] }))).toEqual(['b', 'a/x'])
    expect(fallbackModelsIn(asked({ models: Array.from({ length: 8 }, (_, n) => `m${n}`) }))).toHaveLength(8)
  })

  it('without them, or with null, names none', () => {
    expect(fallbackModelsIn(asked({}))).toEqual([])
    expect(fallbackModelsIn(asked({ models: null }))).toEqual([])
    expect(fallbackModelsIn(asked({ models: [] }))).toEqual([])
  })

  it.each([
    ['a name alone', 'gpt-4o'],
    ['an object', { a: 1 }],
    ['numbers', [1]],
    ['an empty name', ['a', '']],
    ['nine names', Array.from({ length: 9 }, (_, n) => `m${n}`)],
    ['a name of 257 characters', ['n'.repeat(257)]],
    ['a megabyte', ['n'.repeat(1_000_000)]],
    ['lists in lists', [['a']]],
    ['true', true],
  ])('is refused by its member’s name for %s', (_name, models) => {
    const read = () => fallbackModelsIn(asked({ models }))
    expect(read).toThrow(GatewayError)
    expect(read).toThrow(expect.objectContaining({ code: 'invalid_request', param: 'models', status: 400 }))
  })

  it('is refused for a list blown up with spaces, unread', () => {
    const text = JSON.stringify({ model: 'gpt-4o', ...body }).replace('{', `{"models":["a"${' '.repeat(20_000)}],`)
    expect(() => fallbackModelsIn(wire.readAsk(Buffer.from(text)))).toThrow('models')
  })

  it('goes to others without the member, and with all else byte for byte', () => {
    for (const place of ['first', 'last'] as const) {
      const plain = { model: 'gpt-4o', ...body, metadata: { models: ['x'] } }
      const full = place === 'first' ? { models: ['a', 'b'], ...plain } : { ...plain, models: ['a', 'b'] }
      const ask = withoutFallbacks(wire.readAsk(bytes(full)))
      expect(Buffer.from(ask.body).toString()).toBe(JSON.stringify(plain))
      expect(ask.members).toEqual(wire.readAsk(bytes(plain)).members)
      expect(Buffer.from(wire.edit(ask, { model: 'other', askUsage: false }).body).toString()).toBe(
        JSON.stringify({ ...plain, model: 'other' }),
      )
    }
    const none = asked({})
    expect(withoutFallbacks(none)).toBe(none)
  })
})
