import { randomBytes } from 'node:crypto'
import { type Change, scopeOf } from '../../db/model/access.ts'
import { makeId } from '../../db/model/ids.ts'
import { creditsAccount, type Entry, type Posting } from '../../db/stores/ledger-posting.ts'
import type { TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

export const newId = (prefix: 'txn' | 'org' | 'aud') => makeId(prefix, NOON_MS, randomBytes(16))

export function change(): Change {
  const actor = { kind: 'user', id: 'usr_operator', name: 'operator@example.com' } as const
  return { actor, action: 'credits.grant', atMs: NOON_MS, auditId: newId('aud'), requestId: null, address: null }
}

/** Between an organization's credits and another account. */
export const entries = (organizationId: string, amountPico: bigint, other = 'stripe'): Entry[] => [
  { account: creditsAccount(organizationId), amountPico },
  { account: other, amountPico: -amountPico },
]

/** What an organization pays in, under a reference of its own. */
export function topUp(organizationId: string, amountPico: bigint, more: Partial<Posting> = {}): Posting {
  return {
    id: newId('txn'),
    kind: 'top_up',
    organizationId,
    atMs: NOON_MS,
    reference: `stripe:${randomBytes(8).toString('hex')}`,
    note: null,
    entries: entries(organizationId, amountPico),
    ...more,
  }
}

export function ledgerKit(on: () => TestDatabase) {
  return {
    async organization(pays: 'none' | 'credits' = 'credits'): Promise<string> {
      const id = newId('org')
      const row = { id, name: 'Payer', plan: 'free', pays, created_at: new Date(NOON_MS) }
      await on().database.db.insertInto('organizations').values(row).execute()
      return id
    },
    balance: (organizationId: string) => on().stores.ledger.balance(scopeOf(organizationId)),
    list: (organizationId: string) =>
      on().stores.ledger.list(scopeOf(organizationId), {}, { limit: 1_000, after: null }),
  }
}
