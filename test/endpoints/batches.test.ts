import { gzipSync } from 'node:zlib'
import type OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, post } from '../helpers/app.ts'
import { json } from '../helpers/upstream-answers.ts'
import { answer } from '../helpers/upstream-plan.ts'
import { failureOf, openBench, SDKS, type SdkBench } from '../sdk/kit.ts'

let bench: SdkBench
let client: OpenAI
const OWNER = { projectId: 'prj_one', provider: 'openai' }
beforeEach(async () => {
  bench = await openBench()
  client = bench.client(SDKS[0])
  await bench.app.deps.providerObjects.add(OWNER, ['file-mine'], 0)
  await bench.app.deps.providerObjects.add({ ...OWNER, projectId: 'prj_rival' }, ['file-theirs', 'batch_theirs'], 0)
})
afterEach(() => bench.close())

const batchObject = (more: object = {}) => ({
  id: 'batch_1',
  object: 'batch',
  endpoint: '/v1/chat/completions',
  errors: null,
  input_file_id: 'file-mine',
  completion_window: '24h',
  status: 'validating',
  output_file_id: null,
  error_file_id: null,
  ...more,
})
const ASK = { input_file_id: 'file-mine', endpoint: '/v1/chat/completions', completion_window: '24h' } as const

describe("batches that are not the project's", () => {
  it.each([
    ["a rival's file", { ...ASK, input_file_id: 'file-theirs' }, 404],
    ['a file that nobody has', { ...ASK, input_file_id: 'file-none' }, 404],
    ['a file that is no text', { ...ASK, input_file_id: ['file-mine'] }, 400],
    ['two files', `{"input_file_id":"file-mine","input_file_id":"file-theirs"}`, 404],
    ['two files, the other way round', `{"input_file_id":"file-theirs","input_file_id":"file-mine"}`, 400],
    ['bad JSON', '{"input_file_id":', 400],
  ])('are not made of %s', async (_, body, status) => {
    expect((await bench.app.fetch(post('/v1/batches', body))).status).toBe(status)
    expect(bench.upstream.requests).toHaveLength(0)
  })

  it('are not made of what is hidden by compression', async () => {
    const body = gzipSync(JSON.stringify({ ...ASK, input_file_id: 'file-theirs' }))
    const response = await bench.app.fetch(post('/v1/batches', new Uint8Array(body), { 'content-encoding': 'gzip' }))
    expect(response.status).toBe(400)
    expect(bench.upstream.requests).toHaveLength(0)
  })

  it.each([
    ['retrieve', (id: string) => client.batches.retrieve(id)],
    ['cancel', (id: string) => client.batches.cancel(id)],
  ] as const)('are not found by %s', async (_, use) => {
    expect((await failureOf(use('batch_theirs'))).status).toBe(404)
    expect(bench.upstream.requests).toHaveLength(0)
  })
})

describe('batches', () => {
  it('are made, looked at and cancelled through the SDK', async () => {
    bench.upstream.script(json(batchObject()))
    expect(await client.batches.create({ ...ASK, metadata: { a: 'b' } })).toMatchObject({ id: 'batch_1' })
    expect(await client.batches.retrieve('batch_1')).toMatchObject({ status: 'validating' })
    bench.upstream.script(json(batchObject({ status: 'cancelling' })))
    expect(await client.batches.cancel('batch_1')).toMatchObject({ status: 'cancelling' })
    const [created, ...others] = bench.upstream.requests
    expect(created!.json()).toEqual({ ...ASK, metadata: { a: 'b' } })
    expect(others.map(({ method, path, body }) => [method, path, body.length])).toEqual([
      ['GET', '/v1/batches/batch_1', 0],
      ['POST', '/v1/batches/batch_1/cancel', 0],
    ])
    expect(bench.app.records.map(({ endpoint }) => endpoint)).toEqual([
      'batches.create',
      'batches.retrieve',
      'batches.cancel',
    ])
  })

  it.each(['retrieve', 'list'] as const)(
    "have results that are the project's as soon as %s tells of them",
    async (how) => {
      bench.upstream.script(json(batchObject()))
      await client.batches.create(ASK)
      expect((await failureOf(client.files.content('file-out'))).status).toBe(404)
      const ended = batchObject({ status: 'completed', output_file_id: 'file-out', error_file_id: 'file-err' })
      bench.upstream.script(json(how === 'list' ? { object: 'list', data: [ended], has_more: false } : ended))
      await (how === 'list' ? client.batches.list() : client.batches.retrieve('batch_1'))
      bench.upstream.script(answer({ body: '{"custom_id":"1"}\n' }))
      for (const id of ['file-out', 'file-err'])
        expect(await (await client.files.content(id)).text()).toContain('custom_id')
    },
  )

  it("lists leave out the rivals' batches, and what these made", async () => {
    bench.upstream.script(json(batchObject()))
    await client.batches.create(ASK)
    const theirs = batchObject({ id: 'batch_theirs', output_file_id: 'file-secret' })
    bench.upstream.script(json({ object: 'list', data: [theirs, batchObject()], has_more: false }))
    const { data } = await client.batches.list({ limit: 5 })
    expect(data.map(({ id }) => id)).toEqual(['batch_1'])
    expect(new URL(bench.upstream.requests.at(-1)!.path, 'http://x').searchParams.get('limit')).toBe('100')
    expect((await failureOf(client.files.content('file-secret'))).status).toBe(404)
  })

  it('of another provider go where the path says', async () => {
    await bench.app.deps.providerObjects.add({ ...OWNER, provider: 'together' }, ['file-mine'], 0)
    bench.upstream.script(json(batchObject()))
    const response = await bench.app.fetch(post('/v1/together/batches', ASK))
    expect(response.status).toBe(200)
    expect(await bench.app.settled(1)).toMatchObject({ provider: 'together', route: 'path' })
    const elsewhere = await bench.app.fetch(
      new Request('http://gateway.test/v1/batches/batch_1', { headers: { authorization: `Bearer ${PROJECT_KEY}` } }),
    )
    expect(elsewhere.status).toBe(404)
  })
})
