import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
// Its guard against Bun and Deno is for servers of theirs: over our own sockets it works on all of them.
import { _nodeAdapter as adapterOf } from 'crossws/adapters/node'
import { BodyBroken, type Connect, type Incoming, type Peer, type Reply, type Talk } from '../http.ts'
import type { Upgrade } from './server-site.ts'

export interface WebSockets {
  readonly upgrade: Upgrade
  /** Tells those on the other end that this server goes away, and closes. */
  close(): void
}

/** A peer that doesn't answer a ping in this time is gone. */
const IDLE_S = 30
const GOING_AWAY = 1001

type Request = Parameters<Upgrade>[0]
type CrosswsPeer = Parameters<
  NonNullable<NonNullable<NonNullable<Parameters<typeof adapterOf>[0]>['hooks']>['open']>
>[0]

/** WebSockets on the server's own connections. @param maxMessageBytes longer messages close the connection */
export function webSockets(connect: Connect, { maxMessageBytes }: { readonly maxMessageBytes: number }): WebSockets {
  const open = new WeakMap<object, { readonly talk: Talk; readonly drained: (() => void)[] }>()
  const adapter = adapterOf({
    idleTimeout: IDLE_S,
    getNamespace: () => 'all',
    serverOptions: { maxPayload: maxMessageBytes, perMessageDeflate: false },
    hooks: {
      open(peer) {
        const drained: (() => void)[] = []
        const talk = (peer.context.begin as (peer: Peer) => Talk)(peerOf(peer, drained))
        open.set(peer, { talk, drained })
      },
      message: (peer, message) => open.get(peer)?.talk.onMessage(message.text()),
      drain(peer) {
        for (const callback of open.get(peer)?.drained.splice(0) ?? []) callback()
      },
      close: (peer) => open.get(peer)?.talk.onClose(),
    },
  })

  async function answer(request: Request, socket: Socket, head: Buffer): Promise<void> {
    const lost = () => socket.destroy()
    socket.on('error', lost)
    const answered = await connect(incomingOf(request, socket))
    if (typeof answered !== 'function') return refuse(socket, answered)
    if (socket.destroyed) return
    const web = { url: 'http://localhost/', headers: new Headers(), context: { begin: answered } }
    await adapter.handleUpgrade({ ...request, socket } as never, socket, head, web as never)
    socket.off('error', lost)
  }

  return {
    upgrade(request, socket, head) {
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') return false
      answer(request, socket, head).catch(() => socket.destroy())
      return true
    },
    close: () => adapter.closeAll(GOING_AWAY, 'The server goes away'),
  }
}

function peerOf(peer: CrosswsPeer, drained: (() => void)[]): Peer {
  const waiting = (): number => peer.websocket.bufferedAmount ?? 0
  return {
    send: (text) => void peer.send(text),
    get waiting() {
      return waiting()
    },
    onDrain(callback) {
      if (waiting() === 0) callback()
      else drained.push(callback)
    },
    close: (code, reason) => peer.close(code, reason),
  }
}

function incomingOf({ method, url, headers }: Request, socket: Socket): Incoming {
  const mark = url.indexOf('?')
  return {
    method,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    header: (name) => headers[name] ?? null,
    body: () => Promise.reject(new BodyBroken()),
    onGone: (callback) => void socket.once('close', callback),
    remoteAddress: socket.remoteAddress ?? null,
  }
}

/** The connection stays HTTP, and ends with that. */
function refuse(socket: Socket, { status, headers, body }: Reply): void {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.from(body as Uint8Array)
  const lines = [`HTTP/1.1 ${status} Refused`, `content-length: ${bytes.length}`, 'connection: close']
  for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`)
  socket.end(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]))
  socket.resume()
}
