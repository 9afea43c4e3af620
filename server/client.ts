import { createTRPCClient, httpBatchLink, isTRPCClientError, type TRPCClient } from '@trpc/client'
import type { FaultShape } from './console/fault-shape.ts'
import type { AppRouter } from './console/router.ts'

export type { AppRouter }

/** Every procedure of the control plane, typed: `client.projects.list.query({})`. */
export type Client = TRPCClient<AppRouter>

export interface ClientOptions {
  /** Where the gateway is, such as `https://gateway.example.com`. */
  readonly baseUrl: string
  /** A personal access token (`lgw_pat_…`); `usage.totals` and `usage.quota` take an API key as well. */
  readonly token: string
  /** The organization that calls are about. Default: the token's own. */
  readonly organization?: string
  /** Default: the runtime's. */
  readonly fetch?: typeof fetch
}

/** Longer URLs are refused along the way. */
const MAX_URL_LENGTH = 6000
/** As the gateway takes them. */
const MAX_BATCH = 50

/**
 * A client of the control plane; calls made together travel together. Calls reject with a
 * TRPCClientError; `refusalOf` says what the gateway has against one.
 */
export function createClient({ baseUrl, token, organization, fetch }: ClientOptions): Client {
  const url = new URL('api/trpc', baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`)
  const headers = {
    authorization: `Bearer ${token}`,
    ...(organization === undefined ? {} : { 'x-watchllm-organization': organization }),
  }
  const link = httpBatchLink<AppRouter>({
    url,
    headers,
    maxURLLength: MAX_URL_LENGTH,
    maxItems: MAX_BATCH,
    ...(fetch === undefined ? {} : { fetch: (input, init) => fetch(input, init as RequestInit) }),
  })
  return createTRPCClient<AppRouter>({ links: [link] })
}

/** As in the body of REST: `{message, type, param, code, details?}`, and its status. */
export type Refusal = FaultShape['data']['error'] & { readonly status: number }

/** What the gateway said of a call that it refused; null for whatever else was thrown, such as a broken connection. */
export function refusalOf(thrown: unknown): Refusal | null {
  const data = isTRPCClientError<AppRouter>(thrown) ? thrown.data : null
  return data === null || data === undefined ? null : { ...data.error, status: data.httpStatus }
}
