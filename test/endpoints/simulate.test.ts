import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELLO, PROJECT_KEY, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url, plan: 'pro' })
})
afterEach(async () => {
  expect(upstream.requests).toHaveLength(0)
  expect(app.records).toHaveLength(0)
  await app.close()
  await upstream.close()
})

async function simulate(body: unknown, headers: Record<string, string> = {}) {
  const response = await app.fetch(post('/v1/simulate', body, headers))
  return { status: response.status, said: (await response.json()) as never as Record<string, never> }
}

describe('a simulation', () => {
  it('says where a call would go, what it may cost and what its limits leave, and takes nothing', async () => {
    const request = { ...HELLO, max_tokens: 100 }
    for (let i = 0; i < 3; i++) {
      const { status, said } = await simulate({ request })
      expect(status).toBe(200)
      expect(said).toMatchObject({
        object: 'watchllm.simulation',
        would: 'call',
        error: null,
        targets: [
          {
            provider: 'openai',
            model: 'gpt-4o-mini',
            route: 'model',
            account: 'platform',
            health: 'healthy',
            adapted: [],
          },
        ],
      })
      const [target] = said.targets as unknown as [{ tokens_at_most: { output: number }; cost_at_most_usd: string }]
      expect(target.tokens_at_most.output).toBe(100)
      expect(Number(target.cost_at_most_usd)).toBeGreaterThan(0)
      expect(said.limits).toContainEqual(expect.objectContaining({ what: 'requests', period: 'minute', used: 0 }))
    }
  })

  it('lists every target in its order, and what each would have changed', async () => {
    const request = { ...HELLO, models: ['anthropic/claude-haiku-5-5', 'mistral/mistral-large-2512'], seed: 7 }
    const { said } = await simulate({ request })
    const targets = said.targets as unknown as { provider: string; route: string; adapted: string[] }[]
    expect(targets.map(({ provider, route }) => [provider, route])).toEqual([
      ['openai', 'model'],
      ['anthropic', 'models'],
      ['mistral', 'models'],
    ])
    expect(targets[1]!.adapted).toContain('seed=dropped')
  })

  it('goes by the headers of the call', async () => {
    const { said } = await simulate({ request: HELLO }, { 'x-watchllm-route': 'deepseek' })
    expect(said.targets).toMatchObject([{ provider: 'deepseek', route: 'header' }])
  })

  it.each(['/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/messages'])('speaks %s', async (endpoint) => {
    const common = { model: endpoint === '/v1/embeddings' ? 'text-embedding-3-small' : 'gpt-4o-mini', max_tokens: 9 }
    const inputs = { input: 'Hi', prompt: 'Hi', messages: HELLO.messages }
    const wanted = { '/v1/completions': 'prompt', '/v1/messages': 'messages' }[endpoint] ?? 'input'
    const request = { ...common, [wanted]: inputs[wanted as 'input'] }
    const { said } = await simulate({ endpoint, request })
    expect(said).toMatchObject({ would: 'call', targets: [{ provider: 'openai' }] })
  })

  it('says why a call would be refused', async () => {
    const { status, said } = await simulate({ request: { ...HELLO, model: 'nobody-knows' } })
    expect([status, said.would]).toEqual([200, 'refuse'])
    expect(said.error).toMatchObject({ code: 'invalid_model' })
  })

  it.each([
    ['no JSON', '{', null],
    ['an endpoint that calls no model', { endpoint: '/v1/models', request: HELLO }, 'endpoint'],
    ['no request', {}, 'request'],
    ['a request that is a list', { request: [] }, 'request'],
    ['null', 'null', 'request'],
  ])('refuses %s', async (_, body, param) => {
    const { status, said } = await simulate(body)
    expect([status, (said.error as unknown as { param: unknown }).param]).toEqual([400, param])
  })

  it('needs a key', async () => {
    const request = new Request('http://gateway.test/v1/simulate', {
      method: 'POST',
      body: JSON.stringify({ request: HELLO }),
    })
    expect((await app.fetch(request)).status).toBe(401)
    expect((await simulate({ request: HELLO }, { authorization: `Bearer ${PROJECT_KEY}x` })).status).toBe(401)
  })
})
