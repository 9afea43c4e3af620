import type { Role } from '../../db/model/access.ts'

/**
 * Who may call a procedure. `anyone`: nobody needs to be signed in. `user`: whoever is signed in, in whatever
 * organization. A role: its members of the organization that the call is about, and those above them. `operator`: who
 * runs this installation.
 */
export type Who = 'anyone' | 'user' | Role | 'operator'

export interface Rule {
  readonly who: Who
  /** What a personal access token must be made for; null: tokens can't, only a person who is signed in. */
  readonly scope: TokenScope | null
  /** API keys of the data plane may, for their own project only. */
  readonly keys?: true
}

/** What a personal access token can be made for; `write` includes `read`. */
export const TOKEN_SCOPES = [
  'organization:read',
  'organization:write',
  'projects:read',
  'projects:write',
  'keys:read',
  'keys:write',
  'credentials:read',
  'credentials:write',
  'usage:read',
  'billing:read',
  'billing:write',
  'alerts:read',
  'alerts:write',
  'audit:read',
  'bodies:read',
  'bodies:write',
  'platform:read',
  'platform:write',
] as const
export type TokenScope = (typeof TOKEN_SCOPES)[number]

/** The one table of who may do what. A procedure without a row can't be called by anybody, and a test names it. */
export const ACCESS = {
  'setup.status': { who: 'anyone', scope: null },
  'setup.createAdmin': { who: 'anyone', scope: null },
  'me.get': { who: 'user', scope: 'organization:read' },

  'organizations.list': { who: 'user', scope: 'organization:read' },
  'organizations.create': { who: 'user', scope: null },
  'organizations.get': { who: 'viewer', scope: 'organization:read' },
  'organizations.update': { who: 'admin', scope: 'organization:write' },
  'organizations.delete': { who: 'owner', scope: null },
  'members.list': { who: 'viewer', scope: 'organization:read' },
  'members.setRole': { who: 'admin', scope: 'organization:write' },
  'members.remove': { who: 'admin', scope: 'organization:write' },
  'members.leave': { who: 'viewer', scope: null },
  'invitations.list': { who: 'admin', scope: 'organization:read' },
  'invitations.create': { who: 'admin', scope: 'organization:write' },
  'invitations.revoke': { who: 'admin', scope: 'organization:write' },
  'invitations.preview': { who: 'anyone', scope: null },
  'invitations.accept': { who: 'user', scope: null },
  'tokens.list': { who: 'viewer', scope: null },
  'tokens.create': { who: 'viewer', scope: null },
  'tokens.revoke': { who: 'viewer', scope: null },

  'projects.list': { who: 'viewer', scope: 'projects:read' },
  'projects.get': { who: 'viewer', scope: 'projects:read' },
  'projects.create': { who: 'member', scope: 'projects:write' },
  'projects.update': { who: 'member', scope: 'projects:write' },
  'projects.delete': { who: 'admin', scope: 'projects:write' },
  'keys.list': { who: 'viewer', scope: 'keys:read' },
  'keys.create': { who: 'member', scope: 'keys:write' },
  'keys.update': { who: 'member', scope: 'keys:write' },
  'keys.rotate': { who: 'member', scope: 'keys:write' },
  'keys.revoke': { who: 'member', scope: 'keys:write' },

  'credentials.list': { who: 'viewer', scope: 'credentials:read' },
  'credentials.create': { who: 'admin', scope: 'credentials:write' },
  'credentials.update': { who: 'admin', scope: 'credentials:write' },
  'credentials.test': { who: 'admin', scope: 'credentials:write' },
  'credentials.delete': { who: 'admin', scope: 'credentials:write' },

  'budgets.list': { who: 'viewer', scope: 'billing:read' },
  'budgets.create': { who: 'admin', scope: 'billing:write' },
  'budgets.update': { who: 'admin', scope: 'billing:write' },
  'budgets.delete': { who: 'admin', scope: 'billing:write' },
  'budgets.recompute': { who: 'admin', scope: 'billing:write' },

  // What people said, end users' personal data among it: less for everybody than how much it was.
  'callBodies.get': { who: 'admin', scope: 'bodies:read' },
  'callBodies.delete': { who: 'admin', scope: 'bodies:write' },

  'usage.stats': { who: 'viewer', scope: 'usage:read' },
  'usage.logs': { who: 'viewer', scope: 'usage:read' },
  'usage.export': { who: 'viewer', scope: 'usage:read' },
  'usage.breakdown': { who: 'viewer', scope: 'usage:read' },
  'usage.totals': { who: 'viewer', scope: 'usage:read', keys: true },
  'usage.quota': { who: 'viewer', scope: 'usage:read', keys: true },

  'billing.createCheckout': { who: 'admin', scope: 'billing:write' },
  'billing.createTopUp': { who: 'admin', scope: 'billing:write' },
  'billing.createPortal': { who: 'admin', scope: 'billing:write' },
  'billing.subscription': { who: 'viewer', scope: 'billing:read' },
  'billing.invoices': { who: 'viewer', scope: 'billing:read' },
  'credits.balance': { who: 'viewer', scope: 'billing:read' },
  'credits.ledger': { who: 'viewer', scope: 'billing:read' },
  'credits.export': { who: 'viewer', scope: 'billing:read' },
  'credits.grant': { who: 'operator', scope: 'platform:write' },
  'credits.correct': { who: 'operator', scope: 'platform:write' },
  'credits.verify': { who: 'operator', scope: 'platform:read' },
  'credits.recount': { who: 'operator', scope: 'platform:write' },
  'multipliers.list': { who: 'operator', scope: 'platform:read' },
  'multipliers.set': { who: 'operator', scope: 'platform:write' },
  'multipliers.remove': { who: 'operator', scope: 'platform:write' },
  'multipliers.setOrganization': { who: 'operator', scope: 'platform:write' },
  'rerates.preview': { who: 'operator', scope: 'platform:read' },
  'rerates.post': { who: 'operator', scope: 'platform:write' },
  'rerates.list': { who: 'operator', scope: 'platform:read' },

  'alerts.rules.list': { who: 'viewer', scope: 'alerts:read' },
  'alerts.rules.create': { who: 'admin', scope: 'alerts:write' },
  'alerts.rules.update': { who: 'admin', scope: 'alerts:write' },
  'alerts.rules.delete': { who: 'admin', scope: 'alerts:write' },
  'alerts.endpoints.list': { who: 'viewer', scope: 'alerts:read' },
  'alerts.endpoints.create': { who: 'admin', scope: 'alerts:write' },
  'alerts.endpoints.update': { who: 'admin', scope: 'alerts:write' },
  'alerts.endpoints.rotate': { who: 'admin', scope: 'alerts:write' },
  'alerts.endpoints.delete': { who: 'admin', scope: 'alerts:write' },
  'alerts.events.list': { who: 'viewer', scope: 'alerts:read' },
  'alerts.deliveries.list': { who: 'viewer', scope: 'alerts:read' },
  'alerts.deliveries.redeliver': { who: 'admin', scope: 'alerts:write' },
  'alerts.test': { who: 'admin', scope: 'alerts:write' },

  'audit.list': { who: 'admin', scope: 'audit:read' },
  'audit.export': { who: 'admin', scope: 'audit:read' },

  'plans.list': { who: 'anyone', scope: null },

  'platform.organizations': { who: 'operator', scope: 'platform:read' },
  'platform.setPlan': { who: 'operator', scope: 'platform:write' },
  'platform.setPays': { who: 'operator', scope: 'platform:write' },
  'platform.plans': { who: 'operator', scope: 'platform:read' },
  'platform.createPlan': { who: 'operator', scope: 'platform:write' },
  'platform.updatePlan': { who: 'operator', scope: 'platform:write' },
  'platform.archivePlan': { who: 'operator', scope: 'platform:write' },
  'platform.credentials': { who: 'operator', scope: 'platform:read' },
  'platform.createCredential': { who: 'operator', scope: 'platform:write' },
  'platform.updateCredential': { who: 'operator', scope: 'platform:write' },
  'platform.testCredential': { who: 'operator', scope: 'platform:write' },
  'platform.deleteCredential': { who: 'operator', scope: 'platform:write' },
  'platform.providerLimits': { who: 'operator', scope: 'platform:read' },
  'platform.setProviderStop': { who: 'operator', scope: 'platform:write' },
  'platform.pauseProvider': { who: 'operator', scope: 'platform:write' },
  'platform.resumeProvider': { who: 'operator', scope: 'platform:write' },
  'platform.providerHealth': { who: 'operator', scope: 'platform:read' },
  'platform.resetProviderHealth': { who: 'operator', scope: 'platform:write' },
  'platform.resealSecrets': { who: 'operator', scope: 'platform:write' },
  'reconcile.credentials': { who: 'operator', scope: 'platform:read' },
  'reconcile.setCredential': { who: 'operator', scope: 'platform:write' },
  'reconcile.testCredential': { who: 'operator', scope: 'platform:write' },
  'reconcile.removeCredential': { who: 'operator', scope: 'platform:write' },
  'reconcile.run': { who: 'operator', scope: 'platform:write' },
  'reconcile.list': { who: 'operator', scope: 'platform:read' },
  'reconcile.get': { who: 'operator', scope: 'platform:read' },
  'reconcile.export': { who: 'operator', scope: 'platform:read' },
  'platform.audit': { who: 'operator', scope: 'platform:read' },
} as const satisfies { readonly [procedure: string]: Rule }

export type ProcedureName = keyof typeof ACCESS

/** Null for a procedure that has no row: nobody may call it. */
export function ruleOf(procedure: string): Rule | null {
  return Object.hasOwn(ACCESS, procedure) ? ACCESS[procedure as ProcedureName] : null
}
