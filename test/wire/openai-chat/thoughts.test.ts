import { describe, expect, it } from 'vitest'
import type { Part, StreamEvent } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { chunksOf } from '../../helpers/wire.ts'
import { ASK, askOf, contextOf, type Json, written } from './kit.ts'

/** Thoughts of other wires go to a client of chat, stay in its history, and come back with their proofs. */

const call = (id: string): Part => ({ type: 'tool-call', id, name: 'f', arguments: '{}', kind: 'function' })
const thought = (wire: 'anthropic-messages' | 'gemini' | 'openai-responses', text: string, summary = false): Part => ({
  type: 'reasoning',
  text,
  summary,
  proof: { wire, data: `proof of "${text}"/+=` },
})

const CASES: [string, Part[]][] = [
  ['a signed thought (Anthropic)', [thought('anthropic-messages', 'Hm'), { type: 'text', text: 'Hi' }]],
  ['two signed thoughts', [thought('anthropic-messages', 'Hm'), thought('anthropic-messages', 'So')]],
  ['a redacted thought', [thought('anthropic-messages', ''), { type: 'text', text: 'Hi' }]],
  ['a summary with its encrypted thought (Responses)', [thought('openai-responses', 'Hm', true), call('a')]],
  ['signatures of calls (Gemini)', [{ type: 'text', text: 'Hi' }, thought('gemini', ''), call('a'), call('b')]],
  ['a signature of the second call', [call('a'), thought('gemini', ''), call('b')]],
  ['thoughts of both kinds', [thought('gemini', 'Hm'), thought('gemini', ''), call('a')]],
]

const finish = { reason: 'stop', stopSequence: null } as const

/** The parts of the message as they are read from a client's history. */
function fromHistory(message: Json): readonly Part[] {
  const { messages } = openaiChatDialect.readPrompt(askOf({ ...ASK, messages: [...ASK.messages, message] }))
  return messages[1]!.parts
}

function answered(parts: Part[]): Json {
  const answer = {
    ...{ id: null, model: null, createdAtS: null, usage: null, serviceTier: null, extras: [] },
    choices: [{ parts, finish, logprobs: null }],
  }
  const context = { ...contextOf(askOf(ASK)), additions: null }
  return JSON.parse(openaiChatDialect.writeAnswer(answer, context)).choices[0].message
}

/** What a client that only collects would keep: text joined, lists of details one behind the other. */
function collected(sse: string): Json {
  const message: Json & { reasoning_details: unknown[]; tool_calls: Json[] } = {
    role: 'assistant',
    content: '',
    reasoning_details: [],
    tool_calls: [],
  }
  for (const chunk of chunksOf(Buffer.from(sse).toString('latin1')) as { choices?: { delta: Json }[] }[]) {
    const delta = chunk.choices?.[0]?.delta ?? {}
    message.content = `${message.content}${delta.content ?? ''}`
    message.reasoning_details.push(...((delta.reasoning_details as unknown[] | undefined) ?? []))
    for (const { index: _, ...one } of (delta.tool_calls as Json[] | undefined) ?? []) {
      if (one.id) message.tool_calls.push(one)
    }
  }
  return message
}

function streamed(parts: Part[]): StreamEvent[] {
  return [
    { type: 'start', id: null, model: null, createdAtS: null },
    ...parts.flatMap((part, index): StreamEvent[] => {
      const at = { choice: 0, index }
      if (part.type !== 'reasoning')
        return [
          { type: 'part', ...at, part },
          { type: 'part-end', ...at },
        ]
      const half = Math.ceil(part.text.length / 2)
      return [
        { type: 'part', ...at, part: { ...part, text: '', proof: null } },
        { type: 'delta', ...at, delta: { text: part.text.slice(0, half) } },
        { type: 'delta', ...at, delta: { text: part.text.slice(half) } },
        { type: 'delta', ...at, delta: { proof: part.proof! } },
        { type: 'part-end', ...at },
      ]
    }),
    { type: 'finish', choice: 0, finish },
    { type: 'end' },
  ]
}

describe.each(CASES)('%s', (_, parts) => {
  it('comes back from a whole answer', () => {
    expect(fromHistory(answered(parts))).toEqual(parts)
  })

  it('comes back from a stream', () => {
    expect(fromHistory(collected(written(streamed(parts))))).toEqual(parts)
  })

  it('does not go to a provider of chat, which has not made it', () => {
    const prompt = openaiChatDialect.readPrompt(askOf({ ...ASK, messages: [...ASK.messages, answered(parts)] }))
    const { body, adapted } = openaiChatDialect.writePrompt(prompt, { model: 'm', facts: null, promptCache: 'off' })
    expect(JSON.stringify(body)).not.toMatch(/reasoning|proof/)
    expect(adapted).toEqual([])
  })
})

describe('a thought of a provider of chat', () => {
  const answer = (message: Json) =>
    openaiChatDialect.readAnswer(
      { id: 'c', model: 'deep-1-0731', choices: [{ message, finish_reason: 'stop' }] },
      'req_1',
    )
  const detail = {
    type: 'reasoning.text',
    text: 'Hm',
    signature: 'sig',
    id: 'r1',
    format: 'anthropic-claude-v1',
    index: 0,
  }
  const asked = (message: Json, model: string, refuses: string[] = []) => {
    const { parts } = answer(message).choices[0]!
    const prompt = openaiChatDialect.readPrompt(askOf(ASK))
    const messages = [...prompt.messages, { role: 'assistant' as const, name: null, parts }]
    const facts = { maxOutputTokens: null, thinking: null, refuses }
    const { body } = openaiChatDialect.writePrompt({ ...prompt, messages }, { model, facts, promptCache: 'off' })
    return (body.messages as Json[])[1]!
  }

  const { text: _, ...rest } = detail
  const encrypted = { ...rest, type: 'reasoning.encrypted', data: 'x' }

  it.each([
    { role: 'assistant', content: 'Hi', reasoning_content: 'Hm' },
    { role: 'assistant', content: 'Hi', reasoning: 'Hm' },
    { role: 'assistant', content: 'Hi', reasoning_details: [detail, encrypted] },
  ])('goes back to its model as it came, and to no other: %j', (message) => {
    expect(asked(message, 'deep-1')).toEqual(message)
    expect(asked(message, 'gpt-4o')).toEqual({ role: 'assistant', content: 'Hi' })
    expect(asked(message, 'deep-1', ['reasoning_content'])).toEqual({ role: 'assistant', content: 'Hi' })
  })
})
