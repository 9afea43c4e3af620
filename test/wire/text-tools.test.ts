import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../server/wire/model.ts'
import { openaiChatDialect } from '../../server/wire/openai-chat/dialect.ts'
import { openaiResponsesDialect } from '../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../server/wire/openai-responses/wire.ts'
import { jsonBytes } from '../helpers/wire.ts'

/** Tools that take plain text (Codex's `apply_patch`) on providers that know functions only. */

const PATCH = '*** Begin Patch\n+“x”\n*** End Patch'
const CALL = { type: 'custom_tool_call', call_id: 'call_1', name: 'apply_patch', input: PATCH }
const FORMAT = { type: 'grammar', syntax: 'lark', definition: 'start: "x"' }
const ASK = {
  model: 'm',
  input: [
    { role: 'user', content: 'Patch it' },
    CALL,
    { type: 'custom_tool_call_output', call_id: 'call_1', output: 'Done' },
  ],
  tools: [{ type: 'custom', name: 'apply_patch', description: 'Patches', format: FORMAT }],
  tool_choice: { type: 'custom', name: 'apply_patch' },
}
const prompt = openaiResponsesDialect.readPrompt(openaiResponses.readAsk(jsonBytes(ASK)))
const write = (model: string) => openaiChatDialect.writePrompt(prompt, { model, facts: null, promptCache: 'respect' })

const TEXT_ARGUMENTS = JSON.stringify({ input: PATCH })
const FUNCTION = { name: 'watchllm_text_apply_patch', arguments: TEXT_ARGUMENTS }

describe('a tool that takes plain text', () => {
  it('is a function with one string where the model is not one of OpenAI', () => {
    const { body, adapted } = write('deepseek-chat')
    expect(body.tools).toMatchObject([
      { type: 'function', function: { name: FUNCTION.name, parameters: { required: ['input'] } } },
    ])
    expect(body.tool_choice).toEqual({ type: 'function', function: { name: FUNCTION.name } })
    expect(body.messages).toContainEqual(
      expect.objectContaining({ tool_calls: [{ id: 'call_1', type: 'function', function: FUNCTION }] }),
    )
    expect(adapted).toContainEqual({ param: 'tools[0]', how: 'emulated' })
  })

  it("stays what it is on OpenAI's own models, its grammar as chat says it", () => {
    const { body, adapted } = write('gpt-5')
    const { syntax, definition } = FORMAT
    expect(body.tools).toEqual([
      {
        type: 'custom',
        custom: {
          name: 'apply_patch',
          description: 'Patches',
          format: { type: 'grammar', grammar: { syntax, definition } },
        },
      },
    ])
    expect(adapted).toEqual([])
  })

  it('is called by its own name in a whole answer', () => {
    const message = {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: FUNCTION }],
    }
    const choices = [{ index: 0, message, finish_reason: 'tool_calls' }]
    const { parts } = openaiChatDialect.readAnswer({ id: 'a', choices }, 'req_1').choices[0]!
    expect(parts).toEqual([{ type: 'tool-call', id: 'c', name: 'apply_patch', arguments: PATCH, kind: 'custom' }])
  })

  it('is called by its own name in a stream, its text whole, and others stay functions', () => {
    const reader = openaiChatDialect.readStream('req_1')
    const events: StreamEvent[] = []
    const say = (delta: object, finish_reason: string | null = null) =>
      events.push(...reader.read(null, JSON.stringify({ id: 'a', choices: [{ index: 0, delta, finish_reason }] })))
    const call = (index: number, more: object) => say({ tool_calls: [{ index, ...more }] })
    say({ role: 'assistant', content: '' })
    call(0, { id: 'c0', type: 'function', function: { name: FUNCTION.name, arguments: '' } })
    for (const piece of TEXT_ARGUMENTS.match(/.{1,5}/gsu)!) call(0, { function: { arguments: piece } })
    call(1, { id: 'c1', type: 'function', function: { name: 'f', arguments: '' } })
    call(1, { function: { arguments: '{}' } })
    say({}, 'tool_calls')
    events.push(...reader.read(null, '[DONE]'), ...reader.close())
    const parts = events.flatMap((event) => (event.type === 'part' ? [event.part] : []))
    expect(parts).toMatchObject([
      { id: 'c0', name: 'apply_patch', kind: 'custom' },
      { id: 'c1', name: 'f', kind: 'function' },
    ])
    const textOf = (index: number) =>
      events.map((event) => (event.type === 'delta' && event.index === index ? (event.delta.text ?? '') : '')).join('')
    expect([textOf(0), textOf(1)]).toEqual([PATCH, '{}'])
  })
})
