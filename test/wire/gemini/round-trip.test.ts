import { describe, expect, it } from 'vitest'
import { geminiDialect } from '../../../server/wire/gemini/dialect.ts'
import { gemini } from '../../../server/wire/gemini/wire.ts'
import { jsonBytes } from '../../helpers/wire.ts'
import { type Exchange, isStream, type Json, modelIn, recorded } from './recorded.ts'

/** From Gemini's words to canonical ones and back, on every recording: equal, apart from what is named here. */

const ALL = recorded()
const ASKED = ALL.filter(({ request }) => request.body !== null && request.body._omitted === undefined)
const ANSWERED = ALL.filter((exchange) => exchange.response.status === 200 && !isStream(exchange))
const named = (exchanges: Exchange[]) => exchanges.map((exchange) => [exchange.id, exchange] as const)

const askOf = (body: Json, model: string) => gemini.readAsk(jsonBytes(body), { model, stream: false })
const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Names in camelCase, but those that are the caller's own. */
function inCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inCamelCase)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const isOwn = /^(args|response|parameters|parameters_?json_?schema|response_?(json_?)?schema)$/i.test(key)
      return [camel(key), isOwn ? item : inCamelCase(item)]
    }),
  )
}

/** A request as it is expected back: no answer but text was asked for, one form of schemas. */
function expectedOf(body: Json): Json {
  const { systemInstruction, contents, tools, toolConfig, generationConfig, ...rest } = inCamelCase(body) as Json
  const { responseModalities: _, responseSchema, ...config } = (generationConfig ?? {}) as Json
  const schema = responseSchema === undefined ? {} : { responseJsonSchema: expect.anything() }
  const system = systemInstruction as { parts: Json[] } | undefined
  return {
    ...rest,
    contents: joined(contents as Content[]),
    ...(system === undefined ? {} : { systemInstruction: { parts: system.parts } }),
    ...(tools === undefined ? {} : { tools: (tools as Json[]).map(declared) }),
    ...(toolConfig === undefined ? {} : { toolConfig: chosen(toolConfig as Json) }),
    ...(Object.keys({ ...config, ...schema }).length === 0 ? {} : { generationConfig: { ...config, ...schema } }),
  }
}

interface Content {
  readonly role: string
  readonly parts: Json[]
}

/** Contents of one role that follow each other are one, and so is the model's text; its empty text is left out. */
function joined(contents: readonly Content[]): Content[] {
  const all: Content[] = []
  for (const { role, parts } of contents) {
    const isSaid = ({ text, thoughtSignature }: Json) => text !== '' || thoughtSignature !== undefined
    const written = (role === 'model' ? parts.filter(isSaid) : parts).map(wrapped)
    const last = all.at(-1)
    if (last?.role === role) last.parts.push(...written)
    else if (written.length > 0) all.push({ role, parts: written })
  }
  return all.map(({ role, parts }) => ({ role, parts: role === 'model' ? parts.reduce(withText, []) : parts }))
}

function withText(parts: Json[], part: Json): Json[] {
  const last = parts.at(-1)
  if (Object.keys(part).join() !== 'text' || typeof last?.text !== 'string' || last.thought) return [...parts, part]
  return [...parts.slice(0, -1), { ...last, text: `${last.text}${part.text}` }]
}

function wrapped(part: Json): Json {
  const { fileData, functionResponse } = part as { fileData?: Json; functionResponse?: Json }
  if (fileData !== undefined) return { ...part, fileData: { fileUri: fileData.fileUri } }
  if (functionResponse === undefined) return part
  const { response, parts } = functionResponse as { response: Json; parts?: Json[] }
  const [name, ...others] = Object.keys(response)
  const isNamed = others.length === 0 && (name === 'output' || name === 'error')
  const said = isNamed ? response[name!] : response
  const text = typeof said === 'string' ? said : JSON.stringify(said)
  const media = parts === undefined ? {} : { parts: parts.map(wrapped) }
  return { functionResponse: { ...functionResponse, response: { [isNamed ? name! : 'output']: text }, ...media } }
}

/** One form of schemas, and no empty descriptions. */
function declared(tool: Json): Json {
  if (tool.functionDeclarations === undefined) return tool
  const functions = (tool.functionDeclarations as Json[]).map(({ description, parameters, ...rest }) => ({
    ...rest,
    ...(description === '' ? {} : { description }),
    ...(parameters === undefined ? {} : { parametersJsonSchema: expect.anything() }),
  }))
  return { functionDeclarations: functions }
}

/** VALIDATED is AUTO with strict tools, which nothing says of the tools. */
function chosen(config: Json): Json {
  const { functionCallingConfig, ...rest } = config
  if (functionCallingConfig === undefined) return rest
  const { mode, allowedFunctionNames } = functionCallingConfig as Json
  const free = allowedFunctionNames === undefined ? 'AUTO' : 'VALIDATED'
  return {
    ...rest,
    functionCallingConfig: {
      ...(functionCallingConfig as Json),
      mode: mode === 'ANY' || mode === 'NONE' ? mode : free,
    },
  }
}

/** What the reader of contents leaves out, as in a request: types that an address doesn't tell. */
function withoutTypes(contents: Content[]): Content[] {
  const strip = (part: Json): Json => {
    const { fileData, functionResponse } = part as { fileData?: Json; functionResponse?: Json }
    if (fileData !== undefined) return { ...part, fileData: { fileUri: fileData.fileUri } }
    const parts = (functionResponse as { parts?: Json[] } | undefined)?.parts
    return parts === undefined ? part : { functionResponse: { ...functionResponse, parts: parts.map(strip) } }
  }
  return contents.map(({ role, parts }) => ({ role, parts: parts.map(strip) }))
}

describe.skipIf(ALL.length === 0)('from Gemini to Gemini', () => {
  it.each(named(ASKED))('%s: the request', (_, exchange) => {
    const body = exchange.request.body!
    const model = modelIn(exchange)
    const prompt = geminiDialect.readPrompt(askOf(body, model))
    const written = geminiDialect.writePrompt(prompt, { model, facts: null, promptCache: 'off' })
    const back = inCamelCase(JSON.parse(JSON.stringify(written.body))) as Json & { contents: Content[] }
    expect({ ...back, contents: withoutTypes(back.contents) }).toEqual(expectedOf(body))
    expect(written.adapted.filter(({ how }) => how !== 'emulated')).toEqual([])
  })

  it.each(named(ANSWERED))('%s: the answer', (_, exchange) => {
    const said: Json = JSON.parse(exchange.response.body)
    const context = {
      ask: askOf({ contents: [{ parts: [{ text: 'Hi' }] }] }, 'gemini-x'),
      callId: 'req_1',
      createdAtS: 1,
      model: 'gemini-x',
      additions: null,
    }
    const back: Json = JSON.parse(geminiDialect.writeAnswer(geminiDialect.readAnswer(said, 'req_1'), context))
    expect(back).toMatchObject({ responseId: said.responseId, modelVersion: said.modelVersion })
    const [before] = (said.candidates ?? [{}]) as { content?: { parts?: Json[] }; finishReason?: string }[]
    const [after] = back.candidates as { content: { parts: Json[] }; finishReason: string }[]
    // Named differences: our ids of calls that had none, empty text, one word for all that was withheld.
    const parts = (before!.content?.parts ?? []).filter(({ text }) => text !== '')
    expect(after!.content.parts.map(withoutOurs)).toEqual(parts.map(withoutOurs))
    const reason = before!.finishReason
    expect(after!.finishReason).toBe(reason === 'STOP' || reason === 'MAX_TOKENS' ? reason : 'SAFETY')
    const total = (answer: Json) => (answer.usageMetadata as Json | undefined)?.totalTokenCount
    expect(total(back)).toBe(total(said))
  })
})

function withoutOurs(part: Json): Json {
  if (part.functionCall === undefined) return part
  const { id, ...call } = part.functionCall as Json
  return { ...part, functionCall: { ...call, ...(String(id).startsWith('req_1_') ? {} : { id }) } }
}
