import type { Deps } from '../deps.ts'
import type { Incoming, Reply } from '../http.ts'
import { fromLatin1, toByteText } from '../wire/bytes.ts'
import { readMember, scanObject } from '../wire/json.ts'
import { compaction, compactPrompt } from '../wire/openai-responses/compact.ts'
import { itemsOfAnswer } from '../wire/openai-responses/state.ts'
import { openaiResponses } from '../wire/openai-responses/wire.ts'
import type { ByteText } from '../wire/wire.ts'
import { callModel } from './call-model.ts'
import type { Place } from './endpoint.ts'

/** `POST /v1/responses/compact`: on every provider, by asking the model itself for a summary; metered like any call. */
export async function compactResponse(incoming: Incoming, deps: Deps, place: Place): Promise<Reply> {
  let input: unknown = []
  const rewrite = (body: Uint8Array): Uint8Array => {
    input = readMember(body, scanObject(body), 'input')
    return compactPrompt(body)
  }
  const finish = (text: ByteText, callId: string): ByteText => {
    const answer = JSON.parse(Buffer.from(fromLatin1(text)).toString()) as Answered
    const compacted = compaction(input, {
      id: `resp_${callId.replace(/^req_/, '')}`,
      createdAtS: Math.floor(deps.clock.now() / 1000),
      summary: textOf(answer),
      usage: answer.usage ?? null,
    })
    return toByteText(JSON.stringify(compacted))
  }
  const wire = openaiResponses
  return callModel({ name: 'responses.compact', wire, keeps: true, rewrite, finish })(incoming, deps, place)
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
