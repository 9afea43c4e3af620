import { describe, expect, it } from 'vitest'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import { gemini } from '../../../server/wire/gemini/wire.ts'
import type { Part, Prompt } from '../../../server/wire/model.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { jsonBytes } from '../../helpers/wire.ts'
import { accumulate } from './contract.ts'
import { assistant, call, PNG, PROMPT, proof, result, text, user } from './samples.ts'

const SAID = { model: 'gemini-2.5-flash', stream: false }
const read = (body: object): Prompt => geminiDialect.readPrompt(gemini.readAsk(jsonBytes(body), SAID))
const asked = (...contents: object[]): Prompt => read({ contents })
const CONTENTS = [{ role: 'user', parts: [{ text: 'Hi' }] }]

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

  it('text behind a signed text stays apart from it', () => {
    const parts = [{ text: 'A', thoughtSignature: 'c2ln' }, { text: 'B' }, { text: 'C' }]
    const { messages } = asked(...CONTENTS, { role: 'model', parts })
    expect(messages[1]).toEqual(assistant(proof('c2ln'), text('A'), text('BC')))
    const reader = geminiDialect.readStream('req_1')
    const events = parts.flatMap((part) => {
      return reader.read(null, JSON.stringify({ candidates: [{ content: { parts: [part] }, finishReason: 'STOP' }] }))
    })
    expect(accumulate([...events, ...reader.close()]).choices[0]?.parts).toEqual(messages[1]!.parts)
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
