import type { ErrorRateEvent, SpendEvent } from '../../db/model/alerts.ts'
import type { AlertWatchStore } from '../../db/stores/alert-watch.ts'
import { type FireOptions, fireRule } from './fire.ts'

export interface WatchOptions extends FireOptions {
  readonly watch: AlertWatchStore
  /** This process has fired it already. */
  readonly isKnown: (key: string) => boolean
  readonly note: (key: string) => void
}

/**
 * Fires the spend rules whose amount is reached by the rollups, once a period each.
 * @param organizationId null: of all @returns whether anything is to be sent now
 */
export async function watchSpending(organizationId: string | null, options: WatchOptions): Promise<boolean> {
  let fired = false
  for (const found of await options.watch.overspent(options.clock.now(), organizationId)) {
    const { rule, period, periodStartMs, spentPico } = found
    const event: SpendEvent = {
      ...{ kind: 'spend', organizationId: found.organizationId, projectId: rule.projectId, keyId: rule.keyId },
      ...{ period, periodStartMs, spentPico, amountNano: rule.settings.amountNano ?? 0 },
    }
    const key = `spend:${rule.id}:${found.organizationId}:${period}:${periodStartMs}:${event.amountNano}`
    if (options.isKnown(key)) continue
    if ((await fireRule(event, found, options)).fired === 'fired') fired = true
    options.note(key)
  }
  return fired
}

/** Fires the error-rate rules whose share of failed calls is reached, once a window each. */
export async function watchErrors(options: WatchOptions): Promise<boolean> {
  let fired = false
  for (const found of await options.watch.failing(options.clock.now())) {
    const { rule, window, errors, calls } = found
    const { windowHours = 1, percent = 0 } = rule.settings
    const event: ErrorRateEvent = {
      ...{ kind: 'error_rate', organizationId: found.organizationId, projectId: rule.projectId, keyId: rule.keyId },
      ...{ windowHours, window, percent, errors, calls },
    }
    const key = `error_rate:${rule.id}:${found.organizationId}:${windowHours}:${window}:${percent}`
    if (options.isKnown(key)) continue
    if ((await fireRule(event, found, options)).fired === 'fired') fired = true
    options.note(key)
  }
  return fired
}
