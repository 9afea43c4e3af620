import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import type { StreamEvent } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
import { AnswerError } from '../../../server/wire/wire.ts'
import { fixture } from '../../helpers/fixture.ts'
import { ADDITIONS, chunksOf, eventsOf, jsonBytes, lateWords } from '../../helpers/wire.ts'
import { eventsFrom, expectContract, partsFrom, short } from './contract.ts'
import { EXPECTED } from './expected.ts'
import { eventBreaks, hasSpecs } from './specs.ts'

type Json = Record<string, unknown>

const read = (name: string) => eventsFrom(dialect, Buffer.from(fixture(`openai-responses/${name}`)).toString())

function writerOf(request: Json = {}) {
  const ask = openaiResponses.readAsk(jsonBytes({ model: 'm', stream: true, input: 'Hi', ...request }))
  return dialect.writeStream({ ask, callId: 'req_77', createdAtS: 1_767_225_600, model: 'm' })
}

/** The events that a caller gets, [DONE] aside. */
function written(events: readonly StreamEvent[], request: Json = {}): Json[] {
  const writer = writerOf(request)
  const text = events.map((event) => writer.write(event)).join('') + writer.finish(null)
  return chunksOf(Buffer.from(text).toString('latin1')).filter((event) => event !== '[DONE]') as Json[]
}

describe.each(Object.entries(EXPECTED))('%s', (name, expected) => {
  const events = read(name)

  it('is read as parts one after the other, by the contract', () => {
    expectContract(events, name)
    expect(partsFrom(events).map(short)).toEqual(expected.parts)
  })

  it('is read with its usage, its end and its failure', () => {
    const used = events.filter((event) => event.type === 'usage')
    if (expected.usage !== null) expect(used.at(-1)?.usage).toEqual(expected.usage)
    else expect(used).toEqual([])
    const failed = name.startsWith('failed') || expected.failure !== null
    if (failed) expect(events.at(-1)).toMatchObject({ type: 'error', error: { message: expect.any(String) } })
    else if (expected.done) expect(events.at(-1)).toEqual({ type: 'end' })
    const finish = events.find((event) => event.type === 'finish')
    if (!failed) expect(finish?.finish.reason ?? null).toBe(expected.finish)
  })

  it.skipIf(!hasSpecs)('is written as events that both specifications allow', () => {
    const isOpen = !/custom|web-search/.test(name)
    for (const event of written(events)) expect(eventBreaks(event, isOpen), JSON.stringify(event)).toEqual([])
  })

  it('is written so that it reads the same again', () => {
    const again = written(events).map((event) => `data: ${JSON.stringify(event)}\n\n`)
    const readAgain = eventsFrom(dialect, again.join(''))
    expectContract(readAgain, name)
    expect(partsFrom(readAgain).map(short)).toEqual(expected.parts)
  })

  it('is written with numbers from 0 on, and its items stand in the last event as they were when done', () => {
    const all = written(events)
    expect(all.map((event) => event.sequence_number)).toEqual(all.map((_, at) => at))
    const done = all.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item)
    expect((all.at(-1)!.response as Json).output).toEqual(done)
    const added = all.filter(({ type }) => type === 'response.output_item.added')
    expect(added.map((event) => event.output_index)).toEqual(done.map((_, at) => at))
    expect(added.map(({ item }) => (item as Json).id)).toEqual(done.map((item) => (item as Json).id))
  })
})

describe('what a provider may stray in', () => {
  it('an event that is no JSON is refused', () => {
    const reader = dialect.readStream('req_1')
    expect(() => reader.read(null, '{"type":')).toThrow(AnswerError)
    expect(() => reader.read(null, '[]')).toThrow(AnswerError)
  })

  it('arguments for a call that never began are refused', () => {
    const reader = dialect.readStream('req_1')
    const event = { type: 'response.function_call_arguments.delta', output_index: 0, delta: '{' }
    expect(() => reader.read(null, JSON.stringify(event))).toThrow(/has not begun/)
  })

  it('a stream that is cut ends its open part and is not finished', () => {
    const events = eventsFrom(dialect, cutInside('text.sse', 'response.output_text.delta'))
    expectContract(events, 'cut')
    expect(events.at(-1)?.type).toBe('part-end')
  })

  it('calls whose arguments alternate come one after the other', () => {
    const call = (at: number) => ({
      type: 'function_call',
      id: `fc_${at}`,
      call_id: `call_${at}`,
      name: 'f',
      arguments: '',
    })
    const frames = [
      { type: 'response.created', response: { id: 'r', model: 'm' } },
      { type: 'response.output_item.added', output_index: 0, item: call(0) },
      { type: 'response.output_item.added', output_index: 1, item: call(1) },
      { type: 'response.function_call_arguments.delta', output_index: 1, delta: '{"b"' },
      { type: 'response.function_call_arguments.delta', output_index: 0, delta: '{"a"' },
      { type: 'response.function_call_arguments.delta', output_index: 1, delta: ':2}' },
      { type: 'response.output_item.done', output_index: 1, item: { ...call(1), arguments: '{"b":2}' } },
      { type: 'response.function_call_arguments.delta', output_index: 0, delta: ':1}' },
      { type: 'response.output_item.done', output_index: 0, item: { ...call(0), arguments: '{"a":1}' } },
      { type: 'response.completed', response: { status: 'completed', output: [] } },
    ]
    const events = eventsFrom(dialect, frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join(''))
    expectContract(events, 'alternating')
    expect(partsFrom(events).map(short)).toEqual(['call:call_0 f {"a":1}', 'call:call_1 f {"b":2}'])
  })
})

function cutInside(name: string, type: string): string {
  const text = Buffer.from(fixture(`openai-responses/${name}`)).toString()
  return text.slice(0, text.lastIndexOf(`event: ${type}\n`))
}

const START: StreamEvent = { type: 'start', id: null, model: 'claude', createdAtS: null }

function of(
  parts: readonly (StreamEvent & { type: 'part' })['part'][],
  reason: 'stop' | 'length' | 'filter' | 'pause' = 'stop',
) {
  const events: StreamEvent[] = [START]
  parts.forEach((part, index) => {
    events.push({ type: 'part', choice: 0, index, part }, { type: 'part-end', choice: 0, index })
  })
  return [
    ...events,
    { type: 'finish', choice: 0, finish: { reason, stopSequence: null } },
    { type: 'end' },
  ] as StreamEvent[]
}

const typesOf = (events: readonly Json[]) => events.map(({ type }) => String(type).replace('response.', ''))

describe('what callers get of other wires', () => {
  it('a text: the whole sequence of events, in order', () => {
    expect(typesOf(written(of([{ type: 'text', text: 'Hi' }])))).toEqual([
      ...['created', 'in_progress', 'output_item.added', 'content_part.added', 'output_text.delta', 'output_text.done'],
      ...['content_part.done', 'output_item.done', 'completed'],
    ])
  })

  it('thoughts are content, or summaries for a caller who asked for summaries', () => {
    const thought = of([
      { type: 'reasoning', text: 'Hm', summary: false, proof: { wire: 'anthropic-messages', data: 'sig' } },
    ])
    const bare = written(thought)
    expect(typesOf(bare)).toContain('reasoning_text.delta')
    const asked = written(thought, { reasoning: { summary: 'auto' } })
    expect(typesOf(asked)).toEqual(
      expect.arrayContaining([
        'reasoning_summary_part.added',
        'reasoning_summary_text.delta',
        'reasoning_summary_part.done',
      ]),
    )
    expect((asked.at(-1)!.response as Json).output).toEqual([
      {
        id: 'rs_77_0',
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'Hm' }],
        encrypted_content: 'watchllm.anthropic-messages.sig',
      },
    ])
  })

  it('a thought that is all proof becomes an item of its own, before the call it belongs to', () => {
    const events = written(
      of([
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'abc' } },
        { type: 'tool-call', id: 'c1', name: 'f', arguments: '{}', kind: 'function' },
      ]),
    )
    expect((events.at(-1)!.response as Json).output).toMatchObject([
      { type: 'reasoning', summary: [], encrypted_content: 'watchllm.gemini.abc' },
      { type: 'function_call', call_id: 'c1', arguments: '{}' },
    ])
  })

  it('an empty thought stands by itself in a stream too', () => {
    const events = written(
      of([
        { type: 'reasoning', text: 'A', summary: false, proof: null },
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data: 'g' } },
      ]),
    )
    const items = (events.at(-1)!.response as Json).output as Json[]
    expect(items.map(({ encrypted_content }) => encrypted_content)).toEqual([undefined, 'watchllm.gemini.g'])
  })

  it('a custom tool that had to travel as a function comes back as the text it stands for', () => {
    const tools = [{ type: 'custom', name: 'apply_patch', description: 'Patch' }]
    const call = { type: 'tool-call', id: 'c1', name: 'apply_patch', kind: 'function' } as const
    const events: StreamEvent[] = [
      START,
      { type: 'part', choice: 0, index: 0, part: { ...call, arguments: '' } },
      { type: 'delta', choice: 0, index: 0, delta: { text: '{"input":"*** Be' } },
      { type: 'delta', choice: 0, index: 0, delta: { text: 'gin\\n\\u00fc"}' } },
      { type: 'part-end', choice: 0, index: 0 },
      { type: 'finish', choice: 0, finish: { reason: 'tool-calls', stopSequence: null } },
    ]
    const shown = written(events, { tools })
    expect(typesOf(shown).slice(2)).toEqual([
      ...[
        'output_item.added',
        'custom_tool_call_input.delta',
        'custom_tool_call_input.done',
        'output_item.done',
        'completed',
      ],
    ])
    expect((shown.at(-1)!.response as Json).output).toEqual([
      {
        id: 'ctc_77_0',
        type: 'custom_tool_call',
        status: 'completed',
        input: '*** Begin\nü',
        call_id: 'c1',
        name: 'apply_patch',
      },
    ])
  })

  it('a tool of a namespace is called by the two names that the caller gave it', () => {
    const inner = { type: 'function', name: 'search', parameters: {} }
    const tools = [{ type: 'namespace', name: 'mcp__docs', description: 'Docs', tools: [inner] }]
    const ask = openaiResponses.readAsk(jsonBytes({ model: 'm', input: 'Hi', tools }))
    const [tool] = dialect.readPrompt(ask).tools
    expect(tool).toMatchObject({ type: 'function', name: 'mcp__docs__search' })
    const call = { type: 'tool-call', id: 'c1', name: 'mcp__docs__search', arguments: '{}', kind: 'function' } as const
    const shown = written(of([call]), { tools })
    const items = (shown.at(-1)!.response as Json).output as Json[]
    expect(items[0]).toMatchObject({ type: 'function_call', namespace: 'mcp__docs', name: 'search', call_id: 'c1' })
    const back = openaiResponses.readAsk(jsonBytes({ model: 'm', input: items }))
    expect(dialect.readPrompt(back).messages[0]!.parts).toEqual([call])
  })

  it.each([
    ['length', 'max_output_tokens'],
    ['filter', 'content_filter'],
    ['pause', 'max_output_tokens'],
  ] as const)('an answer that ended by %s is incomplete, and so is its last item', (reason, said) => {
    const last = written(of([{ type: 'text', text: 'Half' }], reason)).at(-1)!
    expect(last).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: said },
        completed_at: null,
        output: [{ status: 'incomplete' }],
      },
    })
  })

  it('citations are told as they come and stand in the text', () => {
    const citation = {
      type: 'url',
      url: 'https://a.example/',
      title: null,
      start: null,
      end: null,
      quote: 'x',
    } as const
    const events = written(of([{ type: 'text', text: 'Lima', citations: [citation] }]))
    const annotation = { type: 'url_citation', url: 'https://a.example/', title: '', start_index: 0, end_index: 4 }
    expect(events.find(({ type }) => type === 'response.output_text.annotation.added')).toMatchObject({ annotation })
    expect(events.at(-1)).toMatchObject({ response: { output: [{ content: [{ annotations: [annotation] }] }] } })
  })

  it('the request is repeated, and what was not said with its default', () => {
    const request = {
      instructions: 'Be brief',
      temperature: 0.2,
      metadata: { a: 'b' },
      store: false,
      max_output_tokens: 50,
    }
    const { response } = written(of([]), request)[0] as { response: Json }
    expect(response).toMatchObject({
      ...request,
      id: 'resp_77',
      model: 'claude',
      status: 'in_progress',
      top_p: 1,
      tool_choice: 'auto',
    })
  })

  it('usage and additions come at the end, before [DONE]', () => {
    const writer = writerOf()
    for (const event of of([{ type: 'text', text: 'Hi' }])) writer.write(event)
    writer.write({ type: 'usage', usage: { ...NO_USAGE, input: 3, cacheRead: 2, output: 4, reasoning: 1 } })
    const last = Buffer.from(writer.finish(ADDITIONS)).toString('latin1')
    expect(lateWords(last)).toEqual([expect.objectContaining({ 'x-WatchLLM-cost-usd': '0.0000345' })])
    const usage = {
      input_tokens: 5,
      input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 9,
      watchllm_tokens: 35,
    }
    expect(chunksOf(last).at(-2)).toMatchObject({ type: 'response.completed', response: { usage } })
    expect(chunksOf(last).at(-1)).toBe('[DONE]')
  })

  it.skipIf(!hasSpecs)('a failure is an error event, then the response that failed with what had come', () => {
    const writer = writerOf()
    const before = of([{ type: 'text', text: 'Half' }]).slice(0, 2)
    const frames = before.map((event) => writer.write(event)).join('')
    const face = { error: { message: 'Gone', type: 'api_error', param: null, code: 'provider_error' } }
    const events = eventsOf(Buffer.from(frames + writer.fail(face)).toString('latin1'))
    expect(events.at(-2)!.event).toBe('error')
    const values = events.map(({ data }) => JSON.parse(data) as Json)
    for (const value of values) expect(eventBreaks(value, true), JSON.stringify(value)).toEqual([])
    expect(values.at(-1)).toMatchObject({ response: { status: 'failed', output: [{ content: [{ text: 'Half' }] }] } })
    expect(values.map((value) => value.sequence_number)).toEqual(values.map((_, at) => at))
  })
})
