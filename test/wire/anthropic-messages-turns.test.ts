import { describe, expect, it } from 'vitest'
import type { Part, Prompt } from '../../server/wire/model.ts'
import { call, look, result, said, text, write } from './anthropic-messages/prompts.ts'

/** The messages of a request as an Anthropic provider is told them. */

describe('writePrompt() of a golden prompt', () => {
  it('says in Anthropic’s words what a caller of another wire said', () => {
    const { body, adapted } = write({
      stream: true,
      messages: [
        said('system', 'Be brief'),
        said('developer', 'Be kind'),
        said('user', 'Look', {
          type: 'image',
          detail: null,
          source: { kind: 'url', url: 'https://example.org/a.png' },
        }),
        said('assistant', 'I will', call('call_1', '{"at":"東京"}'), call('call_2', '')),
        said('user', result('call_1', text('Fog')), result('call_2', text('Sun'), text('Wind'))),
        said('user', 'Go on'),
      ],
      tools: [look],
      toolChoice: { type: 'auto' },
      parallelToolCalls: false,
      maxOutputTokens: 500,
      temperature: 0.2,
      stop: ['END'],
      user: 'u-1',
      serviceTier: 'auto',
      promptCacheKey: 'k',
    })
    expect(adapted).toEqual([])
    expect(JSON.stringify(body)).toBe(
      JSON.stringify({
        model: 'claude-x',
        max_tokens: 500,
        system: [
          { type: 'text', text: 'Be brief' },
          { type: 'text', text: 'Be kind' },
        ],
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'Look' },
              { type: 'image', source: { type: 'url', url: 'https://example.org/a.png' } },
            ],
          },
          {
            role: 'assistant',
            content: [
              { type: 'text', text: 'I will' },
              { type: 'tool_use', id: 'call_1', name: 'look', input: { at: '東京' } },
              { type: 'tool_use', id: 'call_2', name: 'look', input: {} },
            ],
          },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'call_1', content: 'Fog' },
              {
                type: 'tool_result',
                tool_use_id: 'call_2',
                content: [
                  { type: 'text', text: 'Sun' },
                  { type: 'text', text: 'Wind' },
                ],
              },
              { type: 'text', text: 'Go on' },
            ],
          },
        ],
        tools: [{ name: 'look', description: 'Looks', input_schema: { type: 'object' } }],
        tool_choice: { type: 'auto', disable_parallel_tool_use: true },
        temperature: 0.2,
        stop_sequences: ['END'],
        service_tier: 'auto',
        metadata: { user_id: 'u-1' },
        stream: true,
      }),
    )
  })
})

describe('messages as the provider wants them', () => {
  const rolesOf = (messages: Prompt['messages'], model = 'claude-x') => {
    const { body, adapted } = write({ messages }, { model })
    const words = (blocks: Record<string, unknown>[]) => blocks.map((block) => block.text ?? block.type).join('|')
    const turns = body.messages.map(({ role, content }) => `${role}:${words(content)}`)
    return { system: words(body.system ?? []), turns, adapted }
  }

  it('alternate: what one says in a row is one turn, empty words are left out', () => {
    expect(
      rolesOf([said('user', 'a', ''), said('user'), said('user', 'b'), said('assistant', ''), said('user', 'c')]),
    ).toEqual({
      system: '',
      turns: ['user:a|b|c'],
      adapted: [],
    })
  })

  it('begin with the user', () => {
    expect(rolesOf([said('assistant', 'Hello'), said('user', 'Hi')])).toEqual({
      system: '',
      turns: ['user:(continue)', 'assistant:Hello', 'user:Hi'],
      adapted: ['messages[0].role=emulated'],
    })
    expect(rolesOf([said('system', 'Say hi')])).toMatchObject({ system: '', turns: ['user:Say hi'] })
  })

  it('hold the results of tools before all else', () => {
    const messages = [said('user', 'x'), said('assistant', call('1')), said('user', 'and'), said('user', result('1'))]
    expect(rolesOf(messages).turns.at(-1)).toBe('user:tool_result|and')
  })

  it('end without white space behind an answer to be gone on with', () => {
    expect(rolesOf([said('user', 'x'), said('assistant', 'The answer is \n')]).turns).toEqual([
      'user:x',
      'assistant:The answer is',
    ])
    expect(rolesOf([said('user', 'x'), said('assistant', ' \n')]).turns).toEqual(['user:x'])
  })

  it('show pictures of an answer with the next words of the user', () => {
    const image: Part = { type: 'image', detail: null, source: { kind: 'url', url: 'https://example.org/a.png' } }
    expect(rolesOf([said('user', 'x'), said('assistant', 'Here', image), said('user', 'Bigger')])).toEqual({
      system: '',
      turns: ['user:x', 'assistant:Here', 'user:image|Bigger'],
      adapted: ['messages[].content=emulated'],
    })
    expect(rolesOf([said('user', 'x'), said('assistant', 'Here', image)]).turns.at(-1)).toBe('user:image')
  })

  const late = [
    said('user', 'a'),
    said('system', 'rule'),
    said('assistant', 'b'),
    said('user', 'c'),
    said('developer', 'last'),
  ]
  it('keep a late system message in its place where the model takes one there', () => {
    for (const model of ['claude-opus-4-8', 'us.anthropic.claude-fable-5-v1:0', 'claude-sonnet-5-5', 'claude-opus-5']) {
      expect(rolesOf(late, model), model).toEqual({
        system: '',
        turns: ['user:a', 'system:rule', 'assistant:b', 'user:c', 'system:last'],
        adapted: [],
      })
    }
  })

  it('else have it first, and tell so', () => {
    for (const model of ['claude-sonnet-4-5', 'claude-opus-4-7', 'claude-sonnet-5', 'claude-haiku-4-5', 'glm-4.7']) {
      expect(rolesOf(late, model), model).toEqual({
        system: 'rule|last',
        turns: ['user:a', 'assistant:b', 'user:c'],
        adapted: ['messages[1].role=emulated', 'messages[4].role=emulated'],
      })
    }
    const between = [said('user', 'a'), said('system', 'rule'), said('user', 'b')]
    expect(rolesOf(between, 'claude-opus-5')).toMatchObject({ system: 'rule', turns: ['user:a|b'] })
    const behind = [said('user', 'a'), said('assistant', 'b'), said('system', 'rule'), said('user', 'c')]
    expect(rolesOf(behind, 'claude-opus-5')).toMatchObject({ system: 'rule' })
  })
})

describe('parts that can’t be said as they are', () => {
  const partsOf = (part: Part, role: 'user' | 'assistant' = 'user') => {
    const { body, adapted } = write({ messages: [said('user', 'x'), said(role, part)] })
    return { content: body.messages.flatMap(({ content }) => content).slice(1), adapted }
  }
  const base64 = (mediaType: string, data = 'aGk=') => ({ kind: 'base64', mediaType, data }) as const
  const path = 'messages[1].content[0]'

  const cases: [string, Part, object[], string[]][] = [
    [
      'an image of a wrong type',
      { type: 'image', detail: null, source: base64('image/tiff') },
      [],
      [`${path}=dropped`],
    ],
    [
      'an image’s detail',
      { type: 'image', detail: 'low', source: base64('image/jpg') },
      [{ type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: 'aGk=' } }],
      [`${path}.image_url.detail=dropped`],
    ],
    [
      'another provider’s file',
      { type: 'file', filename: null, source: { kind: 'id', wire: 'openai-chat', id: 'f' } },
      [],
      [`${path}=dropped`],
    ],
    [
      'a text file',
      { type: 'file', filename: 'a.csv', source: base64('text/csv') },
      [{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'hi' }, title: 'a.csv' }],
      [],
    ],
    [
      'a PDF',
      { type: 'file', filename: null, source: base64('application/pdf') },
      [{ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'aGk=' } }],
      [],
    ],
    [
      'another kind of file',
      { type: 'file', filename: null, source: base64('application/zip') },
      [],
      [`${path}=dropped`],
    ],
    ['sound', { type: 'audio', data: 'x', format: 'wav' }, [], [`${path}=dropped`]],
    [
      'sound with its words',
      { type: 'audio', data: 'x', format: 'wav', transcript: 'Hi' },
      [{ type: 'text', text: 'Hi' }],
      [`${path}=emulated`],
    ],
    ['another wire’s own', { type: 'opaque', wire: 'gemini', value: {} }, [], [`${path}=dropped`]],
    ['its own', { type: 'opaque', wire: 'anthropic-messages', value: { type: 'x' } }, [{ type: 'x' }], []],
  ]
  it.each(cases)('%s', (_, part, content, adapted) => {
    expect(partsOf(part)).toEqual({ content, adapted })
  })

  it('another’s thoughts stay away, Anthropic’s own go back as they were', () => {
    const thought = (proof: { wire: 'gemini' | 'anthropic-messages'; data: string } | null, words = 'Hm'): Part => ({
      type: 'reasoning',
      text: words,
      summary: true,
      proof,
    })
    for (const proof of [null, { wire: 'gemini', data: 'x' } as const]) {
      expect(partsOf(thought(proof), 'assistant')).toEqual({ content: [], adapted: [] })
    }
    const own = (data: string, words?: string) =>
      partsOf(thought({ wire: 'anthropic-messages', data }, words), 'assistant')
    expect(own('sig').content).toEqual([{ type: 'thinking', thinking: 'Hm', signature: 'sig' }])
    expect(own('sig', '').content).toEqual([{ type: 'thinking', thinking: '', signature: 'sig' }])
    expect(own('redacted:x', '').content).toEqual([{ type: 'redacted_thinking', data: 'x' }])
  })

  it('ids of other forms are mapped, the same everywhere and never two to one', () => {
    const ids = ['call_1', 'a.b', 'a:b', 'ä', '', 'functions.look:0']
    const { body } = write({
      messages: [
        said('user', 'x'),
        said('assistant', ...ids.map((id) => call(id))),
        said('user', ...ids.map((id) => result(id))),
      ],
    })
    const used = body.messages[1]!.content.map(({ id }) => id as string)
    expect(body.messages[2]!.content.map(({ tool_use_id: id }) => id)).toEqual(used)
    expect(new Set(used).size).toBe(ids.length)
    for (const id of used) expect(id).toMatch(/^[a-zA-Z0-9_-]+$/)
    expect(used[0]).toBe('call_1')
  })

  it('arguments that are no object are shown to the model as it wrote them', () => {
    for (const args of ['{"a":', '[1]', '7']) {
      const { content, adapted } = partsOf(call('c', args), 'assistant')
      expect(content[0]).toMatchObject({ input: { arguments: args } })
      expect(adapted).toEqual([`${path}.function.arguments=emulated`])
    }
  })
})
