import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { post, TEST_KEY } from '../helpers/app.ts'
import { json, openaiFailure } from '../helpers/upstream-answers.ts'
import { openBench, SDKS, type SdkBench } from '../sdk/kit.ts'

let bench: SdkBench
beforeEach(async () => {
  bench = await openBench()
})
afterEach(() => bench.close())

const ANSWER = {
  id: 'modr-1',
  model: 'omni-moderation-latest',
  results: [{ flagged: false, categories: { violence: false }, category_scores: { violence: 0.01 } }],
}

describe('moderations', () => {
  it.each([
    ['a provider that has none', post('/v1/groq/moderations', { input: 'Hi' }), 400],
    ['a test key', post('/v1/moderations', { input: 'Hi' }, { authorization: `Bearer ${TEST_KEY}` }), 400],
    ['a model that is no text', post('/v1/moderations', { input: 'Hi', model: 7 }), 400],
  ])('are refused: %s', async (_, request, status) => {
    expect((await bench.app.fetch(request)).status).toBe(status)
    expect(bench.upstream.requests).toHaveLength(0)
  })

  it("say that the provider's account is at fault, never the caller's key", async () => {
    bench.upstream.script(openaiFailure(401))
    expect((await bench.app.fetch(post('/v1/moderations', { input: 'Hi' }))).status).toBe(502)
  })

  it.each(SDKS)('come to $name as the provider judged, for nothing, with no model named', async (sdk) => {
    bench.upstream.script(json(ANSWER))
    const { data, response } = await bench.client(sdk).moderations.create({ input: 'Hi' }).withResponse()
    expect(data).toMatchObject(ANSWER)
    expect(response.headers.get('x-watchllm-cost-usd')).toBe('0')
    expect((await bench.upstream.next()).json()).toEqual({ input: 'Hi' })
    expect(await bench.app.settled(1)).toMatchObject({
      endpoint: 'moderations',
      model: 'omni-moderation-latest',
      costPico: 0,
    })
  })
})
