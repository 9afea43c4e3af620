import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import type { Conversations, Responses } from '../../server/deps.ts'
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

const [{ model }] = MODELS
const past = async () => ({ items: [], bytes: 0, upTo: 0 })
const away = () => Promise.reject(new Error('The database is away'))

it('while the database is away, all that needs a conversation is a 503 that says when to try again', async () => {
  const openai = await open()
  const all = openai.conversations
  const tried = [
    () => all.create(),
    () => all.retrieve('conv_1'),
    () => all.update('conv_1', { metadata: {} }),
    () => all.delete('conv_1'),
    () => all.items.create('conv_1', { items: [{ role: 'user', content: 'x' }] }),
    () => all.items.list('conv_1'),
    () => all.items.retrieve('msg_1', { conversation_id: 'conv_1' }),
    () => all.items.delete('msg_1', { conversation_id: 'conv_1' }),
    () => openai.responses.create({ model, input: 'x', conversation: 'conv_1' }),
    () => openai.responses.inputTokens.count({ model, input: 'x', conversation: 'conv_1' }),
  ]
  for (const one of tried) {
    const failure = await failureOf(one())
    expect(failure, String(one)).toMatchObject({ status: 503, code: 'service_unavailable' })
    expect((failure.headers as Headers).get('retry-after')).toBe('2')
  }
  expect(bench.upstream.requests).toEqual([])
})

describe.each(MODELS)('a turn that could not be added, $wire', (one) => {
  it('is answered all the same, and says that it belongs to no conversation', async () => {
    const openai = await open({ deps: { conversations: { past, append: away } as unknown as Conversations } })
    const params = { model: one.model, input: 'one', conversation: 'conv_1' }
    const told = { output_text: 'heard one', conversation: null, store: false }
    expect(await openai.responses.create(params)).toMatchObject(told)
    expect(await openai.responses.stream(params).finalResponse()).toMatchObject(told)
    const said = bench.app.logs.filter(({ message }) => message === 'A turn could not be added to its conversation')
    expect(said).toHaveLength(2)
  })
})

it('a database that hangs holds an answer for two seconds, and what it adds later is taken back', async () => {
  const clock = handClock()
  let add: () => void = () => {}
  const adding = new Promise<readonly []>((resolve) => {
    add = () => resolve([])
  })
  let asked: () => void = () => {}
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  const removed: string[][] = []
  const conversations = {
    past,
    append: () => {
      asked()
      return adding
    },
    removeTurn: async (...turn: string[]) => void removed.push(turn),
  } as unknown as Conversations
  const responses = { save: async () => {} } as unknown as Responses
  const openai = await open({ clock, deps: { conversations, responses } })
  const answering = openai.responses.create({ model, input: 'one', conversation: 'conv_1' })
  await isAsked
  clock.advance(2000)
  const answer = await answering
  expect(answer).toMatchObject({ conversation: null, store: true })
  expect(removed).toEqual([])
  add()
  await adding
  await new Promise(setImmediate)
  expect(removed).toEqual([['prj_one', 'conv_1', answer.id]])
})

it('a response in the background is added as soon as the database is back', async () => {
  const clock = handClock()
  const finished: string[] = []
  let tries = 0
  const conversations = {
    past,
    append: async () => {
      tries++
      if (tries < 3) throw new Error('The database is away')
      expect(finished).toEqual([])
      return []
    },
  } as unknown as Conversations
  const responses = {
    save: async () => {},
    beat: async () => 'in_progress',
    finish: async ({ answerJson }: { answerJson: string }) => finished.push(answerJson) > 0,
  } as unknown as Responses
  const openai = await open({ clock, deps: { conversations, responses } })
  await openai.responses.create({ model, input: 'one', conversation: 'conv_1', background: true })
  for (let turns = 0; finished.length === 0 && turns < 1000; turns++) {
    clock.advance(100)
    await new Promise(setImmediate)
  }
  expect(tries).toBe(3)
  expect(JSON.parse(finished[0]!)).toMatchObject({ status: 'completed', conversation: { id: 'conv_1' } })
})
