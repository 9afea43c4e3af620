import { isAtLeast, type Role } from './access.ts'

/** Why somebody may not change who is in an organization. */
export type MemberRefusal = 'not_found' | 'role_too_low' | 'above_own_role' | 'only_owners' | 'last_owner'

/** Roles as they stand while nobody else can change them. */
export interface MemberChange {
  /** Null: no longer a member. */
  readonly actor: Role | null
  readonly target: Role
  /** Null: the target is to leave. */
  readonly to: Role | null
  /** The target is who asks. */
  readonly ofItself: boolean
  /** How many owners there are. */
  readonly owners: number
}

/**
 * Why a change of a member is refused, null when it isn't. Nobody gives a role above their own, only owners make or
 * unmake owners, and there is always an owner.
 */
export function refusalOfChange({ actor, target, to, ofItself, owners }: MemberChange): MemberRefusal | null {
  const refusal = ofItself && to === null ? null : refusalOfRole(actor, to ?? 'viewer')
  if (refusal !== null) return refusal
  if (target !== 'owner' || to === 'owner') return null
  if (actor !== 'owner') return 'only_owners'
  return owners < 2 ? 'last_owner' : null
}

/** Why somebody may not give this role, null when they may. */
export function refusalOfRole(actor: Role | null, role: Role): MemberRefusal | null {
  if (actor === null || !isAtLeast(actor, 'admin')) return 'role_too_low'
  return isAtLeast(actor, role) ? null : 'above_own_role'
}
