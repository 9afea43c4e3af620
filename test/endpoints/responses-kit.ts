import OpenAI from 'openai'
import { type ConversationStore, conversationStore } from '../../db/stores/conversations.ts'
import { type ResponseStore, responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import { openEmbedded } from '../db/engines.ts'
import type { TestAppOptions } from '../helpers/app.ts'
import type { Chooser, RecordedRequest } from '../helpers/upstream.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import type { AnswerOptions } from '../helpers/upstream-plan.ts'
import { openBench, type SdkBench } from '../sdk/kit.ts'

/** A model of each wire that a provider may speak: the same conversation must be possible with all of them. */
export const MODELS = [
  { wire: 'responses', model: 'openai/gpt-4o-mini', path: '/v1/responses' },
  { wire: 'chat', model: 'mistral/mistral-small-latest', path: '/v1/chat/completions' },
  { wire: 'messages', model: 'anthropic/claude-sonnet-4-5', path: '/v1/messages' },
] as const

export interface ResponsesBench extends SdkBench {
  readonly store: ResponseStore
  readonly conversations: ConversationStore
  readonly openai: OpenAI
}

/** The gateway with a real database, before a provider that repeats what it was told. */
export async function openResponses(options: TestAppOptions = {}): Promise<ResponsesBench> {
  const on = await openEmbedded()
  const vault = createVault(['a master secret for these tests'])
  const store = responseStore(on.database.db, vault)
  const conversations = conversationStore(on.database.db, vault)
  const bench = await openBench({ ...options, deps: { responses: store, conversations, ...options.deps } })
  bench.upstream.script(parrot())
  return Object.assign(Object.create(bench) as SdkBench, {
    store,
    conversations,
    openai: bench.client({ name: 'openai 7', Client: OpenAI }),
    async close() {
      await bench.close()
      await on.dispose()
    },
  })
}

/** Answers with everything that users said to it, `|` between, on whichever wire it is asked. */
export function parrot(answer: AnswerOptions = {}): Chooser {
  return (request, index) => {
    const ask = request.json()
    const text = `heard ${heard(request).join('|')}`
    const streams = ask.stream === true
    if (request.path.endsWith('/responses')) {
      const id = `resp_provider_${index}`
      return streams ? sse(responsesFrames(id, text), answer) : json(responseOf(id, text), answer)
    }
    if (request.path.endsWith('/messages'))
      return streams ? sse(messagesFrames(text), answer) : json(messageOf(text), answer)
    return streams ? sse(chatFrames(text), answer) : json(chatOf(text), answer)
  }
}

/** What users said, in order, on any of the wires. */
export function heard(request: RecordedRequest): string[] {
  const ask = request.json()
  const messages = (ask.input ?? ask.messages) as unknown
  if (typeof messages === 'string') return [messages]
  return (messages as { role?: string; content?: unknown }[])
    .filter((message) => message.role === 'user')
    .flatMap(({ content }) =>
      typeof content === 'string' ? [content] : (content as { text?: string }[]).map((part) => part.text ?? ''),
    )
}

const USAGE = { input_tokens: 11, output_tokens: 5, total_tokens: 16 }
const DETAILS = { input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } }

export function responseOf(id: string, text: string, more: object = {}): Record<string, unknown> {
  const content = [{ type: 'output_text', text, annotations: [], logprobs: [] }]
  return {
    id,
    object: 'response',
    created_at: 1763690000,
    status: 'completed',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model: 'gpt-4o-mini-2024-07-18',
    output: [{ id: `msg_of_${id}`, type: 'message', status: 'completed', role: 'assistant', content }],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: { ...USAGE, ...DETAILS },
    user: null,
    metadata: {},
    ...more,
  }
}

export function responsesFrames(id: string, text: string): string {
  const done = responseOf(id, text)
  const [item] = done.output as { id: string; content: object[] }[]
  const open = { ...done, status: 'in_progress', output: [], usage: null }
  const place = { item_id: item!.id, output_index: 0, content_index: 0 }
  const events: Record<string, unknown>[] = [
    { type: 'response.created', response: open },
    { type: 'response.in_progress', response: open },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
    {
      type: 'response.content_part.added',
      ...place,
      part: { type: 'output_text', text: '', annotations: [], logprobs: [] },
    },
    ...(text.match(/\s*\S+/g) ?? []).map((delta) => ({
      type: 'response.output_text.delta',
      ...place,
      delta,
      logprobs: [],
    })),
    { type: 'response.output_text.done', ...place, text, logprobs: [] },
    { type: 'response.content_part.done', ...place, part: item!.content[0] },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: done },
  ]
  return events
    .map((event, sequence_number) => `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number })}\n\n`)
    .join('')
}

function chatOf(content: string): object {
  const message = { role: 'assistant', content, refusal: null }
  const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 }
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }]
  return { id: 'chatcmpl-1', object: 'chat.completion', created: 1763690000, model: 'small', choices, usage }
}

function chatFrames(text: string): string {
  const frame = (delta: object, finish_reason: string | null) =>
    `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1763690000, model: 'small', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  const words = (text.match(/\s*\S+/g) ?? []).map((content) => frame({ content }, null))
  return `${frame({ role: 'assistant', content: '' }, null)}${words.join('')}${frame({}, 'stop')}data: [DONE]\n\n`
}

function messageOf(text: string): object {
  return {
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude', content: [{ type: 'text', text }] },
    ...{ stop_reason: 'end_turn', stop_sequence: null, usage: { input_tokens: 11, output_tokens: 5 } },
  }
}

function messagesFrames(text: string): string {
  const usage = { input_tokens: 11, output_tokens: 1 }
  const events: { type: string }[] = [
    { type: 'message_start', message: { ...messageOf(text), content: [], stop_reason: null, usage } } as {
      type: string
    },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } as { type: string },
    ...(text.match(/\s*\S+/g) ?? []).map(
      (word) =>
        ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } }) as { type: string },
    ),
    { type: 'content_block_stop', index: 0 } as { type: string },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 5 } } as {
      type: string
    },
    { type: 'message_stop' },
  ]
  return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
}
