import { type RawClient, rawClient } from '../helpers/raw-client.ts'
import { type RuntimeName, runProgram, type TestServer } from '../helpers/server.ts'

/** Our server alone, on one runtime, in a process of its own: `echo.ts`. */
export interface ServerBench {
  readonly runtime: RuntimeName
  readonly url: string
  /** The one whose limits are short. */
  readonly hasty: string
  start(): Promise<void>
  stop(): Promise<void>
  client(url?: string, options?: { readonly read?: boolean }): Promise<RawClient>
  /** The JSON that is at a path. */
  ask<T = string>(path: string): Promise<T>
  /** Sends bytes on a connection of their own and gives all that comes until its end. */
  tell(bytes: string, url?: string): Promise<string>
}

export const MB = 1024 * 1024
export const LAST = { connection: 'close' }

export function serverBench(runtime: RuntimeName): ServerBench {
  let server: TestServer
  let hasty = ''
  const bench: ServerBench = {
    runtime,
    get url() {
      return server.url
    },
    get hasty() {
      return hasty
    },
    async start() {
      server = await runProgram(runtime, 'test/runtime/echo.ts')
      hasty = await bench.ask('/hasty')
    },
    async stop() {
      await server?.stop('SIGKILL')
    },
    client: (url = server.url, options = {}) => rawClient(Number(new URL(url).port), options),
    ask: async <T>(path: string) => (await fetch(server.url + path)).json() as Promise<T>,
    async tell(bytes, url) {
      const caller = await bench.client(url)
      await caller.send(Buffer.from(bytes, 'latin1'))
      await caller.closed
      caller.leave()
      return caller.text
    },
  }
  return bench
}

/** Head and body of an answer. */
export function parts(text: string): [head: string, body: string] {
  const at = text.indexOf('\r\n\r\n')
  return [text.slice(0, at), text.slice(at + 4)]
}

export function asChunk(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}
