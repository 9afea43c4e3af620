import { describe, expect, it } from 'vitest'
import type { Completion, Part } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { chatTier } from '../../../server/wire/openai-chat/finish.ts'
import { fixture, fixtures } from '../../helpers/fixture.ts'
import { ADDITIONS, chunksOf, textOf } from '../../helpers/wire.ts'
import { hasOpenaiSpec, openaiViolations } from '../../providers/json-schema.ts'
import { gather } from './contract.ts'
import { ASK, askOf, contextOf, eventsIn, isStream, type Json, judge, recordings, written } from './kit.ts'

const ALL = recordings()
const ANSWERED = ALL.filter(({ response }) => response.status === 200)
const ASKED = ALL.filter(({ request }) => request.body !== null && request.body._omitted === undefined)

const WHOLE: [string, string][] = [
  ...fixtures('openai-chat', '.json').map((name): [string, string] => [name, textOf(fixture(name))]),
  ...ANSWERED.filter((one) => !isStream(one) && one.response.body.includes('"choices"')).map(
    (one): [string, string] => [one.id, one.response.body],
  ),
]
const STREAMS: [string, string][] = [
  ...fixtures('openai-chat', '.sse').map((name): [string, string] => [name, textOf(fixture(name))]),
  ...ANSWERED.filter(isStream).map((one): [string, string] => [one.id, one.response.body]),
]

const context = { ...contextOf(askOf(ASK)), additions: null }
const read = (body: string) => openaiChatDialect.readAnswer(JSON.parse(body), 'req_1')

/** OpenAI's description says `nullable` beside a reference, which a reader of JSON schemas passes over. */
function chunkViolations(chunk: Json): string[] {
  const { usage, ...rest } = chunk
  return openaiViolations('CreateChatCompletionStreamResponse', usage === null ? rest : chunk)
}

describe('whole answers', () => {
  it.each(WHOLE)('%s: comes back from the canonical model with nothing lost', (_, body) => {
    const said = JSON.parse(body)
    const completion = read(body)
    const again = openaiChatDialect.writeAnswer(completion, context)
    expect(named(read(again))).toEqual(named({ ...named(completion), ...MADE(completion) }))
    for (const [at, { message, finish_reason }] of JSON.parse(again).choices.entries()) {
      const own = said.choices[at].message
      expect(message.content ?? '').toBe(plain(own.content))
      expect(message.reasoning_content ?? '').toBe(own.reasoning_content ?? own.reasoning ?? thinking(own.content))
      expect(callsOf(message.tool_calls)).toEqual(callsOf(own.tool_calls).map((call) => ({ arguments: '{}', ...call })))
      // A forced call ends with `stop`, and some say nothing.
      if (!own.tool_calls?.length && said.choices[at].finish_reason) {
        expect(finish_reason).toBe(own.function_call?.name ? 'tool_calls' : said.choices[at].finish_reason)
      }
    }
  })

  it.skipIf(!hasOpenaiSpec).each(WHOLE)("%s: is written as OpenAI's schema has it", (_, body) => {
    for (const additions of [null, ADDITIONS]) {
      const answer: Json = JSON.parse(openaiChatDialect.writeAnswer(read(body), { ...context, additions }))
      // OpenAI itself sends null where its schema wants a string.
      if (answer.system_fingerprint === null) delete answer.system_fingerprint
      const stray = answer.service_tier === undefined ? [] : openaiViolations('ServiceTier', answer.service_tier)
      expect([...openaiViolations('CreateChatCompletionResponse', answer), ...stray]).toEqual([])
    }
  })
})

describe('streams', () => {
  it.each(STREAMS)('%s: keeps the contract of events', (name, body) => {
    const events = eventsIn(body)
    const { choices, error } = gather(events)
    const parts = choices.flatMap((choice) => choice.parts)
    for (const part of parts) if (part.type === 'tool-call') expect(part.id, name).not.toBe('')
    expect(error === null && !events.some(({ type }) => type === 'end')).toBe(name.includes('cut-inside'))
    expect(textIn(parts), name).toEqual(textOfChunks(body))
  })

  it.each(STREAMS)('%s: comes back from the canonical model with nothing lost', (_, body) => {
    const events = eventsIn(body)
    const before = gather(events)
    if (before.error !== null || events.at(-1)?.type !== 'end') return
    const ask = askOf({ ...ASK, stream: true, stream_options: { include_usage: true } })
    const after = gather(eventsIn(written(events, contextOf(ask))))
    // An empty argument is written as an empty object, and plain thoughts bring no proof.
    expect(proofless(after)).toEqual(
      proofless({
        ...before,
        choices: before.choices.map((choice) => ({ ...choice, parts: filled(choice.parts) })),
      }),
    )
  })

  it.skipIf(!hasOpenaiSpec).each(STREAMS)("%s: is written as OpenAI's schema has it", (_, body) => {
    for (const chunk of chunksOf(Buffer.from(written(eventsIn(body))).toString('latin1'))) {
      if (chunk !== '[DONE]') expect(chunkViolations(chunk as Json)).toEqual([])
    }
  })

  it.each(STREAMS)("%s: is read by OpenAI's own client as it was meant", async (_, body) => {
    const events = eventsIn(body)
    const { choices } = gather(events)
    if (events.at(-1)?.type !== 'end' || choices.length === 0) return
    const final = await judge(written(events))
    for (const [at, { parts }] of choices.entries()) {
      const { message } = final.choices[at]!
      expect(message.content ?? '').toBe(textOfType(parts, 'text'))
      expect(message.refusal ?? '').toBe(textOfType(parts, 'refusal'))
      const calls = filled(parts).filter((part) => part.type === 'tool-call')
      expect((message.tool_calls ?? []).map((call) => (call as unknown as Json).function)).toMatchObject(
        calls.map(({ name, arguments: text }) => ({ name, arguments: text })),
      )
    }
  })
})

describe.skipIf(ASKED.length === 0)('recorded requests', () => {
  it('are there in numbers', () => expect(ASKED.length).toBeGreaterThan(100))

  it.each(ASKED.map((one) => [one.id, one.request.body!] as const))('%s: comes back as it was asked', (_, body) => {
    const prompt = openaiChatDialect.readPrompt(askOf(body))
    const { body: sent, adapted } = openaiChatDialect.writePrompt(prompt, {
      model: String(body.model),
      facts: null,
      promptCache: 'respect',
    })
    expect(adapted).toEqual(body.service_tier === 'on_demand' ? [{ param: 'service_tier', how: 'renamed' }] : [])
    expect(canonical(copyOf(sent))).toEqual(canonical(copyOf(body)))
    expect(Object.keys(sent)).toEqual(expect.arrayContaining(['model', 'messages']))
  })
})

/** A thought that came under any of its plain names goes on as `reasoning_content`. */
function named<T>(value: T): T {
  return JSON.parse(JSON.stringify(value).replaceAll('\\"in\\":\\"reasoning\\"', '\\"in\\":\\"reasoning_content\\"'))
}

/** What an answer must have, put in where the provider gave none. */
const MADE = ({ id, model, serviceTier, createdAtS }: Completion) => ({
  id: id ?? 'chatcmpl-1',
  model: model ?? 'm',
  createdAtS: createdAtS ?? 1_790_000_000,
  serviceTier: chatTier(serviceTier),
})

function proofless<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (name, item) =>
    name === 'proof' && item?.data.includes('"in":"reasoning_details"') !== true ? null : item,
  )
}

/** Five minutes are what a cache mark means when it says nothing. */
const copyOf = (body: object): Json => JSON.parse(JSON.stringify(body).replaceAll(/,"ttl":"5m"|"ttl":"5m",/g, ''))

/** The same request in the one form that the dialect writes: each difference is named here. */
function canonical(body: Json): Json {
  const { reasoning, thinking: thought, max_completion_tokens, max_tokens, stream_options, stream, ...rest } = body
  const { effort } = (reasoning ?? {}) as Json
  const thinkingKept = thought !== undefined && (thought as Json).type === undefined
  return Object.fromEntries(
    Object.entries({
      ...rest,
      // Defaults that are said.
      stream: stream === true ? true : undefined,
      // Usage is always asked for.
      stream_options: undefined,
      max_tokens: max_completion_tokens ?? max_tokens,
      thinking: thinkingKept ? thought : undefined,
      // One of several words for one wish; a wish to think without saying how much is no word of OpenAI's.
      reasoning_effort: rest.reasoning_effort ?? effort,
      reasoning: undefined,
      // Without tools it has no meaning, and OpenAI refuses it.
      tool_choice: !rest.tools ? undefined : rest.tool_choice === 'any' ? 'required' : rest.tool_choice,
      service_tier: rest.service_tier === 'on_demand' ? 'default' : rest.service_tier,
      tools: (rest.tools as Json[] | undefined)?.map(plainTool),
      messages: (rest.messages as Json[]).map(plainMessage),
    }).filter(([, value]) => value !== undefined && value !== null),
  )
}

function plainTool(tool: Json): Json {
  if (tool.type !== 'function') return tool
  const called = Object.entries(tool.function as Json).filter(([, value]) => value !== null)
  return { ...tool, function: Object.fromEntries(called) }
}

/** Plain texts are one string; Mistral's `prefix` and thoughts without proof have no word in the model. */
function plainMessage(message: Json): Json {
  const { content, prefix: _, reasoning: __, reasoning_content: ___, ...rest } = message
  const parts = (Array.isArray(content) ? content : [content]).filter((part) => part?.type !== 'thinking')
  const isPlain = parts.every((part) => part?.type === 'text' && part.cache_control === undefined)
  const text = Array.isArray(content) && isPlain ? parts.map((part) => part.text).join('\n\n') : content
  // Mistral numbers calls, and lists none.
  const called = ((rest.tool_calls ?? []) as Json[]).map(({ index: _____, ...call }) => call)
  const calls = called.length > 0 ? { tool_calls: called } : {}
  const { tool_calls: ____, ...others } = rest
  return { ...others, ...calls, content: rest.tool_calls && !text ? null : text }
}

const plain = (content: unknown) =>
  Array.isArray(content) ? content.map((part) => part.text ?? '').join('') : (content ?? '')
const thinking = (content: unknown) =>
  Array.isArray(content)
    ? content
        .flatMap((part) => part.thinking ?? [])
        .map((part) => part.text)
        .join('')
    : ''

function callsOf(calls: Json[] | null | undefined): Json[] {
  return (calls ?? []).map((call) => (call.function ?? call.custom) as Json)
}

function filled(parts: readonly Part[]): Part[] {
  return parts.map((part) => (part.type === 'tool-call' && part.arguments === '' ? { ...part, arguments: '{}' } : part))
}

function textOfType(parts: readonly Part[], type: 'text' | 'refusal'): string {
  return parts.map((part) => (part.type === type ? part.text : '')).join('')
}

function textIn(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
}

/** The content of all choices, one choice after the other, by a plain reading of the chunks. */
function textOfChunks(body: string): string {
  const texts = new Map<number, string>()
  for (const line of body.split(/\r?\n\r?\n/)) {
    const data = line
      .replace(/^\ufeff/, '')
      .split(/\r?\n/)
      .filter((one) => one.startsWith('data:'))
      .map((one) => one.slice(5))
      .join('\n')
    if (!data.includes('{')) continue
    let chunk: Json
    try {
      chunk = JSON.parse(data)
    } catch {
      continue
    }
    if (chunk.error) break
    for (const choice of (chunk.choices ?? []) as Json[]) {
      const content = plain((choice.delta as Json | undefined)?.content)
      texts.set(Number(choice.index), (texts.get(Number(choice.index)) ?? '') + content)
    }
  }
  return [...texts]
    .sort(([a], [b]) => a - b)
    .map(([, text]) => text)
    .join('')
}
