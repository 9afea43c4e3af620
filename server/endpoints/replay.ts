import type { KeptCall } from '../../db/model/call-bodies.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { principalOf, readBody } from '../pipeline.ts'
import { asBuffer, fromText, splice } from '../wire/bytes.ts'
import { readMember, scanObject } from '../wire/json.ts'
import { WireError } from '../wire/wire.ts'
import { speech } from './audio.ts'
import { chatCompletions } from './chat-completions.ts'
import { completions } from './completions.ts'
import { countTokens } from './count-tokens.ts'
import { embeddings } from './embeddings.ts'
import type { Endpoint, Place } from './endpoint.ts'
import { generateContent } from './generate-content.ts'
import { imageGenerations } from './images.ts'
import { messages } from './messages.ts'
import { moderations } from './moderations.ts'
import { rerank } from './rerank.ts'
import { responses } from './responses.ts'
import { compactResponse } from './responses-compact.ts'
import { responseInputTokens } from './responses-input-tokens.ts'

/** What can be made again of a JSON body alone, by the names in the log. */
const ENDPOINTS: ReadonlyMap<string, Endpoint> = new Map([
  ['chat.completions', chatCompletions],
  ['completions', completions],
  ['embeddings', embeddings],
  ['responses', responses],
  ['responses.compact', compactResponse],
  ['responses.input_tokens', responseInputTokens],
  ['messages', messages],
  ['messages.count_tokens', countTokens],
  ['generate_content', generateContent],
  ['images.generations', imageGenerations],
  ['audio.speech', speech],
  ['moderations', moderations],
  ['rerank', rerank],
])

const MAX_ORDER_BYTES = 64 * 1024
const MAX_MODEL = 256

/**
 * `POST /v1/requests/{id}/replay`, `{model?}`: the request of a logged call of the key's project is made anew, of another
 * model where one is named: a call like any other, answered as its endpoint answers.
 */
export async function replay(incoming: Incoming, deps: Deps, { id }: Place): Promise<Reply> {
  const { projectId, kind } = await principalOf(incoming, deps)
  if (kind === 'test') {
    // What the sandbox answers may repeat what is asked, and it was asked with another key.
    throw new GatewayError('insufficient_permissions', 'Test keys can not replay calls: use a project key')
  }
  const model = modelIn(await readBody(incoming, MAX_ORDER_BYTES))
  const kept = await find(projectId, id, deps)
  const endpoint = ENDPOINTS.get(kept.endpoint)
  if (endpoint === undefined) throw refused(`Calls of ${kept.endpoint} can't be replayed`)
  const body = bodyOf(kept, model)
  const place = placeOf(kept, model)
  const reply = await endpoint(new Replayed(incoming, kept, body), deps, place)
  return { ...reply, headers: [...reply.headers, 'x-watchllm-replay-of', kept.callId] }
}

/** The model that is asked for; null: the same again. */
function modelIn(order: Uint8Array): string | null {
  if (order.length === 0) return null
  const members = read(() => scanObject(order))
  const odd = [...members.keys()].find((name) => name !== 'model')
  if (odd !== undefined) throw refused(`A replay takes "model" only, not "${odd.slice(0, 64)}"`, odd.slice(0, 64))
  const model = readMember(order, members, 'model') ?? null
  if (model === null) return null
  if (typeof model === 'string' && model !== '' && model.length <= MAX_MODEL) return model
  throw refused('"model" must be the name of a model', 'model')
}

async function find(projectId: string, id: string, deps: Deps): Promise<KeptCall> {
  let kept: KeptCall | null = null
  try {
    kept = (await deps.bodies?.find(projectId, id)) ?? null
  } catch (cause) {
    const says = 'What was said in calls can not be read right now; try again shortly'
    throw new GatewayError('service_unavailable', says, { retryAfter: 2, cause })
  }
  if (kept !== null) return kept
  const says = `Nothing is kept of a call ${id.slice(0, 64)} in this project: bodies are logged where its settings say so`
  throw new GatewayError('not_found', says)
}

/** @throws GatewayError `invalid_request` for what isn't there as it was sent */
function bodyOf({ request, endpoint }: KeptCall, model: string | null): Uint8Array {
  const { text, truncated, redacted } = request
  if (truncated) throw refused('The request of this call was too long to be kept whole: it can not be replayed')
  if (redacted) throw refused('Something was redacted in the request of this call: it can not be replayed')
  if (text === null) throw refused('The request of this call is no text, and was not kept: it can not be replayed')
  const body = fromText(text)
  const members = read(() => scanObject(body))
  const isIn = members.has('conversation') && readMember(body, members, 'conversation') !== null
  if (endpoint === 'responses' && isIn) {
    throw refused('This call belongs to a conversation, to which a replay would add: it can not be replayed')
  }
  // Gemini's callers say the model in the path.
  if (model === null || endpoint === 'generate_content') return body
  const span = members.get('model')
  const name = JSON.stringify(model)
  if (span !== undefined) return splice(body, [{ ...span, text: name }])
  const first = asBuffer(body).indexOf('{') + 1
  return splice(body, [{ start: first, end: first, text: `"model":${name}${members.size === 0 ? '' : ','}` }])
}

function placeOf(kept: KeptCall, model: string | null): Place {
  // Another model may be another provider's.
  const provider = model === null ? kept.pinned : null
  if (kept.endpoint !== 'generate_content') return { id: '', ids: [], provider }
  const id = `${model ?? kept.model}:${kept.stream ? 'streamGenerateContent' : 'generateContent'}`
  return { id, ids: [id], provider }
}

/** What is no JSON object wasn't answered then, and won't be now. */
function read<T>(reading: () => T): T {
  try {
    return reading()
  } catch (error) {
    if (error instanceof WireError) throw refused(error.message, error.param)
    throw error
  }
}

function refused(message: string, param: string | null = null): GatewayError {
  return new GatewayError('invalid_request', message, { param })
}

/** The kept request with the head of the one that asks for it. */
class Replayed implements Incoming {
  readonly method = 'POST'
  readonly path: string
  readonly query: string
  readonly remoteAddress: string | null
  readonly #asked: Incoming
  readonly #type: string
  readonly #body: Uint8Array

  constructor(asked: Incoming, { request, answer, endpoint }: KeptCall, body: Uint8Array) {
    const inEvents = endpoint === 'generate_content' && answer.contentType?.startsWith('text/event-stream') === true
    this.path = asked.path
    this.query = inEvents ? [asked.query, 'alt=sse'].filter((part) => part !== '').join('&') : asked.query
    this.remoteAddress = asked.remoteAddress
    this.#asked = asked
    this.#type = request.contentType ?? 'application/json'
    this.#body = body
  }

  header(name: string): string | null {
    if (name === 'content-type') return this.#type
    return name === 'content-encoding' || name === 'content-length' ? null : this.#asked.header(name)
  }

  async body(): Promise<Uint8Array> {
    return this.#body
  }

  onGone(callback: () => void): void {
    this.#asked.onGone(callback)
  }
}
