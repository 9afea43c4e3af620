import type { Role } from '../../db/model/access.ts'
import { audit } from '../../server/console/audit.ts'
import { faultOf } from '../../server/console/faults.ts'
import { invitations } from '../../server/console/invitations.ts'
import { members } from '../../server/console/members.ts'
import { organizations } from '../../server/console/organizations.ts'
import { plans } from '../../server/console/plans.ts'
import { platformOrganizationProcedures } from '../../server/console/platform-organizations.ts'
import { platformPlanProcedures } from '../../server/console/platform-plans.ts'
import { tokens } from '../../server/console/tokens.ts'
import { type Caller, createCallerFactory, router } from '../../server/console/trpc.ts'
import type { Control, Person } from '../../server/deps.ts'
import type { ConsoleApp } from '../helpers/console.ts'

const platform = router({ ...platformOrganizationProcedures, ...platformPlanProcedures })
const makeCaller = createCallerFactory(router({ organizations, members, invitations, tokens, audit, plans, platform }))

export type Called = ReturnType<typeof makeCaller>

export interface CallOptions {
  /** Null: the caller's first. */
  readonly organizationId?: string | null
  /** Default: the person's session, or nobody. */
  readonly caller?: Caller
  readonly control?: Partial<Control>
}

/** The procedures as somebody calls them, with the role that they have now. */
export async function as(house: ConsoleApp, person: Person | null, options: CallOptions = {}): Promise<Called> {
  const { organizationId = null } = options
  const control = { ...house.control, ...options.control }
  const caller: Caller =
    options.caller ?? (person === null ? { kind: 'nobody' } : { kind: 'user', person, sessionId: 'ses_1' })
  const membership = person === null ? null : await control.stores.members.membershipOf(person.id, organizationId)
  const request = { requestId: 'req_test', address: '192.0.2.7', isLocal: false }
  return makeCaller({ deps: house.deps, control, caller, organizationId, membership, ...request })
}

/** A new person with a role there, and the procedures as they call them. */
export async function newMember(house: ConsoleApp, organizationId: string, role: Role) {
  const person = await house.person()
  await house.join(organizationId, person.id, role)
  return { person, api: await as(house, person, { organizationId }) }
}

/** The code of the error that a call ends with, `ok` for one that doesn't. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (thrown) {
    return faultOf(thrown).code
  }
}

export async function messageOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (thrown: unknown) => faultOf(thrown).message,
  )
}

export function entriesOf({ database }: ConsoleApp, organizationId: string) {
  return database.database.db
    .selectFrom('audit_log')
    .selectAll()
    .where('organization_id', '=', organizationId)
    .orderBy('id')
    .execute()
}

/** Everything that the audit log says, as text. */
export async function auditText({ database }: ConsoleApp): Promise<string> {
  return JSON.stringify(await database.database.db.selectFrom('audit_log').selectAll().execute())
}
