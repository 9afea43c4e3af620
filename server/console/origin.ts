import { GatewayError } from '../errors.ts'

const READS = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Refuses what another site makes a browser send: a request that changes something must come from a page of ours, by
 * its Origin or by what the browser says of it (Sec-Fetch-Site). Requests that bring a token or a key of their own can
 * be made by nobody else, and programs send neither cookies nor these headers. @throws GatewayError 403
 */
export function refuseForeign(request: Request, publicUrl: string): void {
  const { headers, method } = request
  if (READS.has(method) || headers.has('authorization') || headers.has('x-api-key')) return
  const site = siteOf(request, publicUrl)
  if (site === 'ours' || (site === 'unsaid' && !headers.has('cookie'))) return
  throw new GatewayError(
    'insufficient_permissions',
    'This comes from another site: send it from the console, or use a personal access token',
  )
}

/** Whether a request's cookie may speak for it: never where another site made the browser send it. */
export function cookieCounts(request: Request, publicUrl: string): boolean {
  const site = siteOf(request, publicUrl)
  return site === 'ours' || (site === 'unsaid' && READS.has(request.method))
}

/** Whose page made the request; `unsaid`: by a person who typed it, or by no browser. */
function siteOf({ headers }: Request, publicUrl: string): 'ours' | 'foreign' | 'unsaid' {
  const origin = headers.get('origin')
  if (origin !== null) return isOurs(origin, headers.get('host'), publicUrl) ? 'ours' : 'foreign'
  const site = headers.get('sec-fetch-site')
  if (site === 'same-origin') return 'ours'
  return site === null || site === 'none' ? 'unsaid' : 'foreign'
}

function isOurs(origin: string, host: string | null, publicUrl: string): boolean {
  if (origin === new URL(publicUrl).origin) return true
  return host !== null && (origin === `http://${host}` || origin === `https://${host}`)
}
