import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import type { Part, StreamEvent } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { fixture } from '../../helpers/fixture.ts'
import { ADDITIONS, chunksOf, lateWords, textOf } from '../../helpers/wire.ts'
import { gather } from './contract.ts'
import { ASK, askOf, contextOf, eventsIn, type Json, judge, written } from './kit.ts'

const CHUNK = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'deep-1' }
const sse = (deltas: object[], reason = 'stop') =>
  [...deltas.map((delta) => ({ delta, finish_reason: null })), { delta: {}, finish_reason: reason }]
    .map((choice) => `data: ${JSON.stringify({ ...CHUNK, choices: [{ index: 0, ...choice }] })}\n\n`)
    .join('')
    .concat('data: [DONE]\n\n')
const partsIn = (deltas: object[]) => gather(eventsIn(sse(deltas))).choices[0]!.parts
const call = (index: number | undefined, more: object) => ({ tool_calls: [{ index, ...more }] })
const begun = (index: number | undefined, id: string) =>
  call(index, { id, type: 'function', function: { name: `f_${id}`, arguments: '' } })
const goesOn = (index: number | undefined, text: string) => call(index, { function: { arguments: text } })
const calls = (parts: readonly Part[]) =>
  parts.map((part) => (part.type === 'tool-call' ? `${part.id} ${part.name} ${part.arguments}` : part.type))

describe('reading calls of tools', () => {
  it('one after the other: the second streams as soon as the first is whole', () => {
    const reader = openaiChatDialect.readStream('req_1')
    const feed = (delta: object) =>
      reader.read(null, JSON.stringify({ ...CHUNK, choices: [{ index: 0, delta }] })).map(({ type }) => type)
    expect(feed(begun(0, 'a'))).toEqual(['start', 'part'])
    expect(feed(goesOn(0, '{"x":'))).toEqual(['delta'])
    expect(feed(goesOn(0, '1}'))).toEqual(['delta'])
    expect(feed(begun(1, 'b'))).toEqual(['part-end', 'part'])
    expect(feed(goesOn(1, '{}'))).toEqual(['delta'])
  })

  it('interleaved: held back until the first is whole, and nothing is lost', () => {
    const deltas = [
      begun(0, 'a'),
      begun(1, 'b'),
      goesOn(0, '{"x":'),
      goesOn(1, '{"y"'),
      goesOn(0, '1}'),
      goesOn(1, ':2}'),
    ]
    expect(calls(partsIn(deltas))).toEqual(['a f_a {"x":1}', 'b f_b {"y":2}'])
    const fixtureParts = gather(eventsIn(textOf(fixture('openai-chat/tools-interleaved.sse')))).choices[0]!.parts
    expect(calls(fixtureParts)).toEqual([
      'chatcmpl-tool-0a search {"q": "\\"usage\\":{\\"prompt_tokens\\":9}"}',
      'chatcmpl-tool-0b search {"q": "data: [DONE]"}',
    ])
  })

  it('interleaved: all that are whole go out with the first, and the next streams on', () => {
    const reader = openaiChatDialect.readStream('req_1')
    const feed = (delta: object) =>
      reader.read(null, JSON.stringify({ ...CHUNK, choices: [{ index: 0, delta }] })).map(({ type }) => type)
    for (const [at, id] of ['a', 'b', 'c'].entries()) feed(begun(at, id))
    expect([...feed(goesOn(1, '{}')), ...feed(goesOn(2, '{"x":'))]).toEqual([])
    expect(feed(goesOn(0, '{}'))).toEqual(['delta', 'part-end', 'part', 'delta', 'part-end', 'part', 'delta'])
    expect(feed(goesOn(2, '1}'))).toEqual(['delta'])
  })

  it('without numbers, by their ids; without ids, they get some', () => {
    expect(calls(partsIn([begun(undefined, 'a'), goesOn(undefined, '{}'), begun(undefined, 'b')]))).toEqual([
      'a f_a {}',
      'b f_b ',
    ])
    const nameless = call(0, { function: { name: 'f', arguments: '{}' } })
    expect(calls(partsIn([nameless]))).toEqual(['call_req_1_0_0 f {}'])
  })

  it('with one number for all of them: a new id and name is a new call', () => {
    expect(calls(partsIn([begun(0, 'a'), goesOn(0, '{}'), begun(0, 'b'), goesOn(0, '{"z":1}')]))).toEqual([
      'a f_a {}',
      'b f_b {"z":1}',
    ])
  })

  it('whose name and id come with every piece are one call', () => {
    const piece = (text: string) => call(0, { id: 'a', type: 'function', function: { name: 'f', arguments: text } })
    expect(calls(partsIn([piece('{"x"'), piece(':1}')]))).toEqual(['a f {"x":1}'])
  })

  it('as objects, of custom tools, and of before there were tools', () => {
    expect(calls(partsIn([call(0, { id: 'a', function: { name: 'f', arguments: { x: 1 } } })]))).toEqual([
      'a f {"x":1}',
    ])
    const custom = [
      call(0, { id: 'a', type: 'custom', custom: { name: 'sh', input: 'l' } }),
      call(0, { custom: { input: 's' } }),
    ]
    expect(partsIn(custom)).toEqual([{ type: 'tool-call', id: 'a', name: 'sh', arguments: 'ls', kind: 'custom' }])
    const legacy = [{ function_call: { name: 'f', arguments: '{' } }, { function_call: { arguments: '}' } }]
    expect(calls(partsIn(legacy))).toEqual(['call_req_1_0_0 f {}'])
  })
})

describe('reading what else comes', () => {
  it('thoughts under each of their names, before the text and between', () => {
    for (const name of ['reasoning_content', 'reasoning']) {
      const parts = partsIn([{ [name]: 'Hm' }, { [name]: '.' }, { content: 'Hi' }, { [name]: 'So' }, { content: '!' }])
      expect(parts.map((part) => ('text' in part ? `${part.type} ${part.text}` : ''))).toEqual([
        'reasoning Hm.',
        'text Hi',
        'reasoning So',
        'text !',
      ])
      expect(parts[0]).toMatchObject({
        proof: { wire: 'openai-chat', data: JSON.stringify({ model: 'deep-1', in: name }) },
      })
    }
  })

  it('thoughts in details: pieces of one number are one, their signature is its proof', () => {
    const detail = (more: object) => ({ reasoning: 'x', reasoning_details: [{ index: 0, format: 'f1', ...more }] })
    const [thought, encrypted, text] = partsIn([
      detail({ type: 'reasoning.text', text: 'Let ' }),
      detail({ type: 'reasoning.text', text: 'me see', signature: null }),
      detail({ type: 'reasoning.text', text: '', signature: 'sig' }),
      detail({ type: 'reasoning.encrypted', data: 'enc', index: 1 }),
      { content: 'Hi' },
    ])
    expect(thought).toMatchObject({ text: 'Let me see', summary: false })
    expect(JSON.parse((thought as { proof: { data: string } }).proof.data).detail).toMatchObject({ signature: 'sig' })
    expect(encrypted).toMatchObject({ type: 'reasoning', text: '' })
    expect(text).toMatchObject({ type: 'text', text: 'Hi' })
  })

  it('sound, whole when it is complete, from pieces that are base64 of their own', () => {
    const pieces = ['first', 'second!'].map((text) => Buffer.from(text).toString('base64'))
    const [part] = partsIn(pieces.map((data) => ({ audio: { id: 'a', data, transcript: 'Hi ' } })))
    expect(part).toEqual({
      type: 'audio',
      data: Buffer.from('firstsecond!').toString('base64'),
      format: 'pcm16',
      transcript: 'Hi Hi ',
    })
  })

  it('content and calls that come after a reason was given', () => {
    const late = sse([{ content: 'a' }]).replace(
      'data: [DONE]',
      `${sse([{ content: 'b' }]).split('\n\n')[0]}\n\ndata: [DONE]`,
    )
    const parts = gather(eventsIn(late)).choices[0]!.parts
    expect(parts.map((part) => (part.type === 'text' ? part.text : ''))).toEqual(['a', 'b'])
  })

  it('an end without terminator is one when a reason was given, and a cut when not', () => {
    const whole = sse([{ content: 'a' }]).replace('data: [DONE]\n\n', '')
    expect(eventsIn(whole).at(-1)).toEqual({ type: 'end' })
    const reader = openaiChatDialect.readStream('req_1')
    const cut = eventsIn(whole.slice(0, whole.indexOf('\n\n') + 2), reader)
    expect([cut.at(-1)?.type, reader.finished]).toEqual(['part-end', false])
  })

  it.each([
    [{ error: { message: 'Busy', code: 'overloaded' } }, 'Busy', 'overloaded'],
    [{ error: { message: 'Busy', type: 'server_error', code: null } }, 'Busy', 'server_error'],
    [{ error: 'Busy' }, 'Busy', null],
    [{ object: 'error', message: 'Busy', code: 500 }, 'Busy', '500'],
  ])('an error as %j', (chunk, message, code) => {
    const events = eventsIn(
      `${sse([{ content: 'a' }]).split('\n\n')[0]}\n\ndata: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`,
    )
    expect(events.at(-1)).toEqual({ type: 'error', error: { message, code } })
    expect(openaiChatDialect.readStream('x').read('error', '{"message":"Busy"}')).toMatchObject([{ type: 'error' }])
  })
})

describe('writing', () => {
  const head: StreamEvent[] = [{ type: 'start', id: 'msg_1', model: 'claude', createdAtS: 1 }]
  const end: StreamEvent[] = [{ type: 'end' }]
  const whole = (parts: Part[], reason: 'stop' | 'tool-calls' = 'stop'): StreamEvent[] => [
    ...head,
    ...parts.flatMap((part, index): StreamEvent[] => [
      { type: 'part', choice: 0, index, part },
      { type: 'part-end', choice: 0, index },
    ]),
    { type: 'finish', choice: 0, finish: { reason, stopSequence: null } },
    ...end,
  ]
  const chunks = (text: string) => chunksOf(Buffer.from(text).toString('latin1')) as Json[]

  it('gives the first delta a role and each choice a finish reason member', () => {
    const all = chunks(written(whole([{ type: 'text', text: 'é' }])))
    expect(all.map((chunk) => (chunk.choices as Json[] | undefined)?.[0])).toEqual([
      { index: 0, delta: { role: 'assistant', content: '', refusal: null }, logprobs: null, finish_reason: null },
      { index: 0, delta: { content: 'é' }, logprobs: null, finish_reason: null },
      { index: 0, delta: {}, logprobs: null, finish_reason: 'stop' },
      undefined,
    ])
    expect(all[0]).toMatchObject({ id: 'msg_1', object: 'chat.completion.chunk', created: 1, model: 'claude' })
  })

  it('says usage in a last chunk to who asked, and else in nothing but a comment', () => {
    const usage: StreamEvent = { type: 'usage', usage: { ...NO_USAGE, input: 3, output: 2, cacheRead: 1 } }
    const events = [...whole([{ type: 'text', text: 'a' }]), usage]
    const finish = (wants: boolean) => {
      const ask = askOf({ ...ASK, stream: true, stream_options: { include_usage: wants } })
      const writer = openaiChatDialect.writeStream(contextOf(ask))
      const passed = events.map((event) => writer.write(event)).join('')
      expect(passed).not.toContain('"usage"')
      return writer.finish(ADDITIONS)
    }
    const [last] = chunks(finish(true))
    expect(last).toMatchObject({ choices: [], usage: { prompt_tokens: 4, total_tokens: 6, watchllm_tokens: 35 } })
    expect(last!['x-WatchLLM-cost-usd']).toBe(ADDITIONS.costUsd)
    expect(chunks(finish(false))).toEqual(['[DONE]'])
    expect(lateWords(Buffer.from(finish(false)).toString('latin1'))).toMatchObject([
      { watchllm: { provider: 'openai' } },
    ])
  })

  it('writes an empty object for arguments that never came', async () => {
    const part: Part = { type: 'tool-call', id: 'a', name: 'f', arguments: '', kind: 'function' }
    const final = await judge(written(whole([part, { ...part, id: 'b', arguments: '{"x":1}' }], 'tool-calls')))
    expect(final.choices[0]!.message.tool_calls).toMatchObject([
      { id: 'a', function: { name: 'f', arguments: '{}' } },
      { id: 'b', function: { name: 'f', arguments: '{"x":1}' } },
    ])
    expect(final.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } })
  })

  it('speaks of a function to clients of before there were tools', () => {
    const part: Part = { type: 'tool-call', id: 'a', name: 'f', arguments: '{}', kind: 'function' }
    const ask = askOf({ ...ASK, stream: true, functions: [{ name: 'f' }] })
    const text = written(whole([part, { ...part, name: 'g' }], 'tool-calls'), contextOf(ask))
    expect(text).toContain('"function_call":{"name":"f","arguments":"{}"}')
    expect(text).toContain('"finish_reason":"function_call"')
    expect(text).not.toContain('"g"')
  })

  it('counts citations from the beginning of all text', () => {
    const cited = { type: 'url', url: 'https://a.example', title: null, start: 1, end: 2, quote: null } as const
    const text = written(
      whole([
        { type: 'text', text: 'abc' },
        { type: 'text', text: 'de', citations: [cited] },
      ]),
    )
    expect(text).toContain('"start_index":4,"end_index":5')
  })

  it('ends with the error in its last words', () => {
    const writer = openaiChatDialect.writeStream(contextOf())
    expect(writer.fail({ error: { message: 'No' } })).toBe('data: {"error":{"message":"No"}}\n\n')
  })
})
