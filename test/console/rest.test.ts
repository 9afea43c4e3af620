import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createPaths } from '../../server/console/paths.ts'
import { queryReader } from '../../server/console/query.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'

let house: ConsoleApp
let organizationId: string
let owner: As

beforeAll(async () => {
  house = await consoleApp()
  organizationId = await house.organization({ name: 'Tests' })
  owner = (await house.signedIn(organizationId, 'owner')).as
}, 60_000)
afterAll(() => house?.close())

describe('REST', () => {
  it('answers what the procedure of the path answers', async () => {
    const rest = await house.call('GET /api/me', owner)
    expect(rest).toMatchObject({ status: 200, body: { organizations: [{ id: organizationId, name: 'Tests' }] } })
    expect(await house.call('me.get', owner)).toMatchObject({ status: 200, body: rest.body })
  })

  it('reads ids from the path, the rest from the body, or from the query by the types of the input', async () => {
    const made = await house.call('POST /api/projects', owner, { name: 'One' })
    expect(made.status).toBe(200)
    const { id } = made.body as { id: string }
    const renamed = await house.call(`PATCH /api/projects/${id}`, owner, { id: 'prj_other', name: 'Two' })
    expect(renamed).toMatchObject({ status: 200, body: { id, name: 'Two' } })
    await house.call('POST /api/projects', owner, { name: 'Three' })
    const page = await house.call('GET /api/projects?limit=1', owner)
    expect((page.body as { data: unknown[] }).data).toHaveLength(1)
    expect(await house.call(`DELETE /api/projects/${id}`, owner)).toMatchObject({ status: 200, body: { ok: true } })
    expect((await house.call(`GET /api/projects/${id}`, owner)).status).toBe(404)
  })

  it('knows paths with doubled and trailing slashes', async () => {
    expect((await house.call('GET /api//me/', owner)).status).toBe(200)
  })

  it('answers HEAD like GET', async () => {
    expect((await house.call('HEAD /api/me', owner)).status).toBe(200)
    expect((await house.call('HEAD /api/audit/export', owner)).status).toBe(200)
  })

  it.each([
    ['GET /api/nothing', 404, 'not_found', null],
    ['GET /api/projects/%zz', 404, 'not_found', null],
    ['GET /api/projects?limit=many', 400, 'invalid_request', 'limit'],
    ['GET /api/projects?limit=1&limit=2', 400, 'invalid_request', 'limit'],
    ['GET /api/trpc/nothing.get', 404, 'not_found', null],
    ['POST /api/trpc/me.get', 405, 'invalid_request', null],
    ['GET /api/trpc/projects.list?input={', 400, 'invalid_request', null],
  ])('%s is %i', async (what, status, code, param) => {
    const { body, ...answer } = await house.call(what, owner, what.startsWith('POST') ? {} : undefined)
    expect(answer.status).toBe(status)
    const { error } = body as { error: { data?: { error: object } } }
    expect(error.data?.error ?? error).toMatchObject({ code, param })
  })

  it('says what a path takes', async () => {
    const { status, headers } = await house.call('PUT /api/projects', owner, {})
    expect(status).toBe(405)
    expect(headers.get('allow')).toBe('HEAD, GET, POST')
  })

  it('names the first member at fault', async () => {
    const { body, status } = await house.call('POST /api/projects', owner, { name: 7 })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: { param: 'name', code: 'invalid_request', type: 'invalid_request_error' } })
    const deep = await house.call('projects.create', owner, {
      name: 'x',
      settings: { limits: { requests_per_minute: null, more: 1 } },
    })
    expect(deep).toMatchObject({ status: 400, body: { error: { param: 'settings.limits.more' } } })
  })

  it('answers a batch of procedures, each by itself', async () => {
    const input = encodeURIComponent(JSON.stringify({ 0: {}, 1: { id: 'prj_unknown' } }))
    const { status, text } = await house.call(`GET /api/trpc/me.get,projects.get?batch=1&input=${input}`, owner)
    expect(status).toBe(207)
    const answers = JSON.parse(text) as unknown[]
    expect(answers[0]).toMatchObject({ result: { data: { organizations: [{ id: organizationId }] } } })
    const error = { code: 'not_found', type: 'invalid_request_error', param: null }
    expect(answers[1]).toMatchObject({ error: { data: { code: 'NOT_FOUND', httpStatus: 404, error } } })
  })

  it('streams exports as files', async () => {
    const { status, headers, text } = await house.call('GET /api/audit/export', owner)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(headers.get('content-disposition')).toBe('attachment; filename="audit.csv"')
    expect(text.split('\r\n')[0]).toContain('created_at,actor_kind')
    expect(text).toContain('projects.create')
  })

  it('refuses an export with a bad filter before anything of it is sent', async () => {
    const answer = await house.call('GET /api/audit/export?from=yesterday', owner)
    expect(answer).toMatchObject({ status: 400, body: { error: { param: 'from' } } })
  })
})

describe('paths', () => {
  const routes = ['/members/{id}', '/members/leave', '/members/{id}/keys', '/a/{x}/b/{y}'].map((path) => ({
    method: 'GET',
    path,
  }))

  it('prefer words to ids, and give ids decoded', () => {
    const paths = createPaths(routes)
    const found = (path: string) => {
      const place = paths.find(path)
      return place === null ? null : [place.methods.get('GET')!.route.path, ...place.values]
    }
    expect(found('/members/leave')).toEqual(['/members/leave'])
    expect(found('/members/leave/keys')).toEqual(['/members/{id}/keys', 'leave'])
    expect(found('/members/a%2Fb')).toEqual(['/members/{id}', 'a/b'])
    expect(found('/a/1/b/2')).toEqual(['/a/{x}/b/{y}', '1', '2'])
    expect(found('/a/1/b')).toBeNull()
    expect(found('/members/%')).toBeNull()
  })

  it('refuse to be built with one path twice', () => {
    expect(() => createPaths([...routes, { method: 'GET', path: '/members/{user}' }])).toThrow('Two procedures')
  })
})

it('a query becomes what the schema asks for, and stays text where it can not', () => {
  const read = queryReader(
    z.object({ n: z.number().optional(), b: z.boolean(), s: z.string().nullable(), many: z.array(z.number()) }),
  )
  const query = new URLSearchParams('n=1.5&b=false&s=7&many=1&many=2&unknown=3')
  expect(read(query)).toEqual({ n: 1.5, b: false, s: '7', many: [1, 2], unknown: '3' })
  expect(read(new URLSearchParams('n=1e3&b=yes'))).toEqual({ n: '1e3', b: 'yes' })
})
