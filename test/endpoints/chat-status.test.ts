import { afterEach, describe, expect, it } from 'vitest'
import type { Account } from '../../server/deps.ts'
import { chatStatus } from '../../server/endpoints/chat-status.ts'
import { failed } from '../../server/endpoints/reply.ts'
import { fetchFace } from '../../server/fetch.ts'
import { PROVIDERS } from '../../server/providers/index.ts'
import { PROJECT_KEY, type TestApp, testApp } from '../helpers/app.ts'

const SECRET = 'sk-provider-secret'
const ACCOUNT: Account = { id: 'env', own: false, apiKey: SECRET, origin: 'https://provider.test', basePath: '/v1' }
const PROVIDER_IDS = [...PROVIDERS.keys()].filter((id) => id !== 'sandbox')
let app: TestApp
afterEach(() => app.close())

async function status(configured: readonly string[], key = PROJECT_KEY): Promise<Response> {
  app = testApp({ deps: { credentials: { of: (id) => (configured.includes(id) ? ACCOUNT : null) } } })
  const headers = { authorization: `Bearer ${key}` }
  const answer = fetchFace((incoming) => chatStatus(incoming, app.deps).catch((thrown) => failed(app.deps, thrown)))
  return answer(new Request('http://gateway.test/v1/chat/status', { headers }))
}

describe('GET /v1/chat/status', () => {
  it.each([[[]], [['openai', 'bedrock']], [PROVIDER_IDS]])(
    'says of each provider whether it is configured: %s',
    async (ids) => {
      const response = await status(ids)
      const want = PROVIDER_IDS.map((id) => [id, { status: ids.includes(id) ? 'configured' : 'unconfigured' }])
      expect([response.status, await response.json()]).toEqual([200, { providers: Object.fromEntries(want) }])
    },
  )

  it('shows nothing of the account itself', async () => {
    const text = await (await status(['openai'])).text()
    expect(text).not.toContain(SECRET)
    expect(text).not.toContain('provider.test')
  })

  it('wants a key', async () => {
    expect((await status([], 'lgw_proj_nobody0123456789abcdef0123456')).status).toBe(401)
  })
})
