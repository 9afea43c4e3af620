import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Role } from '../../db/model/access.ts'
import { HELLO, post } from '../helpers/app.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

const RULES = { days: 30, redact: true, max_bytes: 65_536 }

let on: ConsoleApp
let ours: string
let as: Readonly<Record<Role, As>>
let stranger: As
beforeAll(async () => {
  on = await consoleApp()
  ours = await on.organization()
  const signedIn = async (role: Role) => (await on.signedIn(ours, role)).as
  as = {
    ...{ viewer: await signedIn('viewer'), member: await signedIn('member') },
    ...{ admin: await signedIn('admin'), owner: await signedIn('owner') },
  }
  stranger = (await on.signedIn(await on.organization(), 'owner')).as
}, 120_000)
afterAll(() => on?.close())

async function project(settings: object = {}) {
  const { status, body } = await on.call('POST /api/projects', as.admin, { name: 'P', settings })
  expect(status).toBe(200)
  return body as { readonly id: string; readonly api_key: string }
}

/** A call of a project that has bodies logged, which ended a moment ago. */
async function called() {
  const { id, api_key } = await project({ body_logging: { ...RULES, redact: false } })
  const headers = { authorization: `Bearer ${api_key}` }
  const response = await on.app.fetch(post('/v1/chat/completions', { ...HELLO, model: 'sandbox/echo' }, headers))
  const text = await response.text()
  const callId = response.headers.get('x-request-id')!
  await on.deps.bodies!.find(id, callId)
  return { id, callId, text, path: `/api/projects/${id}/usage/${callId}/bodies` }
}

const auditOf = async (id: string) =>
  (await on.database.database.db.selectFrom('audit_log').selectAll().where('target_id', '=', id).execute()).map(
    ({ action, before, after }) => ({ action, before, after }),
  )

describe('whether bodies are logged', () => {
  it('is off until an admin turns it on, which is in the audit log', async () => {
    const { id } = await project()
    expect((await on.call(`GET /api/projects/${id}`, as.viewer)).body).toMatchObject({
      settings: { body_logging: null },
    })
    const turnedOn = { settings: { body_logging: RULES } }
    expect((await on.call(`PATCH /api/projects/${id}`, as.admin, turnedOn)).body).toMatchObject(turnedOn)
    expect((await on.call(`GET /api/projects/${id}`, as.viewer)).body).toMatchObject(turnedOn)
    const stored = { days: 30, redact: true, maxBytes: 65_536 }
    expect((await auditOf(id)).at(-1)).toMatchObject({
      ...{ action: 'projects.update', before: { settings: {} }, after: { settings: { bodyLogging: stored } } },
    })
    expect(
      (await on.call(`PATCH /api/projects/${id}`, as.owner, { settings: { body_logging: null } })).body,
    ).toMatchObject({ settings: { body_logging: null } })
  })

  it('is no member’s to say: neither on, nor off, nor of a new project', async () => {
    const { id } = await project({ body_logging: RULES })
    for (const body_logging of [null, { ...RULES, days: 90 }, { ...RULES, redact: false }]) {
      const refused = await on.call(`PATCH /api/projects/${id}`, as.member, { name: 'X', settings: { body_logging } })
      expect([refused.status, refused.body]).toMatchObject([403, { error: { code: 'insufficient_permissions' } }])
    }
    const made = { name: 'New', settings: { body_logging: RULES } }
    expect((await on.call('POST /api/projects', as.member, made)).status).toBe(403)
    expect((await on.call('POST /api/projects', as.member, { ...made, settings: { body_logging: null } })).status).toBe(
      200,
    )
    const read = (await on.call(`GET /api/projects/${id}`, as.viewer)).body
    expect(read).toMatchObject({ name: 'P', settings: { body_logging: RULES } })
  })

  it('may be said again as it is by a member who changes something else', async () => {
    const { id } = await project({ body_logging: RULES })
    const changes = { name: 'Renamed', settings: { body_logging: RULES, allowed_models: ['gpt-4o'] } }
    expect((await on.call(`PATCH /api/projects/${id}`, as.member, changes)).body).toMatchObject(changes)
    expect((await on.call(`PATCH /api/projects/${id}`, as.member, { name: 'Again' })).body).toMatchObject({
      settings: { body_logging: RULES },
    })
  })

  it.each([
    ['no days', { ...RULES, days: 0 }, 'settings.body_logging.days'],
    ['91 days', { ...RULES, days: 91 }, 'settings.body_logging.days'],
    ['half a day', { ...RULES, days: 0.5 }, 'settings.body_logging.days'],
    ['too small a cap', { ...RULES, max_bytes: 1023 }, 'settings.body_logging.max_bytes'],
    ['too large a cap', { ...RULES, max_bytes: 1024 * 1024 + 1 }, 'settings.body_logging.max_bytes'],
    ['no word on redaction', { days: 1, max_bytes: 2048 }, 'settings.body_logging.redact'],
    ['a member nobody knows', { ...RULES, maxBytes: 1 }, 'settings.body_logging.maxBytes'],
  ])('with %s is refused', async (_name, body_logging, param) => {
    const { status, body } = await on.call('POST /api/projects', as.admin, { name: 'P', settings: { body_logging } })
    expect([status, body]).toMatchObject([400, { error: { code: 'invalid_request', param } }])
  })

  it('of a project that is not there is not said', async () => {
    const asked = { settings: { body_logging: RULES } }
    expect((await on.call('PATCH /api/projects/prj_nobody', as.admin, asked)).status).toBe(404)
    const { id } = await project()
    expect((await on.call(`PATCH /api/projects/${id}`, stranger, asked)).status).toBe(404)
  })
})

describe('what was said in a call', () => {
  it('is read by admins, each reading in the audit log, and nothing of it there', async () => {
    const { callId, text, path } = await called()
    const { status, body } = await on.call(`GET ${path}`, as.admin)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      ...{ id: callId, endpoint: 'chat.completions', model: 'sandbox/echo', stream: false },
      request: { text: JSON.stringify({ ...HELLO, model: 'sandbox/echo' }), truncated: false, redacted: false },
      answer: { text, content_type: 'application/json' },
    })
    const { created_at, expires_at } = body as { created_at: string; expires_at: string }
    expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(30 * 86_400_000)
    expect((await on.call(`GET ${path}`, as.owner)).status).toBe(200)
    const read = { action: 'callBodies.get', before: null, after: null }
    expect(await auditOf(callId)).toEqual([read, read])
  })

  it('is nobody else’s to read or delete: no member’s, no other organization’s, no other project’s', async () => {
    const { callId, path } = await called()
    const other = await project()
    for (const method of ['GET', 'DELETE']) {
      for (const who of [as.member, as.viewer]) expect((await on.call(`${method} ${path}`, who)).status).toBe(403)
      expect((await on.call(`${method} ${path}`, stranger)).status).toBe(404)
      const wrong = `${method} /api/projects/${other.id}/usage/${callId}/bodies`
      expect((await on.call(wrong, as.admin)).status).toBe(404)
    }
    expect(await auditOf(callId)).toEqual([])
    expect((await on.call(`GET ${path}`, as.admin)).status).toBe(200)
  })

  it('is deleted for good', async () => {
    const { id, callId, path } = await called()
    expect((await on.call(`DELETE ${path}`, as.admin)).body).toEqual({ ok: true })
    expect((await on.call(`DELETE ${path}`, as.admin)).status).toBe(404)
    expect((await on.call(`GET ${path}`, as.admin)).status).toBe(404)
    expect(await on.deps.bodies!.find(id, callId)).toBeNull()
    expect(await auditOf(callId)).toMatchObject([{ action: 'callBodies.delete' }])
  })

  it('is gone with its project', async () => {
    const { id, callId } = await called()
    expect((await on.call(`DELETE /api/projects/${id}`, as.admin)).status).toBe(200)
    expect(await on.deps.bodies!.find(id, callId)).toBeNull()
  })
})
