import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { fromLatin1, toByteText } from '../wire/bytes.ts'
import { readMember, scanObject } from '../wire/json.ts'
import { compaction, compactPrompt } from '../wire/openai-responses/compact.ts'
import { itemsOfAnswer } from '../wire/openai-responses/state.ts'
import { openaiResponses } from '../wire/openai-responses/wire.ts'
import { callModel } from './call-model.ts'
import type { Place } from './endpoint.ts'

/** `POST /v1/responses/compact`: on every provider, by asking the model itself for a summary; metered like any call. */
export async function compactResponse(incoming: Incoming, deps: Deps, place: Place): Promise<Reply> {
  let input: unknown = []
  const rewrite = (body: Uint8Array): Uint8Array => {
    input = readMember(body, scanObject(body), 'input')
    return compactPrompt(body)
  }
  const summarize = callModel({ name: 'responses.compact', wire: openaiResponses, keeps: true, rewrite })
  const reply = await summarize(incoming, deps, place)
  if (reply.status !== 200 || typeof reply.body !== 'string') return reply
  const answer = JSON.parse(Buffer.from(fromLatin1(reply.body)).toString()) as Answered
  const requestId = reply.headers[reply.headers.indexOf('x-request-id') + 1]!
  const compacted = compaction(input, {
    id: `resp_${requestId.replace(/^req_/, '')}`,
    createdAtS: Math.floor(deps.clock.now() / 1000),
    summary: textOf(answer),
    usage: answer.usage ?? null,
  })
  return { ...reply, body: toByteText(JSON.stringify(compacted)) }
}

interface Answered {
  readonly usage?: unknown
  readonly output?: unknown
}

function textOf(answer: Answered): string {
  const contents = itemsOfAnswer(answer).flatMap((item) => (Array.isArray(item.content) ? item.content : []))
  return contents
    .map((part: { readonly type?: unknown; readonly text?: unknown }) =>
      part.type === 'output_text' ? String(part.text) : '',
    )
    .join('')
}
