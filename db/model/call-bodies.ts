/** The call that bodies are of, and all that it takes to make it again beside them. */
export interface BodyFacts {
  /** `req_…` */
  readonly callId: string
  readonly projectId: string
  readonly organizationId: string
  readonly createdAtMs: number
  /** As in the log, such as `chat.completions`. */
  readonly endpoint: string
  /** As the request named it. */
  readonly model: string
  /** The provider that the path named; null: none. */
  readonly pinned: string | null
  readonly stream: boolean
}

/** One side of a call: what its caller sent, or what it got. */
export interface KeptBody {
  /** Null: nothing came, or nothing that is text. Sealed where it is stored. */
  readonly text: string | null
  readonly contentType: string | null
  /** Of all that was sent, kept or not. */
  readonly bytes: number
  /** The text is only the beginning. */
  readonly truncated: boolean
  /** Something was taken out of the text. */
  readonly redacted: boolean
}

export interface KeptCall extends BodyFacts {
  readonly expiresAtMs: number
  readonly request: KeptBody
  readonly answer: KeptBody
}

export type BodySide = 'request' | 'answer'

/** An envelope can't be opened as another call's, nor as another project's. */
export function callBodyContext(projectId: string, callId: string, side: BodySide): string {
  return `call-body:${projectId}:${callId}:${side}`
}
