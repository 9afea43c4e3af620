import { existsSync, readFileSync } from 'node:fs'
import OpenAI from 'openai'
import type { StreamContext, StreamReader } from '../../../server/wire/dialect.ts'
import type { StreamEvent } from '../../../server/wire/model.ts'
import { openaiChatDialect } from '../../../server/wire/openai-chat/dialect.ts'
import { openaiChat } from '../../../server/wire/openai-chat/wire.ts'
import type { Ask } from '../../../server/wire/wire.ts'
import { eventsOf, jsonBytes } from '../../helpers/wire.ts'

export type Json = Record<string, unknown>

export interface Exchange {
  readonly id: string
  readonly provider: string
  readonly request: { readonly body: Json | null }
  readonly response: { readonly status: number; readonly body: string }
}

const ROOT = new URL('../../../../shared/data/exchanges/', import.meta.url)

/** Real exchanges of chat; none where the recordings are not at hand. */
export function recordings(): Exchange[] {
  if (!existsSync(ROOT)) return []
  const { fixtures }: { fixtures: { file: string; api: string; provider: string }[] } = JSON.parse(
    readFileSync(new URL('index.json', ROOT), 'utf8'),
  )
  return fixtures
    .filter(({ api }) => api === 'chat')
    .map(({ file, provider }) => ({ ...JSON.parse(readFileSync(new URL(file, ROOT), 'utf8')), provider }))
}

export const isStream = ({ response }: Exchange) => /^(?::|event:|data:)/.test(response.body)

export function askOf(body: Json): Ask {
  return openaiChat.readAsk(jsonBytes(body))
}

export const ASK = { model: 'm', messages: [{ role: 'user', content: 'Hi' }] }

export function contextOf(ask: Ask = askOf({ ...ASK, stream: true })): StreamContext {
  return { ask, callId: 'req_1', createdAtS: 1_790_000_000, model: 'm' }
}

/** All events of a stream's bytes. */
export function eventsIn(body: string, reader: StreamReader = openaiChatDialect.readStream('req_1')): StreamEvent[] {
  const events = eventsOf(Buffer.from(body).toString('latin1')).flatMap(({ event, data }) =>
    reader.read(event === '' ? null : event, data),
  )
  return [...events, ...reader.close()]
}

/** The stream as a caller of chat gets it. */
export function written(events: readonly StreamEvent[], context: StreamContext = contextOf()): string {
  const writer = openaiChatDialect.writeStream(context)
  return events.map((event) => writer.write(event)).join('') + writer.finish(null)
}

/** OpenAI's own client reading a stream; it throws at what it does not take. */
export function judge(sse: string): Promise<OpenAI.ChatCompletion> {
  const fetch = async () => new Response(sse, { headers: { 'content-type': 'text/event-stream' } })
  const client = new OpenAI({ apiKey: 'k', baseURL: 'http://judge.invalid/v1', fetch, maxRetries: 0 })
  return client.chat.completions
    .stream({ model: 'm', messages: [{ role: 'user', content: 'Hi' }] })
    .finalChatCompletion()
}
