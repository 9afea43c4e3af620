import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { listen } from '../../server/runtime/server.ts'
import { webSockets } from '../../server/runtime/websocket.ts'
import { PROJECT_KEY, TEST_KEY } from '../helpers/app.ts'
import { json, openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { gate } from '../helpers/upstream-plan.ts'
import { failureOf } from '../sdk/kit.ts'
import { MODELS, openResponses, parrot, type ResponsesBench, responseOf, responsesFrames } from './responses-kit.ts'

/** Calls that go on from a conversation, on every wire and in every way to ask. */

let on: ResponsesBench
beforeAll(async () => {
  on = await openResponses({ settings: { maxBodyBytes: 300_000 } })
}, 120_000)
afterAll(() => on?.close())
beforeEach(() => on.upstream.script(parrot()))
afterEach(() => expect(on.upstream.faults).toEqual([]))

interface Said {
  readonly id: string
  readonly output_text?: string
  readonly output: { readonly content?: { readonly text: string }[] }[]
  readonly conversation?: { readonly id: string } | null
  readonly store?: boolean
  readonly previous_response_id?: string | null
}
type Params = { model: string; input?: unknown; conversation: unknown; [more: string]: unknown }

const all = () => on.openai.conversations
const user = (content: string) => ({ type: 'message' as const, role: 'user' as const, content })
const made = async (...texts: string[]) => (await all().create({ items: texts.map(user) })).id
const last = () => on.upstream.requests[on.upstream.requests.length - 1]!

async function textsIn(id: string): Promise<string[]> {
  const page = await all().items.list(id, { order: 'asc', limit: 100 })
  return page.data.map((item) => (item as { content: { text: string }[] }).content.map((part) => part.text).join())
}

async function idsIn(id: string): Promise<(string | undefined)[]> {
  return (await all().items.list(id, { order: 'asc', limit: 100 })).data.map((item) => item.id ?? undefined)
}

/** One turn on a connection of its own. */
async function overSocket(params: Params): Promise<Said> {
  const sockets = webSockets(on.app.connect, { maxMessageBytes: 1024 * 1024 })
  const listener = await listen(on.app.handle, { host: '127.0.0.1', port: 0, upgrade: sockets.upgrade })
  const headers = { authorization: `Bearer ${PROJECT_KEY}` }
  const socket = new WebSocket(`${listener.url.replace('http', 'ws')}/v1/responses`, { headers })
  await once(socket, 'open')
  const ended = new Promise<Said>((resolve, reject) => {
    socket.on('message', (data: unknown) => {
      const event = JSON.parse(String(data))
      if (event.type === 'response.completed') resolve(event.response)
      if (event.type === 'error') reject(event)
    })
  })
  socket.send(JSON.stringify({ type: 'response.create', ...params }))
  try {
    return await ended
  } finally {
    socket.close()
    sockets.close()
    await listener.close(0)
  }
}

async function inBackground(params: Params): Promise<Said> {
  const { id, conversation } = (await on.openai.responses.create({ ...params, background: true } as never)) as Said
  expect(conversation).toEqual({ id: idOf(params.conversation) })
  const ended = async () => {
    const now = await on.openai.responses.retrieve(id)
    expect(now.status).toBe('completed')
    return now as never as Said
  }
  return vi.waitFor(ended, { timeout: 5_000 })
}

const WAYS = [
  { how: 'JSON', turn: async (params: Params) => (await on.openai.responses.create(params as never)) as Said },
  {
    how: 'stream',
    turn: async (params: Params) =>
      (await on.openai.responses.stream(params as never).finalResponse()) as never as Said,
  },
  { how: 'background', turn: inBackground },
  { how: 'WebSocket', turn: overSocket },
] as const

const EACH = MODELS.flatMap((one) => WAYS.map((way) => ({ ...one, ...way })))
const idOf = (value: unknown) => (typeof value === 'string' ? value : (value as { id: string }).id)
const textOf = ({ output }: Said) =>
  output
    .flatMap((item) => item.content ?? [])
    .map((part) => part.text)
    .join()

describe.each(EACH)('a call with a conversation, $wire, $how', ({ model, path, turn }) => {
  it('goes on from all its items and adds what was said and answered, in order', async () => {
    const id = await made('zero')
    const first = await turn({ model, input: 'one', conversation: id })
    expect(textOf(first)).toBe('heard zero|one')
    expect(first).toMatchObject({ conversation: { id }, previous_response_id: null })
    expect(last().path).toBe(path)
    for (const name of ['conversation', 'previous_response_id']) expect(last().json()).not.toHaveProperty(name)
    expect(await textsIn(id)).toEqual(['zero', 'one', 'heard zero|one'])
    const second = await turn({ model, input: [user('two'), user('three')], conversation: { id } })
    expect(textOf(second)).toBe('heard zero|one|two|three')
    expect(JSON.stringify(last().json())).toContain('heard zero|one')
    const said = ['zero', 'one', 'heard zero|one', 'two', 'three', 'heard zero|one|two|three']
    expect(await textsIn(id)).toEqual(said)
    // What was taken out is heard no more.
    const [, one] = await idsIn(id)
    await all().items.delete(one!, { conversation_id: id })
    expect(textOf(await turn({ model, input: 'four', conversation: id }))).toBe('heard zero|two|three|four')
  })

  it('may be read again, and gone on from by itself, with what it read and without what came later', async () => {
    const id = await made('zero')
    const first = await turn({ model, input: 'one', conversation: id })
    await turn({ model, input: 'later', conversation: id })
    expect(await on.openai.responses.retrieve(first.id)).toMatchObject({ id: first.id, conversation: { id } })
    const fork = await on.openai.responses.create({ model, input: 'two', previous_response_id: first.id })
    expect(fork).toMatchObject({ output_text: 'heard zero|one|two', previous_response_id: first.id })
    expect(await textsIn(id)).toHaveLength(5)
    const items = await on.openai.responses.inputItems.list(first.id, { order: 'asc' })
    expect(items.data).toEqual((await all().items.list(id, { order: 'asc', limit: 2 })).data)
  })

  it('that fails adds nothing', async () => {
    const id = await made('zero')
    on.upstream.script(openaiFailure(500))
    const failing = turn({ model, input: 'one', conversation: id })
    await expect(failing).rejects.toThrow()
    expect(await textsIn(id)).toEqual(['zero'])
  }, 15_000)
})

describe.each(EACH.filter(({ how }) => how !== 'background'))(
  'a call with a conversation, $wire, $how,',
  ({ model, turn }) => {
    it('adds to it with store: false as well, and keeps no response', async () => {
      const id = await made('zero')
      const answer = await turn({ model, input: 'one', conversation: id, store: false })
      expect(answer).toMatchObject({ store: false, conversation: { id } })
      expect(await failureOf(on.openai.responses.retrieve(answer.id))).toMatchObject({ status: 404 })
      expect(await textsIn(id)).toEqual(['zero', 'one', 'heard zero|one'])
    })
  },
)

it.each(MODELS.flatMap((from) => MODELS.map((to) => ({ from, to }))))(
  'a conversation moves from $from.wire to $to.wire',
  async ({ from, to }) => {
    const conversation = await made()
    await on.openai.responses.create({ model: from.model, input: 'one', conversation })
    const second = await on.openai.responses.create({ model: to.model, input: 'two', conversation })
    expect(second.output_text).toBe('heard one|two')
  },
)

const [{ model }] = MODELS

describe('a call with a conversation', () => {
  it('that can not be is a 400 that names why, before any provider is asked', async () => {
    const id = await made('zero')
    const [held] = await idsIn(id)
    const before = on.upstream.requests.length
    const bad: [params: object, param: string][] = [
      [{ previous_response_id: 'resp_1', conversation: id }, 'conversation'],
      [{ conversation: 5 }, 'conversation'],
      [{ conversation: {} }, 'conversation'],
      [{ conversation: { id: null } }, 'conversation'],
      [{ conversation: '' }, 'conversation'],
      [{ conversation: [id] }, 'conversation'],
      [{ conversation: id, input: [user('x'), { ...user('y'), id: held }] }, 'input[1]'],
      [{ conversation: id, input: [{ type: 'item_reference', id: held }] }, 'input[0]'],
      [{ conversation: id, background: true, store: false }, 'store'],
    ]
    for (const [params, param] of bad) {
      const failure = await failureOf(on.openai.responses.create({ model, input: 'x', ...params } as never))
      expect(failure, JSON.stringify(params)).toMatchObject({ status: 400, code: 'invalid_request', param })
    }
    const warming = overSocket({ model, input: 'x', conversation: id, generate: false })
    await expect(warming).rejects.toMatchObject({ status: 400, error: { param: 'generate' } })
    expect(on.upstream.requests).toHaveLength(before)
    expect(await textsIn(id)).toEqual(['zero'])
  })

  it('of null, or of an empty one, is a call like any other', async () => {
    const plain = await on.openai.responses.create({ model, input: 'one', conversation: null })
    expect(plain).toMatchObject({ output_text: 'heard one' })
    expect(plain.conversation ?? null).toBeNull()
    const id = await made()
    expect((await on.openai.responses.create({ model, input: 'one', conversation: id })).output_text).toBe('heard one')
  })

  it('that holds more than a request may is a 400 that says what to do, and still shows its items', async () => {
    const id = await made()
    const long = 'x'.repeat(280_000)
    await on.openai.responses.create({ model, input: long, conversation: id })
    const failure = await failureOf(on.openai.responses.create({ model, input: 'one', conversation: id }))
    expect(failure).toMatchObject({ status: 400, param: 'conversation' })
    expect(failure.message).toContain('delete some of its items')
    const [first] = await idsIn(id)
    await all().items.delete(first!, { conversation_id: id })
    expect(await on.openai.responses.create({ model, input: 'one', conversation: id })).toMatchObject({
      conversation: { id },
    })
  })

  it('next to others adds its turn in one piece, behind theirs or before', async () => {
    const id = await made()
    const texts = ['a', 'b', 'c', 'd', 'e', 'f']
    const until = gate()
    on.upstream.script(parrot({ stall: { at: 'start', gate: until } }))
    const before = on.upstream.requests.length
    const calls = texts.map((input) => on.openai.responses.create({ model, input, conversation: id }))
    await vi.waitFor(() => expect(on.upstream.requests).toHaveLength(before + texts.length))
    until.open()
    await Promise.all(calls)
    const said = await textsIn(id)
    expect(said).toHaveLength(2 * texts.length)
    for (const text of texts) expect(said[said.indexOf(text) + 1]).toBe(`heard ${text}`)
  })

  it('whose stream breaks off adds nothing', async () => {
    const id = await made('zero')
    const frames = responsesFrames('resp_x', 'one two three')
    on.upstream.script(sse(frames.slice(0, frames.indexOf('event: response.completed'))))
    await expect(
      on.openai.responses.stream({ model, input: 'one', conversation: id }).finalResponse(),
    ).rejects.toThrow()
    expect(await textsIn(id)).toEqual(['zero'])
  })

  it('that was deleted while it ran is answered, and says that it belongs to none', async () => {
    for (const stream of [false, true]) {
      const id = await made('zero')
      const until = gate()
      on.upstream.script(parrot({ stall: { at: 'start', gate: until } }))
      const before = on.upstream.requests.length
      const turn = WAYS[stream ? 1 : 0].turn({ model, input: 'one', conversation: id })
      await vi.waitFor(() => expect(on.upstream.requests).toHaveLength(before + 1))
      await all().delete(id)
      until.open()
      const answer = await turn
      expect(answer).toMatchObject({ conversation: null, store: true })
      expect(await on.openai.responses.retrieve(answer.id)).toMatchObject({ conversation: null })
    }
  })

  it('keeps calls of tools and thoughts as they were said, and gives them back', async () => {
    const id = await made()
    const thought = { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'sealed' }
    const call = {
      id: 'fc_1',
      type: 'function_call',
      call_id: 'call_1',
      name: 'f',
      arguments: '{}',
      status: 'completed',
    }
    on.upstream.script(json(responseOf('resp_x', '', { output: [thought, call] })))
    await on.openai.responses.create({ model, input: 'one', conversation: id })
    on.upstream.script(parrot())
    const output = { type: 'function_call_output' as const, call_id: 'call_1', output: 'done' }
    await on.openai.responses.create({ model, input: [output], conversation: id })
    const one = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'one' }] }
    expect(last().json().input).toEqual([one, thought, call, output])
    expect((await idsIn(id)).slice(1, 3)).toEqual(['rs_1', 'fc_1'])
    // Its items can be referred to from anywhere in the project.
    const [first] = await idsIn(id)
    const reference = { type: 'item_reference' as const, id: first! }
    expect((await on.openai.responses.create({ model, input: [reference] })).output_text).toBe('heard one')
    const noted = await all().create({ items: [{ ...user('noted'), id: 'msg_only_noted' } as never] })
    const input = [{ type: 'item_reference' as const, id: 'msg_only_noted' }]
    expect((await on.openai.responses.create({ model, input, store: false })).output_text).toBe('heard noted')
    await all().delete(noted.id)
    expect(await failureOf(on.openai.responses.create({ model, input }))).toMatchObject({ status: 404 })
  })

  it('of a test key goes on as well', async () => {
    const openai = on.client({ name: 'openai 7', Client: on.openai.constructor as never }, { apiKey: TEST_KEY })
    const { id } = await openai.conversations.create()
    await openai.responses.create({ model, input: 'one', conversation: id })
    expect((await openai.conversations.items.list(id)).data).toHaveLength(2)
  })
})

describe('POST /v1/responses/input_tokens', () => {
  const count = async (params: object) => (await on.openai.responses.inputTokens.count(params as never)).input_tokens

  it('counts what the model would read, what it goes on from included, and asks no provider', async () => {
    const before = on.upstream.requests.length
    const calls = on.app.records.length
    const words = 'word '.repeat(400)
    const answer = await on.openai.responses.inputTokens.count({ model, input: words })
    expect(answer).toEqual({ object: 'response.input_tokens', input_tokens: expect.any(Number) })
    expect(answer.input_tokens).toBeGreaterThan(300)
    expect(answer.input_tokens).toBeLessThan(600)
    const tools = [{ type: 'function', name: 'f', description: words, parameters: {}, strict: true }]
    const format = { type: 'json_schema', name: 'x', schema: { description: words } }
    const more = [{ instructions: words }, { tools }, { text: { format } }, { input: [user(words), user(words)] }]
    for (const one of more)
      expect(await count({ model, input: words, ...one })).toBeGreaterThan(1.5 * answer.input_tokens)
    const conversation = await made(words, words)
    expect(await count({ conversation })).toBeGreaterThan(1.5 * answer.input_tokens)
    expect(await count({ model: 'none/at-all', input: 'x', conversation })).toBeGreaterThan(1.5 * answer.input_tokens)
    expect(await count({})).toBe(0)
    expect(on.upstream.requests).toHaveLength(before)
    expect(await textsIn(conversation)).toHaveLength(2)
    const records = on.app.records.slice(calls)
    expect(records.length).toBe(8)
    for (const record of records)
      expect(record).toMatchObject({ endpoint: 'responses.input_tokens', status: 200, usage: { input: 0 } })
    const kept = await on.openai.responses.create({ model, input: words })
    const next = await count({ model, input: 'x', previous_response_id: kept.id })
    expect(next).toBeGreaterThan(1.5 * answer.input_tokens)
  })

  it('refuses what is not as it should be', async () => {
    const bad: [params: object, status: number, param: string][] = [
      [{ model: 5 }, 400, 'model'],
      [{ model, input: 5 }, 400, 'input'],
      [{ model, input: ['x'] }, 400, 'input[0]'],
      [{ conversation: 'conv_none' }, 404, 'conversation'],
      [{ previous_response_id: 'resp_none' }, 404, 'previous_response_id'],
      [{ previous_response_id: 'resp_none', conversation: 'conv_none' }, 400, 'conversation'],
    ]
    for (const [params, status, param] of bad) {
      expect(await failureOf(on.openai.responses.inputTokens.count(params as never))).toMatchObject({ status, param })
    }
  })
})
