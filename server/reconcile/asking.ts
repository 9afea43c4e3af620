import { Buffer } from 'node:buffer'
import type { Account, Deps, Timer } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { brokenConnection, messageOf, nonsense, tooLate } from '../failure.ts'
import type { UpstreamRequest } from '../upstream.ts'
import type { Get, Query } from './adapter.ts'

type Provider = NonNullable<ReturnType<Deps['providerOf']>>

export interface Asking {
  readonly provider: Provider
  readonly account: Account
  readonly signal: AbortSignal
  /** What may pass is tried again. */
  readonly patient: boolean
}

/** For one answer. */
const LIMIT_MS = 30_000
/** For all of one reading together, waits included. */
const DEADLINE_MS = 180_000
const MAX_BYTES = 16 * 1024 * 1024
const MAX_TRIES = 4
const FIRST_WAIT_MS = 1_000
const MAX_WAIT_MS = 60_000

interface Heard {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: string
}

/**
 * A way to ask a provider's reports, over the connections that calls go by. What may pass (429, 5xx, a broken connection)
 * is tried again, as late as the provider says; three minutes after it was made it asks for nothing more.
 */
export function getterFor(asking: Asking, deps: Deps): Get {
  const endsAt = deps.clock.monotonic() + DEADLINE_MS
  return async (path, query) => {
    for (let tries = 1; ; tries++) {
      const outcome = await ask(requestTo(asking, path, query), asking, deps).catch(readError)
      if (!(outcome instanceof GatewayError) && outcome.status < 300) return parse(outcome, asking)
      const waitMs = waitAfter(outcome, tries)
      const isOver =
        !asking.patient || tries === MAX_TRIES || waitMs === null || deps.clock.monotonic() + waitMs > endsAt
      if (isOver) throw outcome instanceof GatewayError ? outcome : refusal(outcome, asking)
      await pause(waitMs, asking.signal, deps)
    }
  }
}

function requestTo({ provider, account }: Asking, path: string, query: Query): UpstreamRequest {
  const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  const auth = account.apiKey === null ? [] : provider.auth(account.apiKey)
  const common = ['accept', 'application/json', 'accept-encoding', 'identity', 'user-agent', 'watchllm']
  return {
    origin: account.origin,
    path: `${account.basePath}${path}?${search}`,
    method: 'GET',
    headers: [...common, ...(provider.headers ?? []), ...auth],
    body: null,
    publicOnly: account.publicOnly === true,
  }
}

/** @throws GatewayError when no whole answer comes in time, and when the job is told to stop */
function ask(request: UpstreamRequest, { provider, signal }: Asking, deps: Deps): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    let head: Omit<Heard, 'body'> = { status: 0, retryAfter: null }
    const end = (how: () => void): void => {
      timer.cancel()
      signal.removeEventListener('abort', onStop)
      exchange.abort()
      how()
    }
    const fail = (error: GatewayError): void => end(() => reject(error))
    const onStop = (): void => fail(stopped())
    const exchange = deps.upstream.start(request, {
      onHeaders(status, header) {
        head = { status, retryAfter: header('retry-after') }
      },
      onData(chunk) {
        chunks.push(chunk)
        bytes += chunk.length
        if (bytes > MAX_BYTES) fail(nonsense(provider.name, `More than ${MAX_BYTES} bytes at ${request.path}`))
      },
      onEnd: () => end(() => resolve({ ...head, body: Buffer.concat(chunks).toString() })),
      onError: (error) => fail(brokenConnection(provider.name, error)),
    })
    const timer = deps.clock.timer(LIMIT_MS, () => fail(tooLate(provider.name, 'no whole answer', LIMIT_MS)))
    signal.addEventListener('abort', onStop)
    if (signal.aborted) onStop()
  })
}

function readError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  throw error
}

function stopped(): GatewayError {
  return new GatewayError('service_unavailable', 'The reading was stopped before its end; ask again')
}

/** Null: asking again helps nobody. */
function waitAfter(outcome: Heard | GatewayError, tries: number): number | null {
  const backoffMs = FIRST_WAIT_MS * 2 ** (tries - 1)
  if (outcome instanceof GatewayError) return outcome.code === 'service_unavailable' ? null : backoffMs
  if (outcome.status !== 429 && outcome.status < 500) return null
  const saidS = Number(outcome.retryAfter)
  if (outcome.retryAfter === null || !Number.isFinite(saidS) || saidS < 0) return backoffMs
  return saidS * 1000 > MAX_WAIT_MS ? null : Math.max(saidS * 1000, 1)
}

function pause(ms: number, signal: AbortSignal, deps: Deps): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: Timer | null = null
    const onStop = (): void => {
      timer?.cancel()
      reject(stopped())
    }
    if (signal.aborted) return onStop()
    signal.addEventListener('abort', onStop)
    timer = deps.clock.timer(ms, () => {
      signal.removeEventListener('abort', onStop)
      resolve()
    })
  })
}

function parse({ body }: Heard, { provider }: Asking): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw nonsense(provider.name, `No JSON: ${body.slice(0, 200)}`)
  }
}

const MAX_SAID = 300

function refusal({ status, body, retryAfter }: Heard, { provider, account }: Asking): GatewayError {
  const words = messageOf(body, account.apiKey).replace(/\s+/g, ' ').trim().slice(0, MAX_SAID)
  const said = words === '' ? '' : `: ${words}`
  const details = { provider: provider.id, provider_status: status }
  if (status === 401 || status === 403) {
    const message = `${provider.name} refuses the admin key with ${status}${said}; set one that may read usage and costs`
    return new GatewayError('provider_error', message, { details })
  }
  if (status === 429) {
    const later = retryAfter === null ? 'later' : `in ${retryAfter} s`
    return new GatewayError(
      'provider_error',
      `${provider.name} limits how often it is asked${said}; try again ${later}`,
      {
        details,
      },
    )
  }
  return new GatewayError('provider_error', `${provider.name} answered ${status}${said}`, { details })
}
