import { describe, expect, it } from 'vitest'
import type { Effort, Part, Prompt, ReasoningWish, ToolChoice } from '../../server/wire/model.ts'
import { call, facts, look, result, said, wish, write } from './anthropic-messages/prompts.ts'

/** Everything in a request but its messages, as an Anthropic provider is told it. */

describe('tools', () => {
  const choices: [ToolChoice | null, boolean | null, object | undefined, string[]][] = [
    [null, null, undefined, []],
    [null, true, undefined, []],
    [null, false, { type: 'auto', disable_parallel_tool_use: true }, []],
    [{ type: 'auto' }, null, { type: 'auto' }, []],
    [{ type: 'none' }, false, { type: 'none' }, []],
    [{ type: 'required' }, null, { type: 'any' }, []],
    [{ type: 'required' }, false, { type: 'any', disable_parallel_tool_use: true }, []],
    [{ type: 'tool', name: 'look' }, null, { type: 'tool', name: 'look' }, []],
    [{ type: 'tool', name: 'patch' }, null, { type: 'tool', name: 'watchllm_text_patch' }, []],
    [{ type: 'allowed', mode: 'required', names: ['look'] }, null, { type: 'any' }, ['tool_choice=emulated']],
    [{ type: 'allowed', mode: 'auto', names: ['look'] }, null, { type: 'auto' }, ['tool_choice=emulated']],
  ]
  const patch = {
    type: 'custom',
    name: 'patch',
    description: 'Patches',
    format: { type: 'grammar', syntax: 'lark' },
  } as const
  it.each(choices)('choice %j, parallel %j', (toolChoice, parallelToolCalls, expected, told) => {
    const { body, adapted } = write({ tools: [look, patch], toolChoice, parallelToolCalls })
    expect(body.tool_choice).toEqual(expected)
    const isAllowed = toolChoice?.type === 'allowed'
    expect(body.tools).toHaveLength(isAllowed ? 1 : 2)
    expect(adapted).toEqual(isAllowed ? told : ['tools[1]=emulated'])
  })

  it('a choice without tools is left out, and told where it asked for something', () => {
    expect(write({ toolChoice: { type: 'none' } })).toMatchObject({ adapted: [], body: { max_tokens: 8192 } })
    expect(write({ toolChoice: { type: 'required' } }).adapted).toEqual(['tool_choice=dropped'])
    expect(write({ toolChoice: { type: 'required' } }).body).not.toHaveProperty('tool_choice')
  })

  it('keep their order, their schema’s members and their strictness', () => {
    const parameters = { properties: { z: { type: 'string' }, a: { type: 'number' } }, required: ['z'] }
    const own = {
      type: 'opaque',
      wire: 'anthropic-messages',
      value: { type: 'web_search_20250305', name: 's' },
    } as const
    const { body, adapted } = write({
      tools: [
        { ...look, name: 'z', parameters, strict: true },
        own,
        { ...look, name: 'a', parameters: null, strict: false },
        { type: 'opaque', wire: 'gemini', value: {} },
      ],
    })
    expect(JSON.stringify(body.tools)).toBe(
      JSON.stringify([
        { name: 'z', description: 'Looks', input_schema: { type: 'object', ...parameters }, strict: true },
        own.value,
        { name: 'a', description: 'Looks', input_schema: { type: 'object', properties: {} } },
      ]),
    )
    expect(adapted).toEqual(['tools[3]=dropped'])
  })

  it('whose argument is text are given one property, and so are their calls', () => {
    const { body } = write({
      tools: [patch],
      messages: [said('user', 'x'), said('assistant', call('1', '*** Begin', { kind: 'custom', name: 'patch' }))],
    })
    expect(body.tools![0]).toMatchObject({
      name: 'watchllm_text_patch',
      input_schema: { required: ['input'], additionalProperties: false },
    })
    expect(body.tools![0]!.description).toContain('"syntax":"lark"')
    expect(body.messages[1]!.content[0]).toMatchObject({ name: 'watchllm_text_patch', input: { input: '*** Begin' } })
  })
})

describe('thinking', () => {
  const max = { maxOutputTokens: 32_000 }
  const known = (thinking: 'none' | 'effort' | 'budget' | 'adaptive' | null) => ({ facts: facts({ thinking }) })
  const written = (reasoning: ReasoningWish, options: object, more: Partial<Prompt> = {}) => {
    const { body, adapted } = write({ reasoning, ...max, ...more }, options)
    return { thinking: body.thinking, effort: (body.output_config as { effort?: string } | undefined)?.effort, adapted }
  }
  const told = (how: string) => [`reasoning_effort=${how}`]

  const cases: [Partial<ReasoningWish>, 'none' | 'effort' | 'budget' | 'adaptive' | null, object][] = [
    [{ effort: 'high' }, null, { thinking: { type: 'adaptive' }, effort: 'high', adapted: [] }],
    [{ effort: 'high' }, 'adaptive', { thinking: { type: 'adaptive' }, effort: 'high', adapted: [] }],
    [{ effort: 'minimal' }, 'adaptive', { thinking: { type: 'adaptive' }, effort: 'low', adapted: told('clamped') }],
    [{ effort: 'medium' }, 'effort', { effort: 'medium', adapted: [] }],
    [{ effort: 'medium' }, 'budget', { thinking: { type: 'enabled', budget_tokens: 8192 }, adapted: told('emulated') }],
    [{ effort: 'max' }, 'budget', { thinking: { type: 'enabled', budget_tokens: 24_000 }, adapted: told('emulated') }],
    [{ effort: 'high' }, 'none', { adapted: told('dropped') }],
    [{ effort: 'none' }, 'none', { adapted: [] }],
    [{ effort: 'none' }, 'budget', { thinking: { type: 'disabled' }, adapted: [] }],
    [{ effort: 'none' }, null, { thinking: { type: 'disabled' }, adapted: [] }],
    [{ budgetTokens: 5000 }, null, { thinking: { type: 'enabled', budget_tokens: 5000 }, adapted: [] }],
    [{ budgetTokens: 500 }, 'budget', { thinking: { type: 'enabled', budget_tokens: 1024 }, adapted: told('clamped') }],
    [
      { budgetTokens: 99_000 },
      'budget',
      { thinking: { type: 'enabled', budget_tokens: 31_999 }, adapted: told('clamped') },
    ],
    [
      { budgetTokens: 5000 },
      'adaptive',
      { thinking: { type: 'adaptive' }, effort: 'medium', adapted: told('emulated') },
    ],
    [{ adaptive: true, summary: 'auto' }, null, { thinking: { type: 'adaptive', display: 'summarized' }, adapted: [] }],
    [{ adaptive: true, summary: 'none' }, null, { thinking: { type: 'adaptive', display: 'omitted' }, adapted: [] }],
    [{ summary: 'none' }, null, { adapted: [] }],
  ]
  it.each(cases)('%j on a model that is told by %j', (given, thinking, expected) => {
    expect(written(wish(given), known(thinking))).toEqual({ thinking: undefined, effort: undefined, ...expected })
  })

  it('gives way to a tool that is forced', () => {
    for (const toolChoice of [{ type: 'required' }, { type: 'tool', name: 'look' }] as const) {
      for (const thinking of ['budget', 'adaptive'] as const) {
        const result = written(wish({ effort: 'high' }), known(thinking), { tools: [look], toolChoice })
        expect(result).toMatchObject({ thinking: { type: 'disabled' }, adapted: told('dropped') })
      }
    }
  })

  it('by budget gives way where the last call’s thought is gone, or no room is left', () => {
    const messages = [said('user', 'x'), said('assistant', call('1')), said('user', result('1'))]
    const lost = written(wish({ effort: 'high' }), known('budget'), { messages })
    expect(lost).toMatchObject({ thinking: { type: 'disabled' }, adapted: told('dropped') })
    expect(written(wish({ effort: 'high' }), known('adaptive'), { messages }).thinking).toEqual({ type: 'adaptive' })
    const small = written(wish({ effort: 'high' }), known('budget'), { maxOutputTokens: 1000 })
    expect(small).toMatchObject({ thinking: { type: 'disabled' }, adapted: told('dropped') })
  })

  it('always leaves room: max_tokens is above the budget', () => {
    const efforts: Effort[] = ['minimal', 'low', 'medium', 'high', 'xhigh', 'max']
    for (const effort of efforts) {
      for (const maxOutputTokens of [null, 1025, 1500, 4096, 64_000]) {
        const { body } = write({ reasoning: wish({ effort }), maxOutputTokens }, known('budget'))
        const { budget_tokens: budget } = body.thinking as { budget_tokens: number }
        expect(budget).toBeGreaterThanOrEqual(1024)
        expect(budget).toBeLessThan(body.max_tokens as number)
      }
    }
  })

  it('keeps sampling away that it does not bear', () => {
    const sampling = { temperature: 0.5, topK: 3, topP: null }
    const { body, adapted } = write({ reasoning: wish({ adaptive: true }), ...sampling })
    expect(adapted).toEqual(['temperature=dropped', 'top_k=dropped'])
    expect(body).not.toHaveProperty('temperature')
    expect(write({ reasoning: wish({ adaptive: true }), topP: 0.5 }).adapted).toEqual(['top_p=dropped'])
    expect(write({ reasoning: wish({ adaptive: true }), topP: 0.96, temperature: null }).body.top_p).toBe(0.96)
    expect(write({ reasoning: wish({ adaptive: true }), temperature: 1 }).adapted).toEqual([])
  })
})

describe('the form of the answer', () => {
  const schema = { type: 'object', properties: { a: { type: 'string', minLength: 2 } }, required: ['a'] }
  const format = { type: 'json-schema', name: 'n', description: null, schema, strict: true } as const
  const without = { facts: facts({ refuses: ['response_format'] }) }

  it('is native, with what Anthropic can’t enforce told instead', () => {
    const { body, adapted } = write({ format })
    expect(body.output_config).toEqual({
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          properties: { a: { type: 'string', description: '{"minLength":2}' } },
          required: ['a'],
          additionalProperties: false,
        },
      },
    })
    expect(adapted).toEqual(['response_format=clamped'])
    const plain = { ...format, schema: { type: 'object', properties: {}, additionalProperties: false } }
    expect(write({ format: plain }).adapted).toEqual([])
  })

  it('is a forced tool where the model has none', () => {
    const { body, adapted } = write({ format, reasoning: wish({ effort: 'high' }) }, without)
    expect(body.tools).toEqual([{ name: 'watchllm_answer', description: expect.any(String), input_schema: schema }])
    expect(body.tool_choice).toEqual({ type: 'tool', name: 'watchllm_answer' })
    expect(adapted).toEqual(['response_format=emulated', 'reasoning_effort=dropped'])
    const beside = write({ format, tools: [look] }, without).body
    expect(beside.tools!.map(({ name }) => name)).toEqual(['look', 'watchllm_answer'])
    expect(beside.tool_choice).toEqual({ type: 'any' })
  })

  it('is asked for in words where there is no schema', () => {
    const { body, adapted } = write({ format: { type: 'json' } })
    expect(body.system!.at(-1)!.text).toContain('one JSON object')
    expect(adapted).toEqual(['response_format=emulated'])
    const list = { ...format, schema: { type: 'array', items: {} } }
    expect(write({ format: list }, without).body.system!.at(-1)!.text).toContain('"type":"array"')
  })
})

describe('limits of the model and of the wire', () => {
  it('max_tokens is the caller’s, at most the model’s; else the model’s, else a number that every model takes', () => {
    const most = { facts: facts({ maxOutputTokens: 4096 }) }
    expect(write({ maxOutputTokens: 9000 }, most)).toMatchObject({
      body: { max_tokens: 4096 },
      adapted: ['max_tokens=clamped'],
    })
    expect(write({ maxOutputTokens: 100 }, most)).toMatchObject({ body: { max_tokens: 100 }, adapted: [] })
    expect(write({}, most)).toMatchObject({ body: { max_tokens: 4096 }, adapted: [] })
    expect(write({})).toMatchObject({ body: { max_tokens: 8192 }, adapted: [] })
    expect(write({ maxOutputTokens: 0 }).body.max_tokens).toBe(0)
  })

  it('every parameter that the model refuses or the wire lacks is dropped and told, each once', () => {
    const refuses = { facts: facts({ refuses: ['temperature', 'top_k', 'stop', 'service_tier'] }) }
    const all: Partial<Prompt> = {
      temperature: 1.5,
      topK: 3,
      stop: ['x'],
      serviceTier: 'auto',
      seed: 0,
      n: 2,
      frequencyPenalty: 0.5,
      presencePenalty: -1,
      logitBias: { '1': 5 },
      logprobs: 0,
      verbosity: 'low',
      extras: [
        { wire: 'openai-chat', name: 'metadata', value: {} },
        { wire: 'openai-chat', name: 'modalities', value: ['text'] },
        { wire: 'anthropic-messages', name: 'mcp_servers', value: [] },
      ],
    }
    const { body, adapted } = write(all, refuses)
    const names = ['temperature', 'top_k', 'stop', 'service_tier', 'n', 'seed', 'frequency_penalty', 'presence_penalty']
    const dropped = [...names, 'logit_bias', 'logprobs', 'verbosity', 'modalities']
    expect(adapted).toEqual(dropped.map((param) => `${param}=dropped`))
    expect(Object.keys(body)).toEqual(['model', 'max_tokens', 'messages', 'mcp_servers'])
  })

  it('what asks for nothing is not told', () => {
    const nothing = {
      n: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: {},
      verbosity: 'medium',
      promptCacheKey: 'k',
    } as const
    expect(write(nothing).adapted).toEqual([])
  })

  it('temperature is at most 1, and goes before top_p', () => {
    expect(write({ temperature: 1.7 })).toMatchObject({ body: { temperature: 1 }, adapted: ['temperature=clamped'] })
    const both = write({ temperature: 0, topP: 0.9 })
    expect(both).toMatchObject({ body: { temperature: 0 }, adapted: ['top_p=dropped'] })
    expect(write({ topP: 0.9 }).body.top_p).toBe(0.9)
  })

  it('stop sequences of white space alone are left out', () => {
    expect(write({ stop: ['\n', 'END'] })).toMatchObject({
      body: { stop_sequences: ['END'] },
      adapted: ['stop=dropped'],
    })
    expect(write({ stop: ['\n'] }).body).not.toHaveProperty('stop_sequences')
  })

  it.each([
    ['auto', 'auto'],
    ['priority', 'auto'],
    ['default', 'standard_only'],
    ['flex', undefined],
  ])('service tier %s is %s', (tier, written) => {
    const { body, adapted } = write({ serviceTier: tier })
    expect(body.service_tier).toBe(written)
    expect(adapted).toEqual(written === undefined ? ['service_tier=dropped'] : [])
  })
})

describe('cache marks', () => {
  const marked = (words: string): Part => ({ type: 'text', text: words, cache: { ttl: '1h' } })
  const conversation = [
    said('system', 'rule'),
    said('user', 'a'),
    said('assistant', 'b'),
    said('user', 'c'),
    said('assistant', 'd'),
    said('user', 'e', 'f'),
  ]
  const marksOf = (body: ReturnType<typeof write>['body']) => {
    const blocks = [...(body.tools ?? []), ...(body.system ?? []), ...body.messages.flatMap(({ content }) => content)]
    return blocks.filter((block) => block.cache_control !== undefined).map((block) => block.text ?? block.name)
  }

  it('auto sets the four that the API takes', () => {
    const { body, adapted } = write(
      { messages: conversation, tools: [look, { ...look, name: 'last' }] },
      { promptCache: 'auto' },
    )
    expect(marksOf(body)).toEqual(['last', 'rule', 'c', 'f'])
    expect(adapted).toEqual([])
  })

  it('auto leaves the caller’s alone, respect passes them on, off leaves them out', () => {
    const messages = [...conversation, said('user', marked('g'))]
    for (const promptCache of ['auto', 'respect'] as const) {
      const { body } = write({ messages }, { promptCache })
      expect(marksOf(body)).toEqual(['g'])
      expect(body.messages.at(-1)!.content.at(-1)!.cache_control).toEqual({ type: 'ephemeral', ttl: '1h' })
    }
    expect(marksOf(write({ messages }, { promptCache: 'off' }).body)).toEqual([])
    expect(marksOf(write({ messages: conversation }).body)).toEqual([])
  })

  it('more than four lose the first ones', () => {
    const messages = [said('user', ...['a', 'b', 'c', 'd', 'e', 'f'].map(marked))]
    const { body, adapted } = write({ messages })
    expect(marksOf(body)).toEqual(['c', 'd', 'e', 'f'])
    expect(adapted).toEqual(['cache_control=dropped'])
  })
})
