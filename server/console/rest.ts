import { z } from 'zod'
import { GatewayError } from '../errors.ts'
import type { Export } from './export.ts'
import { EXPORTS } from './exports.ts'
import { inputFault, unsupportedMedia } from './faults.ts'
import { createPaths } from './paths.ts'
import { queryReader, type ReadQuery } from './query.ts'
import { appRouter } from './router.ts'
import { type Context, createCallerFactory } from './trpc.ts'

/** One path and method of REST. */
export interface RestRoute {
  readonly method: string
  /** As in `meta.openapi`, below `/api`. */
  readonly path: string
  /** As in the table of who may, such as `keys.rotate`. */
  readonly procedure: string
  /** Null: of a request's body. */
  readonly readQuery: ReadQuery | null
  /** @throws GatewayError, TRPCError */
  readonly answer: (ctx: Context, input: Readonly<Record<string, unknown>>) => Promise<Response>
}

export type Rest = (request: Request, path: string, ctx: Context) => Promise<Response>

/**
 * The procedures at the paths of their `meta.openapi`, and the exports: made once, for all requests.
 * @throws GatewayError, TRPCError
 */
export function createRest(): Rest {
  const paths = createPaths(restRoutes())
  return async (request, path, ctx) => {
    const found = paths.find(path)
    if (found === null) throw new GatewayError('not_found', `No route ${request.method} /api${path.slice(0, 200)}`)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const matched = found.methods.get(method)
    if (matched === undefined) return notAllowed([...found.methods.keys()])
    const { route, names } = matched
    const said = route.readQuery === null ? await readBody(request) : route.readQuery(new URL(request.url).searchParams)
    const ids = Object.fromEntries(names.map((name, at) => [name, found.values[at]]))
    return route.answer(ctx, { ...said, ...ids })
  }
}

function notAllowed(methods: readonly string[]): never {
  const allowed = methods.includes('GET') ? ['HEAD', ...methods] : methods
  throw new MethodNotAllowed(allowed.join(', '))
}

/** 405, with what is allowed. */
export class MethodNotAllowed extends GatewayError {
  readonly allow: string

  constructor(allow: string) {
    super('invalid_request', `This path takes ${allow}`, { status: 405 })
    this.allow = allow
  }
}

interface Procedure {
  readonly _def: {
    readonly meta?: { readonly openapi?: { readonly method: string; readonly path: string } }
    readonly inputs: readonly Parameters<typeof queryReader>[0][]
  }
}

/** All there is over REST. */
export function restRoutes(): RestRoute[] {
  const procedures = Object.entries(appRouter._def.procedures as Readonly<Record<string, unknown>>)
  return [
    ...procedures.flatMap(([name, procedure]) => routeOf(name, procedure as Procedure)),
    ...EXPORTS.map(exportRoute),
  ]
}

function routeOf(name: string, { _def: { meta, inputs } }: Procedure): RestRoute[] {
  const openapi = meta?.openapi
  if (openapi === undefined) return []
  const { method, path } = openapi
  const inQuery = method === 'GET' || method === 'DELETE'
  const readQuery = inQuery ? queryReader(inputs[0] ?? z.object({})) : null
  return [{ method, path, procedure: name, readQuery, answer: (ctx, input) => callProcedure(name, ctx, input) }]
}

const createCaller = createCallerFactory(appRouter)

async function callProcedure(name: string, ctx: Context, input: unknown): Promise<Response> {
  type Node = Readonly<Record<string, unknown>> & ((input: unknown) => Promise<unknown>)
  const procedure = name.split('.').reduce((node, part) => node[part] as Node, createCaller(ctx) as unknown as Node)
  return Response.json((await procedure(input)) ?? null)
}

function exportRoute({ procedure, path, input, enter }: Export): RestRoute {
  return {
    method: 'GET',
    path,
    procedure,
    readQuery: queryReader(input),
    async answer(ctx, said) {
      const answer = enter(ctx)
      const read = input.safeParse(said)
      if (!read.success) throw inputFault(read.error)
      return answer(read.data)
    },
  }
}

const NO_BODY = {}

/** A JSON object, or nothing. @throws GatewayError 400, 415 */
async function readBody(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = await request.text()
  if (text === '') return NO_BODY
  if (!/^application\/json\s*(;|$)/i.test(request.headers.get('content-type') ?? '')) throw unsupportedMedia()
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    throw new GatewayError('invalid_request', 'The body is not valid JSON')
  }
  if (typeof read === 'object' && read !== null && !Array.isArray(read)) return read as Record<string, unknown>
  throw new GatewayError('invalid_request', 'The body must be a JSON object')
}
