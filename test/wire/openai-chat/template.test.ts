import { describe, expect, it } from 'vitest'
import { ChunkMender } from '../../../server/wire/openai-chat/mend-stream.ts'
import { templateOf, textIn } from '../../../server/wire/openai-chat/template.ts'
import { openaiChat } from '../../../server/wire/openai-chat/wire.ts'
import { Random } from '../../helpers/random.ts'
import { chunksOf } from '../../helpers/wire.ts'
import { gather } from './contract.ts'
import { eventsIn, type Json } from './kit.ts'

const MEND = { callId: 'req_1', createdAtS: 1, model: 'm' }
const HEAD = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm' }
/** Pieces that look like what stands around them. */
const PIECES = [
  'a',
  ' b',
  '"',
  '\\',
  '\\"',
  'é',
  '👋',
  '\n',
  '"content":"',
  '"},"finish_reason":null}]}',
  '\\\\',
  '{',
  '',
]

const chunk = (text: string, more: Json = { finish_reason: null }) =>
  JSON.stringify({ ...HEAD, choices: [{ index: 0, delta: { content: text }, ...more }] })
const frame = (data: string) => Buffer.from(`data: ${data}\n\n`).toString('latin1')
const textsOf = (random: Random) => Array.from({ length: 30 }, () => random.pick(PIECES) + random.pick(PIECES))

describe('a template', () => {
  it('finds the text of chunks that are built alike, and of no other', () => {
    const template = templateOf(chunk('x'), '"content":"')!
    expect(textIn(chunk('hello'), template)).toBe('hello')
    expect(textIn(chunk(''), template)).toBe('')
    expect(textIn(chunk('a\nb'), template)).toBe('a\\nb')
    for (const text of ['say "hi"', 'C:\\']) expect(textIn(chunk(text), template)).toBe(null)
    expect(textIn(chunk('x', { finish_reason: 'stop' }), template)).toBe(null)
    expect(textIn(template.head + template.tail.slice(1), template)).toBe(null)
  })

  it('is not made where the text can not be told from the rest', () => {
    expect(templateOf(chunk('say "hi"'), '"content":"')).toBe(null)
    expect(templateOf('{"content":"a","more":{"content":"b"}}', '"content":"')).toBe(null)
    expect(templateOf('{}', '"content":"')).toBe(null)
  })
})

describe('with templates and without', () => {
  it('a reader hears the same words', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const texts = textsOf(new Random(seed))
      const events = eventsIn(texts.map((text) => `data: ${chunk(text)}\n\n`).join(''))
      const [part] = gather(events).choices[0]?.parts ?? []
      expect(part === undefined ? '' : (part as { text: string }).text, `seed ${seed}`).toBe(texts.join(''))
    }
  })

  it('a reader hears of each chance of a token, be chunks ever so alike', () => {
    const logprobs = { content: [{ token: 'a', logprob: -1, bytes: null, top_logprobs: [] }], refusal: null }
    const events = eventsIn(`data: ${chunk('a', { logprobs, finish_reason: null })}\n\n`.repeat(3))
    expect(gather(events).choices[0]!.logprobs).toEqual({ content: Array(3).fill(logprobs.content[0]) })
  })

  it('a mender makes the same of a chunk, whatever came before it', () => {
    for (const more of [{ finish_reason: null }, {}]) {
      for (let seed = 1; seed <= 100; seed++) {
        const texts = textsOf(new Random(seed))
        const mender = new ChunkMender(MEND)
        mender.frames(frame(chunk('', more)))
        for (const text of texts) {
          const fresh = new ChunkMender(MEND)
          fresh.frames(frame(chunk('', more)))
          const given = frame(chunk(text, more))
          expect(mender.frames(given), `seed ${seed}: ${text}`).toBe(fresh.frames(given))
        }
      }
    }
  })

  it('a mender gives a role to the first delta of each choice alone', () => {
    const tap = openaiChat
      .mended(MEND)
      .tap(openaiChat.readAsk(Buffer.from('{"model":"m","stream":true,"messages":[1]}')))
    const passed = ['a', 'b', 'c', 'd'].map((text) => tap.push(Buffer.from(frame(chunk(text, {})), 'latin1'))!)
    const shown = chunksOf(Buffer.concat(passed).toString('latin1')) as { choices: { delta: Json }[] }[]
    expect(shown.map(({ choices }) => choices[0]!.delta.role)).toEqual(['assistant', undefined, undefined, undefined])
  })
})
