import { describe, expect, it } from 'vitest'
import type { ModelFacts } from '../../../server/wire/dialect.ts'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import type { Part, Prompt, ToolChoice } from '../../../server/wire/model.ts'
import { accumulate } from './contract.ts'
import { assistant, call, contentsOf, NEW, PNG, proof, result, text, tool, user, write } from './samples.ts'

describe('what is not said is not written', () => {
  it('a bare prompt is its contents and nothing else', () => {
    expect(write({})).toEqual({ body: { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }, adapted: [] })
  })

  it('zero, false and empty are said', () => {
    const { body } = write({ temperature: 0, topP: 0, seed: 0, presencePenalty: 0, frequencyPenalty: 0 })
    const zero = { temperature: 0, topP: 0, seed: 0, presencePenalty: 0, frequencyPenalty: 0 }
    expect(body.generationConfig).toEqual(zero)
  })
})

describe('a golden transcript', () => {
  const prompt: Partial<Prompt> = {
    messages: [
      { role: 'system', name: null, parts: [text('Be brief.')] },
      { role: 'developer', name: null, parts: [text('Use tools.')] },
      user(text('Which is warmer?'), PNG),
      assistant(
        { type: 'reasoning', text: 'Two calls.', summary: true, proof: null },
        text('I’ll look.'),
        proof('c2ln'),
        call('c1'),
        call('c2', 'weather', ''),
      ),
      user(result('c1', '21 °C')),
      user(result('c2', 'No such city', true), text('Sorry.')),
    ],
    tools: [tool('weather', { description: 'Tells it' }), tool('time', { parameters: null })],
    toolChoice: { type: 'auto' },
    format: { type: 'json-schema', name: 'answer', description: null, schema: { type: 'object' }, strict: true },
    reasoning: { effort: 'low', budgetTokens: null, adaptive: false, summary: 'auto' },
    maxOutputTokens: 500,
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    stop: ['END'],
    seed: 7,
    n: 2,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    logprobs: 3,
    serviceTier: 'flex',
    user: 'u1',
    promptCacheKey: 'k1',
    extras: [
      { wire: 'gemini', name: 'safetySettings', value: [] },
      { wire: 'gemini', name: 'generationConfig.speechConfig', value: { voice: 'x' } },
      { wire: 'openai-chat', name: 'metadata', value: {} },
      { wire: 'openai-chat', name: 'modalities', value: ['text'] },
    ],
  }

  it('says everything in Gemini’s words', () => {
    const { body, adapted } = write(prompt, { model: NEW })
    expect(adapted).toEqual(['modalities=dropped'])
    expect(body).toEqual({
      contents: [
        {
          role: 'user',
          parts: [{ text: 'Which is warmer?' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
        },
        {
          role: 'model',
          parts: [
            { text: 'Two calls.', thought: true },
            { text: 'I’ll look.' },
            { functionCall: { id: 'c1', name: 'weather', args: { city: 'Paris' } }, thoughtSignature: 'c2ln' },
            { functionCall: { id: 'c2', name: 'weather', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'c1', name: 'weather', response: { output: '21 °C' } } },
            { functionResponse: { id: 'c2', name: 'weather', response: { error: 'No such city' } } },
            { text: 'Sorry.' },
          ],
        },
      ],
      systemInstruction: { parts: [{ text: 'Be brief.' }, { text: 'Use tools.' }] },
      tools: [
        {
          functionDeclarations: [
            { name: 'weather', description: 'Tells it', parametersJsonSchema: { type: 'object' } },
            { name: 'time' },
          ],
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'AUTO' } },
      generationConfig: {
        maxOutputTokens: 500,
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        stopSequences: ['END'],
        seed: 7,
        candidateCount: 2,
        presencePenalty: 0.1,
        frequencyPenalty: 0.2,
        responseLogprobs: true,
        logprobs: 3,
        responseMimeType: 'application/json',
        responseJsonSchema: { type: 'object' },
        thinkingConfig: { thinkingLevel: 'LOW', includeThoughts: true },
        speechConfig: { voice: 'x' },
      },
      serviceTier: 'flex',
      safetySettings: [],
    })
  })

  it('the same prompt is the same text each time, so that the provider’s cache holds', () => {
    expect(JSON.stringify(write(prompt).body)).toBe(JSON.stringify(write(structuredClone(prompt)).body))
  })
})

describe('tools', () => {
  const tools = [tool('a'), tool('b')]

  it.each<[string, ToolChoice | null, object | null]>([
    ['nothing', null, null],
    ['auto', { type: 'auto' }, { mode: 'AUTO' }],
    ['none', { type: 'none' }, { mode: 'NONE' }],
    ['required', { type: 'required' }, { mode: 'ANY' }],
    ['one tool', { type: 'tool', name: 'b' }, { mode: 'ANY', allowedFunctionNames: ['b'] }],
    [
      'some, if any',
      { type: 'allowed', mode: 'auto', names: ['a', 'b'] },
      { mode: 'VALIDATED', allowedFunctionNames: ['a', 'b'] },
    ],
    ['one of some', { type: 'allowed', mode: 'required', names: ['a'] }, { mode: 'ANY', allowedFunctionNames: ['a'] }],
  ])('a choice of %s', (_, toolChoice, expected) => {
    const { body } = write({ tools, toolChoice })
    expect(body.toolConfig ?? null).toEqual(expected === null ? null : { functionCallingConfig: expected })
  })

  it.each<[ToolChoice | null, string]>([
    [null, 'VALIDATED'],
    [{ type: 'auto' }, 'VALIDATED'],
    [{ type: 'required' }, 'ANY'],
    [{ type: 'none' }, 'NONE'],
  ])('strict tools under the choice %j are %s', (toolChoice, mode) => {
    const { body } = write({ tools: [tool('a'), tool('b', { strict: true })], toolChoice })
    expect(body.toolConfig.functionCallingConfig.mode).toBe(mode)
  })

  it('a choice without tools is nothing', () => {
    expect(write({ toolChoice: { type: 'none' } }).body).not.toHaveProperty('toolConfig')
  })

  it('a schema goes out whole, its members in their order', () => {
    const parameters = {
      $defs: { a: { enum: [1, null] } },
      required: ['z'],
      type: 'object',
      properties: { z: { $ref: '#/$defs/a' }, a: { type: ['string', 'null'] } },
      additionalProperties: false,
    }
    const { body } = write({ tools: [tool('a', { parameters })] })
    expect(JSON.stringify(body.tools[0].functionDeclarations[0].parametersJsonSchema)).toBe(JSON.stringify(parameters))
  })

  it('Gemini’s own tools keep their place, others’ are dropped and reported', () => {
    const { body, adapted } = write({
      tools: [
        { type: 'opaque', wire: 'gemini', value: { googleSearch: {} } },
        tool('a'),
        { type: 'opaque', wire: 'openai-responses', value: { type: 'web_search' } },
        tool('b'),
        { type: 'opaque', wire: 'gemini', value: { codeExecution: {} } },
      ],
    })
    const [search, functions, code] = body.tools
    expect([search, code]).toEqual([{ googleSearch: {} }, { codeExecution: {} }])
    expect(functions.functionDeclarations.map(({ name }: { name: string }) => name)).toEqual(['a', 'b'])
    expect(adapted).toEqual(['tools[2]=dropped'])
  })

  it('a tool of plain text becomes a function of one text', () => {
    const format = { type: 'grammar', syntax: 'lark', definition: 'start: "a"' }
    const { body, adapted } = write({ tools: [{ type: 'custom', name: 'patch', description: 'Edits', format }] })
    expect(body.tools[0].functionDeclarations[0]).toMatchObject({
      name: 'watchllm_text_patch',
      description: 'Edits',
      parametersJsonSchema: {
        properties: { input: { type: 'string', description: expect.stringContaining('start: "a"') } },
      },
    })
    expect(adapted).toEqual(['tools[0]=emulated'])
  })

  it('a tool of plain text is chosen, called and answered under its caller’s own name', () => {
    const tools = [{ type: 'custom', name: 'patch', description: null, format: null } as const]
    const choose = (toolChoice: ToolChoice) => write({ tools, toolChoice }).body.toolConfig.functionCallingConfig
    expect(choose({ type: 'tool', name: 'patch' }).allowedFunctionNames).toEqual(['watchllm_text_patch'])
    const allowed: ToolChoice = { type: 'allowed', mode: 'auto', names: ['patch', 'other'] }
    expect(choose(allowed).allowedFunctionNames).toEqual(['watchllm_text_patch', 'other'])
    const past: Part = { type: 'tool-call', id: 'c1', name: 'patch', arguments: '{ not "json', kind: 'custom' }
    const [, step, results] = contentsOf([assistant(past), user(result('c1', 'ok'))])
    expect(results.parts[0].functionResponse.name).toBe('watchllm_text_patch')
    const answer = { candidates: [{ content: step, finishReason: 'STOP' }] }
    expect(geminiDialect.readAnswer(answer, 'req_1').choices[0]?.parts).toEqual([past])
    const reader = geminiDialect.readStream('req_1')
    const events = [...reader.read(null, JSON.stringify(answer)), ...reader.close()]
    expect(accumulate(events).choices[0]?.parts).toEqual([past])
  })

  it('one call at a time can’t be asked for', () => {
    expect(write({ tools, parallelToolCalls: false }).adapted).toEqual(['parallel_tool_calls=dropped'])
    expect(write({ tools, parallelToolCalls: true }).adapted).toEqual([])
  })
})

describe('the format of the answer', () => {
  const schema = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] }
  const format = { type: 'json-schema', name: 'x', description: null, schema, strict: true } as const

  it('is native', () => {
    const json = { responseMimeType: 'application/json' }
    expect(write({ format: { type: 'json' } }).body.generationConfig).toEqual(json)
    expect(write({ format }).body.generationConfig).toEqual({ ...json, responseJsonSchema: schema })
    expect(write({ format: { type: 'text' } }).body).not.toHaveProperty('generationConfig')
  })

  it('keeps a schema’s description where it has none of its own', () => {
    const described = { ...format, description: 'An a' }
    const config = write({ format: described }).body.generationConfig
    expect(config.responseJsonSchema).toEqual({ description: 'An a', ...schema })
  })

  it('is told in words to a model that takes no format beside tools', () => {
    const { body, adapted } = write({ format, tools: [tool('a')] })
    expect(body).not.toHaveProperty('generationConfig')
    expect(body.systemInstruction.parts[0].text).toContain(JSON.stringify(schema))
    expect(adapted).toEqual(['response_format=emulated'])
    expect(write({ format, tools: [tool('a')] }, { model: NEW }).adapted).toEqual([])
  })
})

describe('limits', () => {
  it.each<[Partial<Prompt>, object, string[]]>([
    [{ stop: ['1', '2', '3', '4', '5', '6'] }, { stopSequences: ['1', '2', '3', '4', '5'] }, ['stop=clamped']],
    [{ temperature: 2.5 }, { temperature: 2 }, ['temperature=clamped']],
    [{ n: 20 }, { candidateCount: 8 }, ['n=clamped']],
    [{ seed: 2 ** 40 }, { seed: 2 ** 31 - 1 }, ['seed=clamped']],
    [{ logprobs: 0 }, { responseLogprobs: true }, []],
  ])('%j', (said, config, adapted) => {
    expect(write(said)).toMatchObject({ body: { generationConfig: config }, adapted })
  })

  it.each<[Partial<Prompt>, string]>([
    [{ logitBias: { 5: 1 } }, 'logit_bias'],
    [{ verbosity: 'low' }, 'verbosity'],
    [{ serviceTier: 'scale' }, 'service_tier'],
    [{ extras: [{ wire: 'openai-chat', name: 'prediction', value: {} }] }, 'prediction'],
  ])('%j can’t be said, and is reported', (said, param) => {
    const { body, adapted } = write(said)
    expect(Object.keys(body)).toEqual(['contents'])
    expect(adapted).toEqual([`${param}=dropped`])
  })

  it('tiers have other names', () => {
    const tiers = ['auto', 'default', 'flex', 'priority'].map((serviceTier) => write({ serviceTier }).body.serviceTier)
    expect(tiers).toEqual([undefined, 'standard', 'flex', 'priority'])
  })

  it('what the catalogue says of a model is respected and reported', () => {
    const facts: ModelFacts = {
      maxOutputTokens: 100,
      refuses: [
        'temperature',
        'top_p',
        'top_k',
        'stop',
        'seed',
        'n',
        'logprobs',
        'presence_penalty',
        'reasoning_effort',
      ],
      thinking: null,
    }
    const said: Partial<Prompt> = {
      maxOutputTokens: 4096,
      temperature: 1,
      topP: 1,
      topK: 1,
      stop: ['a'],
      seed: 1,
      n: 1,
      logprobs: 1,
      presencePenalty: 1,
      frequencyPenalty: 1,
      reasoning: { effort: 'low', budgetTokens: null, adaptive: false, summary: null },
    }
    const { body, adapted } = write(said, { facts })
    expect(body.generationConfig).toEqual({ maxOutputTokens: 100, frequencyPenalty: 1 })
    const dropped = facts.refuses.map((param) => `${param}=dropped`)
    expect(adapted.toSorted()).toEqual([...dropped, 'max_tokens=clamped'].sort())
  })
})
