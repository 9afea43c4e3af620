import { describe, expect, it } from 'vitest'
import { inputTotal, outputTotal } from '../../../db/model/usage.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import { gemini, geminiInArrays } from '../../../server/wire/gemini/wire.ts'
import type { Message, Part, Prompt, StreamEvent } from '../../../server/wire/model.ts'
import { AnswerError, type Ask } from '../../../server/wire/wire.ts'
import { Random } from '../../helpers/random.ts'
import { bytesOf, cutAt, eventsOf, follow, jsonBytes } from '../../helpers/wire.ts'
import { accumulate } from './contract.ts'
import { chunksIn, type Exchange, isStream, type Json, modelIn, partsIn, recorded } from './recorded.ts'
import { PROMPT } from './samples.ts'

const ALL = recorded()
const ANSWERED = ALL.filter(({ response }) => response.status === 200)
const WHOLE = ANSWERED.filter((exchange) => !isStream(exchange))
const STREAMED = ANSWERED.filter(isStream)
const named = (exchanges: Exchange[]) => exchanges.map((exchange) => [exchange.id, exchange] as const)

const askOf = (stream: boolean, body: Json = { contents: [{ parts: [{ text: 'Hi' }] }] }): Ask =>
  gemini.readAsk(jsonBytes(body), { model: 'gemini-2.5-flash', stream })

/** The last counters that the recording says, added up by nothing but its own words. */
function lastUsage(exchange: Exchange): Json | null {
  const said = chunksIn(exchange).map(({ usageMetadata }) => usageMetadata as Json | undefined)
  return said.findLast((usage) => usage?.promptTokenCount !== undefined) ?? null
}

function expectUsage(exchange: Exchange, { usage, source }: ReturnType<typeof gemini.readAnswer>): void {
  const said = lastUsage(exchange)
  expect(source).toBe(said === null ? 'estimated' : 'provider')
  if (said === null) return
  const of = (name: string) => Number(said[name] ?? 0)
  expect(inputTotal(usage)).toBe(of('promptTokenCount') + of('toolUsePromptTokenCount'))
  expect(outputTotal(usage)).toBe(of('candidatesTokenCount') + of('thoughtsTokenCount'))
  expect(inputTotal(usage) + outputTotal(usage)).toBe(of('totalTokenCount'))
  expect(usage.reasoning).toBe(of('thoughtsTokenCount'))
  expect(usage.cacheRead).toBe(of('cachedContentTokenCount'))
}

describe.skipIf(ALL.length === 0)('recorded exchanges, passed through', () => {
  it('are there in numbers, whole and streamed', () => {
    expect(WHOLE.length).toBeGreaterThan(80)
    expect(STREAMED.length).toBeGreaterThan(12)
  })

  it('every request is read and goes out as it came', () => {
    const asked = ALL.filter(({ request }) => request.body !== null && request.body._omitted === undefined)
    expect(asked.length).toBeGreaterThan(70)
    for (const exchange of asked) {
      const ask = askOf(false, exchange.request.body!)
      expect(gemini.edit(ask, { model: 'other', askUsage: true })).toEqual({ body: ask.body, adapted: [] })
    }
  })

  it.each(named(WHOLE))('%s: its usage is read, its bytes are kept', (_, exchange) => {
    const answer = gemini.readAnswer(bytesOf(exchange.response.body), askOf(false))
    expectUsage(exchange, answer)
    expect(Buffer.from(answer.withAdditions(null), 'latin1').toString()).toBe(exchange.response.body)
  })

  it('what is no answer is refused as one', () => {
    const failed = ALL.filter(({ response }) => response.status !== 200)
    expect(failed.length).toBeGreaterThan(1)
    for (const { response } of failed) {
      expect(() => gemini.readAnswer(bytesOf(response.body), askOf(false))).toThrow(AnswerError)
      expect(() => geminiDialect.readAnswer(JSON.parse(response.body), 'req_1')).toThrow(AnswerError)
    }
  })

  it.each(named(STREAMED))('%s: the stream gives its usage and all its bytes, wherever it is cut', (_, exchange) => {
    const bytes = bytesOf(exchange.response.body)
    const whole = follow(gemini, askOf(true), { pieces: [bytes] })
    expect(whole).toMatchObject({ finished: true, begun: true, failure: null, last: '' })
    expect(Buffer.from(whole.passed, 'latin1').toString()).toBe(exchange.response.body)
    expectUsage(exchange, { ...whole.metered, withAdditions: () => '' })
    const random = new Random(bytes.length)
    for (let round = 0; round < 6; round++) {
      const places = Array.from({ length: 40 }, () => random.int(bytes.length)).sort((a, b) => a - b)
      expect(follow(gemini, askOf(true), { pieces: cutAt(bytes, places) }), `cut at ${places}`).toEqual(whole)
    }
  })

  it.each(named(STREAMED))('%s: as one JSON array it gives the same', (_, exchange) => {
    const bytes = bytesOf(exchange.response.body)
    const events = follow(gemini, askOf(true), { pieces: [bytes] })
    const whole = follow(geminiInArrays, askOf(true), { pieces: [bytes] })
    expect(whole).toMatchObject({ finished: true, begun: true, metered: events.metered })
    const array = JSON.parse(Buffer.from(whole.passed + whole.last, 'latin1').toString())
    expect(array).toEqual(chunksIn(exchange))
    const random = new Random(bytes.length)
    for (let round = 0; round < 4; round++) {
      const places = Array.from({ length: 40 }, () => random.int(bytes.length)).sort((a, b) => a - b)
      const cut = follow(geminiInArrays, askOf(true), { pieces: cutAt(bytes, places) })
      expect(cut.passed + cut.last, `cut at ${places}`).toBe(whole.passed + whole.last)
      expect(cut.metered).toEqual(whole.metered)
    }
  })
})

/** Everything that the reader makes of a stream. */
function eventsFrom(exchange: Exchange): StreamEvent[] {
  const reader = geminiDialect.readStream('req_1')
  const events = eventsOf(Buffer.from(exchange.response.body).toString('latin1'))
  const read = events.flatMap(({ data }) => reader.read(null, data))
  expect(reader.finished).toBe(true)
  return [...read, ...reader.close()]
}

describe.skipIf(ALL.length === 0)('recorded exchanges, translated', () => {
  it.each(named(STREAMED))('%s: its events keep the contract and say all of it', (_, exchange) => {
    const { choices, usage, id, model } = accumulate(eventsFrom(exchange))
    const [first] = chunksIn(exchange)
    expect({ id, model }).toEqual({ id: first!.responseId, model: first!.modelVersion })
    expect(usage).toEqual(follow(gemini, askOf(true), { pieces: [bytesOf(exchange.response.body)] }).metered.usage)
    const parts = choices[0]!.parts
    const said = partsIn(exchange)
    const text = (isThought: boolean) =>
      said.map((part) => ((part.thought === true) === isThought ? (part.text ?? '') : '')).join('')
    const read = (type: Part['type']) =>
      parts.map((part) => (part.type === type && 'text' in part ? part.text : '')).join('')
    expect(read('text')).toBe(text(false))
    expect(read('reasoning')).toBe(text(true))
    const calls = said.filter((part) => (part.functionCall as Json | undefined)?.name !== undefined)
    const read2 = parts.filter((part) => part.type === 'tool-call')
    expect(read2.map(({ name }) => name)).toEqual(calls.map(({ functionCall }) => (functionCall as Json).name))
    for (const { arguments: args } of read2) expect(typeof JSON.parse(args)).toBe('object')
    expect(new Set(read2.map(({ id }) => id)).size).toBe(read2.length)
    expect(choices[0]!.finish.reason).toBe(calls.length > 0 ? 'tool-calls' : 'stop')
    const proofs = parts.map((part) => (part.type === 'reasoning' ? (part.proof?.data ?? null) : null))
    const opaque = parts.map((part) =>
      part.type === 'opaque' ? ((part.value as Json).thoughtSignature ?? null) : null,
    )
    const signatures = said.map(({ thoughtSignature }) => thoughtSignature ?? null)
    const given = (all: unknown[]) => all.filter((one) => one !== null)
    expect([...given(proofs), ...given(opaque)].sort()).toEqual(given(signatures).sort())
  })

  it('arguments that come leaf by leaf come out as the object that they are', () => {
    const streams = STREAMED.filter(({ response }) => response.body.includes('partialArgs'))
    const calls = streams.flatMap((exchange) => accumulate(eventsFrom(exchange)).choices[0]!.parts)
    const args = calls.flatMap((part) => (part.type === 'tool-call' ? [`${part.name} ${part.arguments}`] : []))
    expect(args).toEqual([
      'read_theme {}',
      'read_screen {"id":"A"}',
      'read_screen {"id":"B"}',
      'read_screen {"id":"C"}',
      'writeItems {"operations":[{"action":"add","description":"Fresh red apple","itemid":"apple_001","price":0.5},' +
        '{"action":"add","description":"Ripe yellow banana","itemid":"banana_001","price":0.3}]}',
    ])
  })

  it.each(named(WHOLE))('%s: what the model said goes back to it as it came', (_, exchange) => {
    const answer = geminiDialect.readAnswer(JSON.parse(exchange.response.body), 'req_1')
    const said = partsIn(exchange)
    const [choice] = answer.choices
    expect(answer.usage).toEqual(
      said.length > 0 ? gemini.readAnswer(bytesOf(exchange.response.body), askOf(false)).usage : answer.usage,
    )
    const history: Message = { role: 'assistant', name: null, parts: choice!.parts }
    const prompt: Prompt = { ...PROMPT, messages: [...PROMPT.messages, history] }
    const { body, adapted } = geminiDialect.writePrompt(prompt, {
      model: modelIn(exchange),
      facts: null,
      promptCache: 'off',
    })
    expect(adapted).toEqual([])
    const [, model] = body.contents as { parts: Json[] }[]
    // Named differences: our ids of calls that had none, and the sign that a call has no signature.
    expect((model?.parts ?? []).map(withoutOurs)).toEqual(said.filter(({ text }) => text !== '').map(withoutOurs))
  })

  it('citations stand where their words are', () => {
    const grounded = ANSWERED.filter(({ response }) => /"web":/.test(response.body))
    expect(grounded.length).toBeGreaterThan(2)
    for (const exchange of grounded) {
      const { choices } = isStream(exchange)
        ? accumulate(eventsFrom(exchange))
        : geminiDialect.readAnswer(JSON.parse(exchange.response.body), 'req_1')
      const texts = choices[0]!.parts.filter((part) => part.type === 'text')
      const cited = texts.flatMap(({ text, citations = [] }) =>
        citations.map((one) => (one.type === 'url' && one.start !== null ? text.slice(one.start, one.end!) : null)),
      )
      expect(cited).toEqual(segmentsIn(exchange))
      expect(cited.length).toBeGreaterThan(3)
    }
  })
})

function withoutOurs(part: Json): Json {
  const { thoughtSignature, functionCall, ...rest } = part
  const ours = String(thoughtSignature).startsWith('c2tpcF9')
  const { id, args = {}, ...call } = (functionCall ?? {}) as Json
  return {
    ...rest,
    ...(thoughtSignature === undefined || ours ? {} : { thoughtSignature }),
    ...(functionCall === undefined ? {} : { functionCall: { ...call, args, ...(isOurs(id) ? {} : { id }) } }),
  }
}

const isOurs = (id: unknown) => id === undefined || String(id).startsWith('req_1_')

function segmentsIn(exchange: Exchange): unknown[] {
  return chunksIn(exchange).flatMap((chunk) => {
    const [candidate] = chunk.candidates as { groundingMetadata?: { groundingSupports?: Json[] } }[]
    const supports = candidate?.groundingMetadata?.groundingSupports ?? []
    return supports.flatMap(({ groundingChunkIndices, segment }) =>
      (groundingChunkIndices as number[]).map(() => (segment as Json).text),
    )
  })
}
