import { afterEach, describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import type { Deps } from '../../server/deps.ts'
import { type TestApp, testApp } from '../helpers/app.ts'
import { handClock } from '../helpers/clock.ts'

let app: TestApp | null = null
afterEach(() => app?.close())

const START = Date.UTC(2026, 10, 21, 12)
const away = () => Promise.reject(new Error('connect ECONNREFUSED postgres://watchllm:secret@10.0.0.7'))
const FINE: Deps['health'] = { database: async () => {}, journal: () => 'ok' }

async function get(
  path: string,
  deps: Partial<Deps> = {},
): Promise<{ status: number; text: string; response: Response }> {
  app = testApp({ deps, clock: handClock(START) })
  const response = await app.fetch(new Request(`http://gateway.test${path}`))
  return { status: response.status, text: await response.text(), response }
}

describe('GET /health', () => {
  it('needs no key and says that all is well', async () => {
    const { status, text, response } = await get('/health')
    expect(status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(JSON.parse(text)).toEqual({
      status: 'ok',
      service: 'watchllm',
      version: '0.0.0-test',
      timestamp: new Date(START).toISOString(),
      dependencies: { database: 'ok', kv: 'ok', journal: 'ok' },
    })
  })

  it.each<[name: string, deps: Partial<Deps>]>([
    ['database', { health: { ...FINE, database: away } }],
    ['journal', { health: { ...FINE, journal: () => 'down' } }],
  ])('is 503 and names the part when it is down: %s', async (name, deps) => {
    const { status, text } = await get('/health', deps)
    expect(status).toBe(503)
    const { status: word, dependencies } = JSON.parse(text)
    expect(word).toBe('degraded')
    expect(dependencies).toEqual({ database: 'ok', kv: 'ok', journal: 'ok', [name]: 'down' })
    expect(text).not.toMatch(/secret|10\.0\.0\.7/)
  })

  it('tells that the shared counters are away, and is 200 all the same: calls go on, with tighter limits', async () => {
    const { status, text } = await get('/health', { kv: { ...memoryKv(), ping: away } })
    expect(status).toBe(200)
    const { status: word, dependencies } = JSON.parse(text)
    expect(word).toBe('degraded')
    expect(dependencies).toEqual({ database: 'ok', kv: 'down', journal: 'ok' })
    expect(text).not.toMatch(/secret|10\.0\.0\.7/)
  })

  it('does not wait longer than two seconds for a part that does not answer', async () => {
    const clock = handClock(START)
    app = testApp({ deps: { health: { ...FINE, database: () => new Promise(() => {}) } }, clock })
    const answered = app.fetch(new Request('http://gateway.test/health'))
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(2000)
    const response = await answered
    expect([response.status, (await response.json()).dependencies.database]).toEqual([503, 'down'])
  })
})

describe('GET /livez and /readyz', () => {
  it('answer without a key', async () => {
    expect(await get('/livez')).toMatchObject({ status: 200, text: '{"status":"ok"}' })
    expect(await get('/readyz')).toMatchObject({ status: 200, text: '{"status":"ok"}' })
  })

  it('livez asks nothing of any part', async () => {
    expect((await get('/livez', { health: { database: away, journal: () => 'down' } })).status).toBe(200)
  })

  it('readyz stays ready while the database is away: known keys keep working', async () => {
    expect((await get('/readyz', { health: { ...FINE, database: away } })).status).toBe(200)
  })

  it('readyz is 503 when records can not be written', async () => {
    expect(await get('/readyz', { health: { ...FINE, journal: () => 'down' } })).toMatchObject({
      status: 503,
      text: '{"status":"degraded"}',
    })
  })
})
