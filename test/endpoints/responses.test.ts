import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PROJECT_KEY, TEST_KEY } from '../helpers/app.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { failureOf } from '../sdk/kit.ts'
import {
  heard,
  MODELS,
  openResponses,
  parrot,
  type ResponsesBench,
  responseOf,
  responsesFrames,
} from './responses-kit.ts'

let on: ResponsesBench
beforeAll(async () => {
  on = await openResponses()
}, 120_000)
afterAll(() => on?.close())
beforeEach(() => on.upstream.script(parrot()))
afterEach(() => expect(on.upstream.faults).toEqual([]))

const last = () => on.upstream.requests[on.upstream.requests.length - 1]!

/** One turn, whole or streamed; the SDK's own accumulator reads the stream. */
async function turn(streams: boolean, params: { model: string; input: unknown; [more: string]: unknown }) {
  if (!streams) return on.openai.responses.create({ ...params, stream: false } as never) as never as Promise<Answer>
  const stream = on.openai.responses.stream(params as never)
  return (await stream.finalResponse()) as never as Answer
}
type Answer = Awaited<ReturnType<typeof on.openai.responses.retrieve>> & { readonly store?: boolean }

const EACH = MODELS.flatMap((one) =>
  [false, true].map((streams) => ({ ...one, streams, how: streams ? 'stream' : 'JSON' })),
)

describe.each(EACH)('a conversation kept by us, $wire, $how', ({ model, path, streams }) => {
  it('goes on from previous_response_id with all that was said', async () => {
    const first = await turn(streams, { model, input: 'one' })
    expect(first.id).toMatch(/^resp_[0-9a-z]{26}$/)
    expect(first.output_text).toBe('heard one')
    expect(first.store).toBe(true)
    expect(first.previous_response_id).toBeNull()
    const second = await turn(streams, {
      model,
      input: [{ role: 'user', content: 'two' }],
      previous_response_id: first.id,
    })
    expect(second.output_text).toBe('heard one|two')
    expect(second.previous_response_id).toBe(first.id)
    const third = await turn(streams, { model, input: 'three', previous_response_id: second.id })
    expect(third.output_text).toBe('heard one|two|three')
    // The fork does not hear the other branch.
    const fork = await turn(streams, { model, input: 'four', previous_response_id: first.id })
    expect(fork.output_text).toBe('heard one|four')
    const asked = last().json()
    expect(last().path).toBe(path)
    for (const name of ['previous_response_id', 'conversation', 'background']) expect(asked).not.toHaveProperty(name)
    if (path.endsWith('/responses')) expect(asked.store).toBe(false)
    expect(JSON.stringify(asked)).toContain('heard one')
  })

  it('can be read again as it was answered, until it is deleted for good', async () => {
    const answer = await turn(streams, { model, input: 'one', metadata: { a: 'b' } })
    const stored = await on.openai.responses.retrieve(answer.id)
    const said = JSON.parse(JSON.stringify(answer))
    for (const [name, value] of Object.entries(stored)) {
      // What the SDK adds of its own to what it has read.
      if (name !== 'output_text' && !name.startsWith('_'))
        expect({ [name]: said[name] }).toMatchObject({ [name]: value })
    }
    await on.openai.responses.delete(answer.id)
    expect(await failureOf(on.openai.responses.retrieve(answer.id))).toMatchObject({ status: 404, code: 'not_found' })
    expect(await failureOf(on.openai.responses.delete(answer.id))).toMatchObject({ status: 404 })
    const next = turn(false, { model, input: 'two', previous_response_id: answer.id })
    expect(await failureOf(next)).toMatchObject({ status: 404, code: 'not_found', param: 'previous_response_id' })
  })

  it('keeps nothing with store: false, and can go on from what is kept all the same', async () => {
    const kept = await turn(streams, { model, input: 'one' })
    const answer = await turn(streams, { model, input: 'two', previous_response_id: kept.id, store: false })
    expect(answer.output_text).toBe('heard one|two')
    expect(answer.store).toBe(false)
    expect(await failureOf(on.openai.responses.retrieve(answer.id))).toMatchObject({ status: 404 })
  })
})

it.each(MODELS.flatMap((from) => MODELS.map((to) => ({ from, to }))))(
  'a conversation moves from $from.wire to $to.wire',
  async ({ from, to }) => {
    const first = await turn(true, { model: from.model, input: 'one' })
    const second = await turn(false, { model: to.model, input: 'two', previous_response_id: first.id })
    expect(second.output_text).toBe('heard one|two')
    expect(last().path).toBe(to.path)
  },
)

describe('what is said to the provider', () => {
  const model = 'openai/gpt-4o-mini'

  it('a call that keeps nothing passes byte for byte', async () => {
    const body = `{"model":"gpt-4o-mini" , "store" : false,"input":"one","extra":1.0}`
    const response = await fetch(`${on.openai.baseURL}/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${PROJECT_KEY}`, 'content-type': 'application/json' },
      body,
    })
    expect(Buffer.from(last().body).toString()).toBe(body)
    expect((await response.json()).id).toMatch(/^resp_provider_/)
  })

  it('thoughts are asked for in a form that can be given back, of models that think, and given back', async () => {
    const thought = { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'sealed' }
    const empty = { id: 'rs_2', type: 'reasoning', summary: [] }
    const call = {
      id: 'fc_1',
      type: 'function_call',
      call_id: 'call_1',
      name: 'f',
      arguments: '{}',
      status: 'completed',
    }
    on.upstream.script(json(responseOf('resp_x', '', { output: [empty, thought, call] })))
    const first = await turn(false, {
      model,
      input: 'one',
      reasoning: { effort: 'low' },
      include: ['message.output_text.logprobs'],
    })
    expect(last().json().include).toEqual(['message.output_text.logprobs', 'reasoning.encrypted_content'])
    on.upstream.script(parrot())
    const output = { type: 'function_call_output', call_id: 'call_1', output: 'done' }
    await turn(false, { model, input: [output], previous_response_id: first.id })
    expect(last().json()).not.toHaveProperty('include')
    expect(last().json().input).toEqual([
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'one' }] },
      thought,
      call,
      output,
    ])
  })

  it('a thought goes back to the wire that can read it, and to no other', async () => {
    const thinking = { type: 'thinking', thinking: 'hm', signature: 'c2lnbmF0dXJl' }
    const text = { type: 'text', text: 'so' }
    on.upstream.script(
      json({
        ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude', content: [thinking, text] },
        ...{ stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 1, output_tokens: 1 } },
      }),
    )
    const [, , claude] = MODELS
    const first = await turn(false, { model: claude.model, input: 'one', reasoning: { effort: 'low' } })
    on.upstream.script(parrot())
    for (const { wire, model } of MODELS) {
      await turn(false, { model, input: 'two', previous_response_id: first.id })
      const said = Buffer.from(last().body).toString()
      expect(said, wire).toContain('so')
      expect(said.includes('c2lnbmF0dXJl'), wire).toBe(wire === 'messages')
      expect(said, wire).not.toContain('watchllm.')
    }
  })

  it('an item_reference becomes the item, of this conversation or any other of the project', async () => {
    const first = await turn(true, { model, input: [{ role: 'user', content: 'one', id: 'msg_mine' }] })
    const answered = first.output[0]!
    const input = [
      { type: 'item_reference', id: 'msg_mine' },
      { type: 'item_reference', id: answered.id },
      { role: 'user', content: 'two' },
    ]
    const second = await turn(false, { model, input, store: false })
    expect(second.output_text).toBe('heard one|two')
    expect((last().json().input as object[])[1]).toMatchObject({ type: 'message', role: 'assistant', id: answered.id })
    const unknown = turn(false, { model, input: [{ type: 'item_reference', id: 'msg_nobody' }] })
    expect(await failureOf(unknown)).toMatchObject({ status: 404, param: 'input[0]' })
  })
})

describe('what we add ourselves', () => {
  const thinking = ['openai/o4-mini', 'deepseek/deepseek-reasoner', 'anthropic/claude-sonnet-4-5']
  it.each([...MODELS.map((one) => one.model), ...thinking])(
    'strict mode finds nothing to refuse in it: %s',
    async (model) => {
      const headers = { 'x-watchllm-strict': '1' }
      const first = await on.openai.responses.create({ model, input: 'one' }, { headers })
      const asked = on.openai.responses.create({ model, input: 'two', previous_response_id: first.id }, { headers })
      const { data, response } = await asked.withResponse()
      expect(data.output_text).toBe('heard one|two')
      expect(response.headers.get('x-watchllm-adapted')).toBeNull()
    },
  )

  it('a test key has conversations with the sandbox', async () => {
    const openai = on.openai.withOptions({ apiKey: TEST_KEY })
    const first = await openai.responses.create({ model: 'gpt-4o-mini', input: 'one' })
    const second = await openai.responses.create({ model: 'gpt-4o-mini', input: 'two', previous_response_id: first.id })
    expect(second.previous_response_id).toBe(first.id)
    expect(second.output_text).not.toBe('')
    const items = await openai.responses.inputItems.list(second.id)
    expect(items.data).toHaveLength(3)
  })
})

describe('input_items', () => {
  it('lists all that the model read, page by page, in both orders', async () => {
    const [{ model }] = MODELS
    const first = await turn(false, { model, input: 'one' })
    const second = await turn(false, {
      model,
      input: ['two', 'three'].map((content) => ({ role: 'user', content })),
      previous_response_id: first.id,
    })
    const asc: { id: string; content?: unknown }[] = []
    for await (const item of on.openai.responses.inputItems.list(second.id, { order: 'asc', limit: 2 }))
      asc.push(item as never)
    const texts = asc.map((item) => (item.content as { text: string }[])[0]!.text)
    expect(texts).toEqual(['one', 'heard one', 'two', 'three'])
    expect(new Set(asc.map((item) => item.id)).size).toBe(4)
    const desc: string[] = []
    for await (const item of on.openai.responses.inputItems.list(second.id)) desc.push(item.id as string)
    expect(desc).toEqual(asc.map((item) => item.id).reverse())
    for (const bad of [{ limit: 0 }, { limit: 101 }, { order: 'up' as never }, { after: 'msg_no' }]) {
      const param = Object.keys(bad)[0]
      expect(await failureOf(on.openai.responses.inputItems.list(second.id, bad)), param).toMatchObject({
        status: 400,
        param,
      })
    }
  })
})

describe('who may', () => {
  it('another project finds nothing: not to read, delete, list, cancel, refer to or go on from', async () => {
    const answer = await turn(false, { model: MODELS[0].model, input: 'one' })
    const row = (await on.store.find('prj_one', answer.id, Date.now()))!
    const theirs = { ...row, id: 'resp_theirs', projectId: 'prj_two', itemIds: ['msg_theirs'] }
    await on.store.save(theirs)
    const { responses } = on.openai
    const tried = [
      () => responses.retrieve('resp_theirs'),
      () => responses.delete('resp_theirs'),
      () => responses.cancel('resp_theirs'),
      () => responses.inputItems.list('resp_theirs'),
      () => turn(false, { model: MODELS[0].model, input: 'x', previous_response_id: 'resp_theirs' }),
      () => turn(false, { model: MODELS[0].model, input: [{ type: 'item_reference', id: 'msg_theirs' }] }),
    ]
    for (const one of tried) expect(await failureOf(one())).toMatchObject({ status: 404, code: 'not_found' })
    expect(await on.store.find('prj_two', 'resp_theirs', Date.now())).not.toBeNull()
    const stranger = on.openai.withOptions({ apiKey: 'lgw_proj_unknown0123456789abcdef01234567' })
    expect(await failureOf(stranger.responses.retrieve(answer.id))).toMatchObject({ status: 401 })
    const colleague = on.openai.withOptions({ apiKey: TEST_KEY })
    expect((await colleague.responses.retrieve(answer.id)).id).toBe(answer.id)
  })
})

describe('streams', () => {
  it('the answer is stored before its last event leaves', async () => {
    const seen: string[] = []
    const stream = await on.openai.responses.create({ model: MODELS[0].model, input: 'one', stream: true })
    for await (const event of stream) {
      if (event.type === 'response.created')
        expect(await on.store.find('prj_one', event.response.id, Date.now())).toBeNull()
      if (event.type !== 'response.completed') continue
      expect((await on.store.find('prj_one', event.response.id, Date.now()))?.status).toBe('completed')
      seen.push(event.response.id)
    }
    expect(seen).toHaveLength(1)
  })

  it('all events name the same response, wherever the bytes were cut', async () => {
    const text = 'a "response" of “two” words: {"response":{}} \u{1f600}'
    for (const split of ['frames', 'bytes'] as const) {
      on.upstream.script(sse(responsesFrames('resp_x', text), { split }))
      const ids = new Set<string>()
      const stream = await on.openai.responses.create({ model: MODELS[0].model, input: 'one', stream: true })
      let final = ''
      for await (const event of stream) {
        if ('response' in event) ids.add(event.response.id)
        if (event.type === 'response.completed')
          final = event.response.output_text ?? JSON.stringify(event.response.output)
      }
      expect([...ids]).toEqual([expect.stringMatching(/^resp_[0-9a-z]{26}$/)])
      expect(final).toContain('two')
    }
  })

  it('one that breaks off is an error, and nothing to go on from', async () => {
    const frames = responsesFrames('resp_x', 'one two three')
    on.upstream.script(sse(frames.slice(0, frames.indexOf('event: response.completed')), { split: 'frames' }))
    const stream = await on.openai.responses.create({ model: MODELS[0].model, input: 'one', stream: true })
    let id = ''
    const read = async () => {
      for await (const event of stream) if (event.type === 'response.created') id = event.response.id
    }
    await expect(read()).rejects.toThrow()
    const kept = await on.store.find('prj_one', id, Date.now())
    expect(kept === null || kept.status === 'failed').toBe(true)
  })
})

describe('errors', () => {
  it.each([
    { previous_response_id: 5 },
    { store: 'yes' },
    { background: 'no' },
    { conversation: {} },
    { background: true, store: false, param: 'store' },
    { input: ['text'], param: 'input[0]' },
  ])('a 400 names the member at fault: %j', async ({ param, ...more }: Record<string, unknown>) => {
    const before = on.upstream.requests.length
    const failure = await failureOf(turn(false, { model: MODELS[0].model, input: 'x', ...more }))
    expect(failure).toMatchObject({ status: 400, code: 'invalid_request', param: param ?? Object.keys(more)[0] })
    expect(on.upstream.requests).toHaveLength(before)
  })
})

describe('compact', () => {
  it.each(MODELS)('sums up on $wire, and the summary is read by any provider', async ({ model, path }) => {
    const first = await turn(false, { model, input: 'one' })
    const compacted = await on.openai.responses.compact({
      model: model as never,
      previous_response_id: first.id,
      input: 'two',
    })
    expect(last().path).toBe(path)
    expect(heard(last()).slice(0, 2)).toEqual(['one', 'two'])
    expect(compacted).toMatchObject({ object: 'response.compaction', usage: { output_tokens: 5 } })
    expect(compacted.output.map((item) => item.type)).toEqual(['message', 'message', 'compaction'])
    for (const other of MODELS) {
      await turn(false, { model: other.model, input: [...compacted.output, { role: 'user', content: 'three' }] })
      const said = heard(last())
      expect(said.slice(0, 2)).toEqual(['one', 'two'])
      expect(said[2]).toContain('heard one|two')
      expect(said[3]).toBe('three')
    }
  })
})
