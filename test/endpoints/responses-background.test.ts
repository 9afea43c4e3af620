import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { DEAD_MS } from '../../server/stages/background.ts'
import { openaiFailure, sse } from '../helpers/upstream-answers.ts'
import { type Gate, gate } from '../helpers/upstream-plan.ts'
import { failureOf } from '../sdk/kit.ts'
import { MODELS, openResponses, parrot, type ResponsesBench, responsesFrames } from './responses-kit.ts'

let on: ResponsesBench
beforeAll(async () => {
  on = await openResponses()
}, 120_000)
afterAll(() => on?.close())
beforeEach(() => on.upstream.script(parrot()))

const responses = () => on.openai.responses
const read = (id: string) => responses().retrieve(id)

async function ended(id: string) {
  const look = async () => {
    const now = await read(id)
    expect(now.status).not.toMatch(/queued|in_progress/)
    return now
  }
  return vi.waitFor(look, { timeout: 5_000 })
}

/** A provider that stands still before its answer. */
function held(): Gate {
  const until = gate()
  on.upstream.script(parrot({ stall: { at: 'start', gate: until } }))
  return until
}

describe.each(MODELS)('a response in the background, $wire', ({ model }) => {
  it('is answered at once, runs on, and is there when it is done', async () => {
    const until = held()
    const first = await responses().create({ model, input: 'one', background: true })
    expect(first).toMatchObject({ object: 'response', status: 'queued', background: true, output: [], store: true })
    expect((await read(first.id)).status).toBe('in_progress')
    const settled = on.app.settled()
    until.open()
    const done = await ended(first.id)
    expect(done).toMatchObject({ id: first.id, status: 'completed', background: true, output_text: 'heard one' })
    expect(await settled).toMatchObject({ outcome: 'done', endpoint: 'responses', status: 200 })
    const next = await responses().create({ model, input: 'two', previous_response_id: first.id })
    expect(next.output_text).toBe('heard one|two')
  })

  it('can be cancelled: the provider is given up, and it stays cancelled', async () => {
    const until = held()
    const before = on.upstream.requests.length
    const { id } = await responses().create({ model, input: 'one', background: true })
    const request = await vi.waitFor(() => {
      const last = on.upstream.requests[before]!
      expect(Buffer.from(last.body).toString()).toContain('one')
      return last
    })
    const settled = on.app.settled()
    expect(await responses().cancel(id)).toMatchObject({ id, status: 'cancelled' })
    expect(await request.ended).toBe('aborted')
    expect((await settled).outcome).toBe('aborted')
    until.open()
    expect((await read(id)).status).toBe('cancelled')
    expect((await responses().cancel(id)).status).toBe('cancelled')
  })
})

const [{ model }] = MODELS

describe('a response in the background', () => {
  it('that can not be asked for at all is refused at once', async () => {
    const unknown = responses().create({ model: 'no-such-model', input: 'one', background: true })
    expect(await failureOf(unknown)).toMatchObject({ status: 404, code: 'invalid_model' })
  })

  it('tells why it failed', async () => {
    on.upstream.script(openaiFailure(500))
    const { id } = await responses().create({ model, input: 'one', background: true })
    expect(await ended(id)).toMatchObject({ status: 'failed', error: { code: 'provider_error' } })
  })

  it('streams, to whoever asks and from any event on, also when its first caller has left', async () => {
    const until = gate()
    const frames = responsesFrames('resp_x', 'one two three')
    const stall = { at: frames.indexOf('event: response.output_text.done'), gate: until }
    on.upstream.script(sse(frames, { split: 'frames', stall }))
    const stream = await responses().create({ model, input: 'one', background: true, stream: true })
    let id = ''
    let seen = -1
    for await (const event of stream) {
      if (event.type === 'response.created') id = event.response.id
      seen = event.sequence_number
      if (event.type === 'response.output_text.delta') break
    }
    stream.controller.abort()
    const rest = await responses().retrieve(id, { stream: true, starting_after: seen })
    until.open()
    const types: string[] = []
    const numbers: number[] = []
    for await (const event of rest) {
      types.push(event.type)
      numbers.push(event.sequence_number)
      if (event.type === 'response.completed') expect(event.response.id).toBe(id)
    }
    expect(types.at(-1)).toBe('response.completed')
    expect(numbers).toEqual(numbers.map((_, at) => seen + 1 + at))
    expect((await ended(id)).status).toBe('completed')
    // And once more, when all is over.
    let count = 0
    for await (const event of await responses().retrieve(id, { stream: true }))
      count += event.sequence_number >= 0 ? 1 : 0
    expect(count).toBe(seen + 1 + numbers.length)
  })

  it('that was cancelled on another instance is given up here', async () => {
    held()
    const { id } = await responses().create({ model, input: 'one', background: true })
    const settled = on.app.settled()
    const kept = (await on.store.find('prj_one', id, Date.now()))!
    await on.store.finish({ ...kept, status: 'cancelled' })
    expect((await settled).outcome).toBe('aborted')
  })

  it('outlives a database that is away while it ends', async () => {
    const until = held()
    const { id } = await responses().create({ model, input: 'one', background: true })
    const { store } = on
    const finish = store.finish
    let tried = 0
    store.finish = (end) => (++tried < 3 ? Promise.reject(new Error('away')) : finish(end))
    until.open()
    expect(await ended(id)).toMatchObject({ status: 'completed' })
    store.finish = finish
    expect(tried).toBe(3)
  })

  it('whose process is gone has failed', async () => {
    held()
    const { id } = await responses().create({ model, input: 'one', background: true })
    const kept = (await on.store.find('prj_one', id, Date.now()))!
    await on.store.save({ ...kept, id: 'resp_orphan', aliveAtMs: Date.now() - DEAD_MS - 1 })
    expect(await read('resp_orphan')).toMatchObject({ status: 'failed', error: { code: 'server_error' } })
    expect((await on.store.find('prj_one', 'resp_orphan', Date.now()))?.status).toBe('failed')
    await responses().delete(id)
  })

  it('is no other: those can not be cancelled, nor read as a stream', async () => {
    const { id } = await responses().create({ model, input: 'one' })
    expect(await failureOf(responses().cancel(id))).toMatchObject({ status: 400 })
    expect(await failureOf(responses().retrieve(id, { stream: true }))).toMatchObject({ status: 400, param: 'stream' })
  })

  it('that is deleted is given up, and does not come back', async () => {
    held()
    const { id } = await responses().create({ model, input: 'one', background: true })
    const settled = on.app.settled()
    await responses().delete(id)
    expect((await settled).outcome).toBe('aborted')
    expect(await on.store.find('prj_one', id, Date.now())).toBeNull()
  })
})
