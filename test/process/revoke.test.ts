import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../server/directory.ts'
import { addPerson, newId } from '../db/control.ts'
import { ENGINES, type TestDatabase } from '../db/engines.ts'
import { PROJECT_KEY } from '../helpers/app.ts'
import { ask, chat } from '../helpers/client.ts'
import { cleanUp, startServer, type TestServer } from '../helpers/server.ts'

/** Instances share a PostgreSQL only. */
const engine = ENGINES.find(({ name }) => name === 'postgres')

const TOKEN = `lgw_pat_${'0123456789abcdef'.repeat(3).slice(0, 43)}`
const WITHIN_MS = 1_000
const ROUNDS = 3

describe.skipIf(engine === undefined)('two processes on one PostgreSQL', { timeout: 120_000 }, () => {
  let on: TestDatabase
  let servers: TestServer[]
  let steady: Steady
  beforeAll(async () => {
    on = await engine!.open()
    const { url } = on.options as { readonly url: string }
    const env = { DATABASE_URL: url, WATCHLLM_SECRET: '0123456789abcdef0123456789abcdef' }
    servers = [await startServer({ env }), await startServer({ env })]
    await addToken(on)
    steady = keepCalling(servers.map((server) => server.url))
  }, 120_000)
  afterAll(async () => {
    await steady?.stop()
    await cleanUp()
    await on?.dispose()
  }, 30_000)

  async function call(at: number, line: string, input: object = {}): Promise<Record<string, string>> {
    const [method, path] = line.split(' ') as [string, string]
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
    const body = method === 'GET' || method === 'DELETE' ? null : JSON.stringify(input)
    const response = await fetch(`${servers[at]!.url}/api${path}`, { method, headers, body })
    const text = await response.text()
    expect([line, response.status, text]).toEqual([line, 200, expect.anything()])
    return JSON.parse(text)
  }

  const works = (at: number, key: string) => statusOf(servers[at]!.url, key)

  /** Milliseconds until a key gets this status from that process, which knows it as something else by now. */
  async function untilStatus(at: number, key: string, status: number): Promise<number> {
    const began = performance.now()
    while ((await works(at, key)) !== status) {
      if (performance.now() - began > 10 * WITHIN_MS) throw new Error(`Still no ${status} after ten seconds`)
    }
    return performance.now() - began
  }

  /** A new project with its key, known to both processes. */
  async function known(): Promise<{ projectId: string; secret: string; keyId: string }> {
    const { id, api_key } = await call(0, 'POST /projects', { name: 'A project' })
    for (const at of [0, 1]) expect(await works(at, api_key!)).toBe(200)
    const { data } = (await call(0, `GET /projects/${id}/keys`)) as unknown as { data: { id: string }[] }
    return { projectId: id!, secret: api_key!, keyId: data[0]!.id }
  }

  /** Each of them changes something the other must follow. */
  async function measured(name: string, change: (by: number) => Promise<{ secret: string; status: number }>) {
    const took: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      for (const by of [0, 1]) {
        const { secret, status } = await change(by)
        took.push(await untilStatus(1 - by, secret, status))
        await untilStatus(by, secret, status)
      }
    }
    const slowest = Math.max(...took)
    console.log(`${name}: the other process follows within ${slowest.toFixed(1)} ms at most, of ${took.length} changes`)
    expect(slowest).toBeLessThan(WITHIN_MS)
    steady.check()
  }

  it('a key revoked through one is refused by the other within a second', () =>
    measured('revoked', async (by) => {
      const { projectId, keyId, secret } = await known()
      await call(by, `DELETE /projects/${projectId}/keys/${keyId}`)
      return { secret, status: 401 }
    }))

  it('a key rotated through one has its old secret refused by the other within a second, and its new one taken', () =>
    measured('rotated', async (by) => {
      const { projectId, keyId, secret } = await known()
      const { key } = await call(by, `POST /projects/${projectId}/keys/${keyId}/rotate`)
      expect(await works(1 - by, key!)).toBe(200)
      return { secret, status: 401 }
    }))

  it('a project archived through one has its keys refused by the other within a second', () =>
    measured('archived', async (by) => {
      const { projectId, secret } = await known()
      await call(by, `PATCH /projects/${projectId}`, { archived: true })
      return { secret, status: 401 }
    }))

  it('a project revived through one has its keys taken by the other within a second', () =>
    measured('revived', async (by) => {
      const { projectId, secret } = await known()
      await call(by, `PATCH /projects/${projectId}`, { archived: true })
      for (const at of [0, 1]) await untilStatus(at, secret, 401)
      await call(by, `PATCH /projects/${projectId}`, { archived: false })
      return { secret, status: 200 }
    }))

  it('a project deleted through one has its keys refused by the other within a second', () =>
    measured('deleted', async (by) => {
      const { projectId, secret } = await known()
      await call(by, `DELETE /projects/${projectId}`)
      return { secret, status: 401 }
    }))

  it('what a key may changes on the other within a second', () =>
    measured('changed', async (by) => {
      const { projectId, keyId, secret } = await known()
      await call(by, `PATCH /projects/${projectId}/keys/${keyId}`, { settings: { allowed_models: ['gpt-4o'] } })
      return { secret, status: 403 }
    }))

  it('all the while, not one call with another key has failed', async () => {
    const { calls, failures } = await steady.stop()
    console.log(`${calls} calls with another key, ${failures.length} failures`)
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(100)
  })
})

async function statusOf(url: string, key: string): Promise<number> {
  return (await ask(`${url}/v1/chat/completions`, chat('Hi', { model: 'sandbox/chat' }), { key })).status
}

interface Steady {
  /** @throws when a call has failed by now */
  check(): void
  stop(): Promise<{ readonly calls: number; readonly failures: readonly string[] }>
}

/** Somebody whose key nobody touches, calling every process without a pause. */
function keepCalling(urls: readonly string[]): Steady {
  const failures: string[] = []
  let calls = 0
  let stopped = false
  const loops = urls.map(async (url) => {
    while (!stopped) {
      const status = await statusOf(url, PROJECT_KEY).catch((error: unknown) => String(error))
      calls++
      if (status !== 200) failures.push(String(status))
    }
  })
  return {
    check: () => expect(failures).toEqual([]),
    async stop() {
      stopped = true
      await Promise.all(loops)
      return { calls, failures }
    },
  }
}

/** A person of the default organization, and a token of theirs. */
async function addToken({ database: { db }, stores }: TestDatabase): Promise<void> {
  const organizationId = (await stores.settings.get('default_organization'))!
  const { id } = await addPerson(db, { [organizationId]: 'owner' })
  await db
    .insertInto('access_tokens')
    .values({
      id: newId('tok'),
      organization_id: organizationId,
      user_id: id,
      name: 'A token',
      secret_sha256: sha256(TOKEN),
      display_prefix: 'lgw_pat_0123456…',
      scopes: ['projects:write', 'keys:write'],
      created_at: new Date(),
      expires_at: null,
      last_used_at: null,
      revoked_at: null,
    })
    .execute()
}
