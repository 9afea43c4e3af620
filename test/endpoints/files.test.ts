import type OpenAI from 'openai'
import { toFile } from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyEntry } from '../../server/directory.ts'
import { PROJECT_KEY, PROVIDER_KEY, TEST_KEY } from '../helpers/app.ts'
import { json, openaiFailure } from '../helpers/upstream-answers.ts'
import { answer, type Plan } from '../helpers/upstream-plan.ts'
import { failureOf, openBench, SDKS, type SdkBench } from '../sdk/kit.ts'

const RIVAL_KEY = 'lgw_proj_rival0123456789abcdef012345678'
const RIVAL = { keyId: 'key_rival', kind: 'project', projectId: 'prj_rival', organizationId: 'org_rival' } as const

let bench: SdkBench
let client: OpenAI
let rival: OpenAI
beforeEach(async () => {
  bench = await openBench()
  const { directory } = bench.app.deps
  const own = directory.lookup(PROJECT_KEY)
  const { plan } = (await own) as KeyEntry
  const lookup = (secret: string) => (secret === RIVAL_KEY ? { ...RIVAL, plan } : directory.lookup(secret))
  Object.assign(bench.app.deps, { directory: { lookup } })
  client = bench.client(SDKS[0])
  rival = bench.client(SDKS[0], { apiKey: RIVAL_KEY })
})
afterEach(() => bench.close())

const fileObject = (id: string) => ({
  id,
  object: 'file',
  bytes: 3,
  created_at: 1763690000,
  filename: 'a.jsonl',
  purpose: 'batch',
  status: 'processed',
})
const answered: [method: string, path: RegExp, plan: (id: string) => Plan][] = [
  [
    'GET',
    /^\/v1\/files\/([^/?]+)\/content$/,
    () => answer({ headers: { 'content-type': 'application/octet-stream' }, body: '{"a":1}\n\xff' }),
  ],
  ['GET', /^\/v1\/files\/([^/?]+)$/, (id) => json(fileObject(id))],
  ['DELETE', /^\/v1\/files\/([^/?]+)$/, (id) => json({ id, object: 'file', deleted: true })],
]

/** A provider that numbers what it is given. */
function serveFiles(): void {
  let count = 0
  bench.upstream.script((request) => {
    if (request.method === 'POST') return json(fileObject(`file-${++count}`))
    for (const [method, path, plan] of answered) {
      const found = path.exec(request.path)
      if (method === request.method && found !== null) return plan(found[1]!)
    }
    return openaiFailure(404)
  })
}

const upload = async (by: OpenAI): Promise<string> => {
  const { id } = await by.files.create({ file: await toFile(Buffer.from('{}\n'), 'a.jsonl'), purpose: 'batch' })
  return id
}

describe("files that are not the project's", () => {
  it.each([
    ['retrieve', (by: OpenAI, id: string) => by.files.retrieve(id)],
    ['content', (by: OpenAI, id: string) => by.files.content(id)],
    ['delete', (by: OpenAI, id: string) => by.files.delete(id)],
  ] as const)('are not found by %s, whether they exist or not, and nobody is asked', async (_, use) => {
    serveFiles()
    const theirs = await upload(rival)
    const asked = bench.upstream.requests.length
    for (const id of [
      theirs,
      'file-none',
      'file-1%2Fcontent',
      '..%2Fmodels',
      'a/b',
      'ä',
      'file-1?x=1',
      'x'.repeat(500),
    ]) {
      const error = await failureOf(use(client, id))
      expect([error.status, error.code], id).toEqual([404, 'not_found'])
    }
    expect(bench.upstream.requests).toHaveLength(asked)
    expect((await rival.files.retrieve(theirs)).id).toBe(theirs)
  })

  it.each(['..%2Fmodels', '%2e%2e%2fmodels', 'file-1%3Fx=1', 'file-1%0d%0ax: y', 'file-1/../models'])(
    'can not lead elsewhere: %s',
    async (id) => {
      for (const rest of ['', '/content']) {
        const headers = { authorization: `Bearer ${PROJECT_KEY}` }
        const { status } = await bench.app.fetch(new Request(`http://gateway.test/v1/files/${id}${rest}`, { headers }))
        expect([401, 404]).toContain(status)
      }
      expect(bench.upstream.requests).toHaveLength(0)
    },
  )

  it('have no ids but such as can stand in a path, whatever a provider called them', async () => {
    const ids = ['../models', 'a/b', 'a?b', 'a b', '.', '']
    await bench.app.deps.providerObjects.add({ projectId: 'prj_one', provider: 'openai' }, ids, 0)
    for (const id of ids.filter((one) => one.length > 1)) {
      const headers = { authorization: `Bearer ${PROJECT_KEY}` }
      const path = `/v1/files/${encodeURIComponent(id)}/content`
      expect((await bench.app.fetch(new Request(`http://gateway.test${path}`, { headers }))).status, id).toBe(404)
    }
    expect(bench.upstream.requests).toHaveLength(0)
  })

  it('stay with the provider that made them', async () => {
    serveFiles()
    const id = await upload(client)
    for (const init of [{ headers: { 'x-watchllm-route': 'together' } }, { path: `/v1/together/files/${id}` }]) {
      const response = await bench.app.fetch(
        new Request(`http://gateway.test${init.path ?? `/v1/files/${id}`}`, {
          headers: { authorization: `Bearer ${PROJECT_KEY}`, ...init.headers },
        }),
      )
      expect(response.status).toBe(404)
    }
  })

  it('can not be made by test keys, at unknown providers, or without a key', async () => {
    const form = () => {
      const body = new FormData()
      body.append('file', new Blob(['{}']), 'a')
      return body
    }
    for (const [headers, status] of [
      [{ authorization: `Bearer ${TEST_KEY}` }, 400],
      [{ authorization: `Bearer ${PROJECT_KEY}`, 'x-watchllm-route': 'nobody' }, 400],
      [{ authorization: `Bearer ${PROJECT_KEY}`, 'x-watchllm-route': 'deepseek' }, 400],
      [{}, 401],
    ] as [Record<string, string>, number][]) {
      const request = new Request('http://gateway.test/v1/files', { method: 'POST', body: form(), headers })
      expect((await bench.app.fetch(request)).status).toBe(status)
    }
    expect(bench.upstream.requests).toHaveLength(0)
    expect(bench.app.records.filter(({ errorCode }) => errorCode === 'invalid_request')).toHaveLength(3)
  })
})

describe('files', () => {
  it('go up, are described, read and deleted through the SDK', async () => {
    serveFiles()
    const id = await upload(client)
    const sent = await bench.upstream.next()
    expect([sent.method, sent.path, sent.headers.authorization]).toEqual([
      'POST',
      '/v1/files',
      `Bearer ${PROVIDER_KEY}`,
    ])
    expect(Buffer.from(sent.body).toString()).toContain('name="purpose"\r\n\r\nbatch')
    expect(await client.files.retrieve(id)).toMatchObject(fileObject(id))
    const content = await client.files.content(id)
    expect(Buffer.from(await content.arrayBuffer())).toEqual(Buffer.from('{"a":1}\n\xff'))
    expect(await client.files.delete(id)).toMatchObject({ id, deleted: true })
    expect((await failureOf(client.files.retrieve(id))).status).toBe(404)
    const [, ...others] = bench.upstream.requests
    expect(others.map(({ method, path, body }) => [method, path, body.length])).toEqual([
      ['GET', `/v1/files/${id}`, 0],
      ['GET', `/v1/files/${id}/content`, 0],
      ['DELETE', `/v1/files/${id}`, 0],
    ])
    for (const { headers } of others) expect(headers['content-type']).toBeUndefined()
    expect(bench.app.records.map(({ endpoint, provider, status }) => [endpoint, provider, status])).toEqual([
      ['files.create', 'openai', 200],
      ['files.retrieve', 'openai', 200],
      ['files.content', 'openai', 200],
      ['files.delete', 'openai', 200],
    ])
  })

  it('that the provider has lost are not found', async () => {
    serveFiles()
    const id = await upload(client)
    bench.upstream.script(
      json(
        { error: { message: 'No such File object', type: 'invalid_request_error', param: 'id', code: null } },
        { status: 404 },
      ),
    )
    const error = await failureOf(client.files.retrieve(id))
    expect([error.status, error.code]).toEqual([404, 'not_found'])
  })

  it('that nobody could be told to own fail with 503, and 503 says when they can not be looked up', async () => {
    serveFiles()
    const objects = bench.app.deps.providerObjects
    const fail = () => Promise.reject(new Error('the database is away'))
    Object.assign(bench.app.deps, { providerObjects: { ...objects, add: fail } })
    expect((await failureOf(upload(client))).status).toBe(503)
    Object.assign(bench.app.deps, { providerObjects: { ...objects, owned: fail } })
    expect((await failureOf(client.files.retrieve('file-1'))).status).toBe(503)
  })
})

describe('lists of files', () => {
  /** A provider with so many files of everybody's, in pages as asked. */
  function serveList(ids: readonly string[], longest: number): void {
    bench.upstream.script((request) => {
      const query = new URL(request.path, 'http://x').searchParams
      const limit = Math.min(longest, Number(query.get('limit')))
      const from = query.has('after') ? ids.indexOf(query.get('after')!) + 1 : 0
      const data = ids.slice(from, from + limit).map(fileObject)
      const ends = { first_id: data[0]?.id, last_id: data.at(-1)?.id, has_more: from + limit < ids.length }
      return json({ object: 'list', data, ...ends })
    })
  }
  const ALL = Array.from({ length: 95 }, (_, at) => `file-${at}`)
  const MINE = ['file-3', 'file-4', 'file-41', 'file-77', 'file-94']
  beforeEach(async () => {
    const { providerObjects } = bench.app.deps
    await providerObjects.add({ projectId: 'prj_one', provider: 'openai' }, MINE, 0)
    await providerObjects.add({ projectId: 'prj_rival', provider: 'openai' }, ['file-5', 'file-42'], 0)
    await providerObjects.add({ projectId: 'prj_one', provider: 'together' }, ['file-6'], 0)
  })

  it.each([1, 2, 3, 5, 10, 94, 95, 200])(
    "have the project's own and no other's, with provider pages of %i",
    async (longest) => {
      serveList(ALL, longest)
      const found: string[] = []
      for await (const { id } of client.files.list()) found.push(id)
      // A provider of very short pages may come to an end of what is searched in one go.
      expect(longest < 5 ? MINE.slice(0, found.length) : MINE).toEqual(found)
      expect(JSON.stringify(found)).not.toContain('file-5')
      const theirs: string[] = []
      for await (const { id } of rival.files.list()) theirs.push(id)
      expect(longest < 5 ? ['file-5', 'file-42'].slice(0, theirs.length) : ['file-5', 'file-42']).toEqual(theirs)
    },
  )

  it('are cut to the limit, say that there is more, and go on behind it', async () => {
    serveList(ALL, 1000)
    const page = await client.files.list({ limit: 2, purpose: 'batch' })
    expect(page.data.map(({ id }) => id)).toEqual(['file-3', 'file-4'])
    expect(page).toMatchObject({ has_more: true })
    const request = await bench.upstream.next()
    expect(Object.fromEntries(new URL(request.path, 'http://x').searchParams)).toEqual({
      limit: '10000',
      purpose: 'batch',
    })
    const next = await page.getNextPage()
    expect(next.data.map(({ id }) => id)).toEqual(['file-41', 'file-77'])
  })

  it.each(['0', '-1', 'a', '10001', '1.5'])('with a limit of %s are refused', async (limit) => {
    const error = await failureOf(client.files.list({ limit: limit as unknown as number }))
    expect([error.status, error.param]).toEqual([400, 'limit'])
  })

  it('that a provider refuses are refused', async () => {
    bench.upstream.script(openaiFailure(429))
    expect((await failureOf(client.files.list())).status).toBe(429)
  })
})
