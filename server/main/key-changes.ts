import type { Kv } from '../../db/kv/kv.ts'
import type { Database } from '../../db/open.ts'
import { KEYS_CHANNEL } from '../../db/stores/keys.ts'
import type { Log } from '../deps.ts'

/** Channel of the kv on which changes are said again. */
const CHANNEL = 'keys'

/**
 * Calls `changed` when something of keys has changed on any instance: with the id of a key, a project or an organization,
 * or '' when it may be anything. The database tells of it; a kv that is shared tells of it too, for where the database's
 * word is lost: a pooler in between, a connection that is dead without a sign. Each is enough, so most is heard twice.
 * @returns when the database is listened to; the kv is listened to as soon as it can be
 */
export async function hearKeyChanges(
  { database, kv, log }: { readonly database: Database; readonly kv: Kv; readonly log: Log },
  changed: (id: string) => void,
): Promise<void> {
  await database.listen(KEYS_CHANNEL, changed)
  if (kv.isAlone === true) return
  const failed = (cause: unknown): void => log.warn('A change of keys could not be told over the kv', { cause })
  database.onSent(KEYS_CHANNEL, (id) => void kv.publish(CHANNEL, id).catch(failed))
  const anything = (): void => changed('')
  // Until the kv could be listened to, words of others may have been lost.
  kv.subscribe(CHANNEL, changed, anything).then(anything, (cause: unknown) => {
    log.warn('Changes of keys are not heard over the kv', { cause })
  })
}
