import { afterAll, beforeAll, describe } from 'vitest'
import { cleanUp, type RuntimeName, runtimePath, type StartOptions, startServer } from '../helpers/server.ts'
import { startUpstream } from '../helpers/upstream.ts'
import type { Bench } from './bench.ts'
import { callChecks } from './calls.ts'
import { lifeChecks } from './life.ts'
import { streamChecks } from './streams.ts'

/** Each failure is looked at by itself: none keeps a provider from being asked the next time. */
const EACH_ALONE = { WATCHLLM_BREAKER: 'off', WATCHLLM_RETRIES: '0' }

/**
 * What holds on every runtime, checked against the real server in a process of its own. Node 24 is left out where
 * WATCHLLM_NODE24 doesn't name it, unless WATCHLLM_REQUIRE_RUNTIMES is 1.
 */
export function runtimeSuite(runtime: RuntimeName): void {
  const optional = runtime === 'node24' && process.env.WATCHLLM_REQUIRE_RUNTIMES !== '1'
  describe.skipIf(optional && runtimePath(runtime) === null)(`WatchLLM on ${runtime}`, { timeout: 30_000 }, () => {
    const bench = {
      runtime,
      start: (options: StartOptions = {}) =>
        startServer({ runtime, upstreamUrl: bench.upstream.url, ...options, env: { ...EACH_ALONE, ...options.env } }),
    } as Bench

    beforeAll(async () => {
      bench.upstream = await startUpstream()
      bench.server = await bench.start()
    }, 90_000)
    afterAll(async () => {
      await cleanUp()
      await bench.upstream?.close()
    })

    callChecks(bench)
    streamChecks(bench)
    lifeChecks(bench)
  })
}
