import { describe, expect, it } from 'vitest'
import { ask } from './ask-sandbox.ts'
import { hasOpenaiSpec, openaiViolations } from './json-schema.ts'

const complete = (body: object) => ask('/completions', { model: 'sandbox/chat', prompt: 'Once upon', ...body })
const embed = (body: object) => ask('/embeddings', { model: 'text-embedding-3-small', input: 'hello', ...body })
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)

describe('sandbox completions', () => {
  it('goes on from the prompt for 16 tokens unless told otherwise', async () => {
    const { json } = await complete({})
    expect(json.object).toBe('text_completion')
    expect(json.choices[0].finish_reason).toBe('length')
    expect(json.usage.completion_tokens).toBe(16)
    const all = await complete({ max_tokens: 500 })
    expect(all.json.choices[0]).toMatchObject({ finish_reason: 'stop', text: expect.stringContaining('Once upon') })
  })

  it('streams the text that it gives as JSON', async () => {
    const [json, stream] = await Promise.all([
      complete({ max_tokens: 9 }),
      complete({ max_tokens: 9, stream: true, stream_options: { include_usage: true } }),
    ])
    expect(stream.events.map((event) => event.choices[0]?.text ?? '').join('')).toBe(json.json.choices[0].text)
    expect(stream.events.at(-1)).toMatchObject({ choices: [], usage: json.json.usage })
    expect(stream.events.at(-2).choices[0].finish_reason).toBe('length')
  })

  it('answers every prompt n times, numbered in that order', async () => {
    const { json } = await complete({ prompt: ['red', 'blue'], n: 2, max_tokens: 60 })
    expect(json.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2, 3])
    expect(json.choices.map((c: { text: string }) => /“(\w+)”/.exec(c.text)![1])).toEqual([
      'red',
      'red',
      'blue',
      'blue',
    ])
    expect(new Set(json.choices.map((c: { text: string }) => c.text)).size).toBe(4)
  })

  it('echoes the prompt before the answer, with log probabilities and offsets that fit the text', async () => {
    const { json } = await complete({ echo: true, logprobs: 2, max_tokens: 3 })
    const [{ text, logprobs }] = json.choices
    expect(text.startsWith('Once upon')).toBe(true)
    expect(logprobs.tokens.join('')).toBe(text)
    logprobs.tokens.forEach((token: string, i: number) => {
      expect(text.slice(logprobs.text_offset[i]).startsWith(token)).toBe(true)
    })
    expect(Object.keys(logprobs.top_logprobs[0])).toHaveLength(2)
    expect((await complete({ echo: true, max_tokens: 0 })).json.choices[0].text).toBe('Once upon')
  })

  it('takes token ids and counts each as one', async () => {
    expect((await complete({ prompt: [1, 2, 3] })).json.usage.prompt_tokens).toBe(3)
    const { json } = await complete({ prompt: [[1], [2, 3]] })
    expect(json.usage.prompt_tokens).toBe(3)
    expect(json.choices).toHaveLength(2)
  })

  it('refuses a request for more text than it will write', async () => {
    expect((await complete({ n: 128, max_tokens: 100_000 })).status).toBe(400)
    expect((await complete({ prompt: 'word '.repeat(90_000), n: 128, echo: true })).status).toBe(400)
    expect((await complete({ max_tokens: 127_999 })).json.error.code).toBe('context_length_exceeded')
  })
})

describe('sandbox embeddings', () => {
  it('gives vectors of length 1 with the model’s dimensions, or those asked for', async () => {
    const cases = [
      [{}, 1536],
      [{ model: 'text-embedding-3-large' }, 3072],
      [{ model: 'sandbox/embedding' }, 1536],
      [{ dimensions: 256 }, 256],
    ] as const
    for (const [body, size] of cases) {
      const [{ embedding }] = (await embed(body)).json.data
      expect(embedding).toHaveLength(size)
      expect(Math.abs(Math.sqrt(dot(embedding, embedding)) - 1)).toBeLessThan(1e-5)
    }
  })

  it('gives the same numbers as floats and as little-endian base64', async () => {
    const [floats, encoded] = await Promise.all([embed({}), embed({ encoding_format: 'base64' })])
    const bytes = Buffer.from(encoded.json.data[0].embedding, 'base64')
    expect(bytes).toHaveLength(1536 * 4)
    floats.json.data[0].embedding.forEach((value: number, i: number) => {
      expect(bytes.readFloatLE(i * 4)).toBe(Math.fround(value))
    })
  })

  it('puts like texts closer than unlike ones, and the same text in the same place', async () => {
    const input = [
      'The cat sat on the mat.',
      'A cat sat on a mat.',
      'Quarterly revenue grew by 12 %.',
      'The cat sat on the mat.',
    ]
    const vectors = (await embed({ input })).json.data.map((item: { embedding: number[] }) => item.embedding)
    expect(dot(vectors[0], vectors[1])).toBeGreaterThan(0.4)
    expect(dot(vectors[0], vectors[2])).toBeLessThan(0.3)
    expect(vectors[3]).toEqual(vectors[0])
    const alone = await embed({ input: input[1] })
    expect(alone.json.data[0].embedding).toEqual(vectors[1])
  })

  it('takes strings, lists of strings, token ids and lists of them, in their order', async () => {
    const count = async (input: unknown) => {
      const { data, usage } = (await embed({ input })).json
      expect(data.map((item: { index: number }) => item.index)).toEqual(data.map((_: unknown, i: number) => i))
      return [data.length, usage.prompt_tokens]
    }
    expect(await count('hello')).toEqual([1, 1])
    expect(await count(['hello', 'hello world'])).toEqual([2, 3])
    expect(await count([1, 2, 3])).toEqual([1, 3])
    expect(await count([[1], [2, 3]])).toEqual([2, 3])
  })

  it('refuses what OpenAI would: nothing, empty, too long, too many, too wide', async () => {
    const refused = async (body: object) => {
      const { status, json } = await embed(body)
      expect(status).toBe(400)
      return json.error.param
    }
    expect(await refused({ input: null })).toBe('input')
    expect(await refused({ input: '' })).toBe('input')
    expect(await refused({ input: [] })).toBe('input')
    expect(await refused({ input: ['a', ''] })).toBe('input')
    expect(await refused({ input: [[]] })).toBe('input')
    expect(await refused({ input: [1.5] })).toBe('input')
    expect(await refused({ input: 'word '.repeat(9000) })).toBe('input')
    expect(await refused({ input: Array(2049).fill('a') })).toBe('input')
    expect(await refused({ dimensions: 1537 })).toBe('dimensions')
    expect(await refused({ dimensions: 0 })).toBe('dimensions')
    expect(await refused({ encoding_format: 'hex' })).toBe('encoding_format')
    expect(await refused({ model: 'text-embedding-ada-002', dimensions: 10 })).toBe('dimensions')
  })
})

describe.skipIf(!hasOpenaiSpec)('sandbox text against OpenAI’s API description', () => {
  it('is valid for completions and their chunks', async () => {
    const body = { logprobs: 2, n: 2, echo: true }
    expect(openaiViolations('CreateCompletionResponse', (await complete(body)).json)).toEqual([])
    for (const { usage: _usage, ...event } of (await complete({ ...body, stream: true })).events) {
      // The description has one type for answer and chunk and lets finish_reason be null in neither; the service does.
      const choices = event.choices.map((c: object) => ({ ...c, finish_reason: 'stop' }))
      expect(openaiViolations('CreateCompletionResponse', { ...event, choices })).toEqual([])
    }
  })

  it('is valid for embeddings', async () => {
    expect(openaiViolations('CreateEmbeddingResponse', (await embed({ input: ['a', 'b'] })).json)).toEqual([])
  })
})
