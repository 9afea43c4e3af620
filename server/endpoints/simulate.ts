import { makeId } from '../../db/model/ids.ts'
import type { Service } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import { readBody, simulate as simulateCall } from '../pipeline.ts'
import { anthropicMessages } from '../wire/anthropic-messages/wire.ts'
import { openaiChat } from '../wire/openai-chat/wire.ts'
import { openaiCompletions } from '../wire/openai-completions/wire.ts'
import { openaiEmbeddings } from '../wire/openai-embeddings/wire.ts'
import { openaiResponses } from '../wire/openai-responses/wire.ts'
import { json } from './reply.ts'

const SERVICES: ReadonlyMap<string, Service> = new Map([
  ['/v1/chat/completions', { name: 'chat.completions', wire: openaiChat }],
  ['/v1/completions', { name: 'completions', wire: openaiCompletions }],
  ['/v1/embeddings', { name: 'embeddings', wire: openaiEmbeddings }],
  ['/v1/responses', { name: 'responses', wire: openaiResponses }],
  ['/v1/messages', { name: 'messages', wire: anthropicMessages }],
])

/**
 * `POST /v1/simulate` with `{endpoint?, request}`: what that request would do with this key and these headers. No call is
 * made, and no limit touched.
 */
export async function simulate(incoming: Incoming, deps: Deps): Promise<Reply> {
  const { service, body } = readAsk(await readBody(incoming, deps.settings.maxBodyBytes))
  const receivedAtMs = deps.clock.now()
  const inner: Incoming = {
    ...{ method: 'POST', path: incoming.path, query: '', remoteAddress: incoming.remoteAddress },
    header: (name) => (name === 'content-encoding' ? null : incoming.header(name)),
    body: async () => body,
    onGone: (callback) => incoming.onGone(callback),
  }
  const id = makeId('req', receivedAtMs, deps.random.bytes(16))
  const startedAt = deps.clock.monotonic()
  const received = { id, receivedAtMs, startedAt, incoming: inner, service, pinned: null, said: null }
  return json(deps, { object: 'watchllm.simulation', ...(await simulateCall(received, deps)) })
}

function readAsk(bytes: Uint8Array): { service: Service; body: Uint8Array } {
  let said: unknown
  try {
    said = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new GatewayError('invalid_request', 'The body is not JSON: send {"endpoint", "request"}')
  }
  const { endpoint = '/v1/chat/completions', request } = (said ?? {}) as { endpoint?: unknown; request?: unknown }
  const service = typeof endpoint === 'string' ? SERVICES.get(endpoint) : undefined
  if (service === undefined) {
    const known = [...SERVICES.keys()].join(', ')
    throw new GatewayError('invalid_request', `"endpoint" must be one of ${known}`, { param: 'endpoint' })
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) {
    throw new GatewayError('invalid_request', '"request" must be the body that would be sent there', {
      param: 'request',
    })
  }
  return { service, body: new TextEncoder().encode(JSON.stringify(request)) }
}
