import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hostGuard } from '../../server/runtime/public-address.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'
import { HELLO, post } from '../helpers/app.ts'
import { until } from '../helpers/client.ts'
import { type As, type ConsoleApp, consoleApp } from '../helpers/console.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { hang, json } from '../helpers/upstream-answers.ts'

const KEY = 'sk-recognisable-0123456789-LAST'
const NEXT = 'sk-another-one-9876543210-NEXT'

/** What a name answers; all others are unknown. */
const NAMES: Record<string, string[]> = {
  'api.example.com': ['127.0.0.1'],
  'private.example.com': ['10.0.0.1'],
  'mixed.example.com': ['127.0.0.1', '10.0.0.1'],
}

interface Shown {
  readonly id: string
  readonly hint: string
  readonly name: string
  readonly weight: number
  readonly check_result: string | null
  readonly base_url: string | null
}

describe('provider credentials', { timeout: 60_000 }, () => {
  let upstream: ScriptedUpstream
  let house: ConsoleApp
  let admin: As
  let operator: As
  let project: string
  let path: string
  let organization: string
  const answers: string[] = []
  const guard = hostGuard({
    allowed: { hosts: [], ranges: [{ address: '127.0.0.0', prefix: 8, family: 'ipv4' }] },
    resolve: async (name) => NAMES[name] ?? [],
  })
  const out = socketUpstream({ connectTimeoutMs: 2_000, guard })

  beforeAll(async () => {
    upstream = await startUpstream()
    house = await consoleApp({ upstreamUrl: `${upstream.url}/v1`, tenantHosts: guard, deps: { upstream: out } })
    organization = await house.organization()
    admin = (await house.signedIn(organization, 'admin')).as
    const person = await house.person({ operator: true })
    operator = await house.session(person.id)
  }, 120_000)
  afterAll(async () => {
    await house.close()
    await out.close()
    await upstream.close()
  })
  beforeEach(async () => {
    upstream.script(json({ object: 'list', data: [] }))
    project = await house.project(organization)
    path = `/api/projects/${project}/providers`
  })

  async function call(what: string, as: As, input?: unknown) {
    const answer = await house.call(what, as, input)
    answers.push(answer.text, JSON.stringify([...answer.headers]))
    return answer
  }

  async function added(input: object = {}): Promise<Shown> {
    const answer = await call(`POST ${path}`, admin, { provider: 'openai', key: KEY, ...input })
    expect(answer.text).toContain('"id"')
    return answer.body as Shown
  }

  it('are added after a test call, and shown by their last characters only', async () => {
    const before = upstream.requests.length
    const made = await added({ name: 'Ours', weight: 5 })
    expect(made).toMatchObject({ name: 'Ours', provider: 'openai', hint: 'LAST', weight: 5, check_result: 'ok' })
    expect(made).toMatchObject({ project_id: project, base_url: null, id: expect.stringMatching(/^crd_/) })
    const asked = upstream.requests.slice(before)
    expect(asked.map(({ method, path: to, headers }) => [method, to, headers.authorization])).toEqual([
      ['GET', '/v1/models', `Bearer ${KEY}`],
    ])
    const listed = await call(`GET ${path}`, admin)
    expect(listed.body).toEqual({ data: [made], next_cursor: null })
  })

  it.each([400, 401, 403])(
    'are not saved when the provider says %i, whose words are told without the key',
    async (status) => {
      upstream.script(json({ error: { message: `Incorrect API key provided: ${KEY}` } }, { status }))
      const refused = await call(`POST ${path}`, admin, { provider: 'openai', key: KEY })
      expect(refused.status).toBe(400)
      const { error } = refused.body as { error: { message: string; param: string } }
      expect(error.message).toContain('Incorrect API key provided: [redacted]')
      expect(error.param).toBe('key')
      expect((await call(`GET ${path}`, admin)).body).toEqual({ data: [], next_cursor: null })

      const kept = await added({ save_unchecked: true })
      expect(kept.check_result).toContain(`answered ${status}: Incorrect API key provided: [redacted]`)
    },
  )

  it.each([301, 302, 307, 308, 500, 503])(
    'are not saved when the answer is %i, which is followed nowhere',
    async (status) => {
      const before = upstream.requests.length
      upstream.script(json({}, { status, headers: { location: `${upstream.url}/elsewhere` } }))
      expect((await call(`POST ${path}`, admin, { provider: 'openai', key: KEY })).status).toBe(400)
      expect(upstream.requests.length).toBe(before + 1)
    },
  )

  it('are saved as not checked where the provider has no such list', async () => {
    upstream.script(json({}, { status: 404 }))
    expect((await added()).check_result).toBe('not checked: OpenAI answered 404')
    const before = upstream.requests.length
    expect((await added({ provider: 'perplexity' })).check_result).toContain('not checked: ')
    expect(upstream.requests.length).toBe(before)
  })

  it('wait for a silent provider for 5 s and no longer', async () => {
    upstream.script(hang())
    const begun = performance.now()
    const answer = await call(`POST ${path}`, admin, { provider: 'openai', key: KEY })
    expect([answer.status, answer.text.includes('within 5 s')]).toEqual([400, true])
    expect(performance.now() - begun).toBeLessThan(8_000)
  })

  it.each([
    [{ provider: 'nobody' }, 'provider'],
    [{ provider: 'sandbox' }, 'provider'],
    [{ key: undefined }, 'key'],
    [{ key: 'has spaces' }, 'key'],
    [{ key: 'has\nlines' }, 'key'],
    [{ version: '2024-10-21' }, 'version'],
    [{ weight: -1 }, 'weight'],
    [{ weight: 1001 }, 'weight'],
    [{ base_url: 'http://10.0.0.1/v1' }, 'base_url'],
    [{ base_url: 'http://169.254.169.254/latest' }, 'base_url'],
    [{ base_url: 'http://[fd00:ec2::254]/' }, 'base_url'],
    [{ base_url: 'http://2130706433/' }, 'base_url'],
    [{ base_url: 'http://0177.0.0.1/' }, 'base_url'],
    [{ base_url: 'http://localhost:1/' }, 'base_url'],
    [{ base_url: 'https://private.example.com' }, 'base_url'],
    [{ base_url: 'https://mixed.example.com' }, 'base_url'],
    [{ base_url: 'https://unknown.example.com' }, 'base_url'],
  ])('are refused with %j, even unchecked, and nobody is called', async (input, param) => {
    const before = upstream.requests.length
    const body = { provider: 'openai', key: KEY, save_unchecked: true, ...input }
    const answer = await call(`POST ${path}`, admin, body)
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer.body)).toContain(param)
    expect(upstream.requests.length).toBe(before)
  })

  it('with a base URL are tested and used there, by the address that was found', async () => {
    const base = `http://api.example.com:${upstream.port}/compat/v1`
    const made = await added({ base_url: base })
    expect([made.base_url, upstream.requests.at(-1)!.path]).toEqual([base, '/compat/v1/models'])
    const { secret } = await house.key(project)
    upstream.script(json({ id: 'x', object: 'chat.completion', choices: [] }))
    await house.app.fetch(post('/v1/chat/completions', HELLO, { authorization: `Bearer ${secret}` }))
    const { path: to, headers } = upstream.requests.at(-1)!
    expect([to, headers.host, headers.authorization]).toEqual([
      '/compat/v1/chat/completions',
      `api.example.com:${upstream.port}`,
      `Bearer ${KEY}`,
    ])
    NAMES['api.example.com'] = ['10.0.0.1']
    const tested = await call(`POST ${path}/${made.id}/test`, admin)
    NAMES['api.example.com'] = ['127.0.0.1']
    // Over a connection that was kept open it may still go: what it may not is to open one.
    if (tested.status === 200) expect(['ok', 'unreachable']).toContain((tested.body as { verdict: string }).verdict)
  })

  it('go nowhere else without their key: who may change one may not read it', async () => {
    const made = await added()
    const before = upstream.requests.length
    const base = `http://api.example.com:${upstream.port}/steal`
    const refused = await call(`PATCH ${path}/${made.id}`, admin, { base_url: base, save_unchecked: true })
    expect([refused.status, refused.text.includes('together')]).toEqual([400, true])
    expect(upstream.requests.length).toBe(before)
    const moved = await call(`PATCH ${path}/${made.id}`, admin, { base_url: base, key: NEXT })
    expect(moved.body).toMatchObject({ base_url: base, hint: 'NEXT' })
  })

  it('take effect on the calls of the project at once, and stop with their end', async () => {
    const { secret } = await house.key(project)
    upstream.script(json({ id: 'x', object: 'chat.completion', choices: [] }))
    const keyUsed = async () => {
      await house.app.fetch(post('/v1/chat/completions', HELLO, { authorization: `Bearer ${secret}` }))
      return upstream.requests.at(-1)!.headers.authorization
    }
    const platforms = await keyUsed()
    const made = await added()
    await until('the change to reach the line', async () => (await keyUsed()) === `Bearer ${KEY}`)
    await call(`PATCH ${path}/openai`, admin, { key: NEXT })
    await until('the change to reach the line', async () => (await keyUsed()) === `Bearer ${NEXT}`)
    await call(`PATCH ${path}/${made.id}`, admin, { weight: 0 })
    await until('the change to reach the line', async () => (await keyUsed()) === platforms)
    await call(`PATCH ${path}/${made.id}`, admin, { weight: 1 })
    await until('the change to reach the line', async () => (await keyUsed()) === `Bearer ${NEXT}`)
    expect((await call(`DELETE ${path}/openai`, admin)).body).toEqual({ deleted: [made.id] })
    await until('the change to reach the line', async () => (await keyUsed()) === platforms)
    expect((await call(`DELETE ${path}/openai`, admin)).status).toBe(404)
  })

  it('are tested again on wish, and the result is kept', async () => {
    const made = await added()
    upstream.script(json({ error: { message: 'Revoked' } }, { status: 401 }))
    const tested = await call(`POST ${path}/openai/test`, admin)
    expect(tested.body).toMatchObject({ ok: false, verdict: 'refused', message: 'OpenAI answered 401: Revoked' })
    const listed = (await call(`GET ${path}`, admin)).body as { data: Shown[] }
    expect(listed.data[0]).toMatchObject({ id: made.id, check_result: 'OpenAI answered 401: Revoked' })
  })

  it('of one provider are named by their ids when there are several', async () => {
    const [one, other] = [await added(), await added({ name: 'Other' })]
    const vague = await call(`PATCH ${path}/openai`, admin, { weight: 1 })
    expect([vague.status, vague.text.includes(one.id), vague.text.includes(other.id)]).toEqual([400, true, true])
    expect((await call(`PATCH ${path}/${other.id}`, admin, { weight: 1 })).body).toMatchObject({ weight: 1 })
  })

  it('of another organization are not there, and nobody is called for them', async () => {
    const made = await added()
    const elsewhere = await house.organization()
    const stranger = (await house.signedIn(elsewhere, 'owner')).as
    const theirs = `/api/projects/${await house.project(elsewhere)}/providers`
    const before = upstream.requests.length
    const tries = [
      [`GET ${path}`, undefined],
      [`POST ${path}`, { provider: 'openai', key: KEY }],
      [`PATCH ${path}/${made.id}`, { weight: 0 }],
      [`POST ${path}/${made.id}/test`, undefined],
      [`DELETE ${path}/${made.id}`, undefined],
      [`PATCH ${theirs}/${made.id}`, { weight: 0 }],
      [`POST ${theirs}/${made.id}/test`, undefined],
      [`DELETE ${theirs}/openai`, undefined],
    ] as const
    for (const [what, input] of tries) expect([what, (await call(what, stranger, input)).status]).toEqual([what, 404])
    expect(upstream.requests.length).toBe(before)
  })

  it("of the platform serve projects without their own, and are the operator's alone", async () => {
    const providers = '/api/platform/providers'
    expect((await call(`GET ${providers}`, admin)).status).toBe(403)
    expect((await call(`POST ${providers}`, admin, { provider: 'mistral', key: KEY })).status).toBe(403)
    // A private address is the operator's own affair.
    const input = { provider: 'mistral', key: KEY, base_url: `${upstream.url}/mistral` }
    const made = (await call(`POST ${providers}`, operator, input)).body as Shown
    expect(made).toMatchObject({ project_id: null, check_result: 'ok' })
    const { secret } = await house.key(project)
    upstream.script(json({ id: 'x', object: 'chat.completion', choices: [] }))
    const asks = () => {
      const body = { ...HELLO, model: 'mistral/mistral-small-latest' }
      return house.app.fetch(post('/v1/chat/completions', body, { authorization: `Bearer ${secret}` }))
    }
    await until('the change to reach the line', async () => (await asks()).status === 200)
    expect(upstream.requests.at(-1)!.path).toBe('/mistral/chat/completions')
    expect((await call(`POST ${providers}/mistral/test`, operator)).body).toMatchObject({ ok: true })
    expect((await call(`PATCH ${providers}/mistral`, operator, { weight: 7 })).body).toMatchObject({ weight: 7 })
    expect((await call(`DELETE ${providers}/mistral`, operator)).body).toEqual({ deleted: [made.id] })
    await until('the change to reach the line', async () => (await asks()).status === 503)
    const resealed = await call('POST /api/platform/reseal', operator, {})
    expect(resealed.body).toMatchObject({ done: true })
  })

  it('can not be found anywhere: in no table, no log, no list, no export, no error', async () => {
    await added()
    await call(`PATCH ${path}/openai`, admin, { key: NEXT })
    upstream.script(json({ error: { message: `No: ${KEY} ${NEXT}` } }, { status: 401 }))
    await call(`POST ${path}/openai/test`, admin)
    const { secret } = await house.key(project)
    const failed = await house.app.fetch(post('/v1/chat/completions', HELLO, { authorization: `Bearer ${secret}` }))
    answers.push(await failed.text(), JSON.stringify([...failed.headers]))
    await call(`POST ${path}`, admin, { provider: 'openai', key: KEY, base_url: 'http://10.0.0.1' })
    await call(`POST ${path}`, admin, { provider: 'openai', key: { [KEY]: KEY } })
    await call(`POST ${path}/${KEY}/test`, operator)
    await call('GET /api/organization/audit?limit=100', admin)
    await call('GET /api/audit?limit=100', admin)
    await call('audit.list', admin, {})
    await call('GET /api/audit/export', admin)
    await call('GET /api/organization/audit/export', admin)
    await call('platform.audit', operator, {})

    const { rows: tables } = await sql<{ name: string }>`
      select table_name as name from information_schema.tables where table_schema = 'public'`.execute(
      house.database.database.db,
    )
    expect(tables.length).toBeGreaterThan(20)
    let dump = ''
    for (const { name } of tables) {
      const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(name)} t`.execute(
        house.database.database.db,
      )
      dump += rows.map(({ row }) => row).join('\n')
    }
    expect(dump).toContain('credentials.update')
    const places = { dump, logs: JSON.stringify(house.app.logs), records: JSON.stringify(house.app.records) }
    for (const [where, text] of Object.entries({ ...places, answers: answers.join('\n') })) {
      for (const key of [
        KEY,
        NEXT,
        Buffer.from(KEY).toString('base64').slice(4, 24),
        Buffer.from(KEY).toString('hex'),
      ]) {
        expect([where, text.includes(key)]).toEqual([where, false])
      }
    }
  })
})
