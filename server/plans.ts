import { mergePlans, type Plan, smallestOf } from '../db/model/plans.ts'
import type { StoredPlans } from '../db/stores/plans.ts'
import type { Clock, Log, Plans, Timer } from './deps.ts'

export interface PlansOptions {
  /** Of the preset and the operator's file. */
  readonly base: readonly Plan[]
  readonly store: { list(): Promise<StoredPlans> }
  /** Told of plans that are other than before: what was made of them must be made again for whoever is on them. */
  readonly changed: (planIds: readonly string[]) => void
  readonly clock: Clock
  readonly log: Log
}

export interface OpenPlans extends Plans {
  close(): void
}

/** What a lost word would have told is known after this at the latest. */
const FRESH_MS = 60_000

/**
 * Plans in memory, so that nobody waits for one: the base, and the rows of the table in place of the plans of their ids
 * (see PlanStore for why). While the database is away they stay as they were. Call `reload` once before using them.
 */
export function openPlans({ base, store, changed, clock, log }: PlansOptions): OpenPlans {
  let plans = mergePlans(base, [])
  let byId = new Map(plans.map((plan) => [plan.id, plan]))
  let smallest = smallestOf(plans)
  let unread = ''
  let reading: Promise<void> | null = null
  let next: Promise<void> | null = null
  let timer: Timer | null = null
  let closed = false

  async function read(): Promise<void> {
    try {
      take(await store.list())
    } catch (cause) {
      if (!closed) log.warn('Plans could not be read again: those known stay', { cause })
    }
    timer?.cancel()
    timer = closed ? null : clock.timer(FRESH_MS, () => void reload())
  }

  function take({ plans: stored, unreadable }: StoredPlans): void {
    const names = unreadable.join(', ')
    if (names !== unread && names !== '') {
      log.error(`Plans of the database say nothing to this version, so the preset's hold: ${names}`)
    }
    unread = names
    const [oldById, oldSmallest] = [byId, smallest]
    plans = mergePlans(base, stored)
    byId = new Map(plans.map((plan) => [plan.id, plan]))
    smallest = smallestOf(plans)
    const differ = new Set([...oldById.keys(), ...byId.keys()].filter((id) => !isSame(oldById.get(id), byId.get(id))))
    // Whoever is on a plan that comes, or goes, was held to the smallest or is from now on.
    const strays = [...differ].some((id) => !oldById.has(id)) || oldSmallest.id !== smallest.id
    if (strays) differ.add(oldSmallest.id)
    if (differ.size > 0) changed([...differ])
  }

  /** Who asks while a reading is under way needs the one after it: this one may have missed what is asked for. */
  function reload(): Promise<void> {
    if (reading === null) {
      reading = read().finally(() => {
        reading = null
      })
      return reading
    }
    next ??= reading.then(() => {
      next = null
      return reload()
    })
    return next
  }

  return {
    all: () => plans,
    of: (id) => byId.get(id ?? '') ?? smallest,
    reload,
    close() {
      closed = true
      timer?.cancel()
    },
  }
}

function isSame(one: Plan | undefined, other: Plan | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
