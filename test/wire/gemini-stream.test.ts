import { describe, expect, it } from 'vitest'
import { NO_USAGE, type Usage } from '../../db/model/usage.ts'
import { gemini, geminiInArrays } from '../../server/wire/gemini/wire.ts'
import type { Ask } from '../../server/wire/wire.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { ADDITIONS, bytesOf, cutAt, eventsOf, follow, jsonBytes, textOf } from '../helpers/wire.ts'

interface Expected {
  /** Null: the provider says nothing, and we count. */
  readonly usage: Partial<Usage> | null
  readonly finished?: false
  readonly failure?: string
  /** Nothing of the answer came. */
  readonly begun?: false
}

const EXPECTED: Record<string, Expected> = {
  'audio.sse': { usage: { input: 5, audioOutput: 25 } },
  'beyond-bmp.sse': { usage: { input: 5, output: 12 } },
  'blocked.sse': { usage: { input: 9 }, begun: false },
  'call-without-an-end.sse': { usage: { input: 7, output: 9 }, finished: false },
  'code-execution.sse': { usage: { input: 31, output: 18 } },
  'crlf.sse': { usage: { input: 5, output: 4 } },
  'cut-inside-a-frame.sse': { usage: { input: 5, output: 2 }, finished: false },
  'error-first.sse': { usage: null, finished: false, failure: 'RESOURCE_EXHAUSTED', begun: false },
  'error-in-the-middle.sse': { usage: { input: 5, output: 2 }, finished: false, failure: 'overloaded' },
  'finish-on-every-chunk.sse': { usage: { input: 5, output: 4 } },
  'grounded.sse': { usage: { input: 36, output: 9 } },
  'image.sse': { usage: { input: 5, output: 2, imageOutput: 1290 } },
  'malformed-call.sse': { usage: { input: 12 }, begun: false },
  'no-last-blank-line.sse': { usage: { input: 5, output: 4 } },
  'no-usage.sse': { usage: null },
  'partial-arguments.sse': { usage: { input: 30, output: 60, reasoning: 10 } },
  'safety.sse': { usage: { input: 5, output: 2 } },
  'signed-text.sse': { usage: { input: 9, output: 9, reasoning: 7 } },
  'text.sse': { usage: { input: 8, output: 7 } },
  'thoughts-and-tools.sse': { usage: { input: 24, cacheRead: 16, output: 49, reasoning: 25 } },
  'two-candidates.sse': { usage: { input: 4, output: 4 } },
  'usage-quoted-in-a-call.sse': { usage: { input: 7, output: 30 } },
}

const STREAMS = fixtures('gemini', '.sse').map((path) => path.slice('gemini/'.length))
const streamed = (name: string) => fixture(`gemini/${name}`)

const ASK: Ask = gemini.readAsk(jsonBytes({ contents: [{ role: 'user', parts: [{ text: 'Say hi' }] }] }), {
  model: 'gemini-2.5-flash',
  stream: true,
})

it('every stream has its expectations', () => {
  expect(Object.keys(EXPECTED)).toEqual(STREAMS)
})

describe.each(STREAMS)('%s', (name) => {
  const { usage, finished = true, failure = null, begun = true } = EXPECTED[name]!

  const bytes = streamed(name)

  it('says what was used and how it ended', () => {
    const followed = follow(gemini, ASK, { pieces: [bytes] })
    expect(followed).toMatchObject({ finished, begun })
    if (failure === null) expect(followed.failure).toBeNull()
    else expect(followed.failure).toContain(failure)
    expect(followed.metered.source).toBe(usage === null ? 'estimated' : 'provider')
    if (usage !== null) expect(followed.metered.usage).toEqual({ ...NO_USAGE, ...usage })
  })

  it.each([
    ['events', gemini],
    ['one array', geminiInArrays],
  ])('gives the same bytes and the same result wherever it is cut, as %s', (_, wire) => {
    const whole = follow(wire, ASK, { pieces: [bytes] })
    const outcome = JSON.stringify(whole)
    const same = (pieces: Uint8Array[], where: string) => {
      const cut = follow(wire, ASK, { pieces })
      if (JSON.stringify(cut) !== outcome) expect(cut, where).toEqual(whole)
    }
    for (let at = 0; at <= bytes.length; at++) same(cutAt(bytes, [at]), `cut at ${at}`)
    same(
      Array.from(bytes, (byte) => Uint8Array.of(byte)),
      'byte by byte',
    )
  })

  it('is, for callers who ask for no events, one array of the same chunks with the same result', () => {
    const events = follow(gemini, ASK, { pieces: [bytes], additions: ADDITIONS })
    const { passed, last, ...result } = follow(geminiInArrays, ASK, { pieces: [bytes], additions: ADDITIONS })
    const chunks = eventsOf(events.passed + events.last).map(({ data }) => JSON.parse(data))
    const closed = last === '' ? `${passed === '' ? '[' : passed}]` : passed + last
    expect(JSON.parse(Buffer.from(closed, 'latin1').toString())).toEqual(chunks)
    const { passed: _passed, last: _last, ...same } = events
    expect(result).toEqual(same)
  })

  it('passes every byte on but those of an error and of half a chunk, and adds none', () => {
    const { passed, last } = follow(gemini, ASK, { pieces: [bytes], additions: ADDITIONS })
    const text = Buffer.from(bytes).toString('latin1')
    const isCut = name.startsWith('cut-')
    const end = isCut || failure !== null ? text.lastIndexOf('data: ') : text.length
    const missing = name === 'no-last-blank-line.sse' ? '\n\n' : ''
    expect(passed + last).toBe(text.slice(0, end) + missing)
  })
})

describe('failures', () => {
  const face = { error: { code: 502, message: 'The provider failed', status: 'UNAVAILABLE' } }
  const chunk = '{"candidates": [{"content": {"parts": [{"text": "a ] \\" ["}]}}]}'

  const frame = `data: ${chunk}\n\n`

  it.each(['', frame])('fail() ends a stream of events with an error event, after %j', (before) => {
    const tap = gemini.tap(ASK)
    if (before !== '') tap.push(bytesOf(before))
    expect(textOf(tap.fail(face))).toBe(`data: ${JSON.stringify(face)}\n\n`)
  })

  it.each([0, 1, 2])('fail() ends an array of %i chunks as valid JSON with the error last', (count) => {
    const tap = geminiInArrays.tap(ASK)
    const passed = tap.push(bytesOf(`${frame.repeat(count)}data: ${chunk.slice(0, 30)}`))
    const all = JSON.parse((passed === null ? '' : textOf(passed)) + textOf(tap.fail(face)))
    expect(all).toEqual([...Array(count).fill(JSON.parse(chunk)), face])
  })

  it('an array has no room for comments, nor for what is no chunk, and is empty when nothing came', () => {
    const tap = geminiInArrays.tap(ASK)
    expect(tap.push(bytesOf(': waiting\n\ndata: [DONE]\n\ndata: {"half\n\n'))).toBeNull()
    expect(textOf(tap.finish(ADDITIONS))).toBe('[]')
  })

  it('white space before the first chunk is passed on with it', () => {
    const bytes = bytesOf(`\n\n\n data: ${chunk}\n\n`)
    for (let at = 0; at < bytes.length; at++) {
      expect(follow(gemini, ASK, { pieces: cutAt(bytes, [at]) }).passed).toBe(Buffer.from(bytes).toString('latin1'))
    }
  })
})

it('text that nobody counted is counted, thoughts and calls too, each once', () => {
  const counted = (parts: object[]) => {
    const chunk = { candidates: [{ content: { parts }, finishReason: 'STOP' }] }
    return follow(gemini, ASK, { pieces: [bytesOf(`data: ${JSON.stringify(chunk)}\n\n`)] }).metered
  }
  const text = counted([{ text: 'one two three four' }])
  expect(text.source).toBe('estimated')
  expect(text.usage.output).toBe(4)
  expect(text.usage.input).toBeGreaterThan(1)
  expect(counted([{ text: 'one two three four', thought: true }])).toEqual(text)
  const call = counted([{ functionCall: { name: 'one', args: { two: 'three four' } } }])
  expect(call.usage.output).toBeGreaterThan(4)
})
