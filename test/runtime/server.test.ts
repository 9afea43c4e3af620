import { afterAll, beforeAll, describe } from 'vitest'
import { cleanUp, type RuntimeName, runtimePath } from '../helpers/server.ts'
import { answerChecks } from './server-answers.ts'
import { serverBench } from './server-bench.ts'
import { callerChecks } from './server-callers.ts'
import { peerChecks } from './server-peers.ts'
import { requestChecks } from './server-requests.ts'

const RUNTIMES: RuntimeName[] = ['node', 'node24', 'bun', 'deno']

afterAll(cleanUp)

describe.each(RUNTIMES.filter((name) => runtimePath(name) !== null))('our server on %s', (runtime) => {
  const bench = serverBench(runtime)
  beforeAll(() => bench.start(), 60_000)
  afterAll(() => bench.stop())

  answerChecks(bench)
  requestChecks(bench)
  peerChecks(bench)
  // Last: it closes one of the servers.
  callerChecks(bench)
})
