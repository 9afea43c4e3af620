import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient, refusalOf } from '../../server/client.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'

let house: ConsoleApp
let organizationId: string
let token: string
let baseUrl: string

beforeAll(async () => {
  house = await consoleApp()
  organizationId = await house.organization()
  const { person } = await house.signedIn(organizationId, 'owner')
  const scopes = ['organization:read', 'projects:write', 'usage:read'] as const
  token = (await house.token({ organizationId, personId: person.id, scopes })).secret
  baseUrl = (await house.app.listen()).url
}, 60_000)
afterAll(() => house?.close())

describe('watchllm/client', () => {
  it('calls procedures of a running gateway, those made together in one request', async () => {
    const asked: string[] = []
    const counted: typeof fetch = (input, init) => {
      asked.push(String(input))
      return fetch(input, init)
    }
    const client = createClient({ baseUrl: `${baseUrl}/`, token, fetch: counted })
    const { id } = await client.projects.create.mutate({ name: 'Made by a client' })
    const [project, me] = await Promise.all([client.projects.get.query({ id }), client.me.get.query({})])
    expect(project.name).toBe('Made by a client')
    expect(me.organizations).toEqual([expect.objectContaining({ id: organizationId })])
    expect(asked).toHaveLength(2)
    expect(asked.every((url) => url.startsWith(`${baseUrl}/api/trpc/`))).toBe(true)
  })

  it('tells what a call was refused for, and of a broken connection that it was not refused', async () => {
    const client = createClient({ baseUrl, token })
    const unknown = await client.projects.get.query({ id: 'prj_unknown' }).catch(refusalOf)
    expect(unknown).toMatchObject({ status: 404, code: 'not_found', type: 'invalid_request_error' })
    const lacking = await client.audit.list.query({}).catch(refusalOf)
    expect(lacking).toMatchObject({ status: 403, code: 'insufficient_permissions' })
    const wrong = await createClient({ baseUrl, token: 'lgw_pat_wrong' }).me.get.query({}).catch(refusalOf)
    expect(wrong).toMatchObject({ status: 401, code: 'invalid_api_key' })
    const nowhere = createClient({ baseUrl: 'http://127.0.0.1:9', token })
    expect(await nowhere.me.get.query({}).catch(refusalOf)).toBeNull()
  })

  it('asks for the organization it was made for', async () => {
    const other = await house.organization()
    const client = createClient({ baseUrl, token, organization: other })
    expect(await client.projects.list.query({}).catch(refusalOf)).toMatchObject({ status: 403 })
  })

  it('reads usage and quota of a project with its API key, and nothing else', async () => {
    const key = await house.key(await house.project(organizationId))
    const client = createClient({ baseUrl, token: key.secret })
    expect(await client.usage.quota.query({})).toMatchObject({ quota_ok: true })
    expect(await client.usage.totals.query({})).toMatchObject({ llm_breakdown: expect.anything() })
    expect(await client.projects.list.query({}).catch(refusalOf)).toMatchObject({ status: 403 })
  })
})
