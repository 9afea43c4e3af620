import type { Kysely } from 'kysely'
import * as first from './0001-first.ts'
import * as responses from './0002-responses.ts'
import * as providerObjects from './0003-provider-objects.ts'
import * as people from './0004-people.ts'
import * as conversations from './0005-conversations.ts'
import * as controlPlane from './0006-control-plane.ts'
import * as usage from './0007-usage.ts'
import * as imageOutput from './0008-image-output.ts'
import * as plans from './0009-plans.ts'
import * as budgets from './0010-budgets.ts'
import * as ledger from './0011-ledger.ts'
import * as billing from './0012-billing.ts'
import * as alerts from './0013-alerts.ts'
import * as reconcile from './0014-reconcile.ts'
import * as idempotency from './0015-idempotency.ts'
import * as usageDaily from './0016-usage-daily.ts'
import * as callBodies from './0017-call-bodies.ts'
import * as tries from './0018-tries.ts'

/** One step of the schema. Frozen once released: what it did on one machine it must do on all. */
export interface Migration {
  /** Number and words, such as `0001-first`; also its file. */
  readonly name: string
  /** Runs inside the transaction that also notes it as done. */
  up(db: Kysely<unknown>): Promise<void>
}

/** In the order in which they run. New ones are added at the end. */
export const MIGRATIONS: readonly Migration[] = [
  first,
  responses,
  providerObjects,
  people,
  conversations,
  controlPlane,
  usage,
  imageOutput,
  plans,
  budgets,
  ledger,
  billing,
  alerts,
  reconcile,
  idempotency,
  usageDaily,
  callBodies,
  tries,
]
