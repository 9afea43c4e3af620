import { createHash } from 'node:crypto'
import { keyKindOf } from '../../db/model/ids.ts'
import type { Control, Deps } from '../deps.ts'
import { cookieCounts } from './origin.ts'
import { tokenUses } from './token-uses.ts'
import type { Context } from './trpc.ts'

const ORGANIZATION_HEADER = 'x-watchllm-organization'
const TOKEN = /^lgw_pat_[A-Za-z0-9_-]{43}$/

/** What a request is, beside what it says. */
export interface Arrival {
  readonly requestId: string
  /** The peer's address, null where it isn't known. */
  readonly address: string | null
}

/**
 * Who calls, and for which organization: of a personal access token or an API key if the request has one, else of the
 * session in its cookie, which counts only for requests of our own pages. @throws when the database can't be asked
 */
export async function contextOf(
  request: Request,
  arrival: Arrival,
  deps: Deps & { control: Control },
): Promise<Context> {
  const { control } = deps
  const asked = request.headers.get(ORGANIZATION_HEADER)
  const known = await knownOf(request, asked, deps)
  return {
    deps,
    control,
    ...known,
    organizationId: asked,
    ...arrival,
    isLocal: isLocal(request, arrival.address, control.publicUrl()),
  }
}

type Known = Pick<Context, 'caller' | 'membership'>

async function knownOf(request: Request, asked: string | null, deps: Deps & { control: Control }): Promise<Known> {
  const secret = secretOf(request.headers)
  if (secret === null) return sessionOf(request, asked, deps.control)
  if (secret.startsWith('lgw_pat_')) return (await tokenOf(secret, asked, deps)) ?? refused('token')
  const principal = keyKindOf(secret) === null ? null : await deps.directory.lookup(secret)
  return principal === null ? refused('key') : { caller: { kind: 'key', principal }, membership: null }
}

function refused(what: 'token' | 'key'): Known {
  return { caller: { kind: 'nobody', refused: what }, membership: null }
}

/** Null: the request brings none. */
function secretOf(headers: Headers): string | null {
  const authorization = headers.get('authorization')
  if (authorization === null) return headers.get('x-api-key')
  return /^bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''
}

async function sessionOf(
  request: Request,
  asked: string | null,
  { people, stores, publicUrl }: Control,
): Promise<Known> {
  const counts = request.headers.has('cookie') && cookieCounts(request, publicUrl())
  const session = counts ? await people.sessionOf(request.headers) : null
  if (session === null) return { caller: { kind: 'nobody' }, membership: null }
  return {
    caller: { kind: 'user', ...session },
    membership: await stores.members.membershipOf(session.person.id, asked),
  }
}

/** Null: unknown, expired or revoked, or its owner is no member any more. */
async function tokenOf(secret: string, asked: string | null, deps: Deps & { control: Control }): Promise<Known | null> {
  if (!TOKEN.test(secret)) return null
  const hash = createHash('sha256').update(secret).digest('hex')
  const found = await deps.control.stores.tokens.findBySecretHash(hash)
  const nowMs = deps.clock.now()
  if (found === null || found.revokedAtMs !== null || found.role === null) return null
  if (found.expiresAtMs !== null && found.expiresAtMs <= nowMs) return null
  tokenUses(deps).note(found.id, nowMs)
  const { id, name, organizationId, scopes, person, role } = found
  // A token is for its own organization, whatever else its owner belongs to.
  const membership = asked === null || asked === organizationId ? { organizationId, role } : null
  return { caller: { kind: 'token', tokenId: id, tokenName: name, organizationId, scopes, person }, membership }
}

/** Said by whoever passes a request on for another. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip']
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i
const LOCAL_HOST = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i

/** A proxy on this machine may say nothing of those it speaks for; but then the gateway has another name in public. */
function isLocal({ headers }: Request, address: string | null, publicUrl: string): boolean {
  if (address === null || !LOOPBACK.test(address) || !LOCAL_HOST.test(new URL(publicUrl).host)) return false
  return LOCAL_HOST.test(headers.get('host') ?? '') && !FORWARDED.some((name) => headers.has(name))
}
