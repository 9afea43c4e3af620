import { z } from 'zod'
import {
  ENDPOINTS,
  KEY_DEFAULTS,
  type KeySettings,
  type OwnLimits,
  PROJECT_DEFAULTS,
  type ProjectSettings,
  type Routing,
} from '../../db/model/settings.ts'
import { listedName } from '../catalog/listed.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { bodyLogging as bodyLoggingShape, readBodyLogging, shownBodyLogging } from './body-settings.ts'
import {
  keyHedge,
  projectRouting,
  projectRoutingInput,
  readProjectRouting,
  shownProjectRouting,
} from './routing-settings.ts'

/** Settings of keys and projects as the API says them; db/model/settings.ts has them as they are stored. */

export const modelsInput = z
  .array(z.string().trim().min(1).max(200))
  .min(1)
  .max(500)
  .nullable()
  .describe('Ids as GET /v1/models lists them, `provider/model` or `provider/*`; null: all')

const limit = z
  .number()
  .int()
  .min(1)
  .max(1_000_000_000_000)
  .nullable()
  .describe('Beside what the plan allows, the tightest holds; null: no limit of its own')

const limits = z.strictObject({
  requests_per_minute: limit,
  tokens_per_minute: limit.optional(),
  requests_per_day: limit.optional(),
  tokens_per_day: limit.optional(),
  requests_per_month: limit.optional(),
  tokens_per_month: limit.optional(),
})

const members = {
  allowed_models: modelsInput,
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
  join_retries: z
    .boolean()
    .describe(
      'Whether the retry of an SDK joins the attempt before it where that still runs, instead of calling again',
    ),
  hedge_after_ms: keyHedge,
}

export const keySettings = z.object(members)
/** What is left out stays as it is. */
export const keySettingsInput = z.strictObject(members).partial()

/** What keys and projects have alike. */
const shared = { allowed_models: modelsInput, limits }

export const projectSettings = z.object({ ...shared, routing: projectRouting, body_logging: bodyLoggingShape })
/** What is left out stays as it is, of `routing` as well. */
export const projectSettingsInput = z
  .strictObject({ ...shared, routing: projectRoutingInput, body_logging: bodyLoggingShape })
  .partial()

export type Parts = Pick<Deps, 'providerOf'>

/** @throws GatewayError `invalid_request` that names what is unknown */
export function readKeySettings(input: z.output<typeof keySettingsInput>, deps: Parts): Partial<KeySettings> {
  return {
    ...readShared(input, deps),
    ...(input.allowed_endpoints === undefined ? {} : { allowedEndpoints: readEndpoints(input.allowed_endpoints) }),
    ...(input.routing === undefined ? {} : { routing: readRouting(input.routing, deps) }),
    ...(input.prompt_cache === undefined ? {} : { promptCache: input.prompt_cache }),
    ...(input.body_additions === undefined ? {} : { bodyAdditions: input.body_additions }),
    ...(input.join_retries === undefined ? {} : { joinRetries: input.join_retries }),
    ...(input.hedge_after_ms === undefined ? {} : { hedgeAfterMs: input.hedge_after_ms }),
  }
}

/** @throws GatewayError `invalid_request` that names what is unknown */
export function readProjectSettings(
  { routing, body_logging, ...input }: z.output<typeof projectSettingsInput>,
  deps: Parts,
): Partial<ProjectSettings> {
  return {
    ...readShared(input, deps),
    ...(routing === undefined ? {} : { routing: readProjectRouting(routing, deps) }),
    ...(body_logging === undefined ? {} : { bodyLogging: readBodyLogging(body_logging) }),
  }
}

type Shared = Pick<ProjectSettings, 'allowedModels' | 'limits'>

function readShared(
  { allowed_models, limits }: Pick<z.output<typeof projectSettingsInput>, keyof typeof shared>,
  deps: Parts,
): Partial<Shared> {
  return {
    ...(allowed_models === undefined ? {} : { allowedModels: readModels(allowed_models, deps) }),
    ...(limits === undefined ? {} : { limits: readLimits(limits) }),
  }
}

/** Members of limits, as stored and as said. */
const LIMITS = [
  ['tokensPerMinute', 'tokens_per_minute'],
  ['requestsPerDay', 'requests_per_day'],
  ['tokensPerDay', 'tokens_per_day'],
  ['requestsPerMonth', 'requests_per_month'],
  ['tokensPerMonth', 'tokens_per_month'],
] as const

/** All limits at once: those that are left out there are none of. */
function readLimits(said: z.output<typeof limits>): OwnLimits {
  const read: OwnLimits = { requestsPerMinute: said.requests_per_minute }
  for (const [stored, name] of LIMITS) {
    const value = said[name]
    if (value !== undefined) read[stored] = value
  }
  return read
}

function shownLimits(stored: OwnLimits): z.output<typeof limits> {
  const shown: z.output<typeof limits> = { requests_per_minute: stored.requestsPerMinute }
  for (const [name, said] of LIMITS) {
    const value = stored[name]
    if (value !== undefined) shown[said] = value
  }
  return shown
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

/** @throws GatewayError `invalid_request` that names what is unknown */
export function readModels(
  names: readonly string[] | null,
  deps: Parts,
  param = 'settings.allowed_models',
): string[] | null {
  return names === null ? null : [...new Set(names.map((name) => modelName(name, deps, param)))]
}

function modelName(name: string, deps: Parts, param: string): string {
  if (name.endsWith('/*')) requireProvider(name.slice(0, -2), param, deps)
  const found = listedName(name)
  if (found !== null) return found
  if (name.includes('/')) requireProvider(name.slice(0, name.indexOf('/')), param, deps)
  throw new GatewayError(
    'invalid_request',
    `Unknown model "${name.slice(0, 128)}": GET /v1/models lists those known; "provider/model" names any other`,
    { param },
  )
}

export function shownKeySettings(stored: Partial<KeySettings>): z.output<typeof keySettings> {
  const { allowedEndpoints, routing, promptCache, bodyAdditions, joinRetries, hedgeAfterMs, ...rest } = {
    ...KEY_DEFAULTS,
    ...stored,
  }
  return {
    ...shownShared(rest),
    allowed_endpoints: allowedEndpoints,
    routing,
    prompt_cache: promptCache,
    body_additions: bodyAdditions,
    join_retries: joinRetries,
    hedge_after_ms: hedgeAfterMs,
  }
}

export function shownProjectSettings(stored: Partial<ProjectSettings>): z.output<typeof projectSettings> {
  const { routing, bodyLogging, ...rest } = { ...PROJECT_DEFAULTS, ...stored }
  return {
    ...shownShared(rest),
    routing: shownProjectRouting(routing),
    body_logging: shownBodyLogging(bodyLogging),
  }
}

function shownShared({ allowedModels, limits }: Shared) {
  return { allowed_models: allowedModels, limits: shownLimits(limits) }
}
