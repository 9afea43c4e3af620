import { describe, expect, it } from 'vitest'
import { NO_USAGE } from '../../../db/model/usage.ts'
import { gemini } from '../../../server/wire/gemini.ts'
import { geminiDialect } from '../../../server/wire/gemini-dialect.ts'
import type { Completion, Part, Prompt, StreamEvent } from '../../../server/wire/model.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'
import { chunksOf, eventsOf, jsonBytes } from '../../helpers/wire.ts'
import { accumulate } from './contract.ts'
import { assistant, call, PNG, PROMPT, proof, result, text, user } from './samples.ts'

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

describe('readPrompt()', () => {
  it('a bare request says “Hi” and nothing else', () => {
    expect(read({ contents: CONTENTS })).toEqual(PROMPT)
    expect(read({ contents: { parts: [{ text: 'Hi' }] } })).toEqual(PROMPT)
  })

  const full = {
    systemInstruction: { parts: [{ text: 'Be brief.' }] },
    contents: [
      { role: 'user', parts: [{ text: 'Which?' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }] },
      {
        role: 'model',
        parts: [
          { text: 'Hm', thought: true },
          { functionCall: { id: 'c1', name: 'weather', args: { city: 'Paris' } }, thoughtSignature: 'c2ln' },
        ],
      },
      { role: 'user', parts: [{ functionResponse: { id: 'c1', name: 'weather', response: { output: '21 °C' } } }] },
    ],
    tools: [
      {
        functionDeclarations: [{ name: 'weather', description: 'Tells it', parametersJsonSchema: { type: 'object' } }],
      },
      { googleSearch: {} },
    ],
    toolConfig: {
      functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['weather'] },
      retrievalConfig: { x: 1 },
    },
    generationConfig: {
      maxOutputTokens: 5,
      temperature: 0,
      topP: 0.5,
      topK: 3,
      stopSequences: ['a'],
      seed: 1,
      candidateCount: 2,
      presencePenalty: 0.1,
      frequencyPenalty: 0.2,
      responseLogprobs: true,
      logprobs: 2,
      responseMimeType: 'application/json',
      responseJsonSchema: { type: 'array' },
      thinkingConfig: { thinkingBudget: 512, includeThoughts: true },
      speechConfig: { voice: 'x' },
      responseModalities: ['TEXT'],
    },
    serviceTier: 'standard',
    safetySettings: [],
  }
  const expected: Prompt = {
    ...PROMPT,
    messages: [
      { role: 'system', name: null, parts: [text('Be brief.')] },
      user(text('Which?'), PNG),
      assistant({ type: 'reasoning', text: 'Hm', summary: true, proof: null }, proof('c2ln'), call('c1')),
      user(result('c1', '21 °C')),
    ],
    tools: [
      { type: 'function', name: 'weather', description: 'Tells it', parameters: { type: 'object' }, strict: null },
      { type: 'opaque', wire: 'gemini', value: { googleSearch: {} } },
    ],
    toolChoice: { type: 'tool', name: 'weather' },
    format: { type: 'json-schema', name: 'answer', description: null, schema: { type: 'array' }, strict: null },
    reasoning: { effort: null, budgetTokens: 512, adaptive: false, summary: 'auto' },
    maxOutputTokens: 5,
    temperature: 0,
    topP: 0.5,
    topK: 3,
    stop: ['a'],
    seed: 1,
    n: 2,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    logprobs: 2,
    serviceTier: 'default',
    extras: [
      { wire: 'gemini', name: 'safetySettings', value: [] },
      { wire: 'gemini', name: 'generationConfig.speechConfig', value: { voice: 'x' } },
      { wire: 'gemini', name: 'toolConfig.retrievalConfig', value: { x: 1 } },
    ],
  }

  it('everything that Gemini can say is read', () => {
    expect(read(full)).toEqual(expected)
  })

  it('names in snake_case are the same', () => {
    const snake = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(snake)
      if (typeof value !== 'object' || value === null) return value
      const name = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [name(key), snake(item)]))
    }
    expect(read(snake(full) as object)).toEqual(expected)
  })

  it('a result without an id answers the first call of its name that waits', () => {
    const calls = ['a', 'b', 'a'].map((name) => ({ functionCall: { name } }))
    const results = ['a', 'a', 'b'].map((name) => ({ functionResponse: { name, response: { output: name } } }))
    const { messages } = asked({ role: 'model', parts: calls }, { role: 'user', parts: results })
    const answered = messages[1]!.parts.map((part) => part.type === 'tool-result' && part.callId)
    expect(answered).toEqual(['call_1', 'call_3', 'call_2'])
  })

  it('a result that no call waits for is refused, naming it', () => {
    const read1 = () => asked({ role: 'user', parts: [{ functionResponse: { name: 'a', response: {} } }] })
    expect(read1).toThrow(WireError)
    expect(read1).toThrow(expect.objectContaining({ param: 'contents[0].parts[0].functionResponse' }))
  })

  it.each([
    [{ output: 'a' }, 'a', false],
    [{ output: { b: 1 } }, '{"b":1}', false],
    [{ error: 'no' }, 'no', true],
    [{ result: 'a', error: null }, '{"result":"a","error":null}', false],
    [{}, '{}', false],
  ])('a response %j', (response, said, isError) => {
    const { messages } = asked(
      { role: 'model', parts: [{ functionCall: { id: 'c', name: 'f', args: {} } }] },
      { role: 'user', parts: [{ functionResponse: { id: 'c', name: 'f', response } }] },
    )
    expect(messages[1]!.parts).toEqual([result('c', said, isError)])
  })

  it('the chunks of a stream that come back one by one are one answer', () => {
    const model = (...parts: object[]) => ({ role: 'model', parts })
    const { messages } = asked(
      ...CONTENTS,
      model({ text: 'Let', thought: true }),
      model({ text: ' me.', thought: true }, { text: '', thought: true, thoughtSignature: 'c2ln' }),
      model({ text: 'Par' }),
      model({ text: 'is.' }),
      model({ text: '', thoughtSignature: 'c2ln' }),
    )
    const thought: Part = { type: 'reasoning', text: 'Let me.', summary: true, proof: { wire: 'gemini', data: 'c2ln' } }
    expect(messages.slice(1)).toEqual([assistant(thought, text('Paris.'), proof('c2ln'))])
  })

  it('Google’s own schemas become JSON Schema', () => {
    const parameters = {
      type: 'OBJECT',
      properties: {
        type: { type: 'STRING', nullable: true, enum: ['a'], maxLength: '5' },
        list: { type: 'ARRAY', items: { anyOf: [{ type: 'INTEGER' }, { type: 'NUMBER' }] }, minItems: '1' },
      },
      required: ['type'],
      propertyOrdering: ['type', 'list'],
    }
    const { tools } = read({ contents: CONTENTS, tools: [{ functionDeclarations: [{ name: 'f', parameters }] }] })
    expect(tools[0]).toMatchObject({
      parameters: {
        type: 'object',
        properties: {
          type: { type: ['string', 'null'], enum: ['a', null], maxLength: 5 },
          list: { type: 'array', items: { anyOf: [{ type: 'integer' }, { type: 'number' }] }, minItems: 1 },
        },
        required: ['type'],
      },
    })
    expect(JSON.stringify(tools)).not.toContain('propertyOrdering')
  })

  it.each([
    [{ mode: 'AUTO' }, { type: 'auto' }],
    [{ mode: 'VALIDATED' }, { type: 'auto' }],
    [
      { mode: 'VALIDATED', allowedFunctionNames: ['a', 'b'] },
      { type: 'allowed', mode: 'auto', names: ['a', 'b'] },
    ],
    [{ mode: 'ANY' }, { type: 'required' }],
    [
      { mode: 'ANY', allowedFunctionNames: ['a', 'b'] },
      { type: 'allowed', mode: 'required', names: ['a', 'b'] },
    ],
    [{ mode: 'NONE' }, { type: 'none' }],
    [{}, null],
  ])('a choice %j', (functionCallingConfig, expected1) => {
    expect(read({ contents: CONTENTS, toolConfig: { functionCallingConfig } }).toolChoice).toEqual(expected1)
  })

  it.each([
    [{ thinkingBudget: 0 }, { effort: 'none', budgetTokens: null, adaptive: false, summary: null }],
    [{ thinkingBudget: -1 }, { effort: null, budgetTokens: null, adaptive: true, summary: null }],
    [{ thinkingLevel: 'low' }, { effort: 'low', budgetTokens: null, adaptive: false, summary: null }],
    [{ includeThoughts: false }, { effort: null, budgetTokens: null, adaptive: false, summary: 'none' }],
  ])('thinking %j', (thinkingConfig, expected1) => {
    expect(read({ contents: CONTENTS, generationConfig: { thinkingConfig } }).reasoning).toEqual(expected1)
  })

  it.each([
    [{ contents: [1] }, 'contents[0]'],
    [{ contents: [{ role: 'user' }] }, 'contents[0].parts'],
    [{ contents: [{ role: 'user', parts: 'Hi' }] }, 'contents[0].parts'],
  ])('refuses %j, naming the member', (body, param) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ name: 'WireError', param }))
  })
})

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

  it('fail() is an error event', () => {
    const face = { error: { code: 502, message: 'a', status: 'UNAVAILABLE' } }
    expect(geminiDialect.writeStream(CONTEXT).fail(face)).toBe(`data: ${JSON.stringify(face)}\n\n`)
  })
})
