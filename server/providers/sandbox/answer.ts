import type { UpstreamRequest } from '../../upstream.ts'
import { answerChat } from './chat.ts'
import { isObject, type Json } from './check.ts'
import { answerCompletions } from './completions.ts'
import { answerEmbeddings } from './embeddings.ts'
import type { Behaviour } from './model.ts'
import { hashOf } from './random.ts'
import { Refusal, type Reply, refusalReply } from './reply.ts'

export interface Answer {
  readonly reply: Reply
  readonly behaviour: Behaviour
}

const ENDPOINTS: readonly (readonly [path: string, answer: (body: Json, seed: number, created: number) => Reply])[] = [
  ['/chat/completions', answerChat],
  ['/completions', answerCompletions],
  ['/embeddings', answerEmbeddings],
]

/** The answer to one request: the same to the same body, whether it is streamed or not. */
export function answer(request: UpstreamRequest, nowMs: number): Answer {
  let seed = 0
  try {
    const endpoint = request.method === 'POST' ? ENDPOINTS.find(([path]) => request.path.endsWith(path)) : undefined
    if (endpoint === undefined) {
      throw new Refusal(`Unknown request URL: ${request.method} ${request.path}.`, null, 'unknown_url', { status: 404 })
    }
    const body = readBody(request.body)
    const { stream: _stream, stream_options: _options, ...meant } = body
    seed = hashOf(JSON.stringify(meant))
    const reply = endpoint[1](body, seed, Math.floor(nowMs / 1000))
    const name = String(body.model).replace('sandbox/', '')
    return { reply, behaviour: name === 'slow' || name === 'cut' ? name : 'answer' }
  } catch (error) {
    if (error instanceof Refusal) return { reply: refusalReply(error, seed), behaviour: 'answer' }
    // The stack: JSON nested thousands deep.
    if (error instanceof RangeError) {
      return {
        reply: refusalReply(new Refusal('The body is nested too deeply.', null, null), seed),
        behaviour: 'answer',
      }
    }
    throw error
  }
}

function readBody(bytes: Uint8Array | null): Json {
  let body: unknown
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes ?? new Uint8Array()))
  } catch {
    body = null
  }
  if (!isObject(body)) {
    throw new Refusal(
      'We could not parse the JSON body of your request. (HINT: This likely means you aren’t using your HTTP library ' +
        'correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)',
      null,
      null,
    )
  }
  if (typeof body.model !== 'string' || body.model === '')
    throw new Refusal('you must provide a model parameter', null, null)
  return body
}
