import { createHash } from 'node:crypto'
import type { Random } from '../deps.ts'

/** A new secret: the prefix, then 32 random bytes as base64url. It is shown once; only its SHA-256 is kept. */
export function newSecret(random: Random, prefix = ''): { readonly secret: string; readonly sha256: string } {
  const base64 = btoa(String.fromCharCode(...random.bytes(32)))
  const secret = prefix + base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
  return { secret, sha256: sha256Of(secret) }
}

/** Lower-case hexadecimal. */
export function sha256Of(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
