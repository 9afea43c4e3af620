import { describe, expect, it } from 'vitest'
import { anthropicMessagesDialect as dialect } from '../../server/wire/anthropic-messages/dialect.ts'
import type { Part, StreamEvent } from '../../server/wire/model.ts'
import { AnswerError } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { eventsOf } from '../helpers/wire.ts'
import { written } from './anthropic-messages/answers.ts'
import { broken, readAll } from './anthropic-messages/contract.ts'
import { ANSWERS, STREAMS } from './anthropic-messages/expected.ts'

const byteText = (name: string) => Buffer.from(fixture(`anthropic-messages/${name}`)).toString('latin1')
const answerOf = (name: string) => dialect.readAnswer(JSON.parse(Buffer.from(fixture(name)).toString()), 'call')
const eventsIn = (name: string) => readAll(dialect.readStream('call'), byteText(`${name}.sse`))
const own = (data: string) => ({ wire: 'anthropic-messages', data }) as const
const thought = (text: string, proof: { wire: 'gemini' | 'anthropic-messages'; data: string } | null): Part => ({
  type: 'reasoning',
  text,
  summary: true,
  proof,
})
const call = (id: string, args: string, more: object = {}): Part =>
  ({ type: 'tool-call', id, name: 'get_weather', arguments: args, kind: 'function', ...more }) as Part

describe('readStream()', () => {
  it.each(Object.keys(STREAMS))('%s.sse keeps the contract of canonical events, with its usage', (name) => {
    const events = eventsIn(name)
    const { usage, finished, failure } = STREAMS[name]!
    expect(broken(events, finished)).toEqual([])
    const told = events.filter((event) => event.type === 'usage')
    expect(told.at(-1)?.usage ?? null).toEqual(usage)
    expect(events.at(-1)!.type === 'error').toBe(failure !== undefined)
  })

  it('thoughts, text and calls become parts, their words deltas', () => {
    const at = (index: number) => ({ choice: 0, index })
    const text = (index: number, words: string) => ({ type: 'delta', ...at(index), delta: { text: words } })
    expect(eventsIn('thinking-and-tools')).toEqual([
      { type: 'start', id: 'msg_01FixtureAbcdefghijkl', model: 'claude-sonnet-4-6', createdAtS: null },
      { type: 'part', ...at(0), part: thought('', null) },
      text(0, 'The user wants'),
      text(0, ' two cities at once.'),
      { type: 'delta', ...at(0), delta: { proof: own('EqQBCkYIBxgCKkD7q2+Zz/abc==') } },
      { type: 'part-end', ...at(0) },
      { type: 'part', ...at(1), part: { type: 'text', text: '' } },
      text(1, 'I will look both up.'),
      { type: 'part-end', ...at(1) },
      { type: 'part', ...at(2), part: call('toolu_01A', '') },
      text(2, '{"city": "Zü'),
      text(2, 'rich"}'),
      { type: 'part-end', ...at(2) },
      { type: 'part', ...at(3), part: call('toolu_01B', '') },
      text(3, '{"city":'),
      text(3, ' "東京"}'),
      { type: 'part-end', ...at(3) },
      { type: 'part', ...at(4), part: call('toolu_01C', '', { name: 'now' }) },
      text(4, '{}'),
      { type: 'part-end', ...at(4) },
      { type: 'finish', choice: 0, finish: { reason: 'tool-calls', stopSequence: null } },
      { type: 'usage', usage: STREAMS['thinking-and-tools']!.usage },
      { type: 'end' },
    ])
  })

  const partsOf = (events: StreamEvent[]) => events.flatMap((event) => (event.type === 'part' ? [event.part] : []))
  const finishOf = (events: StreamEvent[]) => events.find((event) => event.type === 'finish')?.finish

  it('hidden and redacted thoughts keep their proofs apart', () => {
    const events = eventsIn('hidden-thinking')
    const proofs = events.flatMap((event) => (event.type === 'delta' && event.delta.proof ? [event.delta.proof] : []))
    expect(proofs).toEqual([own('EpACOmitted/Thought==')])
    expect(partsOf(events)[1]).toEqual(thought('', own('redacted:EmwKAhgBEgyredacted==')))
  })

  it('what only Anthropic can say comes whole and opaque, citations as links', () => {
    const events = eventsIn('web-search-citations')
    expect(partsOf(events)[1]).toMatchObject({ type: 'opaque', value: { input: { query: 'weather in Bern' } } })
    expect(partsOf(events)[2]).toMatchObject({ type: 'opaque', value: { type: 'web_search_tool_result' } })
    const cited = events.flatMap((event) => (event.type === 'delta' ? (event.delta.citations ?? []) : []))
    expect(cited).toEqual([
      { type: 'url', url: 'https://example.org/bern', title: 'Bern', start: null, end: null, quote: '12 degrees' },
    ])
    expect(partsOf(eventsIn('compaction'))[0]).toMatchObject({ value: { content: 'Summary: they said hello.' } })
  })

  it('the ways to end are told', () => {
    expect(finishOf(eventsIn('refusal'))).toMatchObject({ reason: 'refusal' })
    expect(partsOf(eventsIn('refusal'))).toEqual([{ type: 'refusal', text: 'This request was declined.' }])
    expect(finishOf(eventsIn('pause'))).toMatchObject({ reason: 'pause' })
    expect(finishOf(eventsIn('stop-sequence'))).toEqual({ reason: 'stop', stopSequence: ', 4' })
    expect(finishOf(eventsIn('no-message-stop'))).toMatchObject({ reason: 'length' })
    expect(eventsIn('error-in-the-middle').at(-1)).toEqual({
      type: 'error',
      error: { message: 'Overloaded', code: 'overloaded_error' },
    })
  })

  it('blocks that a provider interleaves come one after the other, nothing lost', () => {
    const start = (index: number) => {
      const block = { type: 'tool_use', id: `t${index}`, name: 'get_weather', input: {} }
      return { type: 'content_block_start', index, content_block: block }
    }
    const grow = (index: number, partial: string) => {
      return { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json: partial } }
    }
    const stop = (index: number) => ({ type: 'content_block_stop', index })
    const blocks = [
      start(0),
      start(1),
      grow(1, '{"b"'),
      grow(0, '{"a"'),
      start(2),
      stop(1),
      grow(0, ':0}'),
      grow(2, '{}'),
    ]
    const events = [
      { type: 'message_start', message: {} },
      ...blocks,
      stop(2),
      stop(0),
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ]
    const found = readAll(dialect.readStream('c'), events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
    expect(broken(found, true)).toEqual([])
    const words = [0, 1, 2].map((at) =>
      found.flatMap((event) => (event.type === 'delta' && event.index === at ? [event.delta.text] : [])).join(''),
    )
    expect(words).toEqual(['{"a":0}', '{"b"', '{}'])
    expect(partsOf(found)).toMatchObject([{ id: 't0' }, { id: 't1' }, { id: 't2' }])
  })

  it('a stream that is cut is not finished, and its open part is ended', () => {
    const reader = dialect.readStream('call')
    for (const { event, data } of eventsOf(byteText('cut-before-the-end.sse'))) reader.read(event, data)
    expect(reader.close()).toEqual([{ type: 'part-end', choice: 0, index: 0 }])
    expect(reader.finished).toBe(false)
  })

  it('nonsense is refused', () => {
    for (const data of ['x', '[]', '7']) expect(() => dialect.readStream('c').read(null, data)).toThrow(AnswerError)
  })
})

describe('readAnswer()', () => {
  it.each(Object.keys(ANSWERS))('%s.json: its usage is read', (name) => {
    expect(answerOf(`anthropic-messages/${name}.json`).usage).toEqual(ANSWERS[name])
  })

  it('thoughts, text and calls become parts', () => {
    const { choices, id, serviceTier } = answerOf('anthropic-messages/thinking-and-tools.json')
    expect({ id, serviceTier }).toEqual({ id: 'msg_01FixtureAbcdefghijkl', serviceTier: 'default' })
    expect(choices).toEqual([
      {
        parts: [
          thought('Two cities.', own('EqQBCkYIBxgCKkD7q2+Zz/abc==')),
          { type: 'text', text: 'Looking.' },
          call('toolu_01A', '{"city":"Zürich"}'),
          call('toolu_01B', '{"city":"東京"}'),
        ],
        finish: { reason: 'tool-calls', stopSequence: null },
        logprobs: null,
      },
    ])
  })

  it.each(fixtures('anthropic-messages', '.json'))(
    '%s is the same on the way back, apart from what is named',
    (name) => {
      const given = JSON.parse(Buffer.from(fixture(name)).toString())
      const { usage: _, stop_details: __, ...back } = written(answerOf(name))
      const { usage: ___, stop_details: details, ...rest } = given
      const content = rest.content.map((block: Record<string, unknown>) => {
        if (block.type === 'tool_use') return { ...block, caller: { type: 'direct' } }
        return block.type === 'text' ? { citations: [], ...block } : block
      })
      if (details !== undefined) content.push({ type: 'text', text: details.explanation, citations: [] })
      const isOwn = (one: { type: string }) => one.type !== 'web_search_result_location'
      const cited = (block: Record<string, unknown>) => {
        if (!Array.isArray(block.citations)) return block
        return {
          ...block,
          citations: block.citations.map((one) => (isOwn(one) ? one : { ...one, encrypted_index: '' })),
        }
      }
      expect(back).toEqual({ container: null, diagnostics: null, ...rest, content: content.map(cited) })
    },
  )

  it.each([
    null,
    7,
    {},
    { type: 'error', error: {} },
    { content: 'x' },
    { content: [7] },
    { content: [{ type: 'text' }] },
  ])('%j is refused', (answer) => {
    expect(() => dialect.readAnswer(answer, 'call')).toThrow(AnswerError)
  })
})

describe('tools that stand for something else', () => {
  const block = (id: string, name: string, input: object) => ({ type: 'tool_use', id, name, input })
  const answer = (...content: object[]) => ({ type: 'message', content, stop_reason: 'tool_use', usage: {} })
  const form = block('t1', 'watchllm_answer', { a: 'é' })
  const text = block('t2', 'watchllm_text_patch', { input: '*** Begin\n' })

  it('become it in a whole answer', () => {
    expect(dialect.readAnswer(answer(form), 'c').choices[0]).toMatchObject({
      parts: [{ type: 'text', text: '{"a":"é"}' }],
      finish: { reason: 'stop' },
    })
    expect(dialect.readAnswer(answer(text), 'c').choices[0]).toMatchObject({
      parts: [{ type: 'tool-call', id: 't2', kind: 'custom', name: 'patch', arguments: '*** Begin\n' }],
      finish: { reason: 'tool-calls' },
    })
  })

  const stream = (given: ReturnType<typeof block>) => {
    const json = JSON.stringify(given.input)
    const delta = (partial: string) => ({ type: 'input_json_delta', partial_json: partial })
    const events = [
      { type: 'message_start', message: { id: 'msg_1', model: 'm' } },
      { type: 'content_block_start', index: 0, content_block: { ...given, input: {} } },
      { type: 'content_block_delta', index: 0, delta: delta(json.slice(0, 4)) },
      { type: 'content_block_delta', index: 0, delta: delta(json.slice(4)) },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 3 } },
      { type: 'message_stop' },
    ]
    return readAll(dialect.readStream('c'), events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''))
  }

  it('become it in a stream, an answer word for word, an argument when it is whole', () => {
    const words = stream(form)
    expect(broken(words, true)).toEqual([])
    expect(words.flatMap((event) => (event.type === 'delta' ? [event.delta.text] : []))).toHaveLength(2)
    expect(words.find((event) => event.type === 'part')).toMatchObject({ part: { type: 'text', text: '' } })
    expect(words.find((event) => event.type === 'finish')).toMatchObject({ finish: { reason: 'stop' } })
    const argument = stream(text)
    expect(broken(argument, true)).toEqual([])
    expect(argument[1]).toMatchObject({ part: { kind: 'custom', name: 'patch', arguments: '*** Begin\n' } })
    expect(argument.find((event) => event.type === 'finish')).toMatchObject({ finish: { reason: 'tool-calls' } })
  })
})
