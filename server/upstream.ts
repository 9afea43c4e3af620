/** The one way out to a provider. `deps.upstream` implements it over sockets, `providers/sandbox.ts` in process. */
export interface Upstream {
  /** Starts one exchange. Never throws: what fails is told to `handler.onError`, always after `start` has returned. */
  start(request: UpstreamRequest, handler: UpstreamHandler): UpstreamExchange
  /** Ends idle connections and resolves when none is left. */
  close(): Promise<void>
}

export interface UpstreamRequest {
  /** Scheme, host and port, such as `https://api.openai.com`. */
  readonly origin: string
  readonly path: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Name, value, name, value; names in lower case. */
  readonly headers: readonly string[]
  readonly body: Uint8Array | null
  /** A tenant chose the origin: it is reached by addresses that were found to be public, over connections of its own. */
  readonly publicOnly?: boolean
}

/**
 * What an exchange reports, in this order: `onHeaders` once (1xx left out), `onData` any number of times, then exactly
 * one of `onEnd` and `onError`; `onError` may also come first. Nothing at all is reported after `abort`.
 */
export interface UpstreamHandler {
  /** @param header reads one response header by its lower-case name. */
  onHeaders(status: number, header: (name: string) => string | null): void
  /** The chunk belongs to the handler from then on: it may keep it and is the only one to write to it. */
  onData(chunk: Uint8Array): void
  onEnd(): void
  onError(error: UpstreamError): void
}

export interface UpstreamExchange {
  /** Closes the connection at once, from any phase; does nothing after the end. */
  abort(): void
  /** Stops reading from the provider until `resume`: what is under way may still arrive. */
  pause(): void
  resume(): void
}

/** `connect`: no connection (refused, DNS, TLS, time). `network`: it broke. `protocol`: what came is not HTTP. */
export type UpstreamErrorKind = 'connect' | 'network' | 'protocol'

export interface UpstreamError {
  readonly kind: UpstreamErrorKind
  /** For the log; never shown to callers. */
  readonly message: string
}
