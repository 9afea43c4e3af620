import { grow, type Prepared, type Routed, type Target } from '../call.ts'
import { factsOf, resolveModel } from '../catalog/catalog.ts'
import type { Account, Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { fallbackModelsIn, withoutFallbacks } from '../fallbacks.ts'
import type { Incoming } from '../http.ts'
import { shaped } from '../providers/request.ts'
import type { UpstreamRequest } from '../upstream.ts'
import type { Adaptation } from '../wire/dialect.ts'
import { withOutputCap } from '../wire/output-cap.ts'
import { type Ask, type Edited, type Pass, WireError } from '../wire/wire.ts'

/** A header's worth; the rest is told by its number. */
const MAX_NAMED = 20

/**
 * Target -> the request as the provider gets it.
 * @throws GatewayError `invalid_request` for what can't be put to this provider, in strict mode also for what would
 * have to be adapted
 */
export function prepare(call: Routed, deps: Deps): Prepared {
  const edited = edit(call)
  const { body, adapted } = call.maxOutput === undefined ? edited : capped(edited, call, call.maxOutput)
  const quirk = call.target.provider.quirks?.body?.[call.target.wireId]
  const sent = quirk === undefined ? body : shaped(body, quirk, (name) => call.incoming.header(name))
  if (call.options.strict && adapted.length > 0) throw notAsAsked(adapted[0]!, call.target)
  return grow(call, { request: toRequest(call, sent, deps.clock.now()), adapted: adaptedText(adapted) })
}

/** Models to fall back on were read here, unless the list is OpenRouter's, or names nothing that is known here. */
function isListOurs(ask: Ask, { provider }: Target): boolean {
  if (!ask.members.has('models') || provider.id === 'openrouter') return false
  return fallbackModelsIn(ask).some((name) => resolveModel(name) !== null)
}

function edit({ target, ask, options }: Routed): Edited {
  const { quirks } = target.provider
  try {
    return target.wire.edit(isListOurs(ask, target) ? withoutFallbacks(ask) : ask, {
      model: target.model,
      askUsage: quirks?.noStreamOptions === undefined,
      plainVectors: quirks?.plainVectors !== undefined,
      textsOnly: quirks?.textsOnly !== undefined,
      dimensionsAs: quirks?.dimensionsAs?.name,
      facts: factsOf(target.provider.id, target.model),
      promptCache: options.promptCache,
    })
  } catch (error) {
    if (error instanceof WireError) throw new GatewayError('invalid_request', error.message, { param: error.param })
    throw error
  }
}

/** No longer an answer than is paid for; `reserve` has refused it where nothing may be adapted. */
function capped(edited: Edited, { target }: Routed, cap: number): Edited {
  const { provider, model, wireId: id } = target
  const isNew = factsOf(provider.id, model)?.refuses.includes('max_tokens') === true
  const body = withOutputCap(edited.body, { id, cap, isNew })
  return body === edited.body ? edited : { body, adapted: [...edited.adapted, { param: 'max_tokens', how: 'clamped' }] }
}

function notAsAsked({ param, how }: Adaptation, { provider, model }: Target): GatewayError {
  const what = `${provider.name} can't take "${param}" for ${model} as it was sent: it would be ${how}`
  return new GatewayError('invalid_request', `${what}; leave it out, or x-watchllm-strict`, { param })
}

/** Each thing once, in the order it was found. */
function adaptedText(adapted: readonly Adaptation[]): string | null {
  if (adapted.length === 0) return null
  const named = [...new Set(adapted.map(({ param, how }) => `${param}=${how}`))]
  const more = named.length > MAX_NAMED ? [`+${named.length - MAX_NAMED}`] : []
  return [...named.slice(0, MAX_NAMED), ...more].join(',').replace(/[^\x21-\x7e]/g, '?')
}

function toRequest({ target, incoming, service }: Routed, body: Uint8Array, nowMs: number): UpstreamRequest {
  const { account, provider } = target
  const stays = target.wireId === service.wire.id
  const forwarded = stays && provider.forwards !== undefined ? forwardedFrom(incoming, provider.forwards) : []
  const headers = withOverrides(headersFor(target), forwarded)
  const { pass } = target.wire
  const request: UpstreamRequest =
    pass === undefined
      ? toAccount(account, { path: target.path, method: 'POST', headers, body })
      : passed(toAccount(account, { path: target.path, method: 'POST', headers, body }), pass)
  if (provider.sign === undefined || account.apiKey === null) return request
  return { ...request, headers: [...headers, ...provider.sign(request, account.apiKey, nowMs)] }
}

function toAccount(account: Account, rest: Omit<UpstreamRequest, 'origin' | 'publicOnly'>): UpstreamRequest {
  const { path, method, headers, body } = rest
  return { origin: account.origin, path, method, headers, body, publicOnly: account.publicOnly === true }
}

/** The request as the caller made it: its method, its kind of body, and what its path said behind the wire's own. */
function passed(request: UpstreamRequest, pass: Pass): UpstreamRequest {
  const [path = '', query = ''] = request.path.split('?')
  const queries = [query, pass.query].filter((part) => part !== '').join('&')
  const { method, tail, contentType } = pass
  const headers = withOverrides(request.headers, ['accept', '*/*', 'content-type', contentType ?? ''])
  return {
    ...request,
    path: path + tail + (queries === '' ? '' : `?${queries}`),
    method,
    headers: contentType === null ? headers.slice(0, -2) : headers,
    body: method === 'POST' ? request.body : null,
  }
}

function forwardedFrom(incoming: Incoming, names: readonly string[]): string[] {
  const headers: string[] = []
  for (const name of names) {
    const value = incoming.header(name)
    if (value !== null) headers.push(name, value)
  }
  return headers
}

/** The same list when there is nothing to override, so that what is made of it once stays good. */
function withOverrides(headers: readonly string[], over: readonly string[]): readonly string[] {
  if (over.length === 0) return headers
  const isOver = (name: string) => over.some((other, at) => at % 2 === 0 && other === name)
  const kept: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    if (!isOver(headers[at]!)) kept.push(headers[at]!, headers[at + 1]!)
  }
  return [...kept, ...over]
}

const prepared = new WeakMap<Account, readonly string[]>()

/** The same for every call to one account, so made once. */
function headersFor({ account, provider }: Target): readonly string[] {
  let headers = prepared.get(account)
  if (headers === undefined) {
    const auth = account.apiKey === null ? [] : provider.auth(account.apiKey)
    headers = [...COMMON_HEADERS, ...(provider.headers ?? []), ...auth]
    prepared.set(account, headers)
  }
  return headers
}

const COMMON_HEADERS = [
  'content-type',
  'application/json',
  'accept',
  'application/json, text/event-stream',
  'accept-encoding',
  'identity',
  'user-agent',
  'watchllm',
]
