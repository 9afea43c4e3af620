import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Incoming, Reply } from '../http.ts'
import type { Place } from './endpoint.ts'

const YEAR = 'public, max-age=31536000, immutable'

const SECURITY = [
  'content-security-policy',
  "default-src 'self'; img-src 'self' data:; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'x-content-type-options',
  'nosniff',
  'referrer-policy',
  'no-referrer',
  'x-frame-options',
  'DENY',
]

/** `GET /` and the files of the built console. */
export async function consolePage(incoming: Incoming, deps: Deps, { id: path }: Place): Promise<Reply> {
  const asset = deps.assets(path === '/' ? '/index.html' : path)
  if (asset === null) throw new GatewayError('not_found', `No route ${incoming.method} ${path.slice(0, 200)}`)
  const headers = ['content-type', asset.type, 'cache-control', asset.immutable ? YEAR : 'no-cache', ...SECURITY]
  return { status: 200, headers, body: asset.bytes }
}
