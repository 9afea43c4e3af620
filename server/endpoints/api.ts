import type { Control, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { BodyBroken, BodyTooLarge, type Incoming, type Reply, type Sink } from '../http.ts'

type Console = (request: Request, address: string | null) => Promise<Response>

const MAX_BODY_BYTES = 1024 * 1024

/** What of a request's head the control plane reads; nothing else gets to it. */
const HEADERS = [
  'accept',
  'accept-language',
  'authorization',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'origin',
  'referer',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'trpc-accept',
  'user-agent',
  'via',
  'x-api-key',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'x-watchllm-organization',
]

const consoles = new WeakMap<Deps, Promise<Console>>()

/** `/api/…`, by any method: sign-in, tRPC, REST and the OpenAPI document. */
export function api(incoming: Incoming, deps: Deps): Promise<Reply> {
  return apiAt(incoming.path, incoming, deps)
}

/** A request as if it had been sent to another path, below `/api`: for what stands at two. */
export async function apiAt(path: string, incoming: Incoming, deps: Deps): Promise<Reply> {
  const { control } = deps
  if (control === null) throw new GatewayError('service_unavailable', 'This gateway runs without its console')
  const answer = await consoleOf(deps, control)
  const request = await requestOf(path, incoming, control.publicUrl())
  return replyOf(await answer(request, incoming.remoteAddress), incoming)
}

/** Loaded with the first request: its parts take longer to load than all the others together. */
function consoleOf(deps: Deps, control: Control): Promise<Console> {
  let made = consoles.get(deps)
  if (made === undefined) {
    made = import('../console/index.ts').then(({ createConsole }) => createConsole({ ...deps, control }))
    consoles.set(deps, made)
    // What could not be loaded now is tried again by the next request.
    made.catch(() => consoles.delete(deps))
  }
  return made
}

async function requestOf(path: string, incoming: Incoming, publicUrl: string): Promise<Request> {
  const { method, query } = incoming
  const headers = new Headers()
  for (const name of HEADERS) {
    const value = incoming.header(name)
    if (value !== null) headers.set(name, value)
  }
  const url = new URL(publicUrl).origin + path.replace(/\/{2,}/g, '/') + (query === '' ? '' : `?${query}`)
  const hasBody = method !== 'GET' && method !== 'HEAD'
  return new Request(url, { method, headers, ...(hasBody ? { body: await bodyOf(incoming) } : {}) })
}

async function bodyOf(incoming: Incoming): Promise<BodyInit> {
  try {
    return (await incoming.body(MAX_BODY_BYTES)) as BodyInit
  } catch (thrown) {
    if (thrown instanceof BodyTooLarge) {
      throw new GatewayError('request_too_large', `The body exceeds ${MAX_BODY_BYTES} bytes`, {
        details: { limit_bytes: MAX_BODY_BYTES },
      })
    }
    if (thrown instanceof BodyBroken) throw new GatewayError('invalid_request', 'The body broke off')
    throw thrown
  }
}

async function replyOf(response: Response, incoming: Incoming): Promise<Reply> {
  const { status, body } = response
  const headers = headersOf(response.headers)
  if (body === null) return { status, headers, body: '' }
  const isShort = response.headers.get('content-type')?.startsWith('application/json') ?? false
  if (isShort) return { status, headers, body: new Uint8Array(await response.arrayBuffer()) }
  if (incoming.method === 'HEAD') {
    await body.cancel()
    return { status, headers, body: (sink) => sink.end() }
  }
  return { status, headers, body: (sink) => void pump(body, sink, incoming).catch(() => {}) }
}

function headersOf(headers: Headers): string[] {
  const list: string[] = []
  headers.forEach((value, name) => {
    if (name !== 'content-length' && name !== 'set-cookie') list.push(name, value)
  })
  for (const cookie of headers.getSetCookie()) list.push('set-cookie', cookie)
  return list
}

/** Reads as fast as the caller does, and stops when they leave; how a body says that it broke off is its own affair. */
async function pump(body: ReadableStream<Uint8Array>, sink: Sink, incoming: Incoming): Promise<void> {
  const reader = body.getReader()
  let wake = (): void => {}
  let gone = false
  incoming.onGone(() => {
    gone = true
    reader.cancel().catch(() => {})
    wake()
  })
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done || gone) break
      if (sink.write(value)) continue
      await new Promise<void>((resolve) => {
        wake = resolve
        sink.onDrain(resolve)
        if (gone) resolve()
      })
    }
  } finally {
    sink.end()
  }
}
