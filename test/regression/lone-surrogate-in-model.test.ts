import { afterEach, beforeEach, expect, it } from 'vitest'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  upstream.script(openaiProvider())
  app = testApp({ upstreamUrl: upstream.url })
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

it.each([false, true])(
  'half a surrogate pair in a model name does not break the answer, stream: %s',
  async (stream) => {
    const body = `{"model":"openai/\\ud800x","messages":[{"role":"user","content":"Hi"}],"stream":${stream}}`
    const response = await app.fetch(post('/v1/chat/completions', body))
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('provider')
    expect(response.headers.get('x-watchllm-model')).toBe('%EF%BF%BDx')
    expect(app.records).toMatchObject([{ outcome: 'done', status: 200 }])
    expect(await upstream.requests[0]!.ended).toBe('sent')
  },
)
