import { describe, expect, it } from 'vitest'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import { TokenEstimator } from '../../server/wire/estimate.ts'
import { fixture, fixtures } from '../helpers/fixture.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, cutAt, eventsOf, follow, jsonBytes, lateWords } from '../helpers/wire.ts'
import { MISSING, STREAMS } from './anthropic-messages/expected.ts'

const NAMES = fixtures('anthropic-messages', '.sse')
const ASK = anthropicMessages.readAsk(
  jsonBytes({ model: 'm', max_tokens: 9, stream: true, messages: [{ role: 'user', content: 'Say hi to all of us' }] }),
)
const nameOf = (file: string) => file.replace(/^.*\/|\.sse$/g, '')
const byteText = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
const followed = (pieces: Iterable<Uint8Array>, additions = false) =>
  follow(anthropicMessages, ASK, { pieces, additions: additions ? ADDITIONS : null })

it('every fixture says what is expected of it', () => {
  expect(NAMES.map(nameOf).sort()).toEqual(Object.keys(STREAMS).sort())
})

describe.each(NAMES)('%s', (file) => {
  const expected = STREAMS[nameOf(file)]!
  const bytes = fixture(file)

  it('says what the provider used and how it ended', () => {
    const { metered, finished, failure } = followed([bytes])
    expect(metered.source).toBe(expected.usage === null ? 'estimated' : 'provider')
    if (expected.usage !== null) expect(metered.usage).toEqual(expected.usage)
    expect(finished).toBe(expected.finished)
    if (expected.failure === undefined) expect(failure).toBeNull()
    else expect(failure).toContain(expected.failure)
  })

  it('gives the same bytes and the same result wherever it is cut', () => {
    const whole = JSON.stringify(followed([bytes]))
    const same = (pieces: Uint8Array[], where: string) => {
      if (JSON.stringify(followed(pieces)) !== whole) expect(followed(pieces), where).toEqual(JSON.parse(whole))
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

  it('passes every byte on unchanged, the terminator at the end, and nothing of an error', () => {
    const { passed, last, finished } = followed([bytes])
    const given = byteText(bytes)
    const error = given.indexOf('event: error')
    if (error >= 0) return expect(passed).toBe(given.slice(0, error))
    if (!finished) return expect(passed).toBe(given.slice(0, given.lastIndexOf('\n\n') + 2))
    expect(eventsOf(passed + last).at(-1)!.data).toContain('message_stop')
    expect(passed + last).toBe(given + (MISSING[nameOf(file)] ?? ''))
  })

  it('tells what is known late in one comment before the terminator, which no reader sees', () => {
    const bare = followed([bytes])
    const { passed, last, finished } = followed([bytes], true)
    if (!finished || bare.failure !== null) return
    expect(passed).toBe(bare.passed)
    expect(last.endsWith(bare.last)).toBe(true)
    expect(eventsOf(passed + last)).toEqual(eventsOf(bare.passed + bare.last))
    expect(lateWords(last)).toEqual([
      expect.objectContaining({ 'x-WatchLLM-cost-usd': '0.0000345', watchllm: expect.any(Object) }),
    ])
  })

  it('counts the text as one count of all of it, before the provider has counted', () => {
    const counted = new TokenEstimator()
    const kept: string[] = []
    for (const { data } of eventsOf(byteText(bytes))) {
      const event = JSON.parse(data)
      if (event.type === 'error' || event.type === 'message_stop') break
      if (event.type === 'message_delta') continue
      kept.push(`event: ${event.type}\ndata: ${data}\n\n`)
      for (const text of wordsOf(event)) counted.add(bytesOf(text))
    }
    const result = followed([bytesOf(kept.join(''))])
    expect(result.metered.source).toBe('estimated')
    expect(result.metered.usage.output).toBe(counted.tokens)
    expect(result.begun).toBe(counted.tokens > 0)
  })
})

function wordsOf(event: Record<string, Record<string, unknown>>): string[] {
  const { text, thinking, partial_json: json, name } = event.content_block ?? event.delta ?? {}
  return [text, thinking, json, name].filter((one) => typeof one === 'string')
}

describe('a stream that breaks off', () => {
  it('is billed what the provider said of the prompt and what was counted of the answer', () => {
    const { metered } = followed([fixture('anthropic-messages/cut-before-the-end.sse')])
    expect(metered).toMatchObject({ source: 'estimated', usage: { input: 21 } })
    expect(metered.usage.output).toBeGreaterThan(4)
  })

  it('ends with an error event that Anthropic’s own clients raise', () => {
    const tap = anthropicMessages.tap(ASK)
    const face = { type: 'error', error: { type: 'api_error', message: 'Gone\nfor good' } }
    const [event] = eventsOf(Buffer.from(tap.fail(face)).toString('latin1'))
    expect(event!.event).toBe('error')
    expect(JSON.parse(event!.data)).toEqual(face)
  })
})
