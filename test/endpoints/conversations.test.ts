import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openaiFailure } from '../helpers/upstream-answers.ts'
import { failureOf } from '../sdk/kit.ts'
import { MODELS, openResponses, parrot, type ResponsesBench } from './responses-kit.ts'

/** `/v1/conversations`, with the official SDK as the judge. */

let on: ResponsesBench
beforeAll(async () => {
  on = await openResponses({ settings: { maxBodyBytes: 200_000 } })
}, 120_000)
afterAll(() => on?.close())
beforeEach(() => on.upstream.script(parrot()))

const all = () => on.openai.conversations
const user = (content: string, more: object = {}) => ({
  type: 'message' as const,
  role: 'user' as const,
  content,
  ...more,
})
async function made(...texts: string[]): Promise<string> {
  return (await all().create({ items: texts.map((text) => user(text)) })).id
}
async function textsIn(id: string): Promise<unknown[]> {
  const page = await all().items.list(id, { order: 'asc', limit: 100 })
  return page.data.map((item) => (item as { content: { text: string }[] }).content.map((part) => part.text).join())
}

/** What the SDK can't be made to send. */
async function post(
  path: string,
  body: string,
  method = 'POST',
): Promise<[status: number, body: Record<string, never>]> {
  const headers = { authorization: `Bearer ${on.openai.apiKey}`, 'content-type': 'application/json' }
  const response = await fetch(`${on.openai.baseURL}${path}`, { method, headers, ...(body === '' ? {} : { body }) })
  return [response.status, await response.json()]
}

describe('a conversation that does not exist', () => {
  /** Of nobody, of another project, and deleted: nobody can tell which. */
  async function unknownIds(): Promise<string[]> {
    const theirs = { id: 'conv_theirs', projectId: 'prj_two', organizationId: 'org_two', metadataJson: '{}' }
    if ((await on.conversations.find('prj_two', theirs.id)) === null) {
      await on.conversations.create({ ...theirs, createdAtMs: 0 }, [{ id: 'msg_theirs', itemJson: '{"role":"user"}' }])
    }
    const gone = await made('one')
    await all().delete(gone)
    return ['conv_none', theirs.id, gone, 'conv_%00', encodeURIComponent('../x')]
  }

  it('is a 404 wherever it is named, and nothing of it is told', async () => {
    for (const id of await unknownIds()) {
      const tried = {
        retrieve: () => all().retrieve(id),
        update: () => all().update(id, { metadata: { a: 'b' } }),
        delete: () => all().delete(id),
        'items.create': () => all().items.create(id, { items: [user('x')] }),
        'items.list': () => all().items.list(id),
        'items.retrieve': () => all().items.retrieve('msg_theirs', { conversation_id: id }),
        'items.delete': () => all().items.delete('msg_theirs', { conversation_id: id }),
        'responses.create': () => on.openai.responses.create({ model: MODELS[0].model, input: 'x', conversation: id }),
      }
      for (const [name, one] of Object.entries(tried)) {
        const failure = await failureOf(one())
        expect(failure, `${name} ${id}`).toMatchObject({ status: 404, code: 'not_found' })
        expect(failure.message).toContain('Conversation with id')
      }
    }
    expect((await on.conversations.past('prj_two', 'conv_theirs', 1e9))?.items).toHaveLength(1)
  })

  it('is a 401 without a key', async () => {
    const stranger = on.client(
      { name: 'openai 7', Client: on.openai.constructor as never },
      { apiKey: 'lgw_proj_nobodyatallknowsthis' },
    )
    expect(await failureOf(stranger.conversations.create())).toMatchObject({ status: 401 })
    expect(await failureOf(stranger.conversations.items.list('conv_1'))).toMatchObject({ status: 401 })
  })
})

const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']))
const BAD_METADATA: [what: string, metadata: unknown, param: string][] = [
  ['17 pairs', pairs(17), 'metadata'],
  ['an array', ['a'], 'metadata'],
  ['a text', 'a', 'metadata'],
  ['a number in it', { a: 1 }, 'metadata.a'],
  ['a null in it', { a: null }, 'metadata.a'],
  ['a key of 65', { ['k'.repeat(65)]: 'v' }, `metadata.${'k'.repeat(64)}`],
  ['a value of 513', { a: 'v'.repeat(513) }, 'metadata.a'],
]
const BAD_ITEMS: [what: string, items: unknown, param: string][] = [
  ['an object', {}, 'items'],
  ['a text', 'hello', 'items'],
  ['21 of them', Array.from({ length: 21 }, () => user('x')), 'items'],
  ['a text in it', [user('x'), 'hello'], 'items[1]'],
  ['a null in it', [null], 'items[0]'],
  ['no role', [{ content: 'x' }], 'items[0].role'],
  ['an unknown role', [{ role: 'boss', content: 'x' }], 'items[0].role'],
  ['no content', [{ role: 'user' }], 'items[0].content'],
  ['odd content', [{ role: 'user', content: ['x'] }], 'items[0].content'],
  ['a type that is no text', [{ type: 1 }], 'items[0].type'],
  ['one twice', [user('x', { id: 'msg_x' }), user('y', { id: 'msg_x' })], 'items[1]'],
]

describe('what is not as it should be', () => {
  it.each(BAD_METADATA)('as metadata, %s, is a 400 that names it', async (_, metadata, param) => {
    const id = await made()
    for (const path of ['/conversations', `/conversations/${id}`]) {
      expect(await post(path, JSON.stringify({ metadata }))).toMatchObject([
        400,
        { error: { code: 'invalid_request', param } },
      ])
    }
    expect((await all().retrieve(id)).metadata).toEqual({})
  })

  it.each(BAD_ITEMS)('as items, %s, is a 400 that names it, and none is added', async (_, items, param) => {
    const id = await made('one')
    for (const path of ['/conversations', `/conversations/${id}/items`]) {
      expect(await post(path, JSON.stringify({ items }))).toMatchObject([
        400,
        { error: { code: 'invalid_request', param } },
      ])
    }
    expect(await textsIn(id)).toEqual(['one'])
  })

  it('as a body or a page is a 400', async () => {
    const id = await made('one')
    for (const body of ['{', '[]', '"x"', 'null']) {
      for (const path of ['/conversations', `/conversations/${id}`, `/conversations/${id}/items`]) {
        expect((await post(path, body))[0], `${path} ${body}`).toBe(400)
      }
    }
    expect(await post(`/conversations/${id}`, '{}')).toMatchObject([400, { error: { param: 'metadata' } }])
    expect(await post(`/conversations/${id}/items`, '{}')).toMatchObject([400, { error: { param: 'items' } }])
    const pages = ['limit=0', 'limit=101', 'limit=x', 'limit=1.5', 'order=up', 'after=msg_none', 'after=%00']
    for (const query of pages) {
      const answer = await post(`/conversations/${id}/items?${query}`, '', 'GET')
      expect(answer, query).toMatchObject([400, { error: { param: query.split('=')[0] } }])
    }
  })

  it('as an item is told of: one that is there, one that nobody knows, and more than a request may have', async () => {
    const { id } = await all().create({ items: [user('one', { id: 'msg_here' }) as never] })
    const add = (items: object[]) => failureOf(all().items.create(id, { items: items as never }))
    expect(await add([user('x'), user('y', { id: 'msg_here' })])).toMatchObject({ status: 400, param: 'items[1]' })
    for (const known of ['msg_nowhere', 'msg_theirs', '\u0000']) {
      const failure = await add([{ type: 'item_reference', id: known }])
      expect(failure).toMatchObject({ status: 404, param: 'items[0]' })
    }
    for (let n = 0; n < 2; n++) await all().items.create(id, { items: [user('x'.repeat(90_000))] })
    expect(await add([user('x'.repeat(30_000))])).toMatchObject({ status: 400, param: 'items' })
    expect(await textsIn(id)).toHaveLength(3)
    const none = failureOf(all().items.retrieve('msg_none', { conversation_id: id }))
    expect(await none).toMatchObject({ status: 404, message: expect.stringContaining('Item with id') })
    expect(await failureOf(all().items.delete('msg_none', { conversation_id: id }))).toMatchObject({ status: 404 })
  })
})

describe('a conversation', () => {
  it('is made, read, noted of and deleted, as OpenAI shows it', async () => {
    const metadata = { topic: 'a “demo”', ...pairs(15) }
    const conversation = await all().create({ metadata })
    expect(conversation).toEqual({
      id: conversation.id,
      object: 'conversation',
      created_at: expect.any(Number),
      metadata,
    })
    expect(conversation.id).toMatch(/^conv_[0-9a-z]{26}$/)
    expect(Math.abs(conversation.created_at * 1000 - Date.now())).toBeLessThan(60_000)
    expect(await all().retrieve(conversation.id)).toEqual(conversation)
    const changed = await all().update(conversation.id, { metadata: { other: '1' } })
    expect(changed).toEqual({ ...conversation, metadata: { other: '1' } })
    expect(await all().retrieve(conversation.id)).toEqual(changed)
    const id = conversation.id
    expect(await all().delete(id)).toEqual({ id, object: 'conversation.deleted', deleted: true })
  })

  it('may be made of nothing, whatever nothing looks like', async () => {
    for (const body of ['', '{}', '{"metadata":null,"items":null}', '{"items":[]}']) {
      const [status, answer] = await post('/conversations', body)
      expect([status, answer.metadata]).toEqual([200, {}])
      const list = await post(`/conversations/${answer.id}/items`, '', 'GET')
      expect(list).toEqual([200, { object: 'list', data: [], first_id: null, last_id: null, has_more: false }])
    }
  })

  it('shows its items whole, each under an id of its own, and takes them one by one', async () => {
    const call = { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }
    const output = { type: 'function_call_output', call_id: 'call_1', output: 'done' }
    const { id } = await all().create({
      items: [user('one', { id: 'msg_mine' }), { role: 'assistant', content: 'two' }] as never,
    })
    const added = await all().items.create(id, { items: [call, output] as never })
    expect(added).toMatchObject({
      object: 'list',
      has_more: false,
      first_id: added.data[0]!.id,
      last_id: added.data[1]!.id,
    })
    const page = await all().items.list(id, { order: 'asc' })
    const ids = page.data.map((item) => item.id!)
    expect(ids).toEqual([
      'msg_mine',
      expect.stringMatching(/^msg_\w+$/),
      expect.stringMatching(/^fc_\w+$/),
      expect.stringMatching(/^fco_\w+$/),
    ])
    expect(page.data).toEqual([
      {
        id: 'msg_mine',
        type: 'message',
        status: 'completed',
        role: 'user',
        content: [{ type: 'input_text', text: 'one' }],
      },
      {
        ...{ id: ids[1], type: 'message', status: 'completed', role: 'assistant' },
        content: [{ type: 'output_text', text: 'two', annotations: [], logprobs: [] }],
      },
      { id: ids[2], status: 'completed', ...call },
      { id: ids[3], status: 'completed', ...output },
    ])
    for (const item of page.data) expect(await all().items.retrieve(item.id!, { conversation_id: id })).toEqual(item)
    expect(await all().items.delete(ids[1]!, { conversation_id: id })).toEqual(await all().retrieve(id))
    expect((await all().items.list(id, { order: 'asc' })).data.map((item) => item.id)).toEqual(ids.toSpliced(1, 1))
    // An item that is known elsewhere in the project is said again here.
    const other = await made()
    await all().items.create(other, { items: [{ type: 'item_reference', id: 'msg_mine' }] })
    expect(await textsIn(other)).toEqual(['one'])
  })

  it('is paged through by the SDK, the youngest first unless told otherwise', async () => {
    const texts = Array.from({ length: 20 }, (_, n) => `${n}`)
    const id = await made(...texts)
    await all().items.create(id, { items: [user('20'), user('21')] })
    const whole = [...texts, '20', '21']
    for (const [order, limit] of [
      [undefined, undefined],
      ['asc', 1],
      ['asc', 7],
      ['desc', 11],
      ['asc', 22],
    ] as const) {
      const seen: string[] = []
      const query = { ...(order === undefined ? {} : { order }), ...(limit === undefined ? {} : { limit }) }
      for await (const item of all().items.list(id, query)) {
        seen.push((item as { content: { text: string }[] }).content[0]!.text)
      }
      expect(seen).toEqual(order === 'asc' ? whole : whole.toReversed())
    }
  })

  it('that was deleted leaves its responses', async () => {
    const id = await made('zero')
    const [{ model }] = MODELS
    const answer = await on.openai.responses.create({ model, input: 'one', conversation: id })
    await all().delete(id)
    const kept = await on.openai.responses.retrieve(answer.id)
    expect(kept).toMatchObject({ id: answer.id, conversation: { id }, output_text: 'heard zero|one' })
    on.upstream.script(openaiFailure(500))
    const next = failureOf(on.openai.responses.create({ model, input: 'two', previous_response_id: answer.id }))
    expect(await next).toMatchObject({ status: 404, param: 'previous_response_id' })
  })
})
