import { fetchFace } from '../fetch.ts'
import type { Handle, Listener, ListenOptions } from '../http.ts'

/** The part of Deno's server that we use. */
interface DenoServer {
  readonly addr: { readonly port: number }
  shutdown(): Promise<void>
}

interface DenoRuntime {
  serve(
    options: { hostname: string; port: number; signal: AbortSignal; onListen(): void },
    handler: (request: Request) => Promise<Response>,
  ): DenoServer
}

/** Serves over Deno.serve. @throws when the address can't be used */
export async function listen(handle: Handle, options: ListenOptions): Promise<Listener> {
  const { Deno } = globalThis as unknown as { Deno: DenoRuntime }
  const abort = new AbortController()
  const settings = { hostname: options.host, port: options.port, signal: abort.signal, onListen() {} }
  const server = Deno.serve(settings, fetchFace(handle))
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${server.addr.port}`,
    async close(withinMs) {
      const late = setTimeout(() => abort.abort(), withinMs)
      await server.shutdown()
      clearTimeout(late)
    },
  }
}
