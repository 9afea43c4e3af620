import { initTRPC } from '@trpc/server'
import type { OpenApiMeta } from 'trpc-to-openapi'
import { type Change, isAtLeast, type Role, type Scope, type ScopedChange, scopeOf } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import type { Control, Deps, Person, Principal } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { type Rule, ruleOf, type TokenScope, type Who } from './access.ts'
import { faultShape } from './faults.ts'

/** Who calls a procedure, as the request's cookie or key says. */
export type Caller =
  /** `refused`: what the request says of its caller is not, or no longer, true. */
  | { readonly kind: 'nobody'; readonly refused?: 'token' | 'key' }
  | { readonly kind: 'user'; readonly person: Person; readonly sessionId: string }
  | {
      readonly kind: 'token'
      readonly person: Person
      readonly tokenId: string
      readonly tokenName: string
      readonly organizationId: string
      readonly scopes: readonly string[]
    }
  | { readonly kind: 'key'; readonly principal: Principal }

/** What every procedure is given; made of a request by context.ts. */
export interface Context {
  readonly deps: Deps
  readonly control: Control
  readonly caller: Caller
  /** The organization that the request asks for, null: the caller's first. */
  readonly organizationId: string | null
  /** Null when the caller belongs to no organization, or not to the one asked for. */
  readonly membership: { readonly organizationId: string; readonly role: Role } | null
  readonly requestId: string
  /** The peer's address, null where it isn't known. */
  readonly address: string | null
  /** The request came from this machine and to a name of it, through no proxy. */
  readonly isLocal: boolean
}

const t = initTRPC
  .context<Context>()
  .meta<OpenApiMeta>()
  .create({
    isDev: false,
    errorFormatter: ({ error, path, ctx }) => faultShape(error, path, ctx?.requestId),
  })

export const { router, createCallerFactory } = t

/** The first room of every procedure: holds its caller against the table. @throws GatewayError 401, 403, 404 */
const guarded = t.procedure.use(async ({ ctx, path, next }) => {
  admit(ctx, path)
  return next()
})

/** For anyone. */
export const open = guarded.use(({ path, next }) => {
  expect(path, ['anyone'])
  return next()
})

/** For whoever is signed in; what it changes belongs to no organization. */
export const personal = guarded.use(({ ctx, path, next }) => {
  expect(path, ['user'])
  const person = personOf(ctx)
  return next({ ctx: { person, change: changeOf(ctx, path) } })
})

/** For members of one organization: `scope` is what its stores ask for, `change` what those that change it ask for. */
export const scoped = guarded.use(({ ctx, path, next }) => next({ ctx: within(ctx, path) }))

/** For who runs this installation. */
export const operating = guarded.use(({ ctx, path, next }) => {
  expect(path, ['operator'])
  return next({ ctx: { person: personOf(ctx), change: changeOf(ctx, path) } })
})

/** What a procedure knows of the one organization that it works on. */
export interface Within {
  readonly scope: Scope
  readonly change: ScopedChange
  /** Null: an API key calls. */
  readonly role: Role | null
  /** A key sees its own project only; null: all of the organization's. */
  readonly onlyProjectId: string | null
}

function within(ctx: Context, path: string): Within {
  expect(path, ['viewer', 'member', 'admin', 'owner'])
  const { caller, membership } = ctx
  const organizationId = caller.kind === 'key' ? caller.principal.organizationId : membership!.organizationId
  const scope: Scope = scopeOf(organizationId)
  const change: ScopedChange = { ...changeOf(ctx, path), ...scope }
  const onlyProjectId = caller.kind === 'key' ? caller.principal.projectId : null
  return { scope, change, role: membership?.role ?? null, onlyProjectId }
}

/** What `scoped` gives a procedure, for answers that are none: streamed exports. @throws GatewayError 401, 403 */
export function enter(ctx: Context, path: string): Context & Within {
  admit(ctx, path)
  return { ...ctx, ...within(ctx, path) }
}

/** What `operating` lets in, for answers that are none. @throws GatewayError 401, 403 */
export function enterOperating(ctx: Context, path: string): Context {
  admit(ctx, path)
  expect(path, ['operator'])
  return ctx
}

function admit(ctx: Context, path: string): void {
  const rule = ruleOf(path)
  if (rule === null) throw forbidden('Nobody may call this')
  hold(ctx, rule)
}

function hold(ctx: Context, rule: Rule): void {
  const { caller } = ctx
  if (rule.who === 'anyone') return
  if (caller.kind === 'nobody') throw new GatewayError('invalid_api_key', strangerHint(caller.refused))
  if (caller.kind === 'key') {
    if (rule.keys !== true) throw forbidden('API keys can not do this: sign in, or use a personal access token')
    return
  }
  if (caller.kind === 'token') requireScope(caller.scopes, rule.scope)
  if (rule.who === 'user') return
  if (rule.who === 'operator') {
    if (!caller.person.operator) throw forbidden('Only who runs this installation may do this')
    return
  }
  if (ctx.membership === null) throw forbidden('You are no member of this organization')
  if (!isAtLeast(ctx.membership.role, rule.who)) throw forbidden(`This needs the role ${rule.who}`)
}

function strangerHint(refused: 'token' | 'key' | undefined): string {
  if (refused === 'token') return 'This personal access token is unknown, expired or revoked'
  return refused === 'key' ? 'This API key is unknown, expired or revoked' : 'Sign in, or send a personal access token'
}

function requireScope(has: readonly string[], needed: TokenScope | null): void {
  if (needed === null) throw forbidden('Tokens can not do this: sign in')
  const noun = needed.slice(0, needed.indexOf(':'))
  if (!has.includes(needed) && !has.includes(`${noun}:write`)) throw forbidden(`This token lacks the scope ${needed}`)
}

/** A procedure made for one kind of caller whose row says another would be given what it isn't made for. */
function expect(path: string, kinds: readonly Who[]): void {
  const rule = ruleOf(path)
  if (rule === null || !kinds.includes(rule.who)) throw new Error(`The row of ${path} fits another kind of procedure`)
}

export function personOf({ caller }: Context): Person {
  if (caller.kind === 'user' || caller.kind === 'token') return caller.person
  throw forbidden('This is for people: sign in')
}

function changeOf(ctx: Context, action: string): Change {
  const { deps, caller, requestId, address } = ctx
  const atMs = deps.clock.now()
  return {
    actor: actorOf(caller),
    action,
    atMs,
    auditId: makeId('aud', atMs, deps.random.bytes(16)),
    requestId,
    address,
  }
}

function actorOf(caller: Caller): Change['actor'] {
  if (caller.kind === 'user') return { kind: 'user', id: caller.person.id, name: caller.person.email }
  if (caller.kind === 'token') {
    return { kind: 'token', id: caller.tokenId, name: `${caller.person.email} (${caller.tokenName})` }
  }
  if (caller.kind === 'key') return { kind: 'key', id: caller.principal.keyId, name: caller.principal.keyId }
  return { kind: 'system', id: 'nobody', name: 'Nobody signed in' }
}

function forbidden(message: string): GatewayError {
  return new GatewayError('insufficient_permissions', message)
}
