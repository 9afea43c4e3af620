import { expect, it } from 'vitest'
import { post, testApp } from '../helpers/app.ts'

/** A counted prompt was held at twice its words where the model's context isn't known: less than its chat template takes. */
it.each(['openai/nobody-lists-this', 'gpt-4o-mini'])(
  'one word to %s may take what a chat template adds',
  async (model) => {
    const app = testApp({ upstreamUrl: 'http://127.0.0.1:9' })
    const request = { model, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 5 }
    const response = await app.fetch(post('/v1/simulate', { request }))
    const { targets } = (await response.json()) as { targets: { tokens_at_most: { input: number; output: number } }[] }
    expect(targets[0]!.tokens_at_most.input).toBeGreaterThanOrEqual(8)
    expect(targets[0]!.tokens_at_most.output).toBe(5)
    await app.close()
  },
)
