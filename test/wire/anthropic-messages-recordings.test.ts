import { describe, expect, it } from 'vitest'
import { inputTotal, outputTotal, type Usage } from '../../db/model/usage.ts'
import { readCountAsk } from '../../server/wire/anthropic-messages/ask.ts'
import { anthropicMessagesDialect as dialect } from '../../server/wire/anthropic-messages/dialect.ts'
import { estimateMessages } from '../../server/wire/anthropic-messages/estimate.ts'
import { anthropicMessages } from '../../server/wire/anthropic-messages/wire.ts'
import type { StreamEvent } from '../../server/wire/model.ts'
import type { Ask } from '../../server/wire/wire.ts'
import { Random } from '../helpers/random.ts'
import { ADDITIONS, bytesOf, cutAt, eventsOf, follow, jsonBytes } from '../helpers/wire.ts'
import { violations } from '../providers/json-schema.ts'
import { broken, readAll } from './anthropic-messages/contract.ts'
import {
  COUNTS,
  type Exchange,
  hasRecordings,
  isStream,
  type Json,
  MESSAGES,
  spec,
} from './anthropic-messages/recorded.ts'

const STAND_IN = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] }
const ANSWERED = MESSAGES.filter(({ status }) => status === 200)
const WHOLE = ANSWERED.filter((exchange) => !isStream(exchange)).map((one) => [one.id, one] as const)
const STREAMED = ANSWERED.filter(isStream).map((one) => [one.id, one] as const)
const ASKED = MESSAGES.filter(({ request }) => request !== null).map((one) => [one.id, one] as const)
const CONTEXT = { callId: 'req_01', createdAtS: 1, model: 'm', additions: null }
/** Blocks that are written anew; all others pass as the provider sent them. */
const OURS = ['text', 'thinking', 'redacted_thinking', 'tool_use']
const message = spec('Message')
const streamEvent = spec('RawMessageStreamEvent')
const params = spec('MessageCountTokensParams')

function askOf({ request }: Exchange): Ask {
  return anthropicMessages.readAsk(jsonBytes(request ?? STAND_IN))
}

/** The counters must add up to what the recording says, read by nothing but its own words. */
function expectUsage(usage: Usage, said: Json, id: string): void {
  const iterations = ((said.iterations ?? []) as Json[]).filter(({ type }) => type === 'compaction')
  const sum = (name: string) => [said, ...iterations].reduce((all, one) => all + Number(one[name] ?? 0), 0)
  const cached = sum('cache_creation_input_tokens')
  expect(usage.cacheRead, id).toBe(sum('cache_read_input_tokens'))
  expect(usage.cacheWrite5m + usage.cacheWrite1h, id).toBe(cached)
  expect(inputTotal(usage), id).toBe(sum('input_tokens') + cached + sum('cache_read_input_tokens'))
  expect(outputTotal(usage), id).toBe(sum('output_tokens'))
}

describe.skipIf(!hasRecordings)('recorded exchanges', () => {
  it('are there in numbers, whole and streamed', () => {
    expect(WHOLE.length).toBeGreaterThan(70)
    expect(STREAMED.length).toBeGreaterThan(15)
    expect(ASKED.length).toBeGreaterThan(55)
  })

  it.each(ASKED)('%s: the request goes out with nothing changed but what was asked', (id, exchange) => {
    const ask = askOf(exchange)
    expect(ask).toMatchObject({ model: exchange.request!.model, stream: exchange.request!.stream === true })
    expect(anthropicMessages.edit(ask, { model: ask.model, askUsage: true }).body, id).toBe(ask.body)
    const sent = JSON.parse(Buffer.from(anthropicMessages.edit(ask, { model: 'x', askUsage: true }).body).toString())
    expect(sent, id).toEqual({ ...exchange.request, model: 'x' })
  })

  it.each(ASKED)('%s: the request is the same after a way through the canonical prompt', (id, exchange) => {
    const ask = askOf(exchange)
    const prompt = dialect.readPrompt(ask)
    const { body, adapted } = dialect.writePrompt(prompt, { model: ask.model, facts: null, promptCache: 'respect' })
    expect(JSON.parse(JSON.stringify(body)), id).toEqual(normalRequest(exchange.request!))
    expect(adapted, id).toEqual([])
    if (params === null || 'mcp_servers' in body) return
    const { max_tokens: _, stream: __, container: ___, ...counted } = body
    const isBeta = /"type":"(?:mcp_|advisor_|compaction|tool_addition|container_upload)/.test(JSON.stringify(body))
    if (!isBeta) expect(violations(params, counted), id).toEqual([])
  })

  it.each(WHOLE)('%s: the answer’s usage is read, its bytes are kept', (id, exchange) => {
    const said: Json = JSON.parse(exchange.body)
    const answer = anthropicMessages.readAnswer(bytesOf(exchange.body), askOf(exchange))
    expect(answer.source).toBe('provider')
    expectUsage(answer.usage, said.usage as Json, id)
    expect(Buffer.from(answer.withAdditions(ADDITIONS), 'latin1').toString()).toBe(exchange.body)
  })

  it.each(WHOLE)('%s: the answer is the same after a way through the canonical completion', (id, exchange) => {
    const said: Json = JSON.parse(exchange.body)
    const completion = dialect.readAnswer(said, 'call')
    expectUsage(completion.usage!, said.usage as Json, id)
    const written = JSON.parse(dialect.writeAnswer(completion, { ...CONTEXT, ask: askOf(exchange) }))
    const { usage: _, ...rest } = written
    expect(normalAnswer(rest), id).toEqual(normalAnswer(said))
    const content = written.content.filter(({ type }: Json) => OURS.includes(String(type)))
    if (message !== null) expect(violations(message, { ...written, content, container: null }), id).toEqual([])
  })

  it.each(STREAMED)('%s: the stream passes unchanged with its usage, wherever it is cut', (id, exchange) => {
    const bytes = bytesOf(exchange.body)
    const ask = askOf(exchange)
    const whole = follow(anthropicMessages, ask, { pieces: [bytes] })
    expect(whole, id).toMatchObject({ finished: true, failure: null })
    expect(whole.metered.source).toBe('provider')
    expectUsage(whole.metered.usage, usageIn(exchange.body), id)
    expect(Buffer.from(whole.passed + whole.last, 'latin1').toString(), id).toBe(exchange.body)
    const random = new Random(bytes.length)
    for (let round = 0; round < 4; round++) {
      const places = Array.from({ length: 40 }, () => random.int(bytes.length)).sort((a, b) => a - b)
      expect(follow(anthropicMessages, ask, { pieces: cutAt(bytes, places) }), `${id} cut at ${places}`).toEqual(whole)
    }
  })

  it.each(STREAMED)('%s: the stream keeps the contract of canonical events', (id, exchange) => {
    const events = readAll(dialect.readStream('call'), Buffer.from(exchange.body).toString('latin1'))
    expect(broken(events, true), id).toEqual([])
    const usage = events.find((event) => event.type === 'usage')
    expectUsage(usage!.usage, usageIn(exchange.body), id)
  })

  it.each(STREAMED)('%s: the stream says the same after a way through canonical events', (id, exchange) => {
    const events = readAll(dialect.readStream('call'), Buffer.from(exchange.body).toString('latin1'))
    const frames = written(events)
    // One begins anew in the middle, one tells why it declined beside the content.
    if (!/spliced-message-start|refusal/.test(id)) {
      const before = blocksOf(Buffer.from(exchange.body).toString('latin1'))
      expect(blocksOf(Buffer.from(frames).toString('latin1')), id).toEqual(before.map(normalBlock).filter(isSome))
    }
    if (streamEvent === null) return
    for (const { data } of eventsOf(Buffer.from(frames).toString('latin1'))) {
      const event = JSON.parse(data)
      const isOurs = event.content_block === undefined || OURS.includes(event.content_block.type)
      if (isOurs) expect(violations(streamEvent, event), `${id}: ${data}`).toEqual([])
    }
  })

  it('a prompt that nobody counted is estimated within a third of what Anthropic counts, for prompts of text', () => {
    const counted = COUNTS.map(({ request, body }) => [readCountAsk(jsonBytes(request)), JSON.parse(body).input_tokens])
    const used = WHOLE.filter(([, { request, body }]) => request !== null && isPlain(request, JSON.parse(body)))
    const all = [
      ...counted,
      ...used.map(([, one]) => [askOf(one), inputTotal(dialect.readAnswer(JSON.parse(one.body), '').usage!)]),
    ] as [Ask, number][]
    expect(all.length).toBeGreaterThan(20)
    const ratios = all.map(([ask, real]) => estimateMessages(ask) / real).sort((a, b) => a - b)
    expect(ratios[Math.floor(ratios.length / 2)]).toBeGreaterThan(0.67)
    expect(ratios[Math.floor(ratios.length / 2)]).toBeLessThan(1.33)
  })
})

function isPlain(request: Json, answer: Json): boolean {
  const text = JSON.stringify(request)
  const hasMore = /server_tool|code_execution|web_search|tool_search|thinking|mcp|container|advisor|defer_loading/.test(
    text,
  )
  return !hasMore && (answer.usage as Json).iterations === undefined
}

function written(events: readonly StreamEvent[]): string {
  const writer = dialect.writeStream({ ...CONTEXT, ask: anthropicMessages.readAsk(jsonBytes(STAND_IN)) })
  return events.map((event) => writer.write(event)).join('') + writer.finish(null)
}

/** The last usage in a stream, with what only its beginning says. */
function usageIn(body: string): Json {
  const events = eventsOf(Buffer.from(body).toString('latin1')).map(({ data }) => JSON.parse(data))
  const start = events.find(({ type }) => type === 'message_start').message.usage
  const end = events.filter(({ type }) => type === 'message_delta').at(-1)
  return { ...start, ...end?.usage }
}

/** What a client makes of a stream's blocks, put together by plain means. */
function blocksOf(byteText: string): Json[] {
  const blocks: Json[] = []
  const json: string[] = []
  for (const { data } of eventsOf(byteText)) {
    const { type, index, content_block: block, delta, message: whole } = JSON.parse(data)
    if (type === 'message_start') blocks.push(...whole.content)
    if (type === 'content_block_start') blocks[index] = { ...block }
    if (type !== 'content_block_delta') continue
    const open = blocks[index]!
    if (delta.type === 'text_delta') open.text += delta.text
    if (delta.type === 'thinking_delta') open.thinking += delta.thinking
    if (delta.type === 'signature_delta') open.signature = delta.signature
    if (delta.type === 'citations_delta') open.citations = [...((open.citations as unknown[]) ?? []), delta.citation]
    if (delta.type === 'input_json_delta') json[index] = (json[index] ?? '') + delta.partial_json
  }
  for (const [index, text] of json.entries()) if (text) blocks[index]!.input = JSON.parse(text)
  return blocks
}

const isSome = (block: Json | null): block is Json => block !== null

/** Named differences: empty text goes, a call says who called, web citations lose Anthropic's index. */
function normalBlock(block: Json): Json | null {
  if (block.type === 'text') {
    if (block.text === '') return null
    const cited = ((block.citations as Json[] | null) ?? []).map((one) =>
      one.type === 'web_search_result_location' ? { ...one, encrypted_index: '' } : one,
    )
    return { type: 'text', text: block.text, citations: cited }
  }
  if (block.type === 'thinking') return { signature: '', ...block }
  if (block.type === 'tool_use') return { ...block, caller: { type: 'direct' } }
  return block
}

/** Named differences: members that newer answers have, tiers and counters written anew, a refusal's words in the content. */
function normalAnswer({ usage: _, content, stop_details: __, ...rest }: Json): Json {
  const blocks = (content as Json[]).map(normalBlock).filter(isSome)
  return { container: null, diagnostics: null, ...rest, content: blocks }
}

/** Named differences: text as blocks, defaults unsaid, nulls gone, tools without their type, results of one text as text. */
function normalRequest(request: Json): Json {
  const { system, messages, stream, tools, tool_choice: choice, ...rest } = request
  const blocks = (content: unknown) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content)
  const turns: Json[] = []
  for (const { role, content } of messages as Json[]) {
    const written = (blocks(content) as Json[]).map(normalPart)
    const last = turns.at(-1)
    if (last?.role === role) (last!.content as Json[]).push(...written)
    else turns.push({ role, content: written })
  }
  return {
    ...rest,
    messages: turns,
    ...(system === undefined ? {} : { system: blocks(system) }),
    ...(stream === true ? { stream } : {}),
    ...(tools === undefined || (tools as Json[]).length === 0 ? {} : { tools: (tools as Json[]).map(normalTool) }),
    ...(choice === undefined ? {} : { tool_choice: choice }),
  }
}

function normalPart({ cache_control: mark, ...bare }: Json): Json {
  const { ttl, type } = (mark ?? {}) as Json
  // Five minutes are the default.
  const part = mark === undefined ? bare : { ...bare, cache_control: ttl === '1h' ? { type, ttl } : { type } }
  if (bare.type !== 'tool_result') return part
  const { is_error: failed, content, ...rest } = part as Json
  const [first, second] = Array.isArray(content) ? (content as Json[]) : []
  const text = first?.type === 'text' && second === undefined ? first.text : content
  return { ...rest, content: text, ...(failed === true ? { is_error: true } : {}) }
}

function normalTool(tool: Json): Json {
  if (tool.type !== undefined && tool.type !== 'custom') return tool
  const { type: _, defer_loading: __, ...rest } = tool
  return rest
}
