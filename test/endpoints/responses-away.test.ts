import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import type { Responses } from '../../server/deps.ts'
import { handClock } from '../helpers/clock.ts'
import { failureOf, openBench, type SdkBench } from '../sdk/kit.ts'
import { MODELS, parrot } from './responses-kit.ts'

let bench: SdkBench
afterEach(() => bench?.close())

async function open(options: Parameters<typeof openBench>[0] = {}): Promise<OpenAI> {
  bench = await openBench(options)
  bench.upstream.script(parrot())
  return bench.client({ name: 'openai 7', Client: OpenAI })
}

// Without a database: a test app has none unless it is given one.
describe.each(MODELS)('while the database is away, $wire', ({ model }) => {
  it('calls are answered all the same, and say that they are not stored', async () => {
    const openai = await open()
    for (const store of [undefined, true, false]) {
      const answer = await openai.responses.create({ model, input: 'one', ...(store === undefined ? {} : { store }) })
      expect(answer).toMatchObject({ output_text: 'heard one', store: false })
      const stream = openai.responses.stream({ model, input: 'one', ...(store === undefined ? {} : { store }) })
      expect(await stream.finalResponse()).toMatchObject({ output_text: 'heard one', store: false })
    }
    expect(bench.app.logs.filter((one) => one.message === 'A response could not be stored')).toHaveLength(4)
  })

  it('what needs it is a 503 that says when to try again', async () => {
    const openai = await open()
    const before = bench.upstream.requests.length
    const tried = [
      () => openai.responses.create({ model, input: 'two', previous_response_id: 'resp_1' }),
      () => openai.responses.create({ model, input: [{ type: 'item_reference', id: 'msg_1' }] }),
      () => openai.responses.create({ model, input: 'one', background: true }),
      () => openai.responses.retrieve('resp_1'),
      () => openai.responses.delete('resp_1'),
      () => openai.responses.cancel('resp_1'),
      () => openai.responses.inputItems.list('resp_1'),
    ]
    for (const one of tried) {
      const failure = await failureOf(one())
      expect(failure).toMatchObject({ status: 503, code: 'service_unavailable' })
      expect((failure.headers as Headers).get('retry-after')).toBe('2')
    }
    expect(bench.upstream.requests).toHaveLength(before)
  })
})

it('a database that hangs holds an answer for two seconds, and what it stores later is deleted', async () => {
  const clock = handClock()
  let stored: () => void = () => {}
  const deleted: string[] = []
  const saving = new Promise<void>((resolve) => {
    stored = resolve
  })
  let asked: () => void = () => {}
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const responses = {
    save: () => {
      asked()
      return saving
    },
    delete: async (_project: string, id: string) => deleted.push(id) > 0,
  } as unknown as Responses
  const openai = await open({ clock, deps: { responses } })
  const answering = openai.responses.create({ model: MODELS[0].model, input: 'one' })
  await isAsked
  clock.advance(2000)
  const answer = await answering
  expect(answer).toMatchObject({ store: false })
  expect(deleted).toEqual([])
  stored()
  await saving
  await new Promise(setImmediate)
  expect(deleted).toEqual([answer.id])
})
