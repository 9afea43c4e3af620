import { generateOpenApiDocument, type OpenApiRouter } from 'trpc-to-openapi'
import { z } from 'zod'
import { ERROR_CODES } from '../errors.ts'
import { ruleOf } from './access.ts'
import type { Export } from './export.ts'
import { EXPORTS } from './exports.ts'
import { appRouter } from './router.ts'

export interface DocumentOptions {
  readonly publicUrl: string
  readonly version: string
}

/** An OpenAPI document, as far as it is looked at here. */
export interface OpenapiDocument {
  readonly openapi: string
  readonly servers: readonly { readonly url: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Record<string, unknown>
    readonly securitySchemes: Readonly<Record<string, unknown>>
  }
}

export interface Operation {
  readonly operationId: string
  readonly responses: Record<string, unknown>
  security?: readonly Readonly<Record<string, readonly string[]>>[]
  'x-watchllm-access'?: unknown
}

const SESSION = 'session'
const TOKEN = 'personalAccessToken'
const KEY = 'projectKey'

const SECURITY_SCHEMES = {
  [SESSION]: {
    type: 'apiKey',
    in: 'cookie',
    name: 'watchllm.session_token',
    description: 'Of a person who is signed in; counts for requests of the console only',
  },
  [TOKEN]: { type: 'http', scheme: 'bearer', description: '`lgw_pat_…`, made for some scopes in one organization' },
  [KEY]: { type: 'http', scheme: 'bearer', description: '`lgw_proj_…` or `lgw_test_…`, for its own project only' },
} as const

const DESCRIPTION = `The control plane of WatchLLM: the same procedures as over tRPC at /api/trpc.
The header \`x-watchllm-organization\` names the organization that a call is about; without it, it is the token's own or
the first that the person has joined.`

/** Which refusals a call can meet; each has the same shape. */
const REFUSALS: Readonly<Record<string, string>> = {
  400: 'The input is not valid; `param` names the member at fault',
  401: 'Nobody is signed in, or the token or key is unknown, expired or revoked',
  403: 'The caller may not do this',
  404: 'There is no such thing, or it is not for the caller to see',
  429: 'Too many requests; `retry-after` says when to come back',
  500: 'The gateway failed',
}

const known = new Map<string, OpenapiDocument>()

/** `/api/openapi.json`: OpenAPI 3.1 of all procedures and exports. Made once. */
export function openapiDocument(options: DocumentOptions): OpenapiDocument {
  const key = `${options.publicUrl} ${options.version}`
  let document = known.get(key)
  if (document === undefined) {
    document = make(options)
    known.set(key, document)
  }
  return document
}

function make({ publicUrl, version }: DocumentOptions): OpenapiDocument {
  const made = generateOpenApiDocument(appRouter as unknown as OpenApiRouter, {
    title: 'WatchLLM',
    description: DESCRIPTION,
    version,
    baseUrl: new URL('/api', publicUrl).href,
    openApiVersion: '3.1.0',
    securitySchemes: { ...SECURITY_SCHEMES },
  }) as unknown as OpenapiDocument
  const document: OpenapiDocument = {
    ...made,
    paths: withExports(made.paths),
    components: { ...made.components, schemas: { ...made.components.schemas } },
  }
  document.components.schemas.Error = ERROR
  for (const name of Object.keys(document.components.schemas)) {
    // The generator's own errors, of another shape than ours.
    if (name.startsWith('error.')) delete document.components.schemas[name]
  }
  for (const methods of Object.values(document.paths)) Object.values(methods).forEach(complete)
  return document
}

/** What the generator doesn't know: who may, and how a refusal looks. */
function complete(operation: Operation): void {
  const rule = ruleOf(operation.operationId.replaceAll('-', '.'))
  for (const status of Object.keys(operation.responses)) {
    if (status !== '200') delete operation.responses[status]
  }
  for (const [status, description] of Object.entries(REFUSALS)) {
    operation.responses[status] = { ...REFUSED, description }
  }
  if (rule === null || rule.who === 'anyone') operation.security = []
  else {
    const ways = [SESSION, ...(rule.scope === null ? [] : [TOKEN]), ...(rule.keys === true ? [KEY] : [])]
    operation.security = ways.map((way) => ({ [way]: [] }))
  }
  if (rule !== null) operation['x-watchllm-access'] = { who: rule.who, scope: rule.scope, keys: rule.keys === true }
}

function withExports(paths: OpenapiDocument['paths']): OpenapiDocument['paths'] {
  const all: Record<string, Readonly<Record<string, Operation>>> = { ...paths }
  for (const one of EXPORTS) all[one.path] = { ...all[one.path], get: operationOf(one) }
  return all
}

function operationOf({ procedure, path, tags, summary, input, contentType }: Export): Operation {
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input', unrepresentable: 'any' })
  const parameters = Object.entries(properties).map(([name, schema]) => {
    const inPath = path.includes(`{${name}}`)
    return { in: inPath ? 'path' : 'query', name, required: inPath || required.includes(name), schema }
  })
  const content = { [contentType.split(';')[0]!]: { schema: { type: 'string' } } }
  const described = { operationId: procedure.replace('.', '-'), tags, summary, parameters }
  return { ...described, responses: { 200: { description: 'The file, as it is made', content } } }
}

const ERROR = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: 'string', enum: ERROR_CODES },
        details: { type: 'object' },
      },
      required: ['message', 'type', 'param', 'code'],
    },
  },
  required: ['error'],
}

const REFUSED = {
  description: 'Refused',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}
