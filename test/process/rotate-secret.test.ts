import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { scopeOf } from '../../db/model/access.ts'
import { credentialContext } from '../../db/model/credentials.ts'
import { makeId } from '../../db/model/ids.ts'
import { type Database, openDatabase } from '../../db/open.ts'
import { createStores } from '../../db/stores/index.ts'
import { createVault } from '../../db/vault.ts'
import { sharedTemplate } from '../db/engines.ts'
import { builtServer, ROOT } from '../helpers/build.ts'
import { ask, chat } from '../helpers/client.ts'
import { cleanUp, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'

const CHAT = '/v1/chat/completions'
const OWN_KEY = 'sk-own-key-of-the-project-0123456789'
const ADMIN = { email: 'ada@example.com', password: 'a long enough password' }
const OLD = 'the-master-secret-that-was-before'
const NEW = 'the-master-secret-that-comes-after'
const ANSWER = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'gpt-4o-mini',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function rotate(dataDir: string, env: Record<string, string> = {}, args = ['rotate-secret']): Promise<Ended> {
  const program = await builtServer()
  const all = { PATH: process.env.PATH, HOME: process.env.HOME, WATCHLLM_DATA_DIR: dataDir, NO_COLOR: '1', ...env }
  return new Promise((done) => {
    execFile(process.execPath, [program, ...args], { cwd: ROOT, env: all }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

/** What somebody who stopped the gateway finds in its database. */
async function inside<T>(dataDir: string, look: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase({ dataDir, templatePath: await sharedTemplate() })
  try {
    return await look(database)
  } finally {
    await database.close()
  }
}

function secretsOf(dataDir: string): string[] {
  return fs.readFileSync(join(dataDir, 'secret'), 'utf8').trim().split('\n')
}

const sealedIn = (dataDir: string) =>
  inside(dataDir, (database) => database.db.selectFrom('provider_credentials').selectAll().execute())

/** Gives the default project a key of its own, sealed with a secret. */
async function addCredentials(dataDir: string, secret: string, count: number): Promise<void> {
  await inside(dataDir, async (database) => {
    const stores = createStores(database)
    const { id: projectId, organization_id } = await database.db
      .selectFrom('projects')
      .selectAll()
      .executeTakeFirstOrThrow()
    for (let i = 0; i < count; i++) {
      const atMs = Date.now() + i
      const id = makeId('crd', atMs, randomBytes(16))
      const actor = { kind: 'system', id: 'test', name: 'test' } as const
      const change = { actor, action: 'credentials.create', atMs, requestId: null, address: null }
      const auditId = makeId('aud', atMs, randomBytes(16))
      const holder = { scope: scopeOf(organization_id), projectId }
      const made = await stores.providerCredentials.create({ ...change, auditId }, holder, {
        ...{ id, provider: 'openai', name: 'Ours', hint: '', baseUrl: null, version: null, weight: 100, check: null },
        sealed: createVault([secret]).seal(OWN_KEY, credentialContext(id)),
      })
      expect(made).toBe('created')
    }
  })
}

describe('watchllm rotate-secret', { timeout: 120_000 }, () => {
  let upstream: ScriptedUpstream | null = null
  let server: TestServer | null = null
  afterEach(async () => {
    await server?.stop()
    await upstream?.close()
    server = null
    upstream = null
  })
  afterAll(cleanUp, 30_000)

  async function provider(): Promise<ScriptedUpstream> {
    upstream = await startUpstream()
    upstream.script(json(ANSWER))
    return upstream
  }

  it('makes a new secret, seals everything with it and forgets the old one; calls go on as before', async () => {
    const to = await provider()
    server = await startServer({ upstreamUrl: to.url })
    const { dataDir } = server
    await server.stop()
    const [old = ''] = secretsOf(dataDir)
    await addCredentials(dataDir, old, 3)
    const before = await sealedIn(dataDir)

    const rotated = await rotate(dataDir)
    expect([rotated.code, rotated.stderr]).toEqual([0, ''])
    expect(rotated.stdout).toContain('provider_credentials.sealed: 3 sealed anew')
    const secrets = secretsOf(dataDir)
    expect([secrets.length, secrets[0] === old]).toEqual([1, false])
    expect(rotated.stdout + rotated.stderr).not.toContain(secrets[0])
    const after = await sealedIn(dataDir)
    const vault = createVault(secrets)
    expect(after.map(({ id, sealed }) => vault.open(sealed, credentialContext(id)))).toEqual(Array(3).fill(OWN_KEY))
    expect(after.some(({ sealed }, at) => sealed === before[at]!.sealed)).toBe(false)

    server = await startServer({ upstreamUrl: to.url, dataDir })
    expect((await ask(server.url + CHAT, chat('hi'))).status).toBe(200)
    expect(to.requests.at(-1)!.headers.authorization).toBe(`Bearer ${OWN_KEY}`)
  })

  it('refuses in one line while a gateway uses the folder, and changes nothing', async () => {
    server = await startServer()
    const before = secretsOf(server.dataDir)
    const refused = await rotate(server.dataDir)
    expect(refused.code).toBe(1)
    expect(refused.stderr.trim().split('\n')).toHaveLength(1)
    expect(refused.stderr).toContain('uses the data folder')
    expect(secretsOf(server.dataDir)).toEqual(before)
  })

  it('keeps the old secrets and says so when something can not be opened', async () => {
    server = await startServer()
    const { dataDir } = server
    await server.stop()
    await addCredentials(dataDir, 'a-master-secret-nobody-has-any-more', 1)
    const before = secretsOf(dataDir)
    const rotated = await rotate(dataDir)
    expect([rotated.code, rotated.stdout.includes('1 that no master secret opens')]).toEqual([1, true])
    expect(secretsOf(dataDir).slice(1)).toEqual(before)
  })

  it('uses the secrets of WATCHLLM_SECRET where it is set', async () => {
    server = await startServer({ env: { WATCHLLM_SECRET: OLD } })
    const { dataDir } = server
    await server.stop()
    await addCredentials(dataDir, OLD, 1)
    expect((await rotate(dataDir, { WATCHLLM_SECRET: NEW })).code).toBe(1)
    expect((await rotate(dataDir, { WATCHLLM_SECRET: `${NEW},${OLD}` })).code).toBe(0)
    expect((await rotate(dataDir, { WATCHLLM_SECRET: NEW })).code).toBe(0)
    expect(fs.existsSync(join(dataDir, 'secret'))).toBe(false)
  })

  it('knows no other command', async () => {
    const refused = await rotate(temporaryFolder(), {}, ['rotate'])
    expect([refused.code, refused.stderr.includes('there is no command "rotate"')]).toEqual([1, true])
  })

  it('is done by a running gateway too, which drops no call meanwhile', async () => {
    const to = await provider()
    const first = await startServer({ env: { WATCHLLM_SECRET: OLD } })
    const { dataDir } = first
    await first.stop()
    await addCredentials(dataDir, OLD, 60)

    const env = { WATCHLLM_SECRET: `${NEW},${OLD}`, WATCHLLM_BOOTSTRAP_ADMIN: `${ADMIN.email}:${ADMIN.password}` }
    server = await startServer({ upstreamUrl: to.url, dataDir, env })
    const { url } = server
    const cookie = await signIn(url)
    let going = true
    const statuses: number[] = []
    const callers = Array.from({ length: 8 }, async () => {
      while (going) statuses.push((await ask(url + CHAT, chat('hi'))).status)
    })
    let rounds = 0
    let resealed = 0
    for (let done = false; !done; rounds++) {
      const answer = await fetch(`${url}/api/platform/reseal`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', cookie, origin: url },
        body: JSON.stringify({ limit: 5 }),
      })
      expect(answer.status).toBe(200)
      const body = (await answer.json()) as { done: boolean; columns: { resealed: number; unreadable: number }[] }
      done = body.done
      for (const one of body.columns) {
        expect(one.unreadable).toBe(0)
        resealed += one.resealed
      }
    }
    going = false
    await Promise.all(callers)
    expect(rounds).toBeGreaterThan(10)
    expect(resealed).toBe(60)
    expect(statuses.length).toBeGreaterThan(50)
    expect(statuses.filter((status) => status !== 200)).toEqual([])
    expect(new Set(to.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([`Bearer ${OWN_KEY}`]))

    // The old secret can go.
    await server.stop()
    server = await startServer({ upstreamUrl: to.url, dataDir, env: { WATCHLLM_SECRET: NEW } })
    expect((await ask(server.url + CHAT, chat('hi'))).status).toBe(200)
    expect(to.requests.at(-1)!.headers.authorization).toBe(`Bearer ${OWN_KEY}`)
    expect(server.stderr + server.stdout).not.toContain(OWN_KEY)
  })

  it('without the old secret a call says what to do, and nothing is lost', async () => {
    const to = await provider()
    const first = await startServer({ env: { WATCHLLM_SECRET: OLD } })
    const { dataDir } = first
    await first.stop()
    await addCredentials(dataDir, OLD, 1)
    server = await startServer({ upstreamUrl: to.url, dataDir, env: { WATCHLLM_SECRET: NEW } })
    const refused = await ask(server.url + CHAT, chat('hi'))
    expect([refused.status, JSON.stringify(refused).includes('no_provider_key')]).toEqual([503, true])
    expect(to.requests).toHaveLength(0)
    await server.stop()
    server = await startServer({ upstreamUrl: to.url, dataDir, env: { WATCHLLM_SECRET: `${NEW},${OLD}` } })
    expect((await ask(server.url + CHAT, chat('hi'))).status).toBe(200)
  })
})

async function signIn(url: string): Promise<string> {
  const answer = await fetch(`${url}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: url },
    body: JSON.stringify(ADMIN),
  })
  expect(answer.status).toBe(200)
  return answer.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
}
