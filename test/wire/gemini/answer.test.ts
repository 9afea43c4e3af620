import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import type { FinishReason, Part, ReasoningPart, StreamEvent } from '../../../server/wire/model.ts'
import { AnswerError } from '../../../server/wire/wire.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'
import { eventsOf, textOf } from '../../helpers/wire.ts'
import { accumulate } from './contract.ts'

const proof = (data: string): ReasoningPart => {
  return { type: 'reasoning', text: '', summary: false, proof: { wire: 'gemini', data } }
}
const thought = (text: string, data: string | null = null): ReasoningPart => {
  return { type: 'reasoning', text, summary: true, proof: data === null ? null : { wire: 'gemini', data } }
}
const text = (text: string): Part => ({ type: 'text', text })
const call = (id: string, name: string, args: string): Part => {
  return { type: 'tool-call', id, name, arguments: args, kind: 'function' }
}
const opaque = (value: object): Part => ({ type: 'opaque', wire: 'gemini', value })

interface Golden {
  readonly choices: [parts: Part[], finish: FinishReason][]
}

/** What each stream says in canonical words. Those that fail or are cut say nothing of their end. */
const GOLDEN: Record<string, Golden> = {
  'audio.sse': {
    choices: [[[{ type: 'audio', data: 'AAEC', format: 'pcm16' }], 'stop']],
  },
  'beyond-bmp.sse': { choices: [[[text('👩‍👩‍👧 𝒳\u2028 e\u0301\u0085 😀')], 'stop']] },
  'blocked.sse': { choices: [[[], 'filter']] },
  'code-execution.sse': {
    choices: [
      [
        [
          opaque({ executableCode: { language: 'PYTHON', code: 'print(3 * 4)' } }),
          opaque({ codeExecutionResult: { outcome: 'OUTCOME_OK', output: '12\n' } }),
          text('It is 12.'),
        ],
        'stop',
      ],
    ],
  },
  'crlf.sse': { choices: [[[text('One\r\ntwo')], 'stop']] },
  'finish-on-every-chunk.sse': { choices: [[[text('Old models')], 'stop']] },
  'grounded.sse': {
    choices: [
      [
        [
          {
            type: 'text',
            text: 'Köln. Es regnet 🌧 heute',
            citations: [
              { type: 'url', url: 'https://a.example/', title: 'a.example', start: 6, end: 18, quote: null },
              { type: 'url', url: 'https://b.example/doc', title: 'Doc', start: 6, end: 18, quote: 'It rains.' },
              { type: 'url', url: 'https://a.example/', title: 'a.example', start: 0, end: 5, quote: null },
            ],
          },
          proof('c2lnLTM='),
        ],
        'stop',
      ],
    ],
  },
  'image.sse': {
    choices: [
      [
        [
          text('Here: '),
          proof('c2lnLTQ='),
          {
            type: 'image',
            source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' },
            detail: null,
          },
        ],
        'stop',
      ],
    ],
  },
  'malformed-call.sse': { choices: [[[], 'filter']] },
  'no-last-blank-line.sse': { choices: [[[text('One, two')], 'stop']] },
  'no-usage.sse': { choices: [[[text('Nobody counts this. Nor this.')], 'stop']] },
  'partial-arguments.sse': {
    choices: [
      [
        [
          proof('c2lnLTI='),
          call(
            'req_1_1',
            'write',
            '{"title":"He said \\"no\\\\yes\\"\\n","rows":[[1,-2.5],[false]],"none":[],"empty":{},' +
              '"deep":{"a.b \'c\'":{"x":null}},"last":"𝒳"}',
          ),
          call('req_1_2', 'ping', '{}'),
          call('req_1_3', 'stop', '{}'),
        ],
        'tool-calls',
      ],
    ],
  },
  'safety.sse': { choices: [[[text('Well, ')], 'filter']] },
  'signed-text.sse': {
    choices: [[[thought('Thinking.', 'c2lnLTU='), text('A'), proof('c2lnLTY='), text('B')], 'stop']],
  },
  'text.sse': { choices: [[[text('The capital of France is Paris.')], 'stop']] },
  'thoughts-and-tools.sse': {
    choices: [
      [
        [
          thought('**Looking up**\n\nI need two places.'),
          text('I’ll look.'),
          proof('c2lnLTE='),
          call('req_1_1', 'weather', '{"city":"Paris"}'),
          call('own-7', 'weather', '{"city":"Tōkyō"}'),
        ],
        'tool-calls',
      ],
    ],
  },
  'two-candidates.sse': {
    choices: [
      [[text('Heads!')], 'stop'],
      [[text('Tails?')], 'length'],
    ],
  },
  'usage-quoted-in-a-call.sse': {
    choices: [
      [
        [
          text('usageMetadata {"promptTokenCount": 999} "finishReason": "STOP"'),
          call(
            'req_1_1',
            'log',
            '{"usageMetadata":{"promptTokenCount":999,"totalTokenCount":999},"finishReason":"STOP","error":{"code":1}}',
          ),
        ],
        'tool-calls',
      ],
    ],
  },
}

/** Cut or failed before their end. */
const UNFINISHED = ['call-without-an-end.sse', 'cut-inside-a-frame.sse', 'error-first.sse', 'error-in-the-middle.sse']

function readStream(name: string): { events: StreamEvent[]; finished: boolean } {
  const reader = geminiDialect.readStream('req_1')
  const missing = name === 'no-last-blank-line.sse' ? '\n\n' : ''
  const frames = eventsOf(Buffer.from(fixture(`gemini/${name}`)).toString('latin1') + missing)
  const events = frames.flatMap(({ data }) => reader.read(null, data))
  return { events: [...events, ...reader.close()], finished: reader.finished }
}

describe('readStream()', () => {
  it('every stream is golden or unfinished', () => {
    const streams = fixtures('gemini', '.sse').map((path) => path.slice('gemini/'.length))
    expect([...Object.keys(GOLDEN), ...UNFINISHED].sort()).toEqual(streams)
  })

  it.each(Object.entries(GOLDEN))('%s: says all of it, in order, once', (name, golden) => {
    const { events, finished } = readStream(name)
    expect(finished).toBe(true)
    const { choices, id } = accumulate(events)
    expect(id).toMatch(/^r\d$/)
    expect(choices.map(({ parts, finish }) => [parts, finish.reason])).toEqual(golden.choices)
  })

  it('the same parts come from the same answer when it comes whole', () => {
    for (const name of ['thoughts-and-tools', 'usage-quoted-in-a-call', 'code-execution', 'image', 'audio']) {
      const chunks = eventsOf(Buffer.from(fixture(`gemini/${name}.sse`)).toString('latin1'))
      const candidates = chunks.map(({ data }) => JSON.parse(data).candidates[0])
      const parts = candidates.flatMap(({ content }) => content?.parts ?? [])
      const whole = { candidates: [{ content: { parts }, finishReason: 'STOP' }] }
      const [choice] = geminiDialect.readAnswer(whole, 'req_1').choices
      expect([choice?.parts, choice?.finish.reason]).toEqual(GOLDEN[`${name}.sse`]?.choices[0])
    }
  })

  it('a stream that is cut is not finished, and its open part is ended', () => {
    const { events, finished } = readStream('cut-inside-a-frame.sse')
    expect(finished).toBe(false)
    expect(accumulate(events, false).choices[0]?.parts).toEqual([text('One, ')])
  })

  it.each([
    ['error-in-the-middle.sse', { message: 'The model is overloaded. Please try again later.', code: 'UNAVAILABLE' }],
    ['error-first.sse', { message: 'Quota exceeded', code: 'RESOURCE_EXHAUSTED' }],
  ])('%s: an error is the last event', (name, error) => {
    const { events, finished } = readStream(name)
    expect(finished).toBe(false)
    expect(events.at(-1)).toEqual({ type: 'error', error })
  })

  it('usage is said as often as the provider says it', () => {
    const { events } = readStream('text.sse')
    const said = events.flatMap((event) => (event.type === 'usage' ? [event.usage.output] : []))
    expect(said).toEqual([2, 7, 7])
  })

  it('log probabilities come with the text they belong to', () => {
    const chunk = (token: string) => ({
      candidates: [
        {
          content: { parts: [{ text: token }] },
          finishReason: 'STOP',
          logprobsResult: { chosenCandidates: [{ token, logProbability: -0.5 }] },
        },
      ],
    })
    const reader = geminiDialect.readStream('req_1')
    const events = ['a', 'b'].flatMap((token) => reader.read(null, JSON.stringify(chunk(token))))
    const { content } = accumulate([...events, ...reader.close()]).choices[0]!.logprobs as { content: object[] }
    expect(content).toMatchObject([{ token: 'a' }, { token: 'b' }])
  })

  it('a citation counts in the text part that it stands in, and has no place when that was in an earlier one', () => {
    const supports = [
      { segment: { startIndex: 0, endIndex: 3 }, groundingChunkIndices: [0] },
      { segment: { startIndex: 6, endIndex: 10 }, groundingChunkIndices: [0] },
    ]
    const groundingChunks = [{ web: { uri: 'https://a.example/' } }]
    const chunk = (parts: object[], more: object = {}) =>
      JSON.stringify({ candidates: [{ content: { parts }, ...more }] })
    const reader = geminiDialect.readStream('req_1')
    const events = [
      chunk([{ text: 'Köln ' }]),
      chunk([{ text: '', thoughtSignature: 'c2ln' }]),
      chunk([{ text: 'wäre' }], {
        finishReason: 'STOP',
        groundingMetadata: { groundingChunks, groundingSupports: supports },
      }),
    ].flatMap((data) => reader.read(null, data))
    const [, , last] = accumulate([...events, ...reader.close()]).choices[0]!.parts
    const cited = { type: 'url', url: 'https://a.example/', title: null, quote: null }
    const places = [
      { ...cited, start: null, end: null },
      { ...cited, start: 0, end: 3 },
    ]
    expect(last).toEqual({ type: 'text', text: 'wäre', citations: places })
  })

  it.each(['', '<html>', '[]', 'null', '{"candidates":'])('refuses %j, which is no chunk', (data) => {
    expect(() => geminiDialect.readStream('req_1').read(null, data)).toThrow(AnswerError)
  })
})

describe('readAnswer()', () => {
  const read = (name: string) => geminiDialect.readAnswer(JSON.parse(textOf(fixture(`gemini/${name}.json`))), 'req_1')

  it('text.json', () => {
    expect(read('text')).toEqual({
      id: 'r1',
      model: 'gemini-2.5-flash',
      createdAtS: null,
      choices: [{ parts: [text('Paris.')], finish: { reason: 'stop', stopSequence: null }, logprobs: null }],
      usage: { ...NO_USAGE, input: 8, output: 13, reasoning: 11 },
      serviceTier: null,
      extras: [],
    })
  })

  it('blocked.json: a blocked prompt is an answer that was withheld, and its reason is kept', () => {
    const { choices, extras } = read('blocked')
    expect(choices).toEqual([{ parts: [], finish: { reason: 'filter', stopSequence: null }, logprobs: null }])
    const value = { blockReason: 'SAFETY', safetyRatings: [] }
    expect(extras).toEqual([{ wire: 'gemini', name: 'promptFeedback', value }])
  })

  it('logprobs.json: log probabilities are OpenAI’s', () => {
    const token = { token: 'Hé', logprob: -0.1, bytes: [72, 195, 169] }
    const other = { token: '"', logprob: -2.5, bytes: [34] }
    expect(read('logprobs').choices[0]?.logprobs).toEqual({ content: [{ ...token, top_logprobs: [token, other] }] })
  })

  it('time and tier of the answer are read', () => {
    const answer = (usageMetadata: object) => {
      const candidates = [{ content: { parts: [{ text: 'a' }] }, finishReason: 'STOP' }]
      return geminiDialect.readAnswer({ candidates, createTime: '2026-02-15T07:50:39.884152Z', usageMetadata }, 'req_1')
    }
    expect(answer({}).createdAtS).toBe(1_771_141_839)
    const tiers = [{ serviceTier: 'standard' }, { serviceTier: 'priority' }, { trafficType: 'ON_DEMAND_FLEX' }, {}]
    expect(tiers.map((said) => answer(said).serviceTier)).toEqual(['default', 'priority', 'flex', null])
  })

  it.each<[string, boolean, FinishReason]>([
    ['STOP', false, 'stop'],
    ['STOP', true, 'tool-calls'],
    ['MAX_TOKENS', false, 'length'],
    ['MAX_TOKENS', true, 'length'],
    ['CONTINUATION', false, 'pause'],
    ...[
      'SAFETY',
      'RECITATION',
      'LANGUAGE',
      'BLOCKLIST',
      'PROHIBITED_CONTENT',
      'SPII',
      'IMAGE_SAFETY',
      'MODEL_ARMOR',
    ].map((reason): [string, boolean, FinishReason] => [reason, false, 'filter']),
    ...['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'OTHER', 'NO_IMAGE', 'A_NEW_ONE'].map(
      (reason): [string, boolean, FinishReason] => [reason, false, 'filter'],
    ),
  ])('%s (calls: %s) is %s, whole and streamed', (finishReason, hasCalls, expected) => {
    const parts = hasCalls ? [{ functionCall: { name: 'f', args: {} } }] : [{ text: 'a' }]
    const answer = { candidates: [{ content: { parts }, finishReason }] }
    expect(geminiDialect.readAnswer(answer, 'req_1').choices[0]?.finish.reason).toBe(expected)
    const reader = geminiDialect.readStream('req_1')
    const events = [...reader.read(null, JSON.stringify(answer)), ...reader.close()]
    expect(accumulate(events).choices[0]?.finish.reason).toBe(expected)
  })

  it.each([
    ['null', null],
    ['a list', []],
    ['an error', { error: { code: 500, message: 'Internal', status: 'INTERNAL' } }],
    ['nothing', { candidates: [], usageMetadata: {} }],
  ])('refuses %s', (_, answer) => {
    expect(() => geminiDialect.readAnswer(answer, 'req_1')).toThrow(AnswerError)
  })
})
