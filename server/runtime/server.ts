import { type AddressInfo, createServer } from 'node:net'
import type { Handle, Listener, ListenOptions } from '../http.ts'
import { AddressError } from './address.ts'
import { Connection } from './server-connection.ts'
import { HIGH_WATER_BYTES } from './server-reply.ts'
import { Ground, type Limits, type Upgrade } from './server-site.ts'

export interface ServeOptions extends ListenOptions {
  /** Without it every request is answered as HTTP, whatever it asks for. */
  readonly upgrade?: Upgrade
  readonly limits?: Partial<Limits>
}

/**
 * Serves HTTP/1.1 over plain sockets, on Node, Bun and Deno alike: half of what node:http costs, and the same promises
 * everywhere. @throws AddressError
 */
export async function listen(handle: Handle, options: ServeOptions): Promise<Listener> {
  const ground = new Ground(handle, options)
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: HIGH_WATER_BYTES })
  server.on('connection', (socket) => {
    if (ground.closing) socket.destroy()
    else ground.connections.add(new Connection(socket, ground))
  })
  try {
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject)
      server.listen(options.port, options.host, resolve)
    })
  } catch (error) {
    ground.stop()
    throw new AddressError(options, error)
  }
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    async close(withinMs) {
      server.close()
      await ground.clear(withinMs)
      ground.stop()
      // Calls that were cut have heard of it by now; what they do upon it, they do within the turn.
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
