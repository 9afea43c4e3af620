import type { Account, Deps } from '../deps.ts'
import { messageOf } from '../failure.ts'
import type { Provider } from '../providers/provider.ts'
import type { UpstreamError, UpstreamRequest } from '../upstream.ts'

/**
 * What a test call has shown. `ok`: the provider takes the key. `refused`: it doesn't. `unreachable`: nobody useful
 * answered. `unchecked`: the provider has nothing that tells, or didn't tell.
 */
export interface Probed {
  readonly verdict: 'ok' | 'refused' | 'unreachable' | 'unchecked'
  /** One line for people; nothing of the key. */
  readonly said: string
}

const LIMIT_MS = 5_000
const MAX_BYTES = 64 * 1024
const MAX_SAID = 300
/** Where nearly all that follow OpenAI list their models, for callers with a key only. */
const MODELS = '/models'

/**
 * Asks a provider for what only a good key gets, by the same way out as calls. Never rejects; takes 5 s at most. It is
 * no call of the line: nothing is admitted, metered or recorded.
 */
export function probe(provider: Provider, account: Account, deps: Deps): Promise<Probed> {
  const path = provider.probe === undefined ? MODELS : provider.probe
  if (path === null) return Promise.resolve({ verdict: 'unchecked', said: `${provider.name} has nothing to ask` })
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    let status = 0
    const end = (probed: Probed): void => {
      timer.cancel()
      exchange.abort()
      resolve(probed)
    }
    const judged = (): Probed => judge(provider.name, { status, body: Buffer.concat(chunks).toString() }, account)
    const request = requestTo(provider, account, { path, nowMs: deps.clock.now() })
    const exchange = deps.upstream.start(request, {
      onHeaders(code) {
        status = code
        if (code < 300) end(judged())
      },
      onData(chunk) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > MAX_BYTES) end(judged())
      },
      onEnd: () => end(judged()),
      onError: (error) => end({ verdict: 'unreachable', said: broken(provider.name, error) }),
    })
    const timer = deps.clock.timer(LIMIT_MS, () => {
      end({ verdict: 'unreachable', said: `${provider.name} sent nothing within ${LIMIT_MS / 1000} s` })
    })
  })
}

function requestTo(
  provider: Provider,
  account: Account,
  { path, nowMs }: { readonly path: string; readonly nowMs: number },
): UpstreamRequest {
  const auth = account.apiKey === null ? [] : provider.auth(account.apiKey)
  const common = ['accept', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'watchllm']
  const request: UpstreamRequest = {
    origin: account.origin,
    path: account.basePath + path,
    method: 'GET',
    headers: [...common, ...(provider.headers ?? []), ...auth],
    body: null,
    publicOnly: account.publicOnly === true,
  }
  if (provider.sign === undefined || account.apiKey === null) return request
  return { ...request, headers: [...request.headers, ...provider.sign(request, account.apiKey, nowMs)] }
}

interface Heard {
  readonly status: number
  readonly body: string
}

function judge(name: string, { status, body }: Heard, { apiKey }: Account): Probed {
  if (status < 300) return { verdict: 'ok', said: 'ok' }
  const words = messageOf(body, apiKey).replace(/\s+/g, ' ').trim().slice(0, MAX_SAID)
  const said = `${name} answered ${status}${words === '' ? '' : `: ${words}`}`
  // Google and xAI say 400 to a key that they don't know; a list has nothing else that could be wrong.
  if (status === 400 || status === 401 || status === 403) return { verdict: 'refused', said }
  // Redirects lead elsewhere than where the key was meant to go: none is followed.
  if (status < 400 || status >= 500) return { verdict: 'unreachable', said }
  return { verdict: 'unchecked', said }
}

function broken(name: string, { kind }: UpstreamError): string {
  const how = { connect: 'can not be reached', network: 'broke the connection', protocol: 'does not speak HTTP' }
  return `${name} ${how[kind]}`
}
