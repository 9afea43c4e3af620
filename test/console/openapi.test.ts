import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS, type ProcedureName } from '../../server/console/access.ts'
import type { OpenapiDocument } from '../../server/console/openapi.ts'
import { restRoutes } from '../../server/console/rest.ts'
import { type ConsoleApp, consoleApp } from '../helpers/console.ts'

let house: ConsoleApp
let document: OpenapiDocument

beforeAll(async () => {
  house = await consoleApp()
  document = (await house.call('GET /api/openapi.json', null)).body as OpenapiDocument
}, 60_000)
afterAll(() => house?.close())

interface Described {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly schema: unknown }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Shape }>> }
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: Shape }>> }>
  >
  readonly security: readonly Readonly<Record<string, unknown>>[]
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>
  readonly items?: Shape
}

function operation(method: string, path: string): Described {
  const found = document.paths[path]?.[method.toLowerCase()]
  if (found === undefined) throw new Error(`The document has no ${method} ${path}`)
  return found as unknown as Described
}

/** Names as paths such as `logs[].id`. */
function membersOf({ properties = {}, items }: Shape, prefix = ''): string[] {
  const own = Object.entries(properties).flatMap(([name, shape]) => [
    `${prefix}${name}`,
    ...membersOf(shape, `${prefix}${name}.`),
  ])
  return items === undefined ? own : [...own, ...membersOf(items, `${prefix.slice(0, -1)}[].`)]
}

/** What the public contract promises of each path: members of its answer, and what it can be asked. */
const CONTRACT: [line: string, answer: string[], asks?: string[]][] = [
  [
    'GET /dashboard/stats',
    [
      ...['requests_total', 'requests_today', 'cache_hit_rate', 'cost_this_month', 'cost_saved'],
      ...['top_models[].model', 'top_models[].requests', 'top_models[].cost'],
      ...['chart_data[].date', 'chart_data[].requests', 'chart_data[].cost'],
    ],
    ['period'],
  ],
  ['GET /projects', ['requests_this_month', 'cost_this_month', 'cache_hit_rate'].map((name) => `data[].stats.${name}`)],
  ['POST /projects', ['id', 'name', 'provider', 'api_key', 'created_at']],
  ['GET /projects/{id}', ['id', 'name', 'stats']],
  ['PATCH /projects/{id}', ['id', 'name']],
  ['DELETE /projects/{id}', []],
  ['POST /projects/{id}/keys', ['id', 'name', 'key', 'created_at']],
  ['DELETE /projects/{id}/keys/{key_id}', []],
  ['POST /projects/{id}/keys/{key_id}/rotate', ['id', 'name', 'key', 'created_at']],
  [
    'GET /projects/{id}/usage',
    [
      ...['id', 'model', 'tokens_used', 'cost_usd', 'cached', 'tokens_saved', 'latency_ms', 'created_at'].map(
        (name) => `logs[].${name}`,
      ),
      'total',
      ...['total_requests', 'total_tokens', 'total_cost', 'cache_hits', 'cache_hit_rate'].map(
        (name) => `summary.${name}`,
      ),
    ],
    ['from', 'to', 'limit', 'model', 'cursor'],
  ],
  ['POST /projects/{id}/providers', ['id', 'provider']],
  ['DELETE /projects/{id}/providers/{provider}', []],
  ['GET /usage', ['llm_breakdown', 'daily_usage']],
  [
    'GET /quota',
    [
      'quota_ok',
      ...['daily', 'monthly'].flatMap((of) => ['used', 'limit', 'remaining', 'ok'].map((one) => `${of}.${one}`)),
    ],
  ],
]

describe('/api/openapi.json', () => {
  it('is OpenAPI 3.1, served to anybody', () => {
    expect(document.openapi).toBe('3.1.0')
    expect(document.servers).toEqual([{ url: 'http://gateway.test/api' }])
    expect(Object.keys(document.components.securitySchemes)).toEqual(['session', 'personalAccessToken', 'projectKey'])
  })

  it.each(CONTRACT)('%s is what the contract says', (line, answer, asks = []) => {
    const [method, path] = line.split(' ') as [string, string]
    const { responses, parameters = [] } = operation(method, path)
    const { schema } = responses['200']!.content['application/json']!
    expect(membersOf(schema)).toEqual(expect.arrayContaining(answer))
    expect(parameters.map(({ name }) => name)).toEqual(expect.arrayContaining(asks))
  })

  it('has every route, with who may and all refusals in our shape, and no other', () => {
    const lines = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    expect(lines.sort()).toEqual(
      restRoutes()
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    )
    for (const { method, path, procedure } of restRoutes()) {
      const { responses, security } = operation(method, path)
      const { who, scope, ...rule } = ACCESS[procedure as ProcedureName]
      const ways = security.flatMap((way) => Object.keys(way))
      expect([path, ways.includes('personalAccessToken')]).toEqual([path, who !== 'anyone' && scope !== null])
      expect([path, ways.includes('projectKey')]).toEqual([path, 'keys' in rule])
      for (const [status, { content }] of Object.entries(responses)) {
        if (status === '200') continue
        expect(content['application/json']!.schema).toEqual({ $ref: '#/components/schemas/Error' })
      }
      for (const id of path.matchAll(/\{(\w+)\}/g)) {
        const { parameters = [] } = operation(method, path)
        expect(parameters).toContainEqual(expect.objectContaining({ in: 'path', name: id[1], required: true }))
      }
    }
  })

  it('refers to nothing that it does not hold, and names every operation once', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, ref]) => ref!)
    for (const ref of refs) {
      const target = ref.split('/').reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], document)
      expect(target, ref).toBeDefined()
    }
    const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map((one) => one.operationId))
    expect(new Set(ids).size).toBe(ids.length)
  })
})
