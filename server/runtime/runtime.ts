import type { Handle, Listener, ListenOptions } from '../http.ts'
import type { Upstream } from '../upstream.ts'

/** What differs between Node, Bun and Deno: how to listen and how to call out. */
export interface Runtime {
  readonly name: 'node' | 'bun' | 'deno'
  listen(handle: Handle, options: ListenOptions): Promise<Listener>
  upstream(options: { readonly connectTimeoutMs: number }): Upstream
}

/** The runtime that this process is; only its own code is loaded. */
export async function currentRuntime(): Promise<Runtime> {
  if ('Bun' in globalThis) return onSockets('bun', (await import('./bun.ts')).listen)
  if ('Deno' in globalThis) return onSockets('deno', (await import('./deno.ts')).listen)
  const [{ listen }, { undiciUpstream }] = await Promise.all([import('./node.ts'), import('./upstream-undici.ts')])
  return { name: 'node', listen, upstream: undiciUpstream }
}

async function onSockets(name: 'bun' | 'deno', listen: Runtime['listen']): Promise<Runtime> {
  const { socketUpstream } = await import('./upstream-socket.ts')
  return { name, listen, upstream: socketUpstream }
}
