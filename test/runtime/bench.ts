import type { RuntimeName, StartOptions, TestServer } from '../helpers/server.ts'
import type { ScriptedUpstream } from '../helpers/upstream.ts'

/** What the checks of one runtime share; both are there once the first check runs. */
export interface Bench {
  readonly runtime: RuntimeName
  upstream: ScriptedUpstream
  server: TestServer
  /** Another server on this runtime, with the same upstream unless told otherwise. */
  start(options?: StartOptions): Promise<TestServer>
}

export const CHAT = '/v1/chat/completions'
export const STREAM = { stream: true }
export const STREAM_WITH_USAGE = { stream: true, stream_options: { include_usage: true } }
