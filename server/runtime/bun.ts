import { fetchFace, type OpenCall } from '../fetch.ts'
import type { Handle, Listener, ListenOptions } from '../http.ts'
import { serveOn } from './address.ts'

/** The part of Bun's server that we use. */
interface BunServer {
  readonly port: number
  stop(closeActive?: boolean): Promise<void>
  requestIP(request: Request): { readonly address: string } | null
}

interface BunRuntime {
  serve(options: {
    hostname: string
    port: number
    idleTimeout: number
    maxRequestBodySize: number
    fetch(request: Request, server: BunServer): Promise<Response>
  }): BunServer
}

/** Bodies are bounded by the line, which answers with an error that says so; this is only what Bun must not refuse. */
const MAX_BODY_BYTES = 2 ** 40

/** Serves over Bun.serve. @throws AddressError */
export async function listen(handle: Handle, options: ListenOptions): Promise<Listener> {
  const { Bun } = globalThis as unknown as { Bun: BunRuntime }
  const open = new Set<OpenCall>()
  const server = serveOn(options, () =>
    Bun.serve({
      hostname: options.host,
      port: options.port,
      // Off: a model may think for minutes before its first byte, and the line has time limits of its own.
      idleTimeout: 0,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch: fetchFace<BunServer>(handle, {
        addressOf: (request, server) => server.requestIP(request)?.address ?? null,
        open,
      }),
    }),
  )
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${server.port}`,
    async close(withinMs) {
      const late = setTimeout(() => {
        // First, so that each of them has left its record when the connections are gone.
        for (const call of open) call.leave()
        void server.stop(true)
      }, withinMs)
      await server.stop(false)
      clearTimeout(late)
    },
  }
}
