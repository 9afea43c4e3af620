import type { Kv } from '../../db/kv/kv.ts'
import { leasedKv } from '../../db/kv/leases.ts'
import { memoryKv } from '../../db/kv/memory.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { upstashKv } from '../../db/kv/upstash.ts'
import type { Config } from '../config.ts'
import type { Log, Random } from '../deps.ts'

/** The first connection takes longer than a ping may, where it is far or the machine is busy. */
const TRIES = 3

/**
 * The counters that the operator has chosen: of this process alone, or shared over a Redis or Upstash, with leases. A
 * store that is away is told to the log and no reason not to start: limits are kept tighter until it is back.
 */
export async function openKv(
  choice: Config['kv'],
  { random, log }: { readonly random: Random; readonly log: Log },
): Promise<Kv> {
  if (choice === null) return memoryKv()
  const store = 'redisUrl' in choice ? redisKv(choice.redisUrl) : upstashKv(choice)
  const kv = leasedKv(store, { id: Buffer.from(random.bytes(16)).toString('hex'), log })
  const trouble = await troubleOf(kv, TRIES)
  if (trouble !== null) {
    log.warn('The shared counters can not be reached: limits are kept by this instance alone, and tighter', {
      error: trouble,
    })
  }
  return kv
}

/** What keeps it from being used, null when nothing does. */
async function troubleOf(kv: Kv, tries: number): Promise<string | null> {
  try {
    await kv.ping()
    return null
  } catch (cause) {
    if (tries > 1) return troubleOf(kv, tries - 1)
    return cause instanceof Error ? cause.message : String(cause)
  }
}
