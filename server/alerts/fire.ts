import type { AlertEvent, AlertRule, FiringEvent } from '../../db/model/alerts.ts'
import { makeId } from '../../db/model/ids.ts'
import type { AlertOutboxStore, Fired, OwnedRule } from '../../db/stores/alert-outbox.ts'
import type { Clock, Log, Random } from '../deps.ts'
import { identify } from './identity.ts'
import { payloadOf } from './payload.ts'

export interface FireOptions {
  readonly store: Pick<AlertOutboxStore, 'rulesFor' | 'names' | 'fire'>
  /** Mails can be sent. */
  readonly hasMail: boolean
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** A rule that is to fire, and whose it is; null: those of who runs the installation. */
export interface Match {
  readonly organizationId: string | null
  readonly rule: AlertRule
}

/**
 * Fires every rule that an event matches, each once over all instances. What concerns everybody is told to those who run
 * the installation, and to organizations that have a rule of their own for it; the platform's keys concern nobody else.
 * @returns whether anything is to be sent now
 */
export async function fireEvent(event: AlertEvent, options: FireOptions): Promise<boolean> {
  const { organizationId, kind } = event
  const isPrivate = organizationId === null && kind === 'credential_refused'
  const owned: readonly Match[] = isPrivate ? [] : await options.store.rulesFor(organizationId, kind)
  const matches = owned.filter(({ rule }) => matchesEvent(rule, event))
  let fired = false
  for (const match of organizationId === null ? [platformRule(kind), ...matches] : matches) {
    if ((await fireRule(event, match, options)).fired === 'fired') fired = true
  }
  return fired
}

/** Fires one rule, if it hasn't for this event. */
export async function fireRule(
  event: FiringEvent,
  { organizationId, rule }: Match,
  options: FireOptions,
): Promise<{ readonly fired: Fired; readonly eventId: string }> {
  const { store, clock, random, log } = options
  const atMs = clock.now()
  const eventId = makeId('evt', atMs, random.bytes(16))
  const of = 'projectId' in event ? event : { projectId: null, keyId: null }
  const { projectId, keyId } = of
  const names = organizationId === null ? null : await store.names({ organizationId, projectId, keyId })
  if (organizationId !== null && names === null) return { fired: 'gone', eventId }
  const mail = !options.hasMail ? 'none' : event.kind === 'test' ? 'always' : 'daily'
  const fired = await store.fire({
    ...{ eventId, organizationId, rule, kind: event.kind, atMs, mail },
    ...identify(event, atMs),
    payload: payloadOf(event, { eventId, rule, organizationId, names, atMs }),
    newDeliveryId: () => makeId('dlv', atMs, random.bytes(16)),
  })
  if (fired === 'flooded') log.warn('A rule fires too often: alerts are left out', { organizationId, rule: rule.id })
  return { fired, eventId }
}

function matchesEvent(rule: OwnedRule['rule'], event: AlertEvent): boolean {
  const of = 'projectId' in event ? event : { projectId: null, keyId: null }
  if (rule.projectId !== null && rule.projectId !== of.projectId) return false
  if (rule.keyId !== null && rule.keyId !== of.keyId) return false
  return event.kind !== 'quota' && event.kind !== 'budget'
    ? true
    : (rule.settings.percents ?? []).includes(event.percent)
}

/** Of whoever runs the installation: a mail, always. */
function platformRule(kind: AlertRule['kind']): Match {
  const all = { projectId: null, keyId: null, settings: {}, endpointIds: [], updatedAtMs: null, enabled: true } as const
  return { organizationId: null, rule: { id: `platform_${kind}`, name: 'Platform', kind, emailRole: null, ...all } }
}
