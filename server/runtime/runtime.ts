import type { Handle, Listener } from '../http.ts'
import type { Upstream } from '../upstream.ts'
import { listen, type ServeOptions } from './server.ts'
import { socketUpstream, type UpstreamOptions } from './upstream-socket.ts'

/** What a process is run by. Everything that we do over sockets is the same on all of them. */
export interface Runtime {
  readonly name: 'node' | 'bun' | 'deno'
  listen(handle: Handle, options: ServeOptions): Promise<Listener>
  upstream(options: UpstreamOptions): Upstream
}

/** The runtime that this process is. */
export function currentRuntime(): Runtime {
  const name = 'Bun' in globalThis ? 'bun' : 'Deno' in globalThis ? 'deno' : 'node'
  return { name, listen, upstream: socketUpstream }
}
