import { describe, expect, it } from 'vitest'
import { splice } from '../../server/wire/bytes.ts'
import { scanObject } from '../../server/wire/json.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiCompletions } from '../../server/wire/openai-completions/wire.ts'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { type Edits, WireError } from '../../server/wire/wire.ts'
import { jsonValue, looseJson, Random } from '../helpers/random.ts'
import { bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

const MESSAGES = [{ role: 'user', content: 'Hi' }]
const ASK = { model: 'gpt-4o-mini', askUsage: true }

function edited(text: string, edits: Edits = ASK): string {
  return textOf(openaiChat.edit(openaiChat.readAsk(bytesOf(text)), edits).body)
}

describe('splice()', () => {
  it('puts text of any kind in at byte offsets and copies the rest', () => {
    const bytes = bytesOf('é0123456789漢')
    const splices = [
      { start: 0, end: 0, text: '<' },
      { start: 2, end: 4, text: '漢字' },
      { start: 5, end: 5, text: '' },
      { start: 11, end: 12, text: '👩‍🚀' },
      { start: 15, end: 15, text: '>' },
    ]
    expect(textOf(splice(bytes, splices))).toBe('<é漢字2345678👩‍🚀漢>')
  })

  it('gives the same bytes back when there is nothing to do', () => {
    const bytes = bytesOf('abc')
    expect(splice(bytes, [])).toBe(bytes)
  })

  it('puts a lone surrogate in as U+FFFD, the length that was reckoned with', () => {
    expect(textOf(splice(bytesOf('ab'), [{ start: 1, end: 1, text: '\ud800' }]))).toBe('a\ufffdb')
  })
})

describe('edit() changes what it is told to and nothing else', () => {
  it('leaves a body alone that needs no edit, without a copy', () => {
    const ask = openaiChat.readAsk(jsonBytes({ model: 'm', messages: MESSAGES }))
    expect(openaiChat.edit(ask, { model: 'm', askUsage: true }).body).toBe(ask.body)
  })

  const cases: [string, string][] = [
    [
      '{"model":"x","stream":true,"messages":[1]}',
      '{"stream_options":{"include_usage":true},"model":"gpt-4o-mini","stream":true,"messages":[1]}',
    ],
    [
      ' {\n "stream" : true , "messages":[1], "model" :\t"x" }\n',
      ' {\n "stream_options":{"include_usage":true},"stream" : true , "messages":[1], "model" :\t"gpt-4o-mini" }\n',
    ],
    [
      '{"stream_options":null,"model":"x","stream":true,"messages":[1]}',
      '{"stream_options":{"include_usage":true},"model":"gpt-4o-mini","stream":true,"messages":[1]}',
    ],
    [
      '{"model":"x","stream":true,"stream_options":{},"messages":[1]}',
      '{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[1]}',
    ],
    [
      '{"model":"x","stream":true,"messages":[1],"stream_options":{ "include_usage" : false , "n":1e400}}',
      '{"model":"gpt-4o-mini","stream":true,"messages":[1],"stream_options":{ "include_usage" : true , "n":1e400}}',
    ],
    [
      '{"model":"x","stream":true,"messages":[1],"stream_options": {"include_obfuscation":false, "big":12345678901234567890}}',
      '{"model":"gpt-4o-mini","stream":true,"messages":[1],"stream_options": {"include_usage":true,"include_obfuscation":false, "big":12345678901234567890}}',
    ],
    [
      '{"model":"x","stream":true,"messages":[1],"stream_options":{"include_usage":true}}',
      '{"model":"gpt-4o-mini","stream":true,"messages":[1],"stream_options":{"include_usage":true}}',
    ],
    ['{"model":"x","stream":false,"messages":[1]}', '{"model":"gpt-4o-mini","stream":false,"messages":[1]}'],
    ['{"model":"x","stream":null,"messages":[1]}', '{"model":"gpt-4o-mini","stream":null,"messages":[1]}'],
  ]

  it.each(cases)('%s', (text, expected) => {
    expect(edited(text)).toBe(expected)
  })

  it('takes a repeated key in stream_options for what it is: a mistake of the caller', () => {
    const text = '{"model":"x","stream":true,"messages":[1],"stream_options":{"a":1,"a":2}}'
    expect(() => openaiChat.readAsk(bytesOf(text))).toThrow(WireError)
  })

  it('writes a model name that needs escapes', () => {
    const model = 'a"b\\c/漢字'
    expect(JSON.parse(edited('{"model":"x","messages":[1]}', { model, askUsage: true }))).toEqual({
      model,
      messages: [1],
    })
  })

  it('parses to the same request apart from the edit, over generated ones in any order and spacing', () => {
    for (let seed = 1; seed <= 1500; seed++) {
      const random = new Random(seed)
      const request = generated(random)
      const text = looseJson(random, request)
      const edits = { model: random.pick(['gpt-4o-mini', 'x', 'modèle/漢']), askUsage: !random.once(4) }
      const sent = JSON.parse(edited(text, edits))
      expect(sent, `seed ${seed}: ${text}`).toEqual(JSON.parse(JSON.stringify(expectedOf(request, edits))))
      expect(untouched(edited(text, edits)), `seed ${seed}`).toEqual(untouched(text))
    }
  })
})

function generated(random: Random): Record<string, unknown> {
  const members: [string, unknown][] = [
    ['model', 'x'],
    ['messages', [{ role: 'user', content: 'Grüße "you" 漢字 \u0001' }]],
    ['stream', random.pick([true, true, true, false, null])],
  ]
  const options = random.int(6)
  if (options === 1) members.push(['stream_options', null])
  if (options === 2) members.push(['stream_options', {}])
  if (options === 3) members.push(['stream_options', { include_usage: random.pick([true, false, null, 1]) }])
  if (options === 4) members.push(['stream_options', { include_obfuscation: true, other: jsonValue(random, 2) }])
  for (const name of ['__proto__', 'temperature', 'tools', 'x']) {
    if (random.once(3)) members.push([name, jsonValue(random, 3)])
  }
  return Object.fromEntries(random.shuffle(members))
}

/** The request that a provider should see, made by plain means. */
function expectedOf(request: Record<string, unknown>, { model, askUsage }: Edits): Record<string, unknown> {
  const { stream_options: options, ...others } = request
  const rest = options === undefined ? others : { ...others, stream_options: options }
  if (request.stream !== true) return { ...rest, model }
  if (!askUsage) return { ...others, model }
  return { ...others, model, stream_options: { ...(options as object | null), include_usage: true } }
}

/** Every member but the edited ones, name and value, as it stands in the text, in order. */
function untouched(text: string): string[] {
  const bytes = bytesOf(text)
  const others = [...scanObject(bytes)].filter(([name]) => name !== 'model' && name !== 'stream_options')
  return others.map(([, { keyStart, end }]) => textOf(bytes.subarray(keyStart, end)))
}

describe('edit() for a provider that can not be asked for usage', () => {
  it.each([
    [
      '{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[1]}',
      '{"model":"m","stream":true,"messages":[1]}',
    ],
    ['{"stream_options":null,"model":"m","stream":true,"messages":[1]}', '{"model":"m","stream":true,"messages":[1]}'],
    ['{"model":"m","stream":true,"messages":[1] , "stream_options":{}}', '{"model":"m","stream":true,"messages":[1]}'],
    ['{"model":"m","stream":true,"messages":[1]}', '{"model":"m","stream":true,"messages":[1]}'],
  ])('leaves stream_options out, which it would refuse: %s', (text, expected) => {
    expect(edited(text, { model: 'm', askUsage: false })).toBe(expected)
  })
})

describe('edit() for a provider that only gives vectors as floats', () => {
  it.each([
    ['{"model":"m","encoding_format":"base64","input":"Hi"}', '{"model":"p/m","input":"Hi"}'],
    ['{"encoding_format":"float","model":"m","input":"Hi"}', '{"model":"p/m","input":"Hi"}'],
    ['{"input":"Hi","model":"m" , "encoding_format" : "base64" }', '{"input":"Hi","model":"p/m" }'],
    ['{"model":"m","input":"Hi"}', '{"model":"p/m","input":"Hi"}'],
  ])('leaves encoding_format out, which the answer is mended for: %s', (text, expected) => {
    const ask = openaiEmbeddings.readAsk(bytesOf(text))
    expect(textOf(openaiEmbeddings.edit(ask, { model: 'p/m', askUsage: false, plainVectors: true }).body)).toBe(
      expected,
    )
  })
})

describe('readAsk()', () => {
  it('reads the head of a request and passes over the rest', () => {
    const body = {
      messages: MESSAGES,
      user: 'u1',
      stream: true,
      model: 'm',
      stream_options: { include_usage: true },
      zzz: [1],
    }
    expect(openaiChat.readAsk(jsonBytes(body))).toMatchObject({
      model: 'm',
      stream: true,
      wantsUsage: true,
      endUser: 'u1',
    })
    expect(openaiChat.readAsk(jsonBytes({ model: 'm', messages: [1] }))).toMatchObject({
      stream: false,
      wantsUsage: false,
      endUser: null,
    })
  })

  it('prefers safety_identifier to user and keeps 256 characters of it', () => {
    const ask = (more: object) => openaiChat.readAsk(jsonBytes({ model: 'm', messages: [1], ...more })).endUser
    expect(ask({ safety_identifier: 's', user: 'u' })).toBe('s')
    expect(ask({ safety_identifier: null, user: 'u'.repeat(300) })).toBe('u'.repeat(256))
    expect(ask({ user: 5 })).toBeNull()
    expect(ask({ user: '' })).toBeNull()
  })

  it.each([
    ['model', {}],
    ['model', { model: '' }],
    ['model', { model: 5 }],
    ['model', { model: null }],
    ['model', { model: 'm'.repeat(257) }],
    ['messages', { model: 'm' }],
    ['messages', { model: 'm', messages: null }],
    ['messages', { model: 'm', messages: 'Hi' }],
    ['messages', { model: 'm', messages: {} }],
    ['messages', { model: 'm', messages: [] }],
    ['stream', { model: 'm', messages: MESSAGES, stream: 'true' }],
    ['stream', { model: 'm', messages: MESSAGES, stream: 1 }],
    ['stream_options', { model: 'm', messages: MESSAGES, stream: true, stream_options: true }],
    ['stream_options', { model: 'm', messages: MESSAGES, stream: true, stream_options: [] }],
  ])('names %s when %j is refused', (param, body) => {
    expect(refusal(() => openaiChat.readAsk(jsonBytes(body)))).toMatchObject({ name: 'WireError', param })
  })

  it('sees that messages are empty through any space', () => {
    expect(refusal(() => openaiChat.readAsk(bytesOf('{"model":"m","messages":[ \n ]}'))).param).toBe('messages')
  })

  it('asks completions for a prompt of text or tokens, and embeddings for an input and a known encoding', () => {
    for (const prompt of ['Hi', ['Hi'], [1, 2], [[1], [2]]]) {
      expect(openaiCompletions.readAsk(jsonBytes({ model: 'm', prompt })).model).toBe('m')
      expect(openaiEmbeddings.readAsk(jsonBytes({ model: 'm', input: prompt })).model).toBe('m')
    }
    expect(refusal(() => openaiCompletions.readAsk(jsonBytes({ model: 'm', prompt: 5 }))).param).toBe('prompt')
    expect(refusal(() => openaiEmbeddings.readAsk(jsonBytes({ model: 'm' }))).param).toBe('input')
    const wrong = jsonBytes({ model: 'm', input: 'Hi', encoding_format: 'hex' })
    expect(refusal(() => openaiEmbeddings.readAsk(wrong)).param).toBe('encoding_format')
    const streamed = jsonBytes({ model: 'm', input: 'Hi', stream: true })
    expect(openaiEmbeddings.readAsk(streamed)).toMatchObject({ stream: false, wantsUsage: false })
  })
})

function refusal(read: () => unknown): WireError {
  try {
    read()
  } catch (error) {
    return error as WireError
  }
  throw new Error('Nothing was refused')
}

describe('edit() brings a request to what its model takes', () => {
  const facts = (refuses: string[], maxOutputTokens: number | null = null) => ({
    refuses,
    maxOutputTokens,
    thinking: null,
  })
  const heed = (wire: typeof openaiChat | typeof openaiCompletions, text: string, given: ReturnType<typeof facts>) => {
    const { body, adapted } = wire.edit(wire.readAsk(bytesOf(text)), { model: 'm', askUsage: true, facts: given })
    return [textOf(body), adapted.map(({ param, how }) => `${param}=${how}`).join()]
  }
  const SAID = '{"model":"m", "temperature":1,"top_p":0.5 ,"messages":[1],"max_tokens": 100,"stop":"x"}'

  it.each([
    [facts([]), SAID, ''],
    [facts(['seed', 'messages', 'model']), SAID, ''],
    [
      facts(['temperature', 'top_p', 'stop']),
      '{"model":"m", "messages":[1],"max_tokens": 100}',
      'temperature=dropped,top_p=dropped,stop=dropped',
    ],
    [facts(['max_tokens']), SAID.replace('max_tokens', 'max_completion_tokens'), 'max_tokens=renamed'],
    [facts([], 100), SAID, ''],
    [facts([], 64), SAID.replace('100', '64'), 'max_tokens=clamped'],
    [
      facts(['max_tokens', 'stop'], 64),
      '{"model":"m", "temperature":1,"top_p":0.5 ,"messages":[1],"max_completion_tokens": 64}',
      'stop=dropped,max_tokens=clamped,max_tokens=renamed',
    ],
    [facts(['max_tokens', 'max_completion_tokens'], 64), SAID.replace('"max_tokens": 100,', ''), 'max_tokens=dropped'],
  ])('%j', (given, body, adapted) => {
    expect(heed(openaiChat, SAID, given)).toEqual([body, adapted])
  })

  it('drops the old name of two, and keeps both where both are taken', () => {
    const both = '{"model":"m","messages":[1],"max_tokens":9,"max_completion_tokens":8}'
    expect(heed(openaiChat, both, facts(['max_tokens']))[0]).toBe(both.replace('"max_tokens":9,', ''))
    expect(heed(openaiChat, both, facts([]))[0]).toBe(both)
  })

  it('never renames for text completions, which know one name', () => {
    const text = '{"model":"m","prompt":"x","max_tokens":9,"top_p":1}'
    expect(heed(openaiCompletions, text, facts(['max_tokens', 'top_p'], 5))).toEqual([
      '{"model":"m","prompt":"x","max_tokens":5}',
      'top_p=dropped,max_tokens=clamped',
    ])
  })
})
