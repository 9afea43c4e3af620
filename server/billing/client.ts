import type Stripe from 'stripe'
import { GatewayError } from '../errors.ts'

/** Calls Stripe. What it throws becomes an error for the caller; `Missing` when there is no such object. */
export type OpenStripe = <T>(call: (stripe: Stripe) => Promise<T>) => Promise<T>

/** Stripe knows no object of that id. */
export class Missing extends Error {}

const TIMEOUT_MS = 20_000
const RETRIES = 2

/**
 * Stripe's client over fetch, the same on every runtime, loaded with the first call.
 * @param options apiBase: origin of the API, null: Stripe's own
 */
export function openStripe({ secretKey, apiBase }: { secretKey: string; apiBase: string | null }): OpenStripe {
  let opening: Promise<Stripe> | null = null
  return async (call) => {
    opening ??= load(secretKey, apiBase)
    try {
      return await call(await opening)
    } catch (thrown) {
      throw refusalOf(thrown)
    }
  }
}

async function load(secretKey: string, apiBase: string | null): Promise<Stripe> {
  const { default: Client } = await import('stripe')
  const httpClient = Client.createFetchHttpClient()
  const options = { httpClient, timeout: TIMEOUT_MS, maxNetworkRetries: RETRIES, telemetry: false }
  if (apiBase === null) return new Client(secretKey, options)
  const { protocol, hostname, port } = new URL(apiBase)
  const isPlain = protocol === 'http:'
  const place = { host: hostname, port: port === '' ? (isPlain ? 80 : 443) : Number(port) }
  return new Client(secretKey, { ...options, ...place, protocol: isPlain ? 'http' : 'https' })
}

/** What of Stripe's errors decides. */
interface Refusal {
  readonly type?: string
  readonly code?: string
  readonly statusCode?: number
}

function refusalOf(thrown: unknown): unknown {
  const { type, code, statusCode } = (thrown ?? {}) as Refusal
  if (thrown instanceof GatewayError || thrown instanceof Missing || !type?.startsWith('Stripe')) return thrown
  if (code === 'resource_missing' || statusCode === 404) return new Missing((thrown as Error).message)
  const isOurs = type === 'StripeAuthenticationError' || type === 'StripePermissionError'
  const isWrong = type === 'StripeInvalidRequestError'
  const message = isOurs
    ? 'Stripe refuses the key of this gateway; its operator has to check STRIPE_SECRET_KEY'
    : isWrong
      ? 'Stripe refuses what the gateway asks of it; its operator finds the reason in the log'
      : 'Stripe can not be reached now; try again later'
  return new GatewayError('service_unavailable', message, { cause: thrown })
}
