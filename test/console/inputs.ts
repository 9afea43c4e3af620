import type { inferRouterInputs } from '@trpc/server'
import type { AppRouter } from '../../server/console/router.ts'
import type { Person } from '../../server/deps.ts'
import type { Stage } from './stage.ts'

type Inputs = inferRouterInputs<AppRouter>

/** `projects.create` and its input, for every procedure there is. */
type Known = {
  [Noun in keyof Inputs & string]: {
    [Verb in keyof Inputs[Noun] & string]: { readonly name: `${Noun}.${Verb}`; readonly input: Inputs[Noun][Verb] }
  }[keyof Inputs[Noun] & string]
}[keyof Inputs & string]

/** An input that is valid for the things on a stage; `who` calls, null: nobody. */
type Make<Input> = (stage: Stage, who: Person | null) => Input | Promise<Input>

type Table = { readonly [One in Known as One['name']]: Make<One['input']> } & Exports

interface Exports {
  readonly 'usage.export': Make<{ id: string }>
  readonly 'audit.export': Make<{ action?: string }>
}

/** Nobody's: there is always somebody for whom no invitation is. */
const NO_SECRET = 'x'.repeat(43)

const project = ({ projectId }: Stage) => ({ id: projectId })
const key = ({ projectId, keyId }: Stage) => ({ id: projectId, key_id: keyId })
const credential = ({ projectId, credentialId }: Stage) => ({ id: projectId, provider: credentialId })
const platformCredential = async (stage: Stage) => ({ provider: await stage.platformCredential() })
const newCredential = { provider: 'openai', key: 'sk-new-0123456789abcdef', save_unchecked: true }
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
  'usage.stats': ({ projectId }) => ({ project_id: projectId }),
  'usage.logs': (stage) => ({ ...project(stage), limit: 1000 }),
  'usage.export': project,
  'usage.breakdown': ({ projectId }) => ({ by: 'model', project_id: projectId }),
  'usage.totals': ({ projectId }) => ({ project_id: projectId }),
  'usage.quota': nothing,
  'audit.list': nothing,
  'audit.export': nothing,
  'platform.organizations': nothing,
  'platform.setPlan': ({ organizationId }) => ({ id: organizationId, plan: 'pro' }),
  'platform.credentials': nothing,
  'platform.createCredential': () => newCredential,
  'platform.updateCredential': async (stage) => ({ ...(await platformCredential(stage)), name: 'Renamed' }),
  'platform.testCredential': platformCredential,
  'platform.deleteCredential': platformCredential,
  'platform.resealSecrets': nothing,
  'platform.audit': nothing,
}
