import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { makeId } from '../../db/model/ids.ts'
import type { Control, Deps } from '../deps.ts'
import { openaiFace, retryHeaders } from '../errors.ts'
import { type Arrival, contextOf } from './context.ts'
import { faultOf, faultShape, logFault } from './faults.ts'
import { refuseForeign } from './origin.ts'
import { createRest, MethodNotAllowed } from './rest.ts'
import { appRouter } from './router.ts'

/** Answers `/api/…`. Never rejects. */
export type Console = (request: Request, address: string | null) => Promise<Response>

/** Calls of one request; clients put those of a page together. */
const MAX_BATCH = 50

const SECURITY: readonly (readonly [name: string, value: string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
]

/** The control plane's HTTP face: people's sign-in, tRPC, the OpenAPI document and REST. */
export function createConsole(deps: Deps & { readonly control: Control }): Console {
  const rest = createRest()
  const parts = { deps, rest }
  return async (request, address) => {
    const arrival = { requestId: makeId('req', deps.clock.now(), deps.random.bytes(16)), address }
    const response = await answer(request, arrival, parts).catch((thrown: unknown) => {
      logFault(deps.log, thrown, { request_id: arrival.requestId })
      return isTrpc(request) ? trpcRefusal(thrown, arrival.requestId) : refusal(thrown)
    })
    return dressed(response, arrival.requestId)
  }
}

interface Parts {
  readonly deps: Deps & { readonly control: Control }
  readonly rest: ReturnType<typeof createRest>
}

async function answer(request: Request, arrival: Arrival, { deps, rest }: Parts): Promise<Response> {
  const { control } = deps
  const path = new URL(request.url).pathname.replace(/\/{2,}/g, '/').slice('/api'.length)
  refuseForeign(request, control.publicUrl())
  if (path === '/auth' || path.startsWith('/auth/')) return control.people.handle(request, arrival.address)
  if (path === '/openapi.json' && isRead(request)) return openapi(deps)
  const ctx = await contextOf(request, arrival, deps)
  if (!path.startsWith('/trpc/')) return rest(request, path, ctx)
  return fetchRequestHandler({
    endpoint: '/api/trpc',
    req: request,
    router: appRouter,
    maxBatchSize: MAX_BATCH,
    createContext: () => ctx,
    onError: ({ error, path }) => logFault(deps.log, error, { request_id: arrival.requestId, procedure: path }),
  })
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD'
}

async function openapi({ control, settings }: Parts['deps']): Promise<Response> {
  const { openapiDocument } = await import('./openapi.ts')
  return Response.json(openapiDocument({ publicUrl: control.publicUrl(), version: settings.version }))
}

function isTrpc({ url }: Request): boolean {
  return new URL(url).pathname.startsWith('/api/trpc/')
}

/** An error before any procedure, as clients of tRPC read it: for all calls of a batch. */
function trpcRefusal(thrown: unknown, requestId: string): Response {
  const error = faultShape(thrown, undefined, requestId)
  return Response.json({ error }, { status: error.data.httpStatus })
}

/** An error as REST shows it. */
function refusal(thrown: unknown): Response {
  const fault = faultOf(thrown)
  const retry = retryHeaders(fault)
  const headers = new Headers()
  for (let at = 0; at < retry.length; at += 2) headers.set(retry[at]!, retry[at + 1]!)
  if (fault instanceof MethodNotAllowed) headers.set('allow', fault.allow)
  return Response.json(openaiFace(fault), { status: fault.status, headers })
}

/** What every answer says, sign-in's redirects and exports too. */
function dressed(response: Response, requestId: string): Response {
  const headers = new Headers(response.headers)
  for (const [name, value] of SECURITY) headers.set(name, value)
  headers.set('x-request-id', requestId)
  headers.set('request-id', requestId)
  return new Response(response.body, { status: response.status, headers })
}
