import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixture } from '../helpers/fixture.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { openBench, SDKS, type SdkBench } from './kit.ts'

let bench: SdkBench
beforeAll(async () => {
  bench = await openBench()
})
afterAll(() => bench.close())

const EMBEDDER = 'text-embedding-3-small'
const length = (vector: readonly number[]): number => Math.hypot(...vector)

describe.each(SDKS)('embeddings with $name', (sdk) => {
  it('are the same numbers in floats and in the base64 that the client asks for by itself', async () => {
    bench.upstream.script(openaiProvider())
    const asked = { model: EMBEDDER, input: ['one', 'two', 'three'] }
    const implicit = await bench.client(sdk).embeddings.create(asked)
    expect(bench.upstream.requests.at(-1)!.json().encoding_format).toBe('base64')
    const floats = await bench.client(sdk).embeddings.create({ ...asked, encoding_format: 'float' })
    expect(implicit.data.map((one) => one.index)).toEqual([0, 1, 2])
    for (const [at, one] of implicit.data.entries()) {
      expect(one.embedding).toEqual(floats.data[at]!.embedding.map(Math.fround))
      expect(length(one.embedding)).toBeCloseTo(1, 5)
    }
  })

  it('come in base64 from a provider that only knows floats, and the other way round', async () => {
    bench.upstream.script(json(fixture('openai-embeddings/three-float.json')))
    const asked = { model: EMBEDDER, input: ['one', 'two', 'three'] }
    const packed = await bench.client(sdk).embeddings.create(asked)
    bench.upstream.script(json(fixture('openai-embeddings/three-base64.json')))
    const floats = await bench.client(sdk).embeddings.create({ ...asked, encoding_format: 'float' })
    expect(packed.data).toHaveLength(3)
    expect(packed.data[0]!.embedding.length).toBeGreaterThan(1)
    for (const [at, one] of packed.data.entries()) {
      expect(one.embedding.map(Math.fround)).toEqual(floats.data[at]!.embedding.map(Math.fround))
    }
  })

  it('take token arrays and dimensions', async () => {
    bench.upstream.script(openaiProvider())
    const client = bench.client(sdk)
    const one = await client.embeddings.create({ model: EMBEDDER, input: [1, 2, 3], dimensions: 4 })
    expect(one.data.map((each) => each.embedding.length)).toEqual([4])
    const two = await client.embeddings.create({ model: EMBEDDER, input: [[1, 2], [3]], dimensions: 16 })
    expect(two.data.map((each) => each.embedding.length)).toEqual([16, 16])
    expect(bench.upstream.requests.at(-1)!.json()).toMatchObject({ input: [[1, 2], [3]], dimensions: 16 })
    expect(two.usage.total_tokens).toBeGreaterThan(0)
  })

  it('come from the sandbox in their model’s size, in batches of many', async () => {
    const input = Array.from({ length: 100 }, (_, at) => `text ${at}`)
    const { data } = await bench.sandbox(sdk).embeddings.create({ model: EMBEDDER, input })
    expect(data).toHaveLength(100)
    expect(data.every((one) => one.embedding.length === 1536)).toBe(true)
    expect(length(data[99]!.embedding)).toBeCloseTo(1, 5)
    const small = await bench.sandbox(sdk).embeddings.create({ model: EMBEDDER, input: 'text 99', dimensions: 256 })
    expect(small.data[0]!.embedding).toHaveLength(256)
  })
})

describe.each(SDKS)('completions with $name', (sdk) => {
  const INSTRUCT = 'gpt-3.5-turbo-instruct'

  it('come whole and streamed', async () => {
    bench.upstream.script(openaiProvider())
    const client = bench.client(sdk)
    const whole = await client.completions.create({ model: INSTRUCT, prompt: 'Once' })
    expect(whole.choices[0]!.text).toBe('Hello from the provider')
    expect(whole.usage!.completion_tokens).toBe(4)
    let text = ''
    for await (const chunk of await client.completions.create({ model: INSTRUCT, prompt: 'Once', stream: true })) {
      text += chunk.choices[0]?.text ?? ''
    }
    expect(text).toBe(whole.choices[0]!.text)
  })

  it('keep two choices apart, with their log probabilities and usage', async () => {
    bench.upstream.script(sse(fixture('openai-completions/two-choices-and-logprobs.sse')))
    const stream = await bench.client(sdk).completions.create({ model: INSTRUCT, prompt: 'x', n: 2, stream: true })
    const texts = ['', '']
    for await (const chunk of stream) for (const choice of chunk.choices) texts[choice.index] += choice.text
    expect(texts.every((text) => text.length > 0)).toBe(true)
  })

  it('come from the sandbox', async () => {
    const whole = await bench.sandbox(sdk).completions.create({ model: INSTRUCT, prompt: 'Once', max_tokens: 20 })
    expect(whole.choices[0]!.text.length).toBeGreaterThan(0)
  })
})

describe.each(SDKS)('models with $name', (sdk) => {
  it('are listed and found by id', async () => {
    const ids: string[] = []
    for await (const model of bench.client(sdk).models.list()) ids.push(model.id)
    expect(ids.length).toBeGreaterThanOrEqual(45)
    expect(ids).toContain('gpt-4o-mini')
    const found = await bench.client(sdk).models.retrieve('gpt-4o-mini')
    expect(found).toMatchObject({ id: 'gpt-4o-mini', object: 'model', owned_by: expect.any(String) })
  })

  it('are found by ids with slashes', async () => {
    const slashed: string[] = []
    for await (const { id } of bench.client(sdk).models.list()) if (id.includes('/')) slashed.push(id)
    expect(slashed.length).toBeGreaterThan(0)
    for (const id of slashed.slice(0, 5)) expect((await bench.client(sdk).models.retrieve(id)).id).toBe(id)
  })
})
