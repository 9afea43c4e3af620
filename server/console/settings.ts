import { z } from 'zod'
import {
  ENDPOINTS,
  KEY_DEFAULTS,
  type KeySettings,
  PROJECT_DEFAULTS,
  type ProjectSettings,
  type Routing,
} from '../../db/model/settings.ts'
import { resolveModel } from '../catalog/catalog.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'

/** Settings of keys and projects as the API says them; db/model/settings.ts has them as they are stored. */

const models = z
  .array(z.string().trim().min(1).max(200))
  .min(1)
  .max(500)
  .nullable()
  .describe('Ids as GET /v1/models lists them, `provider/model` or `provider/*`; null: all')

const limits = z.strictObject({
  requests_per_minute: z
    .number()
    .int()
    .min(1)
    .max(1_000_000_000)
    .nullable()
    .describe('Beside what the plan allows, the tightest holds; null: no limit of its own'),
})

const members = {
  allowed_models: models,
  allowed_endpoints: z
    .array(z.string())
    .min(1)
    .max(100)
    .nullable()
    .describe(`Some of ${ENDPOINTS.join(', ')}; null: all`),
  routing: z
    .discriminatedUnion('mode', [
      z.strictObject({ mode: z.literal('auto') }),
      z.strictObject({ mode: z.enum(['preferred', 'failover']), provider: z.string() }),
    ])
    .describe(
      '`auto`: by the model, at the project’s provider where that has it. `preferred`: this provider where it has the model. `failover`: this provider or an error',
    ),
  limits,
  prompt_cache: z
    .enum(['auto', 'respect', 'off'])
    .describe('Whether prompts get cache breakpoints; requests may say otherwise'),
  body_additions: z.boolean().describe('Whether answers carry members of this gateway; requests may say otherwise'),
}

export const keySettings = z.object(members)
/** What is left out stays as it is. */
export const keySettingsInput = z.strictObject(members).partial()

export const projectSettings = z.object({ allowed_models: models, limits })
export const projectSettingsInput = z.strictObject({ allowed_models: models, limits }).partial()

type Parts = Pick<Deps, 'providerOf'>

/** @throws GatewayError `invalid_request` that names what is unknown */
export function readKeySettings(input: z.output<typeof keySettingsInput>, deps: Parts): Partial<KeySettings> {
  return {
    ...readProjectSettings(input, deps),
    ...(input.allowed_endpoints === undefined ? {} : { allowedEndpoints: readEndpoints(input.allowed_endpoints) }),
    ...(input.routing === undefined ? {} : { routing: readRouting(input.routing, deps) }),
    ...(input.prompt_cache === undefined ? {} : { promptCache: input.prompt_cache }),
    ...(input.body_additions === undefined ? {} : { bodyAdditions: input.body_additions }),
  }
}

/** @throws GatewayError `invalid_request` that names what is unknown */
export function readProjectSettings(
  { allowed_models, limits }: z.output<typeof projectSettingsInput>,
  deps: Parts,
): Partial<ProjectSettings> {
  return {
    ...(allowed_models === undefined ? {} : { allowedModels: readModels(allowed_models, deps) }),
    ...(limits === undefined ? {} : { limits: { requestsPerMinute: limits.requests_per_minute } }),
  }
}

/** @throws GatewayError `invalid_request` for an id without a provider */
export function requireProvider(id: string, param: string, { providerOf }: Parts): string {
  if (providerOf(id) !== null) return id
  throw new GatewayError('invalid_request', `Unknown provider "${id.slice(0, 64)}"`, { param })
}

function readRouting(routing: Routing, deps: Parts): Routing {
  if (routing.mode !== 'auto') requireProvider(routing.provider, 'settings.routing.provider', deps)
  return routing
}

function readEndpoints(names: readonly string[] | null): string[] | null {
  if (names === null) return null
  const known: readonly string[] = ENDPOINTS
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return [...new Set(names)]
  throw new GatewayError(
    'invalid_request',
    `Unknown endpoint "${unknown.slice(0, 64)}"; those known are ${ENDPOINTS.join(', ')}`,
    { param: 'settings.allowed_endpoints' },
  )
}

function readModels(names: readonly string[] | null, deps: Parts): string[] | null {
  return names === null ? null : [...new Set(names.map((name) => modelName(name, deps)))]
}

/** The name that the line holds against what a call resolves to: another name of a model would never be met there. */
function modelName(name: string, deps: Parts): string {
  const param = 'settings.allowed_models'
  if (name.endsWith('/*')) return `${requireProvider(name.slice(0, -2), param, deps)}/*`
  const found = resolveModel(name)
  if (found === null && name.includes('/')) requireProvider(name.slice(0, name.indexOf('/')), param, deps)
  if (found === null) {
    throw new GatewayError(
      'invalid_request',
      `Unknown model "${name.slice(0, 128)}": GET /v1/models lists those known; "provider/model" names any other`,
      { param },
    )
  }
  const { provider, model, pinned } = found
  if (provider === 'sandbox') return model
  return pinned || model.includes('/') ? `${provider}/${model}` : model
}

export function shownKeySettings(stored: Partial<KeySettings>): z.output<typeof keySettings> {
  const { allowedEndpoints, routing, promptCache, bodyAdditions, ...rest } = { ...KEY_DEFAULTS, ...stored }
  return {
    ...shownProjectSettings(rest),
    allowed_endpoints: allowedEndpoints,
    routing,
    prompt_cache: promptCache,
    body_additions: bodyAdditions,
  }
}

export function shownProjectSettings(stored: Partial<ProjectSettings>): z.output<typeof projectSettings> {
  const { allowedModels, limits } = { ...PROJECT_DEFAULTS, ...stored }
  return { allowed_models: allowedModels, limits: { requests_per_minute: limits.requestsPerMinute } }
}
