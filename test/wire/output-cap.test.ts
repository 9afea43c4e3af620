import { describe, expect, it } from 'vitest'
import { scanObject } from '../../server/wire/json.ts'
import { outputWish, withOutputCap } from '../../server/wire/output-cap.ts'
import { countedPrompt, longestPrompt } from '../../server/wire/prompt-size.ts'
import type { Ask, WireId } from '../../server/wire/wire.ts'

function askOf(value: object): Ask {
  const body = Buffer.from(JSON.stringify(value))
  return { body, members: scanObject(body), model: 'm', stream: false, wantsUsage: false, endUser: null }
}

function capped(id: WireId, value: object, cap: number, isNew = false): Record<string, unknown> {
  return JSON.parse(Buffer.from(withOutputCap(askOf(value).body, { id, cap, isNew })).toString())
}

/** Of each wire: without a wish, with one above the cap and one below, as they come out; the wish as it is read. */
const WIRES: [WireId, (most: number | null) => object][] = [
  ['openai-chat', (most) => ({ model: 'm', messages: [], ...(most && { max_tokens: most }) })],
  ['openai-chat', (most) => ({ model: 'm', ...(most && { max_completion_tokens: most }), messages: [] })],
  ['openai-completions', (most) => ({ prompt: 'a', ...(most && { max_tokens: most }) })],
  ['openai-responses', (most) => ({ input: 'a', ...(most && { max_output_tokens: most }) })],
  ['anthropic-messages', (most) => ({ max_tokens: most ?? 50, messages: [] })],
  ['gemini', (most) => ({ contents: [], ...(most && { generationConfig: { topK: 3, maxOutputTokens: most } }) })],
]

describe.each(WIRES)('a cap on %s', (id, request) => {
  it('lowers what is above it, adds what is not said, and leaves the rest as it is, byte for byte', () => {
    expect(outputWish(id, askOf(request(900))).most).toBe(900)
    expect(outputWish(id, { ...askOf(capped(id, request(900), 200)) })).toEqual({ most: 200, answers: 1 })
    expect(outputWish(id, askOf(capped(id, request(null), 40)))).toEqual({ most: 40, answers: 1 })
    const { body } = askOf(request(150))
    expect(Buffer.from(withOutputCap(body, { id, cap: 200, isNew: false }))).toEqual(Buffer.from(body))
    const rest = ({ max_tokens: _, ...other }: Record<string, unknown>) => other
    expect(Object.keys(rest(capped(id, request(900), 200)))).toEqual(Object.keys(rest(request(900) as never)))
  })
})

it('a model that refuses max_tokens is told by its newer name', () => {
  expect(capped('openai-chat', { model: 'o3' }, 7, true)).toEqual({ max_completion_tokens: 7, model: 'o3' })
  expect(capped('openai-chat', { model: 'o3' }, 7)).toEqual({ max_tokens: 7, model: 'o3' })
})

it('a thought that has no room left is shortened, or not asked for', () => {
  const asked = { max_tokens: 9000, thinking: { type: 'enabled', budget_tokens: 8000 } }
  expect(capped('anthropic-messages', asked, 3000).thinking).toEqual({ type: 'enabled', budget_tokens: 2999 })
  expect(capped('anthropic-messages', asked, 500).thinking).toEqual({ type: 'disabled' })
  expect(capped('anthropic-messages', asked, 8500).thinking).toEqual(asked.thinking)
})

it('every answer that is asked for counts', () => {
  expect(outputWish('openai-chat', askOf({ n: 3 })).answers).toBe(3)
  expect(outputWish('openai-completions', askOf({ prompt: ['a', 'b'], n: 2, best_of: 5 })).answers).toBe(10)
  expect(outputWish('openai-completions', askOf({ prompt: [1, 2, 3] })).answers).toBe(1)
  expect(outputWish('gemini', askOf({ generationConfig: { candidateCount: 4 } })).answers).toBe(4)
  for (const n of [0, -1, '3', null, 1e300]) expect(outputWish('openai-chat', askOf({ n })).answers).toBe(1)
})

describe('the size of a prompt', () => {
  const said = (content: unknown) => askOf({ messages: [{ role: 'user', content }] })

  it('of text is never above its bytes, and counted well below', () => {
    const ask = said('The quick brown fox jumps over the lazy dog. '.repeat(100))
    expect(longestPrompt(ask)).toMatchObject({ tokens: ask.body.length, isOpen: false })
    const { tokens } = countedPrompt(ask)
    expect(tokens).toBeGreaterThan(900)
    expect(tokens).toBeLessThan(1300)
  })

  it('of a picture is no matter of its bytes', () => {
    const url = `data:image/png;base64,${'A'.repeat(2_000_000)}`
    const ask = said([
      { type: 'text', text: 'What is it?' },
      { type: 'image_url', image_url: { url } },
    ])
    expect(longestPrompt(ask).tokens).toBeLessThan(60_000)
    expect(countedPrompt(ask).tokens).toBeLessThan(2_000)
  })

  it('is open where files or searches are only named', () => {
    expect(longestPrompt(said([{ type: 'file', file: { file_id: 'file-1' } }])).isOpen).toBe(true)
    expect(longestPrompt(askOf({ input: 'a', tools: [{ type: 'web_search' }] })).isOpen).toBe(true)
    expect(longestPrompt(askOf({ input: 'a', tools: [{ type: 'function', name: 'search' }] })).isOpen).toBe(false)
  })
})
