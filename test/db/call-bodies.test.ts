import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callBodyContext, type KeptBody, type KeptCall } from '../../db/model/call-bodies.ts'
import { createVault } from '../../db/vault.ts'
import { addOrganization, changeIn, newId } from './control.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const DAY_MS = 86_400_000

describe.each(ENGINES)('what was said in calls, on $name', (engine) => {
  let on: TestDatabase
  let organizationId: string
  let projectId: string
  beforeAll(async () => {
    on = await engine.open()
    organizationId = await addOrganization(on.database.db)
    projectId = await addProject(organizationId)
  }, 120_000)
  afterAll(() => on?.dispose())

  async function addProject(organization_id: string): Promise<string> {
    const id = newId('prj')
    const at = new Date(NOON_MS)
    const row = { id, organization_id, name: 'P', default_provider: null, created_at: at, archived_at: null }
    await on.database.db
      .insertInto('projects')
      .values({ ...row, settings: {} })
      .execute()
    return id
  }

  function callOf(changes: Partial<KeptCall> = {}): KeptCall {
    const side = (text: string | null): KeptBody => {
      return { text, contentType: 'application/json', bytes: 5_000_000_000, truncated: true, redacted: false }
    }
    return {
      ...{ callId: newId('req'), projectId, organizationId, createdAtMs: NOON_MS, expiresAtMs: NOON_MS + DAY_MS },
      ...{ endpoint: 'chat.completions', model: 'gpt-4o', pinned: null, stream: false },
      request: side('sealed request'),
      answer: { ...side(null), truncated: false, redacted: true },
      ...changes,
    }
  }

  const kept = async (call: KeptCall, atMs = NOON_MS) => on.stores.callBodies.find(call, atMs)
  const entries = (action: string) =>
    on.database.db.selectFrom('audit_log').selectAll().where('action', '=', action).execute()

  it('is found as it was given, until it expires, and only by its project', async () => {
    const call = callOf({ pinned: 'openai', stream: true, model: 'gemini-2.5 “x”' })
    await on.stores.callBodies.insertBatch([call, callOf()])
    expect(await kept(call)).toEqual(call)
    expect(await kept(call, NOON_MS + DAY_MS - 1)).toEqual(call)
    expect(await kept(call, NOON_MS + DAY_MS)).toBeNull()
    expect(await kept({ ...call, projectId: await addProject(organizationId) })).toBeNull()
  })

  it('given twice it stays as it was first, and what PostgreSQL can not hold keeps nothing else out', async () => {
    const call = callOf({ model: 'a\0b\ud800c' })
    await on.stores.callBodies.insertBatch([call])
    await on.stores.callBodies.insertBatch([{ ...call, model: 'other' }, callOf()])
    expect(await kept(call)).toMatchObject({ model: 'abc' })
  })

  it('of a project that is gone, or another organization’s, nothing is kept, and nobody else’s is lost by it', async () => {
    const [gone, foreign, ours] = [callOf({ projectId: newId('prj') }), callOf({ organizationId: 'org_x' }), callOf()]
    await on.stores.callBodies.insertBatch([gone, foreign, ours])
    expect(await kept(gone)).toBeNull()
    expect(await kept(foreign)).toBeNull()
    expect(await kept(ours)).toEqual(ours)
  })

  it('goes with its project, and with its organization', async () => {
    const org = await addOrganization(on.database.db)
    const [one, two] = [await addProject(org), await addProject(org)]
    const calls = [callOf({ projectId: one, organizationId: org }), callOf({ projectId: two, organizationId: org })]
    await on.stores.callBodies.insertBatch(calls)
    expect(await on.stores.projects.delete(changeIn(org), one)).toBe('deleted')
    expect(await kept(calls[0]!)).toBeNull()
    expect(await kept(calls[1]!)).toEqual(calls[1])
    await on.database.db.deleteFrom('organizations').where('id', '=', org).execute()
    expect(await kept(calls[1]!)).toBeNull()
  })

  it('is read by its organization only, and each reading is in the audit log', async () => {
    const call = callOf()
    await on.stores.callBodies.insertBatch([call])
    const action = `callBodies.get-${call.callId}`
    expect(await on.stores.callBodies.read(changeIn('org_stranger', { action }), call)).toBeNull()
    expect(
      await on.stores.callBodies.read(changeIn(organizationId, { action, atMs: NOON_MS + DAY_MS }), call),
    ).toBeNull()
    expect(await entries(action)).toEqual([])
    for (const _ of [1, 2]) {
      expect(await on.stores.callBodies.read(changeIn(organizationId, { action }), call)).toEqual(call)
    }
    const told = { target_type: 'call', target_id: call.callId, organization_id: organizationId }
    expect(await entries(action)).toMatchObject([told, told])
    expect(JSON.stringify(await entries(action))).not.toContain('sealed')
  })

  it('is deleted for good by its organization only, once', async () => {
    const call = callOf()
    await on.stores.callBodies.insertBatch([call])
    const action = `callBodies.delete-${call.callId}`
    expect(await on.stores.callBodies.delete(changeIn('org_stranger', { action }), call)).toBe(false)
    expect(await on.stores.callBodies.delete(changeIn(organizationId, { action }), call)).toBe(true)
    expect(await on.stores.callBodies.delete(changeIn(organizationId, { action }), call)).toBe(false)
    expect(await kept(call)).toBeNull()
    expect(await entries(action)).toHaveLength(1)
  })

  it('is swept when its time is over, however much there is', async () => {
    await on.database.db.deleteFrom('call_bodies').execute()
    const old = Array.from({ length: 1203 }, () => callOf({ expiresAtMs: NOON_MS }))
    const young = callOf({ expiresAtMs: NOON_MS + 1 })
    await on.stores.callBodies.insertBatch([...old, young])
    expect(await on.stores.callBodies.sweep(NOON_MS)).toBe(1203)
    expect(await on.database.db.selectFrom('call_bodies').select('call_id').execute()).toEqual([
      { call_id: young.callId },
    ])
  })

  it('is sealed anew when the master secret changes', async () => {
    await on.database.db.deleteFrom('call_bodies').execute()
    const [old, both] = ['the older master secret', 'the newer master secret'].map((_, at, all) =>
      createVault(at === 0 ? [all[0]!] : [all[1]!, all[0]!]),
    ) as [ReturnType<typeof createVault>, ReturnType<typeof createVault>]
    const callId = newId('req')
    const sealed = (side: 'request' | 'answer') => old.seal(`the ${side}`, callBodyContext(projectId, callId, side))
    const call = callOf({ callId })
    await on.stores.callBodies.insertBatch([
      {
        ...call,
        request: { ...call.request, text: sealed('request') },
        answer: { ...call.answer, text: sealed('answer') },
      },
      callOf({ request: { ...call.request, text: null } }),
    ])
    const { columns } = await on.stores.sealed.reseal(changeIn(organizationId), both, 1000)
    expect(columns.filter(({ table }) => table === 'call_bodies')).toEqual([
      { table: 'call_bodies', column: 'request', resealed: 1, unreadable: 0 },
      { table: 'call_bodies', column: 'answer', resealed: 1, unreadable: 0 },
    ])
    const now = (await kept(call))!
    const newest = createVault(['the newer master secret'])
    expect(newest.open(now.request.text!, callBodyContext(projectId, callId, 'request'))).toBe('the request')
    expect(newest.open(now.answer.text!, callBodyContext(projectId, callId, 'answer'))).toBe('the answer')
  })
})
