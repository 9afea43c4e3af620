import { expect, it } from 'vitest'
import { leasedKv } from '../../db/kv/leases.ts'
import { redisKv } from '../../db/kv/redis.ts'
import { handClock } from '../helpers/clock.ts'
import { hasRedis, startRedis } from '../helpers/redis.ts'

// A clock that had been ahead made every lease of the present look over: each sweep dropped them all, and what they held
// stayed used.
it.skipIf(!hasRedis())('a clock that was ahead and is set back costs nothing of a limit', async () => {
  const redis = await startRedis()
  const clock = handClock()
  const kv = leasedKv(redisKv(redis.url, { timeoutMs: 5_000 }), { id: 'a', clock, timeoutMs: 3_600_000 })
  try {
    const nowMs = 1_800_000_000_000
    const options = { windowMs: 60_000, nowMs }
    await kv.take('other', 10, { ...options, nowMs: nowMs + 3_600_000 })
    for (let used = 0; used < 20; used++) {
      expect(await kv.take('calls', 20, options)).toMatchObject({ allowed: true, remaining: 19 - used })
      clock.advance(500)
      await kv.settled()
    }
    expect(await kv.take('calls', 20, options)).toMatchObject({ allowed: false })
  } finally {
    await kv.close()
    await redis.kill()
  }
})
