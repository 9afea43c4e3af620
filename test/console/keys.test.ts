import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HELLO, post } from '../helpers/app.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

let on: ConsoleApp
let as: As
let userId: string
let projectId: string
let keys: string
beforeAll(async () => {
  on = await consoleApp()
  const organizationId = await on.organization()
  const signedIn = await on.signedIn(organizationId, 'member')
  as = signedIn.as
  userId = signedIn.person.id
  projectId = await on.project(organizationId)
  keys = `/api/projects/${projectId}/keys`
}, 120_000)
afterAll(() => on?.close())

interface Made {
  readonly id: string
  readonly name: string
  readonly key: string
  readonly created_at: string
  readonly previous_valid_until?: string | null
}

async function made(input: object = {}): Promise<Made> {
  const { status, body } = await on.call(`POST ${keys}`, as, { name: 'A key', ...input })
  expect(status).toBe(200)
  return body as Made
}

async function rotated(id: string, grace_seconds?: number): Promise<Made> {
  const { status, body } = await on.call(
    `POST ${keys}/${id}/rotate`,
    as,
    grace_seconds === undefined ? {} : { grace_seconds },
  )
  expect(status).toBe(200)
  return body as Made
}

async function read(id: string): Promise<Record<string, unknown>> {
  const { body } = await on.call(`GET ${keys}?limit=100`, as)
  return (body as { data: Record<string, unknown>[] }).data.find((key) => key.id === id)!
}

async function answer(secret: string, model = 'sandbox/chat'): Promise<Response> {
  return on.app.fetch(post('/v1/chat/completions', { ...HELLO, model }, { authorization: `Bearer ${secret}` }))
}

const works = async (secret: string) => (await answer(secret)).status
const errorOf = (body: unknown) => (body as { error: { code: string; param: string | null; message: string } }).error

const SETTINGS = {
  allowed_models: ['gpt-4o', 'anthropic/*'],
  allowed_endpoints: ['chat.completions'],
  routing: { mode: 'preferred', provider: 'openai' },
  limits: { requests_per_minute: 9 },
  prompt_cache: 'auto',
  body_additions: false,
  join_retries: false,
  hedge_after_ms: 250,
}
const DEFAULTS = {
  allowed_models: null,
  allowed_endpoints: null,
  routing: { mode: 'auto' },
  limits: { requests_per_minute: null },
  prompt_cache: 'respect',
  body_additions: true,
  join_retries: true,
  hedge_after_ms: null,
}

describe('a new key', () => {
  it('works, and its secret is said once', async () => {
    const key = await made({ name: 'First' })
    expect(Object.keys(key).sort()).toEqual(['created_at', 'id', 'key', 'name'])
    expect(key.key).toMatch(/^lgw_proj_[\w-]{43}$/)
    expect(await works(key.key)).toBe(200)
    expect(await read(key.id)).toEqual({
      id: key.id,
      project_id: projectId,
      name: 'First',
      kind: 'project',
      display_prefix: `${key.key.slice(0, 15)}…`,
      settings: DEFAULTS,
      created_by: userId,
      created_at: key.created_at,
      expires_at: null,
      revoked_at: null,
      last_used_at: null,
      previous_valid_until: null,
    })
    const { text } = await on.call(`GET ${keys}`, as)
    expect(text).not.toContain(key.key)
    expect(text).not.toMatch(/[0-9a-f]{64}/)
  })

  it('of kind test is answered by the sandbox, whatever it asks for', async () => {
    const { key } = await made({ kind: 'test' })
    expect(key).toMatch(/^lgw_test_/)
    const response = await answer(key, 'gpt-4o')
    expect([response.status, response.headers.get('x-watchllm-provider')]).toEqual([200, 'sandbox'])
  })

  it('is held to its settings from its first call on', async () => {
    const { id, key } = await made({ settings: SETTINGS })
    expect((await read(id)).settings).toEqual(SETTINGS)
    const refused = await answer(key, 'gpt-4o-mini')
    expect([refused.status, (await refused.json()).error.code]).toEqual([403, 'model_not_allowed'])
    expect(refused.headers.get('x-ratelimit-limit')).toBe('9')
  })

  it.each([
    ['no name', { name: undefined }, 'name'],
    ['another kind', { kind: 'admin' }, 'kind'],
    ['an end that is past', { expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['an end that is no time', { expires_at: 'tomorrow' }, 'expires_at'],
    [
      'a provider nobody knows',
      { settings: { routing: { mode: 'failover', provider: 'nobody' } } },
      'settings.routing.provider',
    ],
    ['a preference for nobody', { settings: { routing: { mode: 'preferred' } } }, 'settings.routing.provider'],
    ['an endpoint nobody knows', { settings: { allowed_endpoints: ['chat'] } }, 'settings.allowed_endpoints'],
    ['a model nobody knows', { settings: { allowed_models: ['nobody-knows-me'] } }, 'settings.allowed_models'],
    ['a model of nobody', { settings: { allowed_models: ['nobody/gpt-4o'] } }, 'settings.allowed_models'],
    ['"auto" for a model', { settings: { allowed_models: ['auto'] } }, 'settings.allowed_models'],
    ['a setting nobody knows', { settings: { models: [] } }, 'settings.models'],
    ['a second request at once', { settings: { hedge_after_ms: 10 } }, 'settings.hedge_after_ms'],
    ['a project’s routing', { settings: { routing: { policy: 'cheapest' } } }, 'settings.routing.mode'],
    [
      'half a request a minute',
      { settings: { limits: { requests_per_minute: 0.5 } } },
      'settings.limits.requests_per_minute',
    ],
  ])('with %s is refused by name', async (_name, input, param) => {
    const { status, body } = await on.call(`POST ${keys}`, as, { name: 'x', ...input })
    expect([status, errorOf(body).code, errorOf(body).param]).toEqual([400, 'invalid_request', param])
  })

  it('names the endpoint and the provider that it does not know', async () => {
    const refuse = async (settings: object) =>
      errorOf((await on.call(`POST ${keys}`, as, { name: 'x', settings })).body).message
    expect(await refuse({ allowed_endpoints: ['chat'] })).toMatch(/"chat".*chat\.completions/)
    expect(await refuse({ allowed_models: ['nobody/x'] })).toMatch(/Unknown provider "nobody"/)
  })
})

describe('a key', () => {
  it('is changed in what is given, and the line follows', async () => {
    const { id, key } = await made({ settings: { allowed_models: ['gpt-4o'] } })
    expect(await works(key)).toBe(403)
    const patch = (input: object) => on.call(`PATCH ${keys}/${id}`, as, input)
    const expires_at = new Date(Date.now() + 3_600_000).toISOString()
    await patch({ name: 'Other', expires_at })
    const { body } = await patch({ settings: { allowed_models: ['sandbox/*'], body_additions: false } })
    expect(body).toEqual(await read(id))
    const settings = { ...DEFAULTS, allowed_models: ['sandbox/*'], body_additions: false }
    expect(body).toMatchObject({ name: 'Other', expires_at, settings })
    await expect.poll(() => works(key)).toBe(200)
    expect(await (await answer(key)).json()).not.toHaveProperty('watchllm')
    expect((await patch({ expires_at: null, settings: { allowed_models: null } })).body).toMatchObject({
      expires_at: null,
      settings: { ...settings, allowed_models: null },
    })
    expect((await patch({ settings: { allowed_models: ['nope'] } })).status).toBe(400)
  })

  it('rotated without a grace works with its new secret only, at once', async () => {
    const { id, key } = await made()
    const before = await rotated(id, 60)
    expect(await works(key)).toBe(200)
    expect(await works(before.key)).toBe(200)
    const next = await rotated(id)
    expect(next).toMatchObject({ id, name: 'A key', previous_valid_until: null })
    expect(await works(next.key)).toBe(200)
    await expect.poll(async () => [await works(key), await works(before.key)]).toEqual([401, 401])
  })

  it('rotated with a grace works with all its secrets, until it is revoked', async () => {
    const { id, key } = await made()
    const secrets = [key]
    for (const grace of [30, 60, 2_592_000]) {
      const next = await rotated(id, grace)
      const until = Date.parse(next.previous_valid_until!)
      expect(Math.abs(until - Date.now() - grace * 1000)).toBeLessThan(20_000)
      secrets.push(next.key)
    }
    expect(await Promise.all(secrets.map(works))).toEqual([200, 200, 200, 200])
    expect((await read(id)).previous_valid_until).not.toBeNull()
    expect((await on.call(`DELETE ${keys}/${id}`, as)).body).toEqual({ ok: true })
    await expect.poll(() => Promise.all(secrets.map(works))).toEqual([401, 401, 401, 401])
    expect((await read(id)).revoked_at).toEqual(expect.any(String))
    const again = await on.call(`POST ${keys}/${id}/rotate`, as, {})
    expect([again.status, errorOf(again.body).code]).toEqual([400, 'invalid_request'])
    // Once more changes nothing.
    expect((await on.call(`DELETE ${keys}/${id}`, as)).status).toBe(200)
  })

  it.each([-1, 2_592_001, 1.5, 'long'])('is not rotated with a grace of %s', async (grace_seconds) => {
    const { id, key } = await made()
    const { status, body } = await on.call(`POST ${keys}/${id}/rotate`, as, { grace_seconds })
    expect([status, errorOf(body).param]).toEqual([400, 'grace_seconds'])
    expect(await works(key)).toBe(200)
  })

  it('keeps its kind when it is rotated', async () => {
    const { id } = await made({ kind: 'test' })
    expect((await rotated(id)).key).toMatch(/^lgw_test_/)
  })

  it('is found in its own project only', async () => {
    const { id, key } = await made()
    const other = await on.call('POST /api/projects', as, { name: 'Other' })
    const elsewhere = `/api/projects/${(other.body as { id: string }).id}/keys/${id}`
    for (const [line, input] of [
      [`PATCH ${elsewhere}`, { name: 'x' }],
      [`POST ${elsewhere}/rotate`, {}],
      [`DELETE ${elsewhere}`, undefined],
      [`DELETE ${keys}/key_none`, undefined],
    ] as const) {
      expect([line, (await on.call(line, as, input)).status]).toEqual([line, 404])
    }
    expect(await works(key)).toBe(200)
  })
})

it('every change of a key is in the audit log, without a secret or a hash', async () => {
  const { id, key } = await made({ settings: SETTINGS })
  await on.call(`PATCH ${keys}/${id}`, as, { name: 'Other' })
  const next = await rotated(id, 60)
  await on.call(`DELETE ${keys}/${id}`, as)
  const rows = await on.database.database.db
    .selectFrom('audit_log')
    .selectAll()
    .where('target_id', '=', id)
    .orderBy('id')
    .execute()
  expect(rows.map(({ action }) => action).sort()).toEqual(['keys.create', 'keys.revoke', 'keys.rotate', 'keys.update'])
  expect(rows.every((row) => row.actor_id === userId && row.target_type === 'key')).toBe(true)
  const text = JSON.stringify(rows)
  expect(text).not.toContain(key)
  expect(text).not.toContain(next.key)
  expect(text).not.toMatch(/[0-9a-f]{64}/)
})
