import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../server/directory.ts'
import { addPerson, newId } from '../db/control.ts'
import { ENGINES, type TestDatabase } from '../db/engines.ts'
import { ask, chat } from '../helpers/client.ts'
import { type DeafPostgres, startDeafPostgres } from '../helpers/deaf-postgres.ts'
import { hasRedis, startRedis, type TestRedis } from '../helpers/redis.ts'
import { cleanUp, startServer, type TestServer } from '../helpers/server.ts'

const engine = ENGINES.find(({ name }) => name === 'postgres')
const SECRET = '0123456789abcdef0123456789abcdef'
const TOKEN = `lgw_pat_${'0123456789abcdef'.repeat(3).slice(0, 43)}`
const WITHIN_MS = 1_000
const ROUNDS = 5

/** Two processes on one PostgreSQL that lets neither hear the other, so that only the kv can tell them. */
describe.skipIf(engine === undefined || !hasRedis())(
  'two processes that are deaf to PostgreSQL',
  {
    timeout: 120_000,
  },
  () => {
    let on: TestDatabase
    let deaf: DeafPostgres
    let redis: TestRedis
    let servers: TestServer[]
    beforeAll(async () => {
      on = await engine!.open()
      redis = await startRedis()
      deaf = await startDeafPostgres((on.options as { readonly url: string }).url)
      const env = { DATABASE_URL: deaf.url, WATCHLLM_SECRET: SECRET, REDIS_URL: redis.url }
      servers = [await startServer({ env }), await startServer({ env })]
      await addToken(on)
    }, 120_000)
    afterAll(async () => {
      await cleanUp()
      await deaf?.close()
      await redis?.kill()
      await on?.dispose()
    }, 30_000)

    async function call(at: number, line: string, input?: object): Promise<Record<string, string>> {
      const [method, path] = line.split(' ') as [string, string]
      const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
      const body = input === undefined ? null : JSON.stringify(input)
      const response = await fetch(`${servers[at]!.url}/api${path}`, { method, headers, body })
      const text = await response.text()
      expect([line, response.status, text]).toEqual([line, 200, expect.anything()])
      return JSON.parse(text)
    }

    /** A new project's key, known to both. */
    async function known(): Promise<{ readonly secret: string; readonly path: string }> {
      const { id, api_key } = await call(0, 'POST /projects', { name: 'A project' })
      for (const { url } of servers) expect(await statusOf(url, api_key!)).toBe(200)
      const { data } = (await call(0, `GET /projects/${id}/keys`)) as unknown as { data: { id: string }[] }
      return { secret: api_key!, path: `/projects/${id}/keys/${data[0]!.id}` }
    }

    async function untilRefused(at: number, secret: string, withinMs: number): Promise<number> {
      const began = performance.now()
      while ((await statusOf(servers[at]!.url, secret)) !== 401) {
        if (performance.now() - began > withinMs) throw new Error(`Still no 401 after ${withinMs} ms`)
      }
      return performance.now() - began
    }

    it('a key revoked through one is refused by the other within a second: Redis tells it', async () => {
      const took: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const by = round % 2
        const { secret, path } = await known()
        await call(by, `DELETE ${path}`)
        took.push(await untilRefused(1 - by, secret, 10 * WITHIN_MS))
        await untilRefused(by, secret, 10 * WITHIN_MS)
      }
      console.log(`revoked: the other process follows within ${Math.max(...took).toFixed(1)} ms at most`)
      expect(Math.max(...took)).toBeLessThan(WITHIN_MS)
      expect(deaf.silenced).toBeGreaterThan(0)
    })

    it('a plan changed through one holds on the other within a second', async () => {
      const { secret } = await known()
      const organization = (await on.stores.settings.get('default_organization'))!
      const onPlan = (by: number, plan: string) =>
        call(by, `PUT /platform/organizations/${organization}/plan`, { plan })
      const took: number[] = []
      const until = async (at: number, status: number): Promise<void> => {
        const began = performance.now()
        while ((await statusOf(servers[at]!.url, secret)) !== status) {
          if (performance.now() - began > 10 * WITHIN_MS) throw new Error(`Still no ${status} after ten seconds`)
        }
        took.push(performance.now() - began)
      }
      await call(0, 'POST /platform/plans', { id: 'tight', name: 'Tight', allowed_models: ['gpt-4o'] })
      await onPlan(0, 'tight')
      await until(1, 403)
      // Who is on it may again what it allows.
      await call(1, 'PATCH /platform/plans/tight', { allowed_models: null })
      await until(0, 200)
      await call(0, 'PATCH /platform/plans/tight', { allowed_models: ['gpt-4o'] })
      await until(1, 403)
      await onPlan(1, 'unlimited')
      await until(0, 200)
      console.log(`plans: the other process follows within ${Math.max(...took).toFixed(1)} ms at most`)
      expect(Math.max(...took)).toBeLessThan(WITHIN_MS)
    })

    it('a key revoked while Redis was away is refused once it is back, and until then keeps working', async () => {
      const { secret, path } = await known()
      await redis.kill()
      await call(0, `DELETE ${path}`)
      expect(await statusOf(servers[1]!.url, secret)).toBe(200)
      await redis.start()
      await untilRefused(1, secret, 10 * WITHIN_MS)
    })
  },
)

async function statusOf(url: string, key: string): Promise<number> {
  return (await ask(`${url}/v1/chat/completions`, chat('Hi', { model: 'sandbox/chat' }), { key })).status
}

/** Somebody who runs the installation and owns the default organization, and a token of theirs. */
async function addToken({ database: { db }, stores }: TestDatabase): Promise<void> {
  const organizationId = (await stores.settings.get('default_organization'))!
  const { id } = await addPerson(db, { [organizationId]: 'owner' })
  await db.updateTable('users').set({ operator: true }).where('id', '=', id).execute()
  await db
    .insertInto('access_tokens')
    .values({
      ...{ id: newId('tok'), organization_id: organizationId, user_id: id, name: 'A token' },
      ...{ secret_sha256: sha256(TOKEN), display_prefix: 'lgw_pat_0123456…' },
      scopes: ['projects:write', 'keys:write', 'platform:write'],
      ...{ created_at: new Date(), expires_at: null, last_used_at: null, revoked_at: null },
    })
    .execute()
}
