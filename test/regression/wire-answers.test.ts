import { describe, expect, it } from 'vitest'
import { openaiFace } from '../../server/errors.ts'
import { refusalOf } from '../../server/failure.ts'
import { readOpenaiUsage } from '../../server/wire/openai/usage.ts'
import { openaiChat } from '../../server/wire/openai-chat/wire.ts'
import { openaiEmbeddings } from '../../server/wire/openai-embeddings/wire.ts'
import { AnswerError } from '../../server/wire/wire.ts'
import { ADDITIONS, bytesOf, jsonBytes, textOf } from '../helpers/wire.ts'

/** Answers and requests that once went wrong, each in the smallest form that showed it. */

const ask = openaiChat.readAsk(jsonBytes({ model: 'm', messages: [{ role: 'user', content: 'Hi' }] }))

describe('usage', () => {
  it('that says the total alone is not free: it is all input (Voyage)', () => {
    expect(readOpenaiUsage({ total_tokens: 7 })).toMatchObject({ input: 7, output: 0 })
  })

  it('whose total exceeds its parts has thinking in it that is charged as output (Gemini)', () => {
    const said = { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 }
    expect(readOpenaiUsage(said)).toMatchObject({ input: 35, output: 74, reasoning: 62 })
  })

  it('names cache hits beside the total (Mistral, Moonshot)', () => {
    for (const name of ['num_cached_tokens', 'cached_tokens']) {
      const said = { prompt_tokens: 64, completion_tokens: 6, total_tokens: 70, [name]: 32 }
      expect(readOpenaiUsage(said)).toMatchObject({ input: 32, cacheRead: 32 })
    }
  })

  it('is estimated text by text: a batch of short ones does not melt into one', () => {
    const batch = openaiEmbeddings.readAsk(jsonBytes({ model: 'm', input: ['a', 'b', 'c', 'd'] }))
    const data = [0, 1, 2, 3].map((index) => ({ index, embedding: [1] }))
    const answer = openaiEmbeddings.readAnswer(jsonBytes({ data }), batch)
    expect(answer.usage.input).toBe(4)
  })
})

describe('an answer', () => {
  it('that came through another gateway gets the additions once', () => {
    const answer = bytesOf(
      '{"choices":[],"usage":{"prompt_tokens":1,"total_tokens":1,"watchllm_tokens":9},"watchllm":{"provider":"x"},"z":1}',
    )
    const text = openaiChat.readAnswer(answer, ask).withAdditions(ADDITIONS)
    expect(text.split('"watchllm":')).toHaveLength(2)
    expect(JSON.parse(text)).toMatchObject({ usage: { watchllm_tokens: 35 }, watchllm: { provider: 'openai' }, z: 1 })
  })

  it('that names a member twice can not be edited, and is no reason to fail a call that is paid for', () => {
    const text = '{"choices":[],"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}'
    expect(openaiChat.readAnswer(bytesOf(text), ask).withAdditions(ADDITIONS)).toBe(text)
  })

  it('with an empty list and an error is that error', () => {
    expect(() => openaiChat.readAnswer(jsonBytes({ choices: [], error: { message: 'no' } }), ask)).toThrow(AnswerError)
  })

  it('with an embedding that is null, no base64 or not finite is refused as an answer, not as a bug of ours', () => {
    const embeddings = openaiEmbeddings.readAsk(jsonBytes({ model: 'm', input: 'Hi' }))
    for (const item of [null, { embedding: '????' }, { embedding: [1e300, 1e300] }, { embedding: [] }]) {
      expect(() => openaiEmbeddings.readAnswer(jsonBytes({ data: [item] }), embeddings)).toThrow(AnswerError)
    }
  })
})

describe('a request', () => {
  it('keeps its numbers when stream_options are added to', () => {
    const body = '{"model":"m","stream":true,"stream_options":{"x":12345678901234567890},"messages":[1]}'
    const sent = openaiChat.edit(openaiChat.readAsk(bytesOf(body)), { model: 'm', askUsage: true }).body
    expect(textOf(sent)).toContain('"x":12345678901234567890')
  })

  it('does not carry stream_options to a provider that refuses them, when the caller asked for usage', () => {
    const body = '{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[1]}'
    const sent = openaiChat.edit(openaiChat.readAsk(bytesOf(body)), { model: 'm', askUsage: false }).body
    expect(textOf(sent)).toBe('{"model":"m","stream":true,"messages":[1]}')
  })
})

it('a key at the place where a message is cut to length does not leave half of itself', () => {
  const apiKey = '0f3c9d1e7b5a48d2aa61c0de77e4b913'
  const body = JSON.stringify({ error: { message: `${'x '.repeat(292)}${apiKey}` } })
  const error = refusalOf({ provider: 'Groq', model: 'm', status: 400, body, retryAfter: null, apiKey })
  expect(JSON.stringify(openaiFace(error)) + String(error.cause)).not.toContain(apiKey.slice(0, 8))
})
