import { describe, expect, it } from 'vitest'
import { inputTotal, outputTotal } from '../../../db/model/usage.ts'
import type { Completion, Part } from '../../../server/wire/model.ts'
import { openaiResponsesDialect as dialect } from '../../../server/wire/openai-responses/dialect.ts'
import { openaiResponses } from '../../../server/wire/openai-responses/wire.ts'
import { Random } from '../../helpers/random.ts'
import { bytesOf, chunksOf, cutAt, follow, jsonBytes } from '../../helpers/wire.ts'
import { eventsFrom, expectContract, partsFrom, short } from './contract.ts'
import { ALL, ASKED, type Exchange, type Json, SHORTENED, STREAMS, WHOLE } from './recordings.ts'
import { answerBreaks, eventBreaks, hasSpecs } from './specs.ts'

const ask = openaiResponses.readAsk(jsonBytes({ model: 'm', input: 'Hi', stream: true }))
const byId = (exchanges: readonly Exchange[]) => exchanges.map((one) => [one.id, one] as const)
const context = { ask, callId: 'req_9', createdAtS: 1_767_225_600, model: 'm' }

/** The last response in a stream: its own words for what it gave. */
function lastResponse({ response }: Exchange): Json | null {
  const events = chunksOf(Buffer.from(response.body).toString('latin1')).filter((event) => event !== '[DONE]') as Json[]
  return (events.at(-1)?.response ?? null) as Json | null
}

function partsIn(response: Json): Part[] {
  return [...dialect.readAnswer(response, '').choices[0]!.parts]
}

describe.skipIf(ALL.length === 0)('recorded exchanges', () => {
  it('are there in numbers, whole and streamed', () => {
    expect(WHOLE.length).toBeGreaterThan(80)
    expect(STREAMS.length).toBeGreaterThan(30)
    expect(ASKED.length).toBeGreaterThan(70)
  })

  it.each(byId(STREAMS))('%s: passes unchanged with its usage, wherever it is cut', (id, exchange) => {
    const bytes = bytesOf(exchange.response.body)
    const whole = follow(openaiResponses, ask, { pieces: [bytes] })
    const last = lastResponse(exchange)
    const isWhole = last !== null
    expect(whole, id).toMatchObject({ done: isWhole, begun: true, failure: null })
    const given = Buffer.from(bytes).toString('latin1')
    expect(given.startsWith(whole.passed + whole.last.trimEnd()), id).toBe(true)
    const said = last?.usage as Json | undefined
    expect(whole.metered.source).toBe(said ? 'provider' : 'estimated')
    if (said) expect(outputTotal(whole.metered.usage)).toBe(said.output_tokens)
    if (said) expect(inputTotal(whole.metered.usage)).toBe(said.input_tokens)
    const random = new Random(bytes.length)
    for (let round = 0; round < 4; round++) {
      const places = Array.from({ length: 40 }, () => random.int(bytes.length)).sort((a, b) => a - b)
      expect(follow(openaiResponses, ask, { pieces: cutAt(bytes, places) }), `${id} cut at ${places}`).toEqual(whole)
    }
  })

  it.each(byId(STREAMS))('%s: is read by the contract, and says what its last event says', (id, exchange) => {
    const events = eventsFrom(dialect, exchange.response.body)
    expectContract(events, id)
    const last = lastResponse(exchange)
    if (last === null) return
    expect(events.at(-1)).toEqual({ type: 'end' })
    const output = last.output as Json[]
    if (output.length === 0 || SHORTENED.test(id)) return
    expect(partsFrom(events).filter(isSaid).map(short).sort(), id).toEqual(
      partsIn(last).filter(isSaid).map(short).sort(),
    )
  })

  it.skipIf(!hasSpecs).each(byId(STREAMS))('%s: is written as OpenAI describes its events', (id, exchange) => {
    const writer = dialect.writeStream(context)
    const events = eventsFrom(dialect, exchange.response.body)
    const text = events.map((event) => writer.write(event)).join('') + writer.finish(null)
    const written = chunksOf(Buffer.from(text).toString('latin1')).filter((event) => event !== '[DONE]') as Json[]
    const isOwn = partsFrom(events).some((part) => part.type === 'opaque' || hasOwnCitations(part))
    for (const event of written) {
      // Items of a provider's own go back as they came, right or wrong.
      if (!isOwn) expect(eventBreaks(event, !/custom/.test(id)), `${id} ${JSON.stringify(event)}`).toEqual([])
    }
    const again = eventsFrom(dialect, text)
    // A citation without a place is about the whole text.
    const placed = (part: Part) => short(part).replaceAll(/(?:null-null|0-\d+)(?=[,\]])/g, 'all')
    expect(partsFrom(again).map(placed)).toEqual(partsFrom(events).map(placed))
  })

  it.each(byId(WHOLE))('%s: is read, written and read again as the same answer', (id, exchange) => {
    const response = JSON.parse(exchange.response.body) as Json
    const answer = dialect.readAnswer(response, 'req_9')
    const written = JSON.parse(dialect.writeAnswer(answer, { ...context, additions: null })) as Json
    const again = dialect.readAnswer(written, 'req_9')
    expect(withoutIds(again), id).toEqual(withoutIds(answer))
    const isOwn = answer.choices[0]!.parts.some((part) => part.type === 'opaque' || hasOwnCitations(part))
    if (!hasSpecs || isOwn) return
    expect(answerBreaks(written), id).toEqual([])
  })

  it.each(byId(ASKED))('%s: the request is read, written and read again as the same prompt', (id, exchange) => {
    const body = exchange.request.body!
    const given = openaiResponses.readAsk(jsonBytes(body))
    expect(given).toMatchObject({ model: body.model, stream: body.stream === true })
    const prompt = dialect.readPrompt(given)
    const written = dialect.writePrompt(prompt, { model: prompt.model, facts: null, promptCache: 'respect' })
    expect(written.adapted, id).toEqual([])
    const again = dialect.readPrompt(openaiResponses.readAsk(jsonBytes(written.body)))
    // A thought without proof is left out; nothing else of the prompt is.
    const provable = prompt.messages.map((message) => ({ ...message, parts: message.parts.filter(isProvable) }))
    expect(again.messages.flatMap(({ role, parts }) => parts.map((part) => [role, part]))).toEqual(
      provable.flatMap(({ role, parts }) => parts.map((part) => [role, part])),
    )
    const { messages: _, tools, ...rest } = prompt
    expect(again).toMatchObject({ ...rest, tools: tools.map(withStrict) })
  })
})

function isSaid(part: Part): boolean {
  return !(part.type === 'text' && part.text === '')
}

function isProvable(part: Part): boolean {
  return part.type !== 'reasoning' || part.proof !== null
}

function hasOwnCitations(part: Part): boolean {
  return part.type === 'text' && (part.citations ?? []).some((one) => one.type === 'opaque')
}

/** The wire takes a missing `strict` for true: it is always said. */
function withStrict(tool: object): object {
  return 'strict' in tool && tool.strict === null ? { ...tool, strict: false } : tool
}

/** What a second reading can't know: the provider's own names for the answer, and a tier that it didn't tell. */
function withoutIds({ id: _, createdAtS: __, serviceTier, ...rest }: Completion): object {
  return { ...rest, serviceTier: serviceTier ?? 'default' }
}
