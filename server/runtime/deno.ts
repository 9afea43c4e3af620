import { fetchFace, type OpenCall } from '../fetch.ts'
import type { Handle, Listener, ListenOptions } from '../http.ts'
import { serveOn } from './address.ts'

/** The part of Deno's server that we use. */
interface DenoServer {
  readonly addr: { readonly port: number }
  shutdown(): Promise<void>
}

interface CallInfo {
  readonly remoteAddr: { readonly hostname?: string }
}

interface DenoRuntime {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: (request: Request, info: CallInfo) => Promise<Response>,
  ): DenoServer
}

/** What is left to answers that were broken off, so that their callers hear of it. */
const GRACE_MS = 500

/** Serves over Deno.serve. @throws AddressError */
export async function listen(handle: Handle, options: ListenOptions): Promise<Listener> {
  const { Deno } = globalThis as unknown as { Deno: DenoRuntime }
  const open = new Set<OpenCall>()
  const handler = fetchFace<CallInfo>(handle, { addressOf: (_, info) => info.remoteAddr.hostname ?? null, open })
  const server = serveOn(options, () =>
    Deno.serve({ hostname: options.host, port: options.port, onListen() {} }, handler),
  )
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${server.addr.port}`,
    close(withinMs) {
      return new Promise((resolve) => {
        // A server that shuts down can't be told to hurry: the calls are ended one by one.
        const late = setTimeout(() => {
          for (const call of open) call.leave()
          setTimeout(resolve, GRACE_MS)
        }, withinMs)
        void server.shutdown().then(() => {
          clearTimeout(late)
          resolve()
        })
      })
    },
  }
}
