import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { post, type TestApp, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { json } from '../helpers/upstream-answers.ts'

/** Projects share the platform's account at a provider: by its id, one could have another's file read to it. */

let upstream: ScriptedUpstream
let app: TestApp
beforeEach(async () => {
  upstream = await startUpstream()
  app = testApp({ upstreamUrl: upstream.url })
  upstream.script(json({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' } }] }))
})
afterEach(async () => {
  await app.close()
  await upstream.close()
})

const file = (id: string) => ({ type: 'file', file: { file_id: id } })
const chat = (id: string) => ({ model: 'gpt-4o', messages: [{ role: 'user', content: [file(id)] }] })
const input = (id: string) => [{ role: 'user', content: [{ type: 'input_file', file_id: id }] }]
const document = (id: string) => ({ type: 'document', source: { type: 'file', file_id: id } })
const ASKS: [name: string, path: string, body: (id: string) => object][] = [
  ['chat', '/v1/chat/completions', chat],
  ['Responses', '/v1/responses', (id) => ({ model: 'gpt-4o', input: input(id), store: false })],
  [
    'a tool of Responses',
    '/v1/responses',
    (id) => ({ model: 'gpt-4o', input: 'Hi', store: false, tools: [{ type: 'file_search', vector_store_ids: [id] }] }),
  ],
  [
    'Messages',
    '/v1/messages',
    (id) => ({ model: 'claude-sonnet-4-5', max_tokens: 9, messages: [{ role: 'user', content: [document(id)] }] }),
  ],
]

describe("another project's file", () => {
  it.each(ASKS)('is not found in a call of %s, and the provider is not asked', async (_name, path, body) => {
    const response = await app.fetch(post(path, body('file-rival')))
    expect(response.status).toBe(404)
    expect(await response.text()).toContain('file-rival')
    expect(upstream.requests).toHaveLength(0)
  })

  it.each(['file\\u005fid', '\\u0066ile_id'])('is not found when its name is written %s', async (name) => {
    const body = JSON.stringify(chat('file-rival')).replace('file_id', name)
    expect((await app.fetch(post('/v1/chat/completions', body))).status).toBe(404)
  })
})

/** What is said to be an answer's isn't looked into: a request must not be able to call itself one. */
describe("another project's file behind a mark of an answer", () => {
  const marked: [string, object][] = [
    ['the request', { ...chat('file-rival'), role: 'assistant' }],
    ['the request', { ...chat('file-rival'), type: 'x_call' }],
    ['a message', { model: 'gpt-4o', messages: [{ role: 'user', type: 'x_call', content: [file('file-rival')] }] }],
    [
      'a part',
      { model: 'gpt-4o', messages: [{ role: 'user', content: [{ ...file('file-rival'), role: 'assistant' }] }] },
    ],
  ]
  it.each(marked)('on %s is not found all the same', async (_name, body) => {
    expect((await app.fetch(post('/v1/chat/completions', body))).status).toBe(404)
    expect(upstream.requests).toHaveLength(0)
  })
})

describe('a file', () => {
  it("of the project's own is passed on", async () => {
    const { projectId } = (await app.deps.directory.lookup(post('/', '').headers.get('authorization')!.slice(7)))!
    await app.deps.providerObjects.add({ projectId, provider: 'openai' }, ['file-own'], 0)
    expect((await app.fetch(post('/v1/chat/completions', chat('file-own')))).status).toBe(200)
    expect(upstream.requests.at(-1)!.json()).toMatchObject({ messages: [{ content: [file('file-own')] }] })
  })

  it('that a model made and that is shown to it again is passed on', async () => {
    const result = { type: 'code_execution_tool_result', content: [{ file_id: 'file-made' }] }
    const said = { role: 'assistant', content: [{ type: 'text', text: 'Made' }, result] }
    const body = {
      ...chat('x'),
      messages: [{ role: 'user', content: 'Make' }, said, { role: 'user', content: 'Go on' }],
    }
    expect((await app.fetch(post('/v1/chat/completions', body))).status).toBe(200)
  })

  it('can not be told whose it is while the database is away: 503, and the provider is not asked', async () => {
    Object.assign(app.deps.providerObjects, { owned: () => Promise.reject(new Error('away')) })
    const response = await app.fetch(post('/v1/chat/completions', chat('file-own')))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2'])
    expect(upstream.requests).toHaveLength(0)
  })
})
