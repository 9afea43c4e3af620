import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Asset } from '../../server/deps.ts'
import { HELLO, PROJECT_KEY, post, TEST_KEY, type TestApp, testApp } from '../helpers/app.ts'
import { rawClient, rawHead } from '../helpers/raw-client.ts'

const page = (text: string, type: string, immutable = false): Asset => ({ bytes: Buffer.from(text), type, immutable })
const ASSETS = new Map<string, Asset>([
  ['/index.html', page('<!doctype html><title>WatchLLM</title>', 'text/html; charset=utf-8')],
  ['/assets/app-1a2b.js', page('run()', 'text/javascript; charset=utf-8', true)],
])

let app: TestApp
beforeEach(() => {
  app = testApp({ deps: { assets: (path) => ASSETS.get(path) ?? null } })
})
afterEach(() => app.close())

function send(method: string, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return app.fetch(new Request(`http://gateway.test${path}`, { method, headers }))
}

describe('a path', () => {
  it.each([
    '/v1/chat/completions/',
    '//v1/chat/completions',
    '/v1//chat///completions//',
    '/v1/chat/completions?api-version=1&x=/v1/models',
    '/v1/chat/completions/?',
  ])('is found in spite of slashes and queries: %s', async (path) => {
    const response = await app.fetch(post(path, HELLO, { authorization: `Bearer ${TEST_KEY}` }))
    expect([response.status, (await response.json()).object]).toEqual([200, 'chat.completion'])
  })

  it.each([
    ['POST', '/v1/nothing'],
    ['GET', '/v1/'],
    ['GET', '/v1/nothing/at/all'],
    ['POST', '/'],
    ['DELETE', '/health'],
    ['PUT', '/v1/requests/req_x'],
    ['GET', '/nothing.html'],
    ['GET', '/assets/../index.html/x'],
    ['GET', '/..%2f..%2fetc/passwd'],
    ['GET', '/__proto__'],
    ['OPTIONS', '/v1/chat/completions'],
  ])('that leads nowhere is 404 not_found in the shape of all errors: %s %s', async (method, path) => {
    const response = await send(method, path)
    const body = await response.json()
    expect(response.status).toBe(404)
    expect(body.error).toMatchObject({ code: 'not_found', type: 'invalid_request_error', param: null })
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    expect(app.records).toHaveLength(0)
  })

  it.each([
    ['GET', '/v1/chat/completions', 'use POST'],
    ['PUT', '/v1/embeddings/', 'use POST'],
    ['POST', '/health', 'use GET'],
    ['DELETE', '/v1/models', 'use GET'],
  ])('with the wrong method says which one it takes: %s %s', async (method, path, hint) => {
    expect((await (await send(method, path)).json()).error.message).toContain(hint)
  })

  it('of ten thousand letters is not repeated', async () => {
    const { error } = await (await send('GET', `/${'a'.repeat(10_000)}`)).json()
    expect(error.message.length).toBeLessThan(300)
  })
})

describe('HEAD', () => {
  it.each(['/livez', '/health', '/readyz', '/', '/assets/app-1a2b.js', '/v1/models'])(
    'has the status and headers of GET and no body: %s',
    async (path) => {
      const client = await rawClient((await app.listen()).port)
      const headers = { authorization: `Bearer ${PROJECT_KEY}` }
      await client.send(rawHead('HEAD', path, headers) + rawHead('GET', '/livez', { connection: 'close' }))
      await client.closed
      const [head, next] = client.text.split('\r\n\r\n') as [string, string]
      expect(head).toMatch(/^HTTP\/1\.1 200 /)
      expect(Number(/content-length: (\d+)/i.exec(head)?.[1])).toBeGreaterThan(0)
      expect(next).toMatch(/^HTTP\/1\.1 200 /)
    },
  )
})

describe('the console', () => {
  it.each(['/', '//', '/?x=1'])('is at %s and is asked for anew each time', async (path) => {
    const response = await send('GET', path)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('<title>WatchLLM')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'content-security-policy': expect.stringMatching(/default-src 'self'.*frame-ancestors 'none'/),
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    })
    expect(response.headers.get('content-security-policy')).not.toMatch(/unsafe|\*/)
  })

  it('has files named by their content that may be kept for ever', async () => {
    const response = await send('GET', '/assets/app-1a2b.js')
    expect(await response.text()).toBe('run()')
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('that was not built says so instead of failing', async () => {
    await app.close()
    app = testApp()
    const response = await send('GET', '/')
    expect([response.status, (await response.json()).error.code]).toEqual([404, 'not_found'])
  })
})

it('a bug of ours is 500 that says nothing of itself, and is in the log', async () => {
  const assets = () => {
    throw new Error('secret detail at /srv/app.ts:1')
  }
  await app.close()
  app = testApp({ deps: { assets } })
  const response = await send('GET', '/')
  expect(response.status).toBe(500)
  expect(await response.text()).toBe(
    '{"error":{"message":"The gateway failed on this request; try again","type":"api_error","param":null,"code":"server_error"}}',
  )
  expect(app.logs).toMatchObject([{ level: 'warn', fields: { code: 'server_error' } }])
})
