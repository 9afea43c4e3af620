/** The two ends of a call, as the line sees them: the same on every runtime, and cheaper than Request and Response. */

export interface Incoming {
  readonly method: string
  /** As sent, without the query. */
  readonly path: string
  /** Behind the `?`, empty when there is none. */
  readonly query: string
  /** One request header by its lower-case name. */
  header(name: string): string | null
  /**
   * The whole body, as sent. @throws BodyTooLarge above `limitBytes`, as soon as that is known
   * @throws BodyBroken when the caller went away in the middle
   * @throws NoRoom when the bodies of all requests take too much memory for this one
   */
  body(limitBytes: number): Promise<Uint8Array>
  /**
   * Counts bytes that are held for this request beside its body, such as what it unpacks to, until its answer is there;
   * a negative number gives back. False: there is no room for them, and they aren't counted. Absent: nobody counts.
   */
  hold?(bytes: number): boolean
  /** Calls back once if the caller goes away before its answer is complete. */
  onGone(callback: () => void): void
  readonly remoteAddress: string | null
}

export interface Reply {
  readonly status: number
  /** Name, value, name, value; names in lower case; no content-length, the runtime sets it. */
  readonly headers: string[]
  /** A string is byte text: each character one byte (latin-1), so that head and body leave in one piece. */
  readonly body: Uint8Array | string | StreamBody
  /** Of a stream whose length is known, in bytes: the runtime breaks the connection rather than send another number. */
  readonly length?: number
}

/** An answer that comes piece by piece: the runtime calls it with the way out as soon as the head is sent. */
export type StreamBody = (sink: Sink) => void

export interface Sink {
  /** False when the caller reads slower than this: wait for `onDrain`. Does nothing once the caller is gone. */
  write(chunk: Uint8Array): boolean
  end(last?: Uint8Array): void
  /** Breaks the connection, so that what was written can't be taken for all. Every way out that takes bytes has it. */
  cut?(): void
  /** @param callback called once, when everything written so far has left. */
  onDrain(callback: () => void): void
}

export type Handle = (incoming: Incoming) => Promise<Reply>

/** The other end of a connection that carries messages both ways, such as a WebSocket. */
export interface Peer {
  /** Does nothing once the connection is closed. */
  send(text: string): void
  /** Bytes that wait to leave. */
  readonly waiting: number
  /** @param callback called once, when what waits has left. */
  onDrain(callback: () => void): void
  /** @param code as in RFC 6455, such as 1000 */
  close(code: number, reason: string): void
}

/** What is done with its messages. Neither may throw. */
export interface Talk {
  onMessage(text: string): void
  /** Called once, whoever closed it. */
  onClose(): void
}

/** Answers a request for such a connection, by a reply that refuses it, or by what is done with its messages. */
export type Connect = (incoming: Incoming) => Promise<Reply | ((peer: Peer) => Talk)>

export class BodyTooLarge extends Error {}

export class BodyBroken extends Error {}

/** The memory for requests' bodies is used up: this one may come again. */
export class NoRoom extends Error {}

export interface Listener {
  /** Such as `http://127.0.0.1:8787`. */
  readonly url: string
  /** Stops accepting, lets calls under way finish for `withinMs`, then closes what is left. */
  close(withinMs: number): Promise<void>
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
}
