import type { inferRouterInputs } from '@trpc/server'
import type { ProcedureName } from '../../server/console/access.ts'
import type { AppRouter } from '../../server/console/router.ts'
import type { Person } from '../../server/deps.ts'
import { newPlanId, type Stage } from './stage.ts'

type Inputs = inferRouterInputs<AppRouter>

/** What a procedure takes, by its name: `projects.create`, `alerts.rules.create`. */
type InputOf<Name extends string, All = Inputs> = Name extends `${infer Noun}.${infer Rest}`
  ? Noun extends keyof All
    ? InputOf<Rest, All[Noun]>
    : never
  : Name extends keyof All
    ? All[Name]
    : never

/** An input that is valid for the things on a stage; `who` calls, null: nobody. */
type Make<Input> = (stage: Stage, who: Person | null) => Input | Promise<Input>

type Table = { readonly [Name in Exclude<ProcedureName, keyof Exports>]: Make<InputOf<Name>> } & Exports

interface Exports {
  readonly 'usage.export': Make<{ id: string }>
  readonly 'credits.export': Make<{ kind?: 'usage' }>
  readonly 'audit.export': Make<{ action?: string }>
  readonly 'reconcile.export': Make<{ id: string }>
}

/** Nobody's: there is always somebody for whom no invitation is. */
const NO_SECRET = 'x'.repeat(43)

const project = ({ projectId }: Stage) => ({ id: projectId })
const key = ({ projectId, keyId }: Stage) => ({ id: projectId, key_id: keyId })
const credential = ({ projectId, credentialId }: Stage) => ({ id: projectId, provider: credentialId })
const platformCredential = async (stage: Stage) => ({ provider: await stage.platformCredential() })
const newCredential = { provider: 'openai', key: 'sk-new-0123456789abcdef', save_unchecked: true }
const rerate = {
  ...{ provider: 'openai', model: 'gpt-4o', from: '2026-01-01', to: '2026-01-02' },
  price: { input: 1, output: 2 },
}
const budget = ({ projectId, budgetId }: Stage) => ({ id: projectId, budget_id: budgetId })
const nothing = () => ({})

/** One valid input a procedure; a procedure without one doesn't compile. */
export const INPUTS: Table = {
  'setup.status': nothing,
  'setup.createAdmin': () => ({ email: 'first@example.com', password: 'correct horse battery', name: 'First' }),
  'me.get': nothing,
  'organizations.list': nothing,
  'organizations.create': () => ({ name: 'New' }),
  'organizations.get': nothing,
  'organizations.update': () => ({ name: 'Renamed' }),
  'organizations.delete': () => ({ confirm: 'Staged' }),
  'members.list': nothing,
  'members.setRole': ({ spareUserId }) => ({ user_id: spareUserId, role: 'member' }),
  'members.remove': ({ spareUserId }) => ({ user_id: spareUserId }),
  'members.leave': nothing,
  'invitations.list': nothing,
  'invitations.create': () => ({ email: 'invited@example.com', role: 'viewer' }),
  'invitations.revoke': ({ invitationId }) => ({ id: invitationId }),
  'invitations.preview': async (stage) => ({ secret: await stage.invite('somebody@example.com') }),
  'invitations.accept': async (stage, who) => ({ secret: who === null ? NO_SECRET : await stage.invite(who.email) }),
  'tokens.list': nothing,
  'tokens.create': () => ({ name: 'New', scopes: ['organization:read'] }),
  'tokens.revoke': async ({ house, organizationId, tokenId }, who) => {
    if (who === null || (await house.control.stores.members.membershipOf(who.id, organizationId)) === null) {
      return { id: tokenId }
    }
    return { id: (await house.token({ organizationId, personId: who.id, scopes: [] })).id }
  },
  'projects.list': nothing,
  'projects.get': project,
  'projects.create': () => ({ name: 'New' }),
  'projects.update': (stage) => ({ ...project(stage), name: 'Renamed' }),
  'projects.delete': project,
  'keys.list': project,
  'keys.create': (stage) => ({ ...project(stage), name: 'New' }),
  'keys.update': (stage) => ({ ...key(stage), name: 'Renamed' }),
  'keys.rotate': (stage) => ({ ...key(stage), grace_seconds: 60 }),
  'keys.revoke': key,
  'credentials.list': project,
  'credentials.create': (stage) => ({ ...project(stage), ...newCredential }),
  'credentials.update': (stage) => ({ ...credential(stage), name: 'Renamed' }),
  'credentials.test': credential,
  'credentials.delete': credential,
  'budgets.list': project,
  'budgets.create': (stage) => ({ ...project(stage), what: 'spend', period: 'month', amount: '12.5' }),
  'budgets.update': (stage) => ({ ...budget(stage), amount: 2_000 }),
  'budgets.delete': budget,
  'budgets.recompute': budget,
  'callBodies.get': async (stage) => ({ id: stage.projectId, call_id: await stage.said() }),
  'callBodies.delete': async (stage) => ({ id: stage.projectId, call_id: await stage.said() }),
  'usage.stats': ({ projectId }) => ({ project_id: projectId }),
  'usage.logs': (stage) => ({ ...project(stage), limit: 1000 }),
  'usage.export': project,
  'usage.breakdown': ({ projectId }) => ({ by: 'model', project_id: projectId }),
  'usage.totals': ({ projectId }) => ({ project_id: projectId }),
  'usage.quota': nothing,
  'billing.createCheckout': () => ({ plan: 'pro', billing_period: 'monthly' }),
  'billing.createTopUp': () => ({ amount_usd: '25' }),
  'billing.createPortal': nothing,
  'billing.subscription': nothing,
  'billing.invoices': nothing,
  'credits.balance': nothing,
  'credits.ledger': nothing,
  'credits.export': nothing,
  'credits.grant': ({ organizationId }) => ({ id: organizationId, amount_usd: '5', note: 'Welcome' }),
  'credits.correct': ({ organizationId }) => ({ id: organizationId, amount_usd: '0.5', reason: 'A mistake' }),
  'credits.verify': nothing,
  'credits.recount': nothing,
  'multipliers.list': nothing,
  'multipliers.set': () => ({ provider: 'openai', model: 'gpt-4o*', multiplier: 12_000 }),
  'multipliers.remove': async (stage) => await stage.multiplier(),
  'multipliers.setOrganization': ({ organizationId }) => ({ id: organizationId, multiplier: 12_000 }),
  'rerates.preview': () => rerate,
  'rerates.post': () => ({ ...rerate, reason: 'The price was wrong' }),
  'rerates.list': nothing,
  'alerts.rules.list': nothing,
  'alerts.rules.create': ({ projectId }) => ({ name: 'New', kind: 'spend', project_id: projectId, amount_usd: '12.5' }),
  'alerts.rules.update': async (stage) => ({ id: (await stage.alert()).ruleId, name: 'Renamed' }),
  'alerts.rules.delete': async (stage) => ({ id: (await stage.alert()).ruleId }),
  'alerts.endpoints.list': nothing,
  'alerts.endpoints.create': () => ({ url: 'https://hooks.example.com/watchllm' }),
  'alerts.endpoints.update': async (stage) => ({ id: (await stage.alert()).endpointId, description: 'Ours' }),
  'alerts.endpoints.rotate': async (stage) => ({ id: (await stage.alert()).endpointId }),
  'alerts.endpoints.delete': async (stage) => ({ id: (await stage.alert()).endpointId }),
  'alerts.events.list': nothing,
  'alerts.deliveries.list': async (stage) => ({ event_id: (await stage.alert()).eventId }),
  'alerts.deliveries.redeliver': async (stage) => ({ id: (await stage.alert()).deliveryId }),
  'alerts.test': async (stage) => ({ rule_id: (await stage.alert()).ruleId }),
  'audit.list': nothing,
  'audit.export': nothing,
  'plans.list': nothing,
  'platform.organizations': nothing,
  'platform.setPlan': ({ organizationId }) => ({ id: organizationId, plan: 'pro' }),
  'platform.setPays': ({ organizationId }) => ({ id: organizationId, pays: 'credits' }),
  'platform.plans': nothing,
  'platform.createPlan': () => ({ id: newPlanId(), name: 'New', requests_per_minute: 5, spend_per_month: '0.5' }),
  'platform.updatePlan': async (stage) => ({ id: await stage.plan(), tokens_per_day: 7 }),
  'platform.archivePlan': async (stage) => ({ id: await stage.plan() }),
  'platform.credentials': nothing,
  'platform.createCredential': () => newCredential,
  'platform.updateCredential': async (stage) => ({ ...(await platformCredential(stage)), name: 'Renamed' }),
  'platform.testCredential': platformCredential,
  'platform.deleteCredential': platformCredential,
  'platform.providerLimits': nothing,
  'platform.setProviderStop': () => ({ provider: 'openai', stop_usd: '100' }),
  'platform.pauseProvider': () => ({ provider: 'openai' }),
  'platform.resumeProvider': () => ({ provider: 'openai' }),
  'platform.providerHealth': nothing,
  'platform.resetProviderHealth': () => ({ provider: 'openai' }),
  'platform.resealSecrets': nothing,
  'platform.audit': nothing,
  'reconcile.credentials': nothing,
  'reconcile.setCredential': () => newCredential,
  'reconcile.testCredential': async (stage) => ({ id: await stage.adminCredential() }),
  'reconcile.removeCredential': async (stage) => ({ id: await stage.adminCredential() }),
  // There is no key of theirs.
  'reconcile.run': () => ({ provider: 'anthropic', from: '2026-01-01' }),
  'reconcile.list': nothing,
  'reconcile.get': async (stage) => ({ id: await stage.reconciliation() }),
  'reconcile.export': async (stage) => ({ id: await stage.reconciliation() }),
}
