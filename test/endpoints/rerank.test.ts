import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { providerOf } from '../../server/providers/index.ts'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const ASK = { model: 'rerank-v3.5', query: 'Where?', documents: ['Here', 'There'], top_n: 1 }
const RESULTS = [{ index: 1, relevance_score: 0.9 }]

describe('rerank', () => {
  it.each([
    ['without a model', { ...ASK, model: undefined }, 400],
    ['of a provider that has none', { ...ASK, model: 'openai/gpt-4o' }, 400],
  ])('is refused %s', async (_, body, status) => {
    const response = await app.fetch(post('/v1/rerank', body))
    expect(response.status).toBe(status)
    expect(((await response.json()) as { error: { param: string } }).error.param).toBe('model')
    expect(upstream.requests).toHaveLength(0)
  })

  it('goes to Cohere unless the model names another, and keeps every byte', async () => {
    const answer = { id: 'r-1', results: RESULTS, meta: { billed_units: { search_units: 1 } } }
    upstream.script(json(answer))
    const response = await app.fetch(post('/v1/rerank', ASK))
    expect(await response.json()).toEqual(answer)
    const request = await upstream.next()
    expect(request.path.endsWith(String(providerOf('cohere')!.wires.rerank))).toBe(true)
    expect(request.json()).toEqual(JSON.parse(JSON.stringify(ASK)))
    // A search is no token: it is priced by the call where a price for calls is known, and else not at all.
    const record = await app.settled(1)
    expect(record).toMatchObject({ provider: 'cohere', endpoint: 'rerank', usageSource: 'none' })
    expect(record.costPico).toBe(app.prices[0]?.perCall ?? null)
  })

  it.each([
    ['together', 'Salesforce/Llama-Rank-V1', { prompt_tokens: 70, completion_tokens: 0, total_tokens: 70 }],
    ['siliconflow', 'BAAI/bge-reranker-v2-m3', { total_tokens: 70 }],
  ])('of %s has its tokens on the bill', async (provider, model, usage) => {
    upstream.script(json({ results: RESULTS, usage }))
    await app.fetch(post('/v1/rerank', { ...ASK, model: `${provider}/${model}` }))
    expect((await upstream.next()).json().model).toBe(model)
    expect(await app.settled(1)).toMatchObject({ provider, model, usage: { input: 70, output: 0 } })
  })
})
