import { describe, expect, it } from 'vitest'
import type { Message, Part } from '../../../server/wire/model.ts'
import { WireError } from '../../../server/wire/wire.ts'
import { assistant, call, contentsOf, NEW, OLD, PNG, proof, result, text, user, write } from './samples.ts'

describe('messages', () => {
  it('a system message in the middle stays in its place, as the user’s', () => {
    const late: Message = { role: 'system', name: null, parts: [text('Now in French.')] }
    const { body, adapted } = write({ messages: [user(text('Hi')), assistant(text('Yes?')), late] })
    expect(body.contents.at(-1)).toEqual({ role: 'user', parts: [{ text: 'Now in French.' }] })
    expect(adapted).toEqual(['messages[2].role=renamed'])
  })

  it('instructions alone get an empty content, without which Google refuses them', () => {
    const { body } = write({ messages: [{ role: 'system', name: null, parts: [text('Say hi')] }] })
    expect(body.contents).toEqual([{ role: 'user', parts: [{ text: '' }] }])
  })

  it('Gemma, which takes no instructions, gets them from the user', () => {
    const { body } = write(
      { messages: [{ role: 'system', name: null, parts: [text('Be brief')] }] },
      { model: 'gemma-3-4b' },
    )
    expect(body).toEqual({ contents: [{ role: 'user', parts: [{ text: 'Be brief' }] }] })
  })

  it('a conversation that begins with the assistant gets an empty content first', () => {
    const [first, second] = contentsOf([assistant(call('c1'))])
    expect(first).toEqual({ role: 'user', parts: [{ text: '' }] })
    expect(second.role).toBe('model')
  })

  it('an assistant that said nothing leaves nothing behind', () => {
    const contents = contentsOf([user(text('Hi')), assistant(text('')), user(text('Hello?'))])
    expect(contents).toEqual([{ role: 'user', parts: [{ text: 'Hi' }, { text: 'Hello?' }] }])
  })

  it('a name is reported as dropped', () => {
    expect(write({ messages: [{ ...user(text('Hi')), name: 'ann' }] }).adapted).toEqual(['messages[0].name=dropped'])
  })

  it('a result that answers no call is refused, naming it', () => {
    const write1 = () => write({ messages: [user(result('c9', 'x'))] })
    expect(write1).toThrow(WireError)
    expect(write1).toThrow(expect.objectContaining({ param: 'messages[0].content[0]' }))
  })

  it('an id that is used again means the last call before the result', () => {
    const contents = contentsOf([
      assistant(call('c1', 'first')),
      user(result('c1', 'a')),
      assistant(call('c1', 'second')),
      user(result('c1', 'b')),
    ])
    const names = contents.flatMap(({ parts }: { parts: { functionResponse?: { name: string } }[] }) =>
      parts.flatMap(({ functionResponse }) => functionResponse?.name ?? []),
    )
    expect(names).toEqual(['first', 'second'])
  })

  it.each([
    ['[1]', { arguments: [1] }],
    ['{"a":', { arguments: '{"a":' }],
    ['"a"', { arguments: 'a' }],
  ])('arguments that are no object, %s, become a member of one, and that is reported', (args, expected) => {
    const { body, adapted } = write({ messages: [user(text('Hi')), assistant(call('c1', 'f', args))] })
    expect(body.contents[1].parts[0].functionCall.args).toEqual(expected)
    expect(adapted).toEqual(['messages[1].content[0]=renamed'])
  })

  it('a refusal in the history is text', () => {
    expect(contentsOf([assistant({ type: 'refusal', text: 'No.' })])[1].parts).toEqual([{ text: 'No.' }])
  })

  it('parts of Gemini’s own go back as they are, those of others are dropped and reported', () => {
    const own: Part = { type: 'opaque', wire: 'gemini', value: { executableCode: { code: '1' } } }
    const foreign: Part = { type: 'opaque', wire: 'anthropic-messages', value: { type: 'server_tool_use' } }
    const { body, adapted } = write({ messages: [assistant(own, foreign, text('a'))] })
    expect(body.contents[1].parts).toEqual([{ executableCode: { code: '1' } }, { text: 'a' }])
    expect(adapted).toEqual(['messages[0].content[1]=dropped'])
  })
})

describe('media', () => {
  const image = (source: Extract<Part, { type: 'image' }>['source'], detail: string | null = null): Part => {
    return { type: 'image', source, detail }
  }
  const url = (url: string) => image({ kind: 'url', url })

  it.each<[string, Part, object]>([
    [
      'a picture by address',
      url('https://a.example/x.PNG?s=1'),
      { mimeType: 'image/png', fileUri: 'https://a.example/x.PNG?s=1' },
    ],
    ['one without an ending', url('https://a.example/x'), { mimeType: 'image/jpeg', fileUri: 'https://a.example/x' }],
    [
      'a document by address',
      { type: 'file', source: { kind: 'url', url: 'gs://b/d.pdf' }, filename: null },
      { mimeType: 'application/pdf', fileUri: 'gs://b/d.pdf' },
    ],
    [
      'a film',
      { type: 'file', source: { kind: 'url', url: 'https://youtu.be/abc' }, filename: null },
      { fileUri: 'https://youtu.be/abc' },
    ],
    [
      'a file that Google keeps',
      { type: 'file', source: { kind: 'id', wire: 'gemini', id: 'https://g.example/files/1' }, filename: null },
      { fileUri: 'https://g.example/files/1' },
    ],
  ])('%s is fileData', (_, part, fileData) => {
    const { body, adapted } = write({ messages: [user(part)] })
    expect(body.contents[0].parts).toEqual([{ fileData }])
    expect(adapted).toEqual([])
  })

  it('a document and sound are inlineData', () => {
    const source = { kind: 'base64', mediaType: 'application/pdf', data: 'JVBE' } as const
    const parts: Part[] = [
      { type: 'file', source, filename: 'a.pdf' },
      { type: 'audio', data: 'UklG', format: 'wav' },
      { type: 'audio', data: 'AAEC', format: 'pcm16' },
    ]
    const { body, adapted } = write({ messages: [user(...parts)] })
    expect(body.contents[0].parts).toEqual([
      { inlineData: { mimeType: 'application/pdf', data: 'JVBE' } },
      { inlineData: { mimeType: 'audio/wav', data: 'UklG' } },
      { inlineData: { mimeType: 'audio/pcm;rate=24000', data: 'AAEC' } },
    ])
    expect(adapted).toEqual([])
  })

  it('another provider’s file is dropped and reported', () => {
    const part = image({ kind: 'id', wire: 'openai-responses', id: 'file-1' })
    const { body, adapted } = write({ messages: [user(text('See'), part)] })
    expect(body.contents[0].parts).toEqual([{ text: 'See' }])
    expect(adapted).toEqual(['messages[0].content[1]=dropped'])
  })

  it('a wish for detail is reported, but not that for the default', () => {
    const source = { kind: 'base64', mediaType: 'image/png', data: 'AAAA' } as const
    const { adapted } = write({ messages: [user(image(source, 'low'), image(source, 'auto'))] })
    expect(adapted).toEqual(['messages[0].content[0].detail=dropped'])
  })

  const messages = [
    assistant(call('c1'), call('c2')),
    user({ type: 'tool-result', callId: 'c1', parts: [text('See'), PNG], isError: false }),
    user(result('c2', 'ok')),
    assistant(text('Seen.')),
  ]
  const media = { inlineData: { mimeType: 'image/png', data: 'AAAA' } }

  it('a picture in a result stands in it where the model takes it', () => {
    const [, , results] = contentsOf(messages, NEW)
    expect(results.parts[0].functionResponse.parts).toEqual([media])
    expect(results.parts).toHaveLength(2)
  })

  it('and else behind all results of the step', () => {
    const [, , results, answer] = contentsOf(messages, OLD)
    expect(results.parts.map((part: object) => Object.keys(part)[0])).toEqual([
      'functionResponse',
      'functionResponse',
      'inlineData',
    ])
    expect(results.parts[2]).toEqual(media)
    expect(answer.role).toBe('model')
  })
})

describe('thought signatures', () => {
  const partsOf = (parts: Part[], model = NEW) => contentsOf([user(text('Hi')), assistant(...parts)], model)[1].parts
  const NONE = expect.stringMatching(/^c2tpcF/)
  const functionCall = { id: 'c1', name: 'weather', args: { city: 'Paris' } }

  it('go with the part behind them', () => {
    expect(partsOf([proof('a'), text('One'), proof('b'), call('c1')])).toEqual([
      { text: 'One', thoughtSignature: 'a' },
      { functionCall, thoughtSignature: 'b' },
    ])
  })

  it('with nothing behind them, are a part of their own', () => {
    expect(partsOf([text('One'), proof('a')])).toEqual([{ text: 'One' }, { text: '', thoughtSignature: 'a' }])
  })

  it('find their call when a client has put thoughts before text', () => {
    expect(partsOf([proof('a'), text('I’ll look.'), call('c1')])).toEqual([
      { text: 'I’ll look.' },
      { functionCall, thoughtSignature: 'a' },
    ])
    expect(partsOf([proof('a'), proof('b'), text('I’ll look.'), call('c1')])).toEqual([
      { text: 'I’ll look.', thoughtSignature: 'a' },
      { functionCall, thoughtSignature: 'b' },
    ])
  })

  it('of a thought stay with it', () => {
    const thought: Part = { type: 'reasoning', text: 'Hm', summary: true, proof: { wire: 'gemini', data: 'a' } }
    expect(partsOf([thought, text('One')])).toEqual([
      { text: 'Hm', thought: true, thoughtSignature: 'a' },
      { text: 'One' },
    ])
  })

  it('of other providers are left out with their thoughts, and that is no loss to report', () => {
    const thought: Part = {
      type: 'reasoning',
      text: 'Hm',
      summary: false,
      proof: { wire: 'anthropic-messages', data: 'x' },
    }
    const messages = [user(text('Hi')), assistant(thought, proof('y', 'anthropic-messages'), text('One'))]
    expect(write({ messages }).adapted).toEqual([])
    expect(contentsOf(messages)[1].parts).toEqual([{ text: 'One' }])
  })

  it('that nobody has are declared missing on the first call of a step, where the model insists', () => {
    const parts = partsOf([call('c1'), call('c2')])
    expect(parts[0]).toEqual({ functionCall, thoughtSignature: NONE })
    expect(parts[1]).not.toHaveProperty('thoughtSignature')
    expect(partsOf([call('c1')], OLD)).toEqual([{ functionCall }])
  })
})
