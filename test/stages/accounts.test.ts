import { afterEach, describe, expect, it } from 'vitest'
import { credentialContext, type SealedCredential } from '../../db/model/credentials.ts'
import { PLANS } from '../../db/model/plans.ts'
import { createVault } from '../../db/vault.ts'
import { poolFor } from '../../server/accounts.ts'
import { type OpenCredentials, openCredentials } from '../../server/credentials.ts'
import type { Account, Accounts, Principal } from '../../server/deps.ts'
import { systemClock, systemRandom } from '../../server/runtime/system.ts'
import { HELLO, post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'

const vault = createVault(['accounts-test-secret-0123456789'])
const stranger = createVault(['accounts-test-secret-abcdefghij'])
const PLACE = { origin: 'https://api.openai.com', basePath: '/v1' }

function row(id: string, more: Partial<SealedCredential & { key: string; by: typeof vault }> = {}): SealedCredential {
  const { key = `key-of-${id}`, by = vault, ...rest } = more
  const sealed = by.seal(key, credentialContext(id))
  return { id, provider: 'openai', sealed, baseUrl: null, version: null, weight: 100, ...rest }
}

interface Logged {
  readonly message: string
  readonly fields: unknown
}

function open(rows: () => readonly SealedCredential[], { env = false, logs = [] as Logged[] } = {}): OpenCredentials {
  const say = (message: string, fields?: unknown) => void logs.push({ message, fields })
  return openCredentials({
    store: { load: async () => rows() },
    vault,
    config: {
      accounts: new Map(env ? [['openai', { apiKey: 'env-key', ...PLACE }]] : []),
      places: new Map([['openai', PLACE]]),
    },
    random: systemRandom(),
    clock: systemClock,
    log: { info: say, warn: say, error: say },
  })
}

function share(accounts: Accounts, draws = 20_000): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < draws; i++) {
    const { id } = accounts.of('openai')!
    counts[id] = (counts[id] ?? 0) + 1 / draws
  }
  return counts
}

describe('accounts of a project', () => {
  it('are its credentials with their keys, opened once', async () => {
    const rows = [row('crd_a'), row('crd_b', { provider: 'groq', baseUrl: 'https://proxy.example.com/v1/' })]
    const accounts = await open(() => rows).accountsOf('prj_a')
    expect(accounts.of('openai')).toEqual({ id: 'crd_a', own: true, apiKey: 'key-of-crd_a', ...PLACE })
    const elsewhere = { origin: 'https://proxy.example.com', basePath: '/v1', publicOnly: true }
    expect(accounts.of('groq')).toEqual({ id: 'crd_b', own: true, apiKey: 'key-of-crd_b', ...elsewhere })
    expect(accounts.of('openai')).toBe(accounts.of('openai'))
    expect([accounts.of('mistral'), accounts.isLocked!('mistral')]).toEqual([null, false])
  })

  it.each([[[1, 1]], [[1, 3]], [[1000, 1]], [[5, 10, 85]], [[100, 100, 100, 100]]])(
    'of one provider share its calls by their weights: %s',
    async (weights) => {
      const rows = weights.map((weight, at) => row(`crd_${at}`, { weight }))
      const counts = share(await open(() => rows).accountsOf('prj_a'))
      const sum = weights.reduce((one, other) => one + other, 0)
      for (const [at, weight] of weights.entries()) {
        expect(Math.abs((counts[`crd_${at}`] ?? 0) - weight / sum)).toBeLessThan(0.02)
      }
    },
  )

  it('that no master secret opens are left out and said once by their ids; others go on', async () => {
    const logs: Logged[] = []
    const rows = [row('crd_a', { by: stranger }), row('crd_b'), row('crd_c', { provider: 'groq', by: stranger })]
    const credentials = open(() => rows, { logs })
    for (let i = 0; i < 3; i++) {
      const accounts = await credentials.accountsOf('prj_a')
      expect(accounts.of('openai')?.id).toBe('crd_b')
      expect([accounts.of('groq'), accounts.isLocked!('groq'), accounts.isLocked!('openai')]).toEqual([
        null,
        true,
        false,
      ])
    }
    expect(logs.map(({ fields }) => (fields as { id: string }).id)).toEqual(['crd_a', 'crd_c'])
    expect(JSON.stringify(logs)).not.toContain('key-of')
  })

  it('can not be those of another credential, whatever the table says', async () => {
    const stolen = { ...row('crd_a'), id: 'crd_b' }
    expect((await open(() => [stolen]).accountsOf('prj_b')).of('openai')).toBeNull()
  })

  it('of a provider keep files in the first of them', async () => {
    const accounts = await open(() => [row('crd_a'), row('crd_b'), row('crd_c')]).accountsOf('prj_a')
    const all = new Map<string, Account>()
    while (all.size < 3) {
      const one = accounts.of('openai')!
      all.set(one.id, one)
    }
    const homes = ['crd_a', 'crd_b', 'crd_c'].map((id) => all.get(id)!.home?.id)
    expect(homes).toEqual([undefined, 'crd_a', 'crd_a'])
  })

  it('are listed with their weights, those alone that can be used, and are the very ones that calls get', async () => {
    const rows = [row('crd_a', { by: stranger }), row('crd_b', { weight: 7 }), row('crd_c', { weight: 1 })]
    const accounts = await open(() => rows).accountsOf('prj_a')
    const all = accounts.all!('openai')
    expect(all.map(({ account, weight }) => [account.id, weight, account.home?.id])).toEqual([
      ['crd_b', 7, undefined],
      ['crd_c', 1, 'crd_b'],
    ])
    expect(accounts.all!('openai')).toBe(all)
    for (let draws = 0; draws < 100; draws++) {
      expect(all.map(({ account }) => account)).toContain(accounts.of('openai'))
    }
    expect(accounts.all!('groq')).toEqual([])
    expect((await open(() => [row('crd_a', { by: stranger })]).accountsOf('prj_a')).all!('openai')).toEqual([])
  })
})

describe('the pool of a call', () => {
  const ids = (accounts: Accounts | undefined, credentials: Accounts) =>
    poolFor(accounts === undefined ? {} : { accounts }, 'openai', { credentials }).map(({ account }) => account.id)

  it('is the project’s own, else the platform’s, never both and never the platform’s for a locked key', async () => {
    const platform = open(() => [row('crd_p'), row('crd_q')], { env: true })
    await platform.load()
    const own = await open(() => [row('crd_a'), row('crd_b')]).accountsOf('prj_a')
    const none = await open(() => []).accountsOf('prj_a')
    const locked = await open(() => [row('crd_a', { by: stranger })]).accountsOf('prj_a')
    expect(ids(undefined, platform.platform)).toEqual(['env', 'crd_p', 'crd_q'])
    expect(ids(own, platform.platform)).toEqual(['crd_a', 'crd_b'])
    expect(ids(none, platform.platform)).toEqual(['env', 'crd_p', 'crd_q'])
    expect(ids(locked, platform.platform)).toEqual([])
    const alone: Accounts = { of: () => own.all!('openai')[1]!.account }
    expect(ids(undefined, alone)).toEqual(['crd_b'])
    expect(ids(undefined, { of: () => null })).toEqual([])
  })

  it('of the platform follows what is loaded', async () => {
    const rows = [row('crd_p')]
    const platform = open(() => rows)
    expect(ids(undefined, platform.platform)).toEqual([])
    await platform.load()
    expect(ids(undefined, platform.platform)).toEqual(['crd_p'])
    rows.push(row('crd_q'))
    await platform.reload()
    expect(ids(undefined, platform.platform)).toEqual(['crd_p', 'crd_q'])
  })
})

describe("the platform's accounts", () => {
  it("are the environment's and those of the table, together by weight", async () => {
    const credentials = open(() => [row('crd_a', { weight: 300, baseUrl: 'http://10.0.0.1/v1' })], { env: true })
    expect(share(credentials.platform)).toEqual({ env: expect.closeTo(1, 5) })
    await credentials.load()
    const counts = share(credentials.platform)
    expect(counts).toEqual({ env: expect.closeTo(0.25, 1), crd_a: expect.closeTo(0.75, 1) })
    let account = credentials.platform.of('openai')!
    while (account.id === 'env') account = credentials.platform.of('openai')!
    // The operator's own word: it may be a private address.
    expect(account).toMatchObject({ own: false, origin: 'http://10.0.0.1' })
    expect(account.publicOnly).toBeUndefined()
  })

  it('stay in use while the database is away', async () => {
    let away = false
    const credentials = open(() => {
      if (away) throw new Error('The database is away')
      return [row('crd_a')]
    })
    await credentials.load()
    away = true
    await credentials.reload()
    expect(credentials.platform.of('openai')?.id).toBe('crd_a')
    credentials.close()
    await expect(credentials.load()).rejects.toThrow('away')
  })
})

describe('a call', () => {
  const opened: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of opened.splice(0).reverse()) await one.close()
  })

  async function gateway(own: Accounts | undefined): Promise<{ app: TestApp; upstream: ScriptedUpstream }> {
    const upstream = await startUpstream()
    upstream.script(json('{"id":"1","object":"list","choices":[],"data":[]}'))
    const principal: Principal = {
      keyId: 'key_a',
      kind: 'project',
      projectId: 'prj_a',
      organizationId: 'org_a',
      plan: PLANS.find(({ id }) => id === 'unlimited')!,
      ...(own === undefined ? {} : { accounts: own }),
    }
    const app = testApp({ upstreamUrl: upstream.url, deps: { directory: { lookup: () => principal } } })
    opened.push(upstream, app)
    return { app, upstream }
  }

  const at = (upstream: { url: string }, id: string, more: Partial<Account> = {}): Account => {
    return { id, own: true, apiKey: `key-of-${id}`, origin: upstream.url, basePath: '/own', ...more }
  }

  it("goes with its project's own account before the platform's", async () => {
    const upstream = { url: '' }
    const { app, upstream: real } = await gateway({ of: (id) => (id === 'openai' ? at(upstream, 'crd_a') : null) })
    upstream.url = real.url
    await app.fetch(post('/v1/chat/completions', HELLO))
    expect([real.requests[0]!.path, real.requests[0]!.headers.authorization]).toEqual([
      '/own/chat/completions',
      'Bearer key-of-crd_a',
    ])
  })

  it("goes with the platform's where its project has none for that provider", async () => {
    const { app, upstream } = await gateway({ of: () => null, isLocked: () => false })
    await app.fetch(post('/v1/chat/completions', HELLO))
    expect(upstream.requests[0]!.path).toBe('/v1/chat/completions')
  })

  it("is refused with no_provider_key when its project's own can not be opened, never moved to the platform's", async () => {
    const { app, upstream } = await gateway({ of: () => null, isLocked: (id) => id === 'openai' })
    const response = await app.fetch(post('/v1/chat/completions', HELLO))
    const { error } = (await response.json()) as { error: { code: string; message: string } }
    expect([response.status, error.code]).toEqual([503, 'no_provider_key'])
    expect(error.message).toContain('save it again')
    expect(upstream.requests).toHaveLength(0)
    const status = await app.fetch(
      new Request('http://gateway.test/v1/chat/status', { headers: post('/', {}).headers }),
    )
    const { providers } = (await status.json()) as { providers: Record<string, { status: string }> }
    expect([providers.openai!.status, providers.mistral!.status]).toEqual(['unconfigured', 'configured'])
  })

  it("finds its project's own accounts configured, and takes them for auto", async () => {
    const { app } = await gateway({ of: (id) => (id === 'groq' ? at({ url: 'http://127.0.0.1:1' }, 'crd_g') : null) })
    const headers = post('/', {}).headers
    const status = await app.fetch(new Request('http://gateway.test/v1/chat/status', { headers }))
    // The platform of these tests has an account everywhere but there.
    expect(JSON.stringify(await status.json())).toContain('"groq":{"status":"configured"}')
    const auto = await app.fetch(new Request('http://gateway.test/v1/models/auto?task=fast', { headers }))
    const picks = (await auto.json()) as { primary: object; alternatives: { provider: string; configured: boolean }[] }
    expect([picks.primary, ...picks.alternatives]).toContainEqual(
      expect.objectContaining({ provider: 'groq', configured: true }),
    )
  })

  it('that names a file goes to the account that keeps it, others to any', async () => {
    const upstream = { url: '' }
    const home = () => at(upstream, 'crd_home', { basePath: '/home' })
    const own: Accounts = { of: (id) => (id === 'openai' ? at(upstream, 'crd_b', { home: home() }) : null) }
    const { app, upstream: real } = await gateway(own)
    upstream.url = real.url
    await app.deps.providerObjects.add({ projectId: 'prj_a', provider: 'openai' }, ['file-1'], 0)
    const content = [{ type: 'file', file: { file_id: 'file-1' } }]
    await app.fetch(post('/v1/chat/completions', { ...HELLO, messages: [{ role: 'user', content }] }))
    await app.fetch(post('/v1/chat/completions', HELLO))
    await app.fetch(new Request('http://gateway.test/v1/files', { headers: post('/', {}).headers }))
    const paths = real.requests.map(({ path }) => path.split('?')[0])
    expect(paths).toEqual(['/home/chat/completions', '/own/chat/completions', '/home/files'])
  })

  it('to a host that a tenant chose is a provider_error when that turns out not to be public', async () => {
    const upstream = { url: '' }
    const own: Accounts = { of: (id) => (id === 'openai' ? at(upstream, 'crd_a', { publicOnly: true }) : null) }
    const { app, upstream: real } = await gateway(own)
    upstream.url = real.url
    const response = await app.fetch(post('/v1/chat/completions', HELLO))
    const text = await response.text()
    expect([response.status, text.includes('provider_error'), text.includes('127.0.0.1')]).toEqual([502, true, false])
    expect(real.requests).toHaveLength(0)
  })

  it.each([301, 302, 303, 307, 308])('that is redirected with %i goes nowhere else', async (status) => {
    const { app, upstream } = await gateway(undefined)
    upstream.script(json('{}', { status, headers: { location: `${upstream.url}/v1/models` } }))
    const response = await app.fetch(post('/v1/chat/completions', HELLO, { 'x-watchllm-route': 'openai' }))
    expect([response.status, upstream.requests.length]).toEqual([502, 1])
    expect(await response.text()).toContain('provider_error')
  })
})
