import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import { gemini } from '../../../server/wire/gemini/wire.ts'
import type { Completion, Part, Prompt, StreamEvent } from '../../../server/wire/model.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'
import { chunksOf, eventsOf, jsonBytes } from '../../helpers/wire.ts'
import { accumulate } from './contract.ts'
import { call, text } from './samples.ts'

const SAID = { model: 'gemini-2.5-flash', stream: false }
const read = (body: object): Prompt => geminiDialect.readPrompt(gemini.readAsk(jsonBytes(body), SAID))
const asked = (...contents: object[]): Prompt => read({ contents })
const CONTENTS = [{ role: 'user', parts: [{ text: 'Hi' }] }]
const CONTEXT = {
  ask: gemini.readAsk(jsonBytes({ contents: CONTENTS }), { ...SAID, stream: true }),
  callId: 'req_1',
  createdAtS: 1_700_000_000,
  model: 'gemini-2.5-flash',
}

const COMPLETION: Completion = {
  id: 'r1',
  model: 'claude-x',
  createdAtS: 1_771_141_839,
  choices: [
    {
      parts: [
        { type: 'reasoning', text: 'Hm', summary: false, proof: { wire: 'anthropic-messages', data: 'sig=' } },
        { type: 'reasoning', text: '', summary: false, proof: { wire: 'anthropic-messages', data: 'redacted' } },
        text('Köln. '),
        {
          type: 'text',
          text: 'Es regnet',
          citations: [{ type: 'url', url: 'https://a.example/', title: 'A', start: 3, end: 9, quote: null }],
        },
        call('c1'),
        { type: 'opaque', wire: 'anthropic-messages', value: { type: 'server_tool_use' } },
      ],
      finish: { reason: 'tool-calls', stopSequence: null },
      logprobs: null,
    },
  ],
  usage: { ...NO_USAGE, input: 10, cacheRead: 5, cacheWrite5m: 2, output: 9, reasoning: 4 },
  serviceTier: null,
  extras: [],
}

describe('writeAnswer()', () => {
  it('a golden answer of another provider', () => {
    const answer = JSON.parse(geminiDialect.writeAnswer(COMPLETION, { ...CONTEXT, additions: null }))
    const sealed = (data: string) => Buffer.from(`watchllm.anthropic-messages.${data}`).toString('base64')
    expect(answer).toEqual({
      candidates: [
        {
          content: {
            parts: [
              { text: 'Hm', thought: true, thoughtSignature: sealed('sig=') },
              { text: 'Köln. ', thoughtSignature: sealed('redacted') },
              { text: 'Es regnet' },
              { functionCall: { id: 'c1', name: 'weather', args: { city: 'Paris' } } },
            ],
            role: 'model',
          },
          finishReason: 'STOP',
          index: 0,
          groundingMetadata: {
            groundingChunks: [{ web: { uri: 'https://a.example/', title: 'A' } }],
            groundingSupports: [
              { segment: { startIndex: 10, endIndex: 16, text: 'regnet' }, groundingChunkIndices: [0] },
            ],
          },
        },
      ],
      usageMetadata: {
        promptTokenCount: 17,
        candidatesTokenCount: 5,
        totalTokenCount: 26,
        cachedContentTokenCount: 5,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 17 }],
        thoughtsTokenCount: 4,
      },
      modelVersion: 'claude-x',
      createTime: '2026-02-15T07:50:39.000Z',
      responseId: 'r1',
    })
  })

  it('proofs of other providers come back with the caller’s next request', () => {
    const answer = JSON.parse(geminiDialect.writeAnswer(COMPLETION, { ...CONTEXT, additions: null }))
    const { messages } = asked(...CONTENTS, answer.candidates[0].content)
    const proofs = messages[1]!.parts.flatMap((part) => (part.type === 'reasoning' ? [part.proof] : []))
    expect(proofs).toEqual([
      { wire: 'anthropic-messages', data: 'sig=' },
      { wire: 'anthropic-messages', data: 'redacted' },
    ])
  })
})

/** What a stream becomes when it is read and written again. */
function rewritten(name: string): { before: StreamEvent[]; after: StreamEvent[] } {
  const reader = geminiDialect.readStream('req_1')
  const missing = name.includes('no-last-blank-line') ? '\n\n' : ''
  const read1 = (frames: string) => eventsOf(frames).map(({ data }) => data)
  const data = read1(Buffer.from(fixture(name)).toString('latin1') + missing)
  const before = [...data.flatMap((chunk) => reader.read(null, chunk)), ...reader.close()]
  const writer = geminiDialect.writeStream(CONTEXT)
  const written = before.map((event) => writer.write(event)).join('') + writer.finish(null)
  const again = geminiDialect.readStream('req_1')
  const frames = read1(Buffer.from(written).toString('latin1'))
  return { before, after: [...frames.flatMap((chunk) => again.read(null, chunk)), ...again.close()] }
}

describe('writeStream()', () => {
  const whole = fixtures('gemini', '.sse').filter((name) => !/error|cut-|without-an-end/.test(name))

  it.each(whole)('%s: read, written and read again, it says the same', (name) => {
    const { before, after } = rewritten(name)
    const first = accumulate(before)
    const second = accumulate(after)
    expect({ id: second.id, model: second.model }).toEqual({ id: first.id, model: first.model })
    expect(second.choices.map(({ parts }) => parts)).toEqual(first.choices.map(({ parts }) => parts))
    expect(second.choices.map(({ finish }) => finish)).toEqual(first.choices.map(({ finish }) => finish))
    if (first.usage !== null) {
      const total = ({ input, output, reasoning, cacheRead }: typeof NO_USAGE) => [input, output, reasoning, cacheRead]
      expect(total(second.usage!)).toEqual(total(first.usage))
    }
  })

  it('a golden stream of another provider', () => {
    const writer = geminiDialect.writeStream(CONTEXT)
    const events: StreamEvent[] = [
      { type: 'start', id: 'r1', model: 'claude-x', createdAtS: null },
      { type: 'part', choice: 0, index: 0, part: { type: 'reasoning', text: '', summary: false, proof: null } },
      { type: 'delta', choice: 0, index: 0, delta: { text: 'Hm' } },
      { type: 'delta', choice: 0, index: 0, delta: { proof: { wire: 'anthropic-messages', data: 'sig=' } } },
      { type: 'part-end', choice: 0, index: 0 },
      { type: 'part', choice: 0, index: 1, part: { type: 'text', text: '' } },
      { type: 'delta', choice: 0, index: 1, delta: { text: 'A "b"' } },
      { type: 'part-end', choice: 0, index: 1 },
      {
        type: 'part',
        choice: 0,
        index: 2,
        part: { type: 'tool-call', id: 'c1', name: 'f', arguments: '', kind: 'function' },
      },
      { type: 'delta', choice: 0, index: 2, delta: { text: '{"a":' } },
      { type: 'delta', choice: 0, index: 2, delta: { text: '1}' } },
      { type: 'part-end', choice: 0, index: 2 },
      { type: 'finish', choice: 0, finish: { reason: 'tool-calls', stopSequence: null } },
      { type: 'usage', usage: { ...NO_USAGE, input: 3, output: 4 } },
      { type: 'end' },
    ]
    const written = events.map((event) => writer.write(event))
    expect(written.slice(-3)).toEqual(['', '', ''])
    const head = { modelVersion: 'claude-x', responseId: 'r1' }
    const chunk = (...parts: object[]) => ({ candidates: [{ content: { parts, role: 'model' }, index: 0 }], ...head })
    expect(chunksOf(written.join(''))).toEqual([
      chunk({ text: 'Hm', thought: true }),
      chunk({ text: '', thought: true, thoughtSignature: expect.any(String) }),
      chunk({ text: 'A "b"' }),
      chunk({ functionCall: { id: 'c1', name: 'f', args: { a: 1 } } }),
    ])
    expect(chunksOf(writer.finish(null))).toEqual([
      {
        candidates: [{ content: { parts: [{ text: '' }], role: 'model' }, finishReason: 'STOP', index: 0 }],
        usageMetadata: {
          promptTokenCount: 3,
          candidatesTokenCount: 4,
          totalTokenCount: 7,
          promptTokensDetails: [{ modality: 'TEXT', tokenCount: 3 }],
        },
        ...head,
      },
    ])
  })

  it('citations are counted in bytes of all text, whole and streamed', () => {
    const citation = { type: 'url', url: 'https://a.example/', title: null, start: 1, end: 3, quote: null } as const
    const parts: Part[] = [text('Köln'), { type: 'text', text: 'äbc', citations: [citation] }]
    const [choice] = COMPLETION.choices
    const answer = { ...COMPLETION, choices: [{ ...choice!, parts }] }
    const [candidate] = JSON.parse(geminiDialect.writeAnswer(answer, { ...CONTEXT, additions: null })).candidates
    const segment = { startIndex: 7, endIndex: 9, text: 'bc' }
    expect(candidate.groundingMetadata.groundingSupports).toEqual([{ segment, groundingChunkIndices: [0] }])
    const writer = geminiDialect.writeStream(CONTEXT)
    for (const [index, part] of ['Köln', 'äbc'].entries()) {
      writer.write({ type: 'part', choice: 0, index, part: { type: 'text', text: '' } })
      writer.write({ type: 'delta', choice: 0, index, delta: { text: part } })
      if (index === 1) writer.write({ type: 'delta', choice: 0, index, delta: { citations: [citation] } })
      writer.write({ type: 'part-end', choice: 0, index })
    }
    const [last] = chunksOf(writer.finish(null)) as { candidates: { groundingMetadata: object }[] }[]
    expect(last?.candidates[0]?.groundingMetadata).toEqual(candidate.groundingMetadata)
  })

  it('fail() is an error event', () => {
    const face = { error: { code: 502, message: 'a', status: 'UNAVAILABLE' } }
    expect(geminiDialect.writeStream(CONTEXT).fail(face)).toBe(`data: ${JSON.stringify(face)}\n\n`)
  })
})
