import { describe, expect, it } from 'vitest'
import { TokenEstimator } from '../../server/wire/estimate.ts'
import { openaiResponses } from '../../server/wire/openai-responses/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, chunksOf, cutAt, eventsOf, follow, jsonBytes, lateWords } from '../helpers/wire.ts'
import { EXPECTED } from './openai-responses/expected.ts'

type Event = Record<string, unknown>

const FOLDER = 'openai-responses/'
const STREAMS = fixtures('openai-responses', '.sse').map((name) => name.slice(FOLDER.length))
const ask = openaiResponses.readAsk(jsonBytes({ model: 'm', stream: true, input: 'Say hi' }))
const bytesOf = (name: string) => fixture(FOLDER + name)
const byteText = (name: string) => Buffer.from(bytesOf(name)).toString('latin1')
const followed = (name: string, pieces: Iterable<Uint8Array> = [bytesOf(name)]) =>
  follow(openaiResponses, ask, { pieces })
const eventsIn = (text: string) => chunksOf(text).filter((event) => event !== '[DONE]') as Event[]

it('every stream fixture says what is expected of it, and nothing is expected of others', () => {
  expect(Object.keys(EXPECTED).sort()).toEqual(STREAMS)
})

describe.each(STREAMS)('%s', (name) => {
  const expected = EXPECTED[name]!

  it('says what the provider used and how it ended', () => {
    const { metered, done, finished, failure, begun } = followed(name)
    expect(metered.source).toBe(expected.usage === null ? 'estimated' : 'provider')
    if (expected.usage !== null) expect(metered.usage).toEqual(expected.usage)
    expect({ done, finished }).toEqual({ done: expected.done, finished: expected.done })
    if (expected.failure === null) expect(failure).toBeNull()
    else expect(failure).toContain(expected.failure)
    expect(begun).toBe(expected.parts.length > 0 && name !== 'only-the-end.sse')
  })

  it('gives the same bytes and the same result wherever it is cut', () => {
    const bytes = bytesOf(name)
    const whole = followed(name)
    const outcome = JSON.stringify({ ...whole, passed: '' })
    const same = (pieces: Uint8Array[], where: string) => {
      const result = followed(name, pieces)
      if (result.passed === whole.passed && JSON.stringify({ ...result, passed: '' }) === outcome) return
      expect(result, where).toEqual(whole)
    }
    for (let at = 0; at <= bytes.length; at++) same(cutAt(bytes, [at]), `cut at ${at}`)
    same(
      Array.from(bytes, (byte) => Uint8Array.of(byte)),
      'byte by byte',
    )
    const random = new Random(bytes.length)
    for (let round = 0; round < 20; round++) {
      const places = Array.from({ length: 1 + random.int(12) }, () => random.int(bytes.length)).sort((a, b) => a - b)
      same(cutAt(bytes, places), `cut at ${places.join(', ')}`)
    }
  })

  it('passes every frame byte for byte, up to the error or the end', () => {
    const { passed, last } = followed(name)
    const given = byteText(name)
    if (expected.done) {
      // What a provider adds behind its last event, and the empty line that it forgot, are of no interest.
      const through = given.replace(/data: \[DONE\]\n\n$/, '').replace(/\n*$/, name === 'crlf.sse' ? '\n' : '\n\n')
      return expect(passed + last).toBe(through)
    }
    expect(last).toBe('')
    expect(given.startsWith(passed)).toBe(true)
    const sent = eventsIn(given).filter(({ type }) => type !== 'error' && type !== 'response.failed')
    expect(eventsIn(passed)).toEqual(sent)
  })

  it('tells what is known late in a comment right before the terminal event', () => {
    if (!expected.done) return
    const { last } = follow(openaiResponses, ask, { pieces: [bytesOf(name)], additions: ADDITIONS })
    expect(lateWords(last)).toEqual([expect.objectContaining({ 'x-WatchLLM-cost-usd': '0.0000345' })])
    expect(last.endsWith(followed(name).last)).toBe(true)
    expect(eventsOf(last).map(({ data }) => JSON.parse(data).type)).toEqual([
      expect.stringMatching(/^response\.(completed|incomplete|failed)$/),
    ])
  })

  it('ends in words that SDKs raise when it fails, numbered on from the last event', () => {
    const tap = openaiResponses.tap(ask)
    const passed = eventsIn(Buffer.from(tap.push(bytesOf(name)) ?? []).toString('latin1'))
    const face = { error: { message: 'Gone', type: 'api_error', param: null, code: 'provider_error' } }
    const [error, failed] = eventsOf(Buffer.from(tap.fail(face)).toString('latin1'))
    const numbers = passed.map((event) => Number(event.sequence_number ?? -1))
    const next = Math.max(-1, ...numbers) + 1
    expect(error!.event).toBe('error')
    expect(JSON.parse(error!.data)).toEqual({
      type: 'error',
      sequence_number: next,
      message: 'Gone',
      code: 'provider_error',
      param: null,
      error: face.error,
    })
    if (passed[0]?.type !== 'response.created') return expect(failed).toBeUndefined()
    expect(failed!.event).toBe('response.failed')
    expect(JSON.parse(failed!.data)).toMatchObject({
      type: 'response.failed',
      sequence_number: next + 1,
      response: {
        id: (passed[0].response as Event).id,
        status: 'failed',
        error: { code: 'server_error', message: 'Gone' },
      },
    })
  })
})

const sse = (events: readonly Event[]) => events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')

it('a response that fails after its first word goes on to the caller, whatever it says of its output', () => {
  const error = { code: 'server_error', message: 'Gone' }
  const failed = { type: 'response.failed', response: { status: 'failed', output: [], error } }
  const late = sse([{ type: 'response.output_text.delta', delta: 'Half' }, failed])
  expect(follow(openaiResponses, ask, { pieces: [Buffer.from(late)] })).toMatchObject({ done: true, failure: null })
  const first = follow(openaiResponses, ask, { pieces: [Buffer.from(sse([failed]))] })
  expect(first).toMatchObject({ done: false, failure: expect.stringContaining('Gone') })
})

it('words without a place are counted once, however the frames come', () => {
  const item = { type: 'message', content: [{ type: 'output_text', text: 'One two three' }] }
  const bytes = Buffer.from(
    sse([
      { type: 'response.output_text.delta', delta: 'One two three' },
      { type: 'response.output_item.added', output_index: 5, item: {} },
      { type: 'response.output_item.done', item },
    ]),
  )
  const counts = [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))].map(
    (pieces) => follow(openaiResponses, ask, { pieces }).metered.usage.output,
  )
  expect(counts).toEqual([3, 3])
})

const UNCOUNTED = STREAMS.filter((name) => EXPECTED[name]!.parts.length > 0 && name !== 'only-the-end.sse')

describe.each(UNCOUNTED)('%s without usage', (name) => {
  it('is counted by its words, in whatever JSON they are written', () => {
    const events = eventsIn(byteText(name)).map((event) =>
      event.response === undefined ? event : { ...event, response: { ...(event.response as Event), usage: null } },
    )
    const counts = [compact, spaced, escaped].map((write) => {
      const text = events.map((event) => (event.type ? `data: ${write(event)}\n\n` : '')).join('')
      const { metered } = follow(openaiResponses, ask, { pieces: [Buffer.from(text)] })
      expect(metered.source).toBe('estimated')
      return metered.usage.output
    })
    const estimator = new TokenEstimator()
    for (const event of events) if (typeof event.delta === 'string') estimator.add(Buffer.from(event.delta))
    expect(new Set(counts).size).toBe(1)
    if (estimator.tokens > 0 && name !== 'reasoning-text.sse') expect(counts[0]).toBe(estimator.tokens)
    else expect(counts[0]).toBeGreaterThan(0)
  })
})

const compact = (event: Event) => JSON.stringify(event)
const spaced = (event: Event) => JSON.stringify(event, null, 1).replaceAll(/\n\s*/g, ' ')
const escaped = (event: Event) =>
  compact(event).replaceAll(/[^\n -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
