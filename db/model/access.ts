/** What a member may do in an organization; each may do all that those before it may. */
export const ROLES = ['viewer', 'member', 'admin', 'owner'] as const
export type Role = (typeof ROLES)[number]

export function isAtLeast(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

declare const checked: unique symbol

/**
 * One organization that the caller was let into. Stores take it instead of an id, so that a query which nobody has
 * checked doesn't compile.
 */
export interface Scope {
  readonly organizationId: string
  readonly [checked]: true
}

/** `key`: an API key of the data plane. `system`: the gateway itself or its operator at the command line. */
export type ActorKind = 'user' | 'token' | 'key' | 'system'

export interface Actor {
  readonly kind: ActorKind
  readonly id: string
  /** As the audit log shows it, such as an e-mail address. */
  readonly name: string
}

/** Who changes what: every change takes one, and leaves it in the audit log. */
export interface Change {
  readonly actor: Actor
  /** The procedure, such as `keys.rotate`. */
  readonly action: string
  readonly atMs: number
  /** Of the entry in the audit log: `aud_…`. */
  readonly auditId: string
  readonly requestId: string | null
  readonly address: string | null
}

/** A change within one organization. */
export type ScopedChange = Change & Scope

/** Made only where it was checked that the caller may act in this organization. */
export function scopeOf(organizationId: string): Scope {
  return { organizationId } as Scope
}
