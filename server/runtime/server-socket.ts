import type { Socket } from 'node:net'

/** What a server's connection needs of its socket: a net.Socket is one, and Bun's own sockets are dressed as one. */
export interface ServerSocket {
  readonly remoteAddress?: string | undefined
  readonly destroyed: boolean
  /** Bytes that wait to leave. */
  readonly writableLength: number
  /** Too many wait: `drain` comes when they have left. */
  readonly writableNeedDrain: boolean
  setNoDelay(on: boolean): unknown
  on<E extends keyof SocketEvents>(event: E, listener: SocketEvents[E]): this
  off<E extends keyof SocketEvents>(event: E, listener: SocketEvents[E]): this
  /** False when too many bytes wait. @param encoding of a string */
  write(data: string | Uint8Array, encoding?: 'latin1'): boolean
  /** What is written from here to `uncork` may leave together. */
  cork(): void
  uncork(): void
  /** Sends what waits, then says that nothing more comes; what the other end sends is still heard. */
  end(): unknown
  /** Closes it at once. */
  destroy(): unknown
  pause(): unknown
  resume(): unknown
}

export interface SocketEvents {
  data: (chunk: Buffer) => void
  /** The other end sends no more. */
  end: () => void
  drain: () => void
  error: (error: Error) => void
  close: () => void
}

/** The same connection as a stream of Node's, for protocols that take it over. */
export function asNodeSocket(socket: ServerSocket): Socket {
  const dressed = socket as ServerSocket & { toDuplex?: () => unknown }
  return (dressed.toDuplex?.() ?? socket) as Socket
}
