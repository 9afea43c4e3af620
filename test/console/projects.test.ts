import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sampleCall } from '../db/samples.ts'
import { HELLO, post } from '../helpers/app.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

let on: ConsoleApp
let ours: string
let as: As
let stranger: As
beforeAll(async () => {
  on = await consoleApp()
  ours = await on.organization()
  as = (await on.signedIn(ours, 'owner')).as
  stranger = (await on.signedIn(await on.organization(), 'owner')).as
}, 120_000)
afterAll(() => on?.close())

interface Made {
  readonly id: string
  readonly name: string
  readonly provider: string | null
  readonly api_key: string
  readonly created_at: string
}

async function made(input: object = {}): Promise<Made> {
  const { status, body } = await on.call('POST /api/projects', as, { name: 'A project', ...input })
  expect(status).toBe(200)
  return body as Made
}

/** The status that a call with this key gets. */
async function works(secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}` }
  return (await on.app.fetch(post('/v1/chat/completions', { ...HELLO, model: 'sandbox/chat' }, headers))).status
}

const ROUTING = {
  policy: 'balanced',
  chain: ['groq', 'together'],
  aliases: { fast: 'groq/openai/gpt-oss-20b', 'gpt-4': 'gpt-4.1', code: 'auto:coding' },
  fallbacks: { fast: ['gpt-4o-mini'], 'claude-opus-5-5': ['gpt-6-sol', 'openrouter/some/model'], auto: ['gpt-4o'] },
  equivalents: false,
  hedge_after_ms: 400,
}
const NO_ROUTING = {
  policy: 'order',
  chain: [],
  aliases: {},
  fallbacks: {},
  equivalents: true,
  hedge_after_ms: null,
}
const many = (count: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`gpt-4o-${at}`, value]))
const BAD_ROUTING: readonly (readonly [string, object, string])[] = [
  ['a policy nobody knows', { policy: 'random' }, 'policy'],
  ['a routing setting nobody knows', { hedge: 1 }, 'hedge'],
  ['a chain through nobody', { chain: ['groq', 'nobody'] }, 'chain'],
  ['an alias for nothing', { aliases: { fast: 'nobody-knows-me' } }, 'aliases'],
  ['an alias for another alias', { aliases: { fast: 'gpt-4o', faster: 'fast' } }, 'aliases'],
  ['an alias for itself', { aliases: { 'gpt-4o': 'gpt-4o' } }, 'aliases'],
  ['an alias for no text', { aliases: { fast: 7 } }, 'aliases.fast'],
  ['101 aliases', { aliases: many(101, 'gpt-4o') }, 'aliases'],
  ['fallbacks of nothing', { fallbacks: { 'nobody-knows-me': ['gpt-4o'] } }, 'fallbacks'],
  ['a fallback on nothing', { fallbacks: { 'gpt-4o': ['gpt-4.1', 'nobody-knows-me'] } }, 'fallbacks'],
  ['a fallback on itself', { fallbacks: { 'gpt-4o': ['gpt-4o'] } }, 'fallbacks'],
  ['no fallbacks for a model', { fallbacks: { 'gpt-4o': [] } }, 'fallbacks.gpt-4o'],
  ['nine fallbacks', { fallbacks: { 'gpt-4o': Object.keys(many(9, '')) } }, 'fallbacks.gpt-4o'],
  ['fallbacks of 101 models', { fallbacks: many(101, ['gpt-4.1']) }, 'fallbacks'],
  ['a hedge at once', { hedge_after_ms: 49 }, 'hedge_after_ms'],
  ['a hedge after a day', { hedge_after_ms: 86_400_000 }, 'hedge_after_ms'],
]

const errorOf = (body: unknown) => (body as { error: { code: string; param: string | null; message: string } }).error

describe('a new project', () => {
  it('comes with a key that works, whose secret is said once', async () => {
    const project = await made({ name: '  Mine ', provider: 'openai' })
    expect(Object.keys(project).sort()).toEqual(['api_key', 'created_at', 'id', 'name', 'provider'])
    expect(project).toMatchObject({ name: 'Mine', provider: 'openai' })
    expect(project.api_key).toMatch(/^lgw_proj_[\w-]{43}$/)
    expect(await works(project.api_key)).toBe(200)
    const keys = await on.call(`GET /api/projects/${project.id}/keys`, as)
    expect(keys.body).toMatchObject({ data: [{ name: 'First key', kind: 'project', revoked_at: null }] })
    for (const path of ['/api/projects', `/api/projects/${project.id}`, `/api/projects/${project.id}/keys`]) {
      expect((await on.call(`GET ${path}`, as)).text).not.toContain(project.api_key)
    }
    const dump = JSON.stringify(await on.database.database.db.selectFrom('audit_log').selectAll().execute())
    expect(dump).not.toContain(project.api_key)
  })

  it.each([
    ['no name', {}, 'name'],
    ['an empty name', { name: ' ' }, 'name'],
    ['a name of a thousand letters', { name: 'n'.repeat(1000) }, 'name'],
    ['a provider nobody knows', { name: 'x', provider: 'nobody' }, 'provider'],
    ['a provider of the prototype', { name: 'x', provider: '__proto__' }, 'provider'],
    ['a setting nobody knows', { name: 'x', settings: { allowed_model: ['gpt-4o'] } }, 'settings.allowed_model'],
    [
      'a model nobody knows',
      { name: 'x', settings: { allowed_models: ['nobody-knows-me'] } },
      'settings.allowed_models',
    ],
    ['a model of nobody', { name: 'x', settings: { allowed_models: ['nobody/*'] } }, 'settings.allowed_models'],
    ['no models', { name: 'x', settings: { allowed_models: [] } }, 'settings.allowed_models'],
    [
      'a limit of none',
      { name: 'x', settings: { limits: { requests_per_minute: 0 } } },
      'settings.limits.requests_per_minute',
    ],
    ...BAD_ROUTING.map(([what, routing, param]): [string, object, string] => [
      what,
      { name: 'x', settings: { routing } },
      `settings.routing.${param}`,
    ]),
  ])('with %s is refused, and nothing is made', async (_name, input, param) => {
    const count = async () => (await on.database.database.db.selectFrom('projects').select('id').execute()).length
    const before = await count()
    const { status, body } = await on.call('POST /api/projects', as, input)
    expect([status, errorOf(body).code, errorOf(body).param]).toEqual([400, 'invalid_request', param])
    expect(await count()).toBe(before)
  })
})

describe('a project', () => {
  it('is read with its settings and what it has used this month', async () => {
    const { id } = await made({ settings: { allowed_models: ['openai/gpt-4o', 'claude-sonnet-4.5', 'mistral/*'] } })
    const nowMs = Date.now()
    const start = new Date(Date.UTC(new Date(nowMs).getUTCFullYear(), new Date(nowMs).getUTCMonth())).getTime()
    const call = (createdAtMs: number, costPico: number) =>
      sampleCall({ projectId: id, organizationId: ours, createdAtMs, costPico })
    await on.database.stores.calls.insertBatch(
      JSON.stringify([call(start - 1, 7), call(start, 1_250_000_000), call(nowMs, 1_250_000_000)]),
    )
    const read = await on.call(`GET /api/projects/${id}`, as)
    expect(read.body).toMatchObject({
      id,
      name: 'A project',
      provider: null,
      archived_at: null,
      // As the line will meet them.
      settings: {
        allowed_models: ['openai/gpt-4o', 'claude-sonnet-4-5', 'mistral/*'],
        limits: { requests_per_minute: null },
      },
      stats: { requests_this_month: 2, cost_this_month: '0.0025', cache_hit_rate: 0 },
    })
    const all = (await on.call('GET /api/projects?limit=100', as)).body as { data: { id: string }[] }
    expect(all.data.find((one) => one.id === id)).toEqual(read.body)
    expect((await on.call('projects.get', as, { id })).body).toEqual(read.body)
  })

  it('is listed by pages, each once', async () => {
    await made()
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await on.call(`GET /api/projects?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`, as)
      const { data, next_cursor } = page.body as { data: { id: string }[]; next_cursor: string | null }
      seen.push(...data.map(({ id }) => id))
      cursor = next_cursor
    }
    const { body } = await on.call('projects.list', as, { limit: 100 })
    expect(seen).toEqual((body as { data: { id: string }[] }).data.map(({ id }) => id))
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('is changed in what is given', async () => {
    const { id } = await made({ provider: 'openai', settings: { allowed_models: ['gpt-4o'] } })
    const patch = (input: object) => on.call(`PATCH /api/projects/${id}`, as, input)
    await patch({ name: 'Other', settings: { limits: { requests_per_minute: 3 } } })
    const { body } = await patch({ provider: null })
    const settings = { allowed_models: ['gpt-4o'], limits: { requests_per_minute: 3 }, routing: NO_ROUTING }
    expect(body).toMatchObject({ id, name: 'Other', provider: null, settings })
    expect((await patch({ settings: { allowed_models: null } })).body).toMatchObject({
      settings: { ...settings, allowed_models: null },
    })
    expect((await patch({ provider: 'nobody' })).status).toBe(400)
    expect((await patch({ name: '' })).status).toBe(400)
    expect((await patch({})).body).toMatchObject({ name: 'Other' })
  })

  it('has a routing, which is changed in what is given', async () => {
    const { id } = await made({ settings: { routing: ROUTING } })
    const routing = async () => {
      const { body } = await on.call(`GET /api/projects/${id}`, as)
      return (body as { settings: { routing: unknown } }).settings.routing
    }
    const patch = (changes: object) => on.call(`PATCH /api/projects/${id}`, as, { settings: { routing: changes } })
    expect(await routing()).toEqual(ROUTING)
    expect((await patch({ policy: 'fastest' })).status).toBe(200)
    expect(await routing()).toEqual({ ...ROUTING, policy: 'fastest' })
    await patch({ aliases: { smart: 'claude-opus-5-5' }, hedge_after_ms: null, chain: ['groq', 'groq'] })
    const now = { aliases: { smart: 'claude-opus-5-5' }, hedge_after_ms: null, chain: ['groq'] }
    expect(await routing()).toEqual({ ...ROUTING, policy: 'fastest', ...now })
    expect((await patch({ chain: ['nobody'] })).status).toBe(400)
    await patch(NO_ROUTING)
    expect(await routing()).toEqual(NO_ROUTING)
  })

  it('takes its keys along when it is archived, and brings them back', async () => {
    const { id, api_key } = await made()
    const archive = (archived: boolean) => on.call(`PATCH /api/projects/${id}`, as, { archived })
    expect(await works(api_key)).toBe(200)
    expect((await archive(true)).body).toMatchObject({ archived_at: expect.any(String) })
    await expect.poll(() => works(api_key)).toBe(401)
    const key = await on.call(`POST /api/projects/${id}/keys`, as, { name: 'x' })
    expect([key.status, errorOf(key.body).message]).toEqual([400, expect.stringContaining('archived')])
    expect((await archive(false)).body).toMatchObject({ archived_at: null })
    await expect.poll(() => works(api_key)).toBe(200)
  })

  it('is deleted with its keys; its usage stays', async () => {
    const { id, api_key } = await made()
    expect(await works(api_key)).toBe(200)
    expect((await on.call(`DELETE /api/projects/${id}`, as)).body).toEqual({ ok: true })
    await expect.poll(() => works(api_key)).toBe(401)
    for (const line of [`GET /api/projects/${id}`, `GET /api/projects/${id}/keys`, `DELETE /api/projects/${id}`]) {
      expect((await on.call(line, as)).status).toBe(404)
    }
  })

  it('is not deleted when the start works with it', async () => {
    const { id } = await made()
    await on.database.stores.settings.set('default_project', id)
    const { status, body } = await on.call(`DELETE /api/projects/${id}`, as)
    expect([status, errorOf(body).message]).toEqual([400, expect.stringContaining('archive it instead')])
    expect((await on.call(`GET /api/projects/${id}`, as)).status).toBe(200)
  })

  it('of another organization is not there', async () => {
    const { id, api_key } = await made({ name: 'Ours' })
    for (const [line, input] of [
      [`GET /api/projects/${id}`, undefined],
      [`PATCH /api/projects/${id}`, { name: 'Theirs', archived: true }],
      [`DELETE /api/projects/${id}`, undefined],
      [`GET /api/projects/${id}/keys`, undefined],
      [`POST /api/projects/${id}/keys`, { name: 'Theirs' }],
    ] as const) {
      const { status, body } = await on.call(line, stranger, input)
      expect([line, status, errorOf(body).code]).toEqual([line, 404, 'not_found'])
    }
    expect((await on.call('GET /api/projects', stranger)).body).toEqual({ data: [], next_cursor: null })
    expect((await on.call(`GET /api/projects/${id}`, as)).body).toMatchObject({ name: 'Ours', archived_at: null })
    expect(await works(api_key)).toBe(200)
  })
})
