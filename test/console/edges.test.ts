import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type As, type ConsoleApp, consoleApp, PUBLIC_URL } from '../helpers/console.ts'

let house: ConsoleApp
let organizationId: string
let personId: string
let cookie: string

beforeAll(async () => {
  house = await consoleApp()
  organizationId = await house.organization()
  const { as, person } = await house.signedIn(organizationId, 'owner')
  personId = person.id
  cookie = as!.cookie!
}, 60_000)
afterAll(() => house?.close())
afterEach(() => void vi.restoreAllMocks())

const create = (headers: As) => house.call('POST /api/projects', headers, { name: 'x' })
const read = (headers: As) => house.call('GET /api/me', headers)

describe('a cookie', () => {
  it.each<[string, Record<string, string>, number, number]>([
    ['from a page of ours, by its public address', { origin: PUBLIC_URL }, 200, 200],
    [
      'from a page at the address that was asked',
      { origin: 'http://127.0.0.1:8787', host: '127.0.0.1:8787' },
      200,
      200,
    ],
    ['from a page of ours, as the browser says', { 'sec-fetch-site': 'same-origin' }, 200, 200],
    ['typed by a person', { 'sec-fetch-site': 'none' }, 200, 403],
    ['from nobody knows where', {}, 200, 403],
    ['from another site', { origin: 'https://evil.example' }, 401, 403],
    ['from a page without an origin', { origin: 'null' }, 401, 403],
    ['from a site beside ours', { 'sec-fetch-site': 'same-site' }, 401, 403],
    ['from another site, by a link or a picture', { 'sec-fetch-site': 'cross-site' }, 401, 403],
    ['from another site that says to be ours', { origin: PUBLIC_URL.replace('test', 'test.evil.example') }, 401, 403],
  ])('%s', async (_, headers, reads, changes) => {
    expect((await read({ cookie, ...headers })).status).toBe(reads)
    expect((await create({ cookie, ...headers })).status).toBe(changes)
    const trpc = await house.call('projects.create', { cookie, ...headers }, { name: 'x' })
    expect(trpc.status).toBe(changes)
  })

  it('does not speak for a request that brings a bad token', async () => {
    expect((await read({ cookie, origin: PUBLIC_URL, authorization: 'Bearer lgw_pat_wrong' })).status).toBe(401)
  })
})

describe('without a cookie', () => {
  it('another site can not make a browser ask for a change either, but a token needs no origin', async () => {
    const input = { email: 'a@example.com', password: 'correct horse battery', name: 'A' }
    const foreign = await house.call('POST /api/setup/admin', { origin: 'https://evil.example' }, input)
    expect(foreign).toMatchObject({
      status: 403,
      body: { error: { message: expect.stringContaining('another site') } },
    })
    const token = await house.token({ organizationId, personId, scopes: ['projects:write'] })
    expect((await create({ ...token.as, origin: 'https://tool.example' })).status).toBe(200)
  })
})

describe('every answer', () => {
  it.each(['GET /api/me', 'GET /api/setup', 'GET /api/nothing', 'GET /api/openapi.json', 'GET /api/auth/nothing'])(
    '%s carries a request id and closes the doors of browsers',
    async (what) => {
      const { headers } = await house.call(what, { origin: 'https://evil.example' })
      expect(headers.get('x-request-id')).toMatch(/^req_/)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('access-control-allow-origin')).toBeNull()
    },
  )

  it('to a preflight is a refusal', async () => {
    const { status, headers } = await house.call('OPTIONS /api/me', { origin: 'https://evil.example' })
    expect(status).toBe(405)
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('a body', () => {
  const post = (body: string, headers: Record<string, string>, path = '/api/projects') =>
    house.app.fetch(
      new Request(PUBLIC_URL + path, { method: 'POST', body, headers: { cookie, origin: PUBLIC_URL, ...headers } }),
    )

  it.each(['/api/projects', '/api/trpc/projects.create'])('is JSON at %s', async (path) => {
    const input = JSON.stringify({ name: 'x' })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      expect((await post(input, { 'content-type': type }, path)).status).toBe(415)
    }
    for (const type of ['application/json', 'application/json; charset=utf-8']) {
      expect((await post(input, { 'content-type': type }, path)).status).toBe(200)
    }
    const form = await post('--x--', { 'content-type': 'multipart/form-data; boundary=x' }, path)
    expect([400, 415]).toContain(form.status)
  })

  it.each(['[]', '7', '"x"', 'null', '{'])('%s is refused', async (body) => {
    expect((await post(body, { 'content-type': 'application/json' })).status).toBe(400)
  })

  it.each(['/api/projects', '/api/trpc/projects.create', '/api/auth/sign-in/email'])(
    'is bounded at %s',
    async (path) => {
      const response = await post(`"${'x'.repeat(1024 * 1024)}"`, { 'content-type': 'application/json' }, path)
      expect(response.status).toBe(413)
      expect(await response.json()).toMatchObject({ error: { code: 'request_too_large' } })
    },
  )
})

describe('a fault of ours', () => {
  it.each(['GET /api/projects', 'projects.list'])('is told as server_error and nothing else: %s', async (what) => {
    vi.spyOn(house.control.stores.projects, 'list').mockRejectedValue(new Error('select secret from nowhere'))
    const { status, text, body } = await house.call(what, { cookie, origin: PUBLIC_URL })
    expect(status).toBe(500)
    expect(body).toMatchObject({ error: { code: 'server_error', type: 'api_error' } })
    expect(text).not.toMatch(/nowhere|stack|\.ts|node_modules/)
    const logged = house.app.logs.filter(({ level }) => level === 'error').at(-1)!
    expect(logged.fields).toMatchObject({ cause: { message: 'select secret from nowhere' } })
  })

  it('in the middle of an export is said in its last line', async () => {
    const entries = vi.spyOn(house.control.stores.auditLog, 'list')
    entries.mockRejectedValue(new Error('gone'))
    const { status, text } = await house.call('GET /api/audit/export', { cookie })
    expect(status).toBe(200)
    expect(text.trimEnd().split('\r\n').at(-1)).toBe('The export broke off here: ask again')
  })
})

describe('a token', () => {
  it('is worth nothing once its owner is no member any more, and is noted as used', async () => {
    const { person } = await house.signedIn(organizationId, 'admin')
    const token = await house.token({ organizationId, personId: person.id, scopes: ['organization:read'] })
    expect((await read(token.as)).status).toBe(200)
    await house.database.database.db.deleteFrom('members').where('user_id', '=', person.id).execute()
    expect((await read(token.as)).status).toBe(401)
    const { db } = house.database.database
    const used = () =>
      db.selectFrom('access_tokens').select('last_used_at').where('id', '=', token.id).executeTakeFirst()
    await vi.waitFor(async () => expect((await used())?.last_used_at).toBeInstanceOf(Date), { timeout: 15_000 })
  }, 30_000)
})

describe('over a socket', () => {
  it('a request from this machine is nothing where the gateway has a name in public', async () => {
    const house = await consoleApp({ publicUrl: 'https://gateway.example' })
    try {
      const { url } = await house.app.listen()
      expect(await (await fetch(`${url}/api/setup`)).json()).toMatchObject({ needs_token: true })
    } finally {
      await house.close()
    }
  }, 30_000)

  it('a request from this machine is known by its peer, its host and by no proxy', async () => {
    const empty = await consoleApp({ publicUrl: 'http://localhost:8787' })
    try {
      const { url } = await empty.app.listen()
      const needsToken = async (headers: Record<string, string>) => {
        const response = await fetch(`${url}/api/setup`, { headers })
        return ((await response.json()) as { needs_token: boolean }).needs_token
      }
      expect(await needsToken({})).toBe(false)
      expect(await needsToken({ 'x-forwarded-for': '192.0.2.1' })).toBe(true)
      expect(await needsToken({ via: '1.1 proxy' })).toBe(true)
      expect((await empty.call('GET /api/setup', null)).body).toMatchObject({ needs_token: true })
      const { port } = new URL(url)
      const socket = connect(Number(port), '127.0.0.1')
      socket.write('GET /api/setup HTTP/1.1\r\nhost: rebound.example\r\nconnection: close\r\n\r\n')
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
      await once(socket, 'close')
      expect(Buffer.concat(chunks).toString()).toContain('"needs_token":true')
    } finally {
      await empty.close()
    }
  }, 30_000)

  it('an export is made no faster than it is read, and ends when its reader leaves', async () => {
    let made = 0
    let ended = false
    const many = Array.from({ length: 200 }, (_, at) => at)
    vi.spyOn(house.control.stores.auditLog, 'list').mockImplementation(async () => {
      made++
      return many.map((at) => ({
        ...{
          auditId: `aud_${at}`,
          organizationId,
          atMs: 0,
          actor: { kind: 'user', id: 'usr_1', name: 'x'.repeat(1000) },
        },
        ...{ action: 'a', type: 't', id: 'i', before: null, after: null, requestId: null, address: null },
      })) as never
    })
    const { port } = await house.app.listen()
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.write(`GET /api/audit/export HTTP/1.1\r\nhost: x\r\ncookie: ${cookie}\r\n\r\n`)
    const settled = async (): Promise<number> => {
      let before = -1
      await vi.waitFor(
        () => {
          const same = made === before && made > 0
          before = made
          if (!same) throw new Error('still made')
        },
        { timeout: 10_000, interval: 300 },
      )
      return made
    }
    const first = await settled()
    expect(first).toBeLessThan(200)
    socket.destroy()
    await settled()
    ended = made <= first + 2
    expect(ended).toBe(true)
  }, 30_000)
})
