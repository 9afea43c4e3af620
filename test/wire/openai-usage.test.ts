import { describe, expect, it } from 'vitest'
import { inputTotal, NO_USAGE, outputTotal, type Usage } from '../../db/model/usage.ts'
import { estimateTokens, readOpenaiUsage, writeOpenaiUsage } from '../../server/wire/openai/usage.ts'
import { Random } from '../helpers/random.ts'

const DIALECTS: [string, object, Partial<Usage>][] = [
  ['OpenAI', { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }, { input: 10, output: 5 }],
  [
    'OpenAI with everything',
    {
      prompt_tokens: 2000,
      completion_tokens: 500,
      total_tokens: 2500,
      prompt_tokens_details: { cached_tokens: 1024, audio_tokens: 96 },
      completion_tokens_details: { reasoning_tokens: 300, audio_tokens: 80, accepted_prediction_tokens: 7 },
    },
    { input: 880, cacheRead: 1024, audioInput: 96, output: 420, reasoning: 300, audioOutput: 80 },
  ],
  [
    'OpenAI with details of null',
    {
      prompt_tokens: 3,
      completion_tokens: 1,
      total_tokens: 4,
      prompt_tokens_details: null,
      completion_tokens_details: null,
    },
    { input: 3, output: 1 },
  ],
  [
    'DeepSeek, hits beside the total',
    {
      prompt_tokens: 320,
      completion_tokens: 9,
      total_tokens: 329,
      prompt_cache_hit_tokens: 256,
      prompt_cache_miss_tokens: 64,
    },
    { input: 64, cacheRead: 256, output: 9 },
  ],
  [
    'Mistral, hits beside the total',
    { prompt_tokens: 64, completion_tokens: 6, total_tokens: 70, num_cached_tokens: 32 },
    { input: 32, cacheRead: 32, output: 6 },
  ],
  [
    'Moonshot, hits beside the total',
    { prompt_tokens: 19, completion_tokens: 13, total_tokens: 32, cached_tokens: 10 },
    { input: 9, cacheRead: 10, output: 13 },
  ],
  [
    'xAI, reasoning beside the completion',
    {
      prompt_tokens: 12,
      completion_tokens: 2,
      total_tokens: 354,
      prompt_tokens_details: { text_tokens: 12, cached_tokens: 11 },
      completion_tokens_details: { reasoning_tokens: 340 },
    },
    { input: 1, cacheRead: 11, output: 342, reasoning: 340 },
  ],
  [
    'Gemini, thinking in the total alone',
    { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 },
    { input: 35, output: 74, reasoning: 62 },
  ],
  [
    'OpenRouter, with writes to the cache',
    {
      prompt_tokens: 2210,
      completion_tokens: 6,
      total_tokens: 2216,
      cost: 0.1,
      prompt_tokens_details: { cached_tokens: 1800, cache_write_tokens: 300, audio_tokens: 0 },
    },
    { input: 110, cacheRead: 1800, cacheWrite5m: 300, output: 6 },
  ],
  ['Voyage, the total alone', { total_tokens: 7 }, { input: 7 }],
  ['OpenAI embeddings', { prompt_tokens: 8, total_tokens: 8 }, { input: 8 }],
  ['a server that leaves the total out', { prompt_tokens: 8, completion_tokens: 2 }, { input: 8, output: 2 }],
  [
    'a total that is not the sum, where reasoning is inside',
    { prompt_tokens: 8, completion_tokens: 9, total_tokens: 99, completion_tokens_details: { reasoning_tokens: 5 } },
    { input: 8, output: 9, reasoning: 5 },
  ],
  ['a total that is too small', { prompt_tokens: 8, completion_tokens: 9, total_tokens: 3 }, { input: 8, output: 9 }],
]

describe('readOpenaiUsage() counts each token once', () => {
  it.each(DIALECTS)('%s', (_, said, expected) => {
    expect(readOpenaiUsage(said)).toEqual({ ...NO_USAGE, ...expected })
  })

  it.each([null, undefined, 5, 'x', [], {}, { prompt_tokens: null }, { completion_tokens: 5 }, { prompt_tokens: '5' }])(
    'takes %j for no usage at all',
    (said) => {
      expect(readOpenaiUsage(said)).toBeNull()
    },
  )

  it('keeps details within their totals when they contradict them', () => {
    const said = {
      prompt_tokens: 10,
      completion_tokens: 4,
      total_tokens: 14,
      prompt_tokens_details: { cached_tokens: 8, cache_write_tokens: 8, audio_tokens: 8, image_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 9, audio_tokens: 3, image_tokens: 3 },
    }
    expect(readOpenaiUsage(said)).toMatchObject({
      input: 0,
      cacheRead: 8,
      cacheWrite5m: 2,
      audioInput: 0,
      imageInput: 0,
    })
    expect(readOpenaiUsage(said)).toMatchObject({ output: 0, audioOutput: 3, imageOutput: 1, reasoning: 0 })
  })

  it('gives whole numbers of at least 0 that add up, whatever the garbage', () => {
    for (let seed = 1; seed <= 20_000; seed++) {
      const random = new Random(seed)
      const said = generated(random, () => random.pick(GARBAGE))
      const usage = readOpenaiUsage(said)
      if (usage === null) continue
      for (const [counter, tokens] of Object.entries(usage)) {
        expect(Number.isSafeInteger(tokens) && tokens >= 0, `seed ${seed}: ${counter} = ${tokens}`).toBe(true)
      }
      expect(usage.reasoning, `seed ${seed}`).toBeLessThanOrEqual(usage.output)
      expect(inputTotal(usage) + outputTotal(usage), `seed ${seed}`).toBeLessThanOrEqual(60_000_000)
    }
  })

  it("gives the provider's own totals back when these are sound", () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const random = new Random(seed)
      const said = generated(random, () => random.int(1000))
      const prompt = Number(said.prompt_tokens)
      const completion = Number(said.completion_tokens)
      const usage = readOpenaiUsage({ ...said, total_tokens: prompt + completion })!
      expect([inputTotal(usage), outputTotal(usage)], `seed ${seed}`).toEqual([prompt, completion])
    }
  })
})

const GARBAGE = [
  null,
  undefined,
  true,
  '5',
  {},
  [],
  -1,
  -0,
  0,
  0.5,
  1.5,
  7,
  100,
  1e6,
  2e7,
  1e15,
  1e300,
  Number.NaN,
  Infinity,
]

function generated(random: Random, value: () => unknown): Record<string, unknown> {
  const names = (list: string[]) =>
    Object.fromEntries(list.filter(() => !random.once(4)).map((name) => [name, value()]))
  return {
    ...names(['prompt_cache_hit_tokens', 'num_cached_tokens', 'cached_tokens']),
    prompt_tokens: value(),
    completion_tokens: value(),
    total_tokens: value(),
    prompt_tokens_details: names(['cached_tokens', 'cache_write_tokens', 'audio_tokens', 'image_tokens']),
    completion_tokens_details: names(['reasoning_tokens', 'audio_tokens']),
  }
}

describe('writeOpenaiUsage()', () => {
  it('says what readOpenaiUsage() reads back', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = new Random(seed)
      const output = random.int(500)
      const usage: Usage = {
        ...NO_USAGE,
        input: random.int(5000),
        cacheRead: random.int(3000),
        audioInput: random.int(100),
        output,
        reasoning: random.int(output + 1),
        audioOutput: random.int(100),
      }
      const written = writeOpenaiUsage(usage)
      expect(readOpenaiUsage(written), `seed ${seed}`).toEqual(usage)
      expect(written.total_tokens).toBe(inputTotal(usage) + outputTotal(usage))
    }
  })
})

describe('estimateTokens()', () => {
  it('counts every text of a prompt, a little for each message, and pictures flat', () => {
    const words = 'The quick brown fox jumps over the lazy dog'
    const one = estimateTokens([{ role: 'user', content: words }])
    expect(one).toBeGreaterThan(9)
    expect(one).toBeLessThan(20)
    const parts = [
      { type: 'text', text: words },
      { type: 'image_url', image_url: { url: `data:${'A'.repeat(90_000)}` } },
    ]
    expect(estimateTokens([{ role: 'user', content: parts }])).toBe(one + 85)
    expect(
      estimateTokens([
        { role: 'user', content: words },
        { role: 'user', content: words },
      ]),
    ).toBeGreaterThan(2 * one - 2)
  })

  it('counts a prompt of token numbers as what it is', () => {
    expect(estimateTokens([1, 2, 3])).toBe(3)
    expect(estimateTokens([[1, 2], [3]])).toBe(3)
    expect(estimateTokens(null)).toBe(0)
    expect(estimateTokens(['a', 'b', 'c'])).toBe(3)
  })

  it('walks any depth without running out of stack', () => {
    let deep: unknown = 'word'
    for (let level = 0; level < 100_000; level++) deep = [deep]
    expect(estimateTokens(deep)).toBe(1)
  })
})
