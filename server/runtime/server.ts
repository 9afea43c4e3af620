import { type AddressInfo, createServer } from 'node:net'
import type { Handle, Listener, ListenOptions } from '../http.ts'
import { AddressError } from './address.ts'
import type { BodyRoom } from './body-room.ts'
import { listenOnBun } from './bun-socket.ts'
import { Connection } from './server-connection.ts'
import { HIGH_WATER_BYTES } from './server-reply.ts'
import { Ground, type Limits, type Upgrade } from './server-site.ts'
import type { ServerSocket } from './server-socket.ts'

export interface ServeOptions extends ListenOptions {
  /** Without it every request is answered as HTTP, whatever it asks for. */
  readonly upgrade?: Upgrade
  readonly limits?: Partial<Limits>
  /** Of one request: there is always room for some of them. */
  readonly maxBodyBytes?: number
  /** Default: as suits the machine. */
  readonly bodies?: BodyRoom
}

/**
 * Serves HTTP/1.1 over plain sockets, on Node, Bun and Deno alike: half of what node:http costs, and the same promises
 * everywhere. @throws AddressError
 */
export async function listen(handle: Handle, options: ServeOptions): Promise<Listener> {
  const ground = new Ground(handle, options)
  const onConnection = (socket: ServerSocket): void => {
    if (ground.closing) socket.destroy()
    else ground.connections.add(new Connection(socket, ground))
  }
  let door: Door
  try {
    door = 'Bun' in globalThis ? listenOnBun(options, onConnection) : await listenOnNode(options, onConnection)
  } catch (error) {
    ground.stop()
    throw new AddressError(options, error)
  }
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${door.port}`,
    async close(withinMs) {
      door.close()
      await ground.clear(withinMs)
      ground.stop()
      // Calls that were cut have heard of it by now; what they do upon it, they do within the turn.
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

interface Door {
  readonly port: number
  /** Lets nobody in any more; who is in stays. */
  close(): void
}

function listenOnNode({ host, port }: ListenOptions, onConnection: (socket: ServerSocket) => void): Promise<Door> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: HIGH_WATER_BYTES })
  server.on('connection', onConnection)
  return new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(port, host, () => {
      resolve({ port: (server.address() as AddressInfo).port, close: () => void server.close() })
    })
  })
}
