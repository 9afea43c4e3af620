import { createHash } from 'node:crypto'
import { type ScopedChange, scopeOf } from '../../db/model/access.ts'
import { GatewayError } from '../errors.ts'
import type { BillingParts } from './parts.ts'

/** The organization's customer at Stripe, made if there is none yet: one, however many ask at once. */
export async function customerOf(parts: BillingParts, change: ScopedChange): Promise<string> {
  const { stores, stripe } = parts
  const account = await stores.billing.account(change)
  if (account?.customerId != null) return account.customerId
  const organization = await stores.organizations.find(change)
  if (organization === null) throw new GatewayError('not_found', 'There is no such organization')
  const [email] = await ownersOf(parts, change.organizationId)
  const customer = {
    name: organization.name,
    ...(email === undefined ? {} : { email }),
    metadata: { watchllm_organization: organization.id },
  }
  // Who asks for the same at once is answered with the same. A customer that was deleted is made anew.
  const said = JSON.stringify([customer, account?.updatedAtMs ?? null])
  const idempotencyKey = `watchllm-customer-${createHash('sha256').update(said).digest('hex')}`
  const made = await stripe((client) => client.customers.create(customer, { idempotencyKey }))
  return stores.billing.setCustomer(change, made.id)
}

/** E-mail addresses of an organization's owners. */
export async function ownersOf({ stores }: BillingParts, organizationId: string): Promise<readonly string[]> {
  const owners: string[] = []
  let after: string | null = null
  for (;;) {
    const page = await stores.members.list(scopeOf(organizationId), { limit: PAGE, after })
    owners.push(...page.filter(({ role }) => role === 'owner').map(({ email }) => email))
    if (page.length < PAGE) return owners
    after = page.at(-1)!.userId
  }
}

const PAGE = 100
