import type { ConversationPlace } from './conversations.ts'

/** `queued` and `in_progress` only of those that run in the background: all others are kept when they have ended. */
export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled'

/** One answer of the Responses API that is kept, so that later calls can go on from it. */
export interface KeptResponse {
  /** `resp_…`, made from the id of its call. */
  readonly id: string
  readonly projectId: string
  readonly organizationId: string
  readonly keyId: string
  /** The conversation that it goes on from, null: none. */
  readonly conversation: ConversationPlace | null
  /** The response that it goes on from, null: none. */
  readonly previousId: string | null
  readonly model: string
  readonly status: ResponseStatus
  /** JSON array: the items that this turn added to the input. */
  readonly inputJson: string
  /** JSON object: the response as its caller got it. */
  readonly answerJson: string
  /** Ids under which its items can be referred to. */
  readonly itemIds: readonly string[]
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** When the process that runs it last said so; only of one in the background. */
  readonly aliveAtMs: number | null
}

/** What a turn adds to what a model reads. */
export interface KeptTurn {
  readonly id: string
  readonly inputJson: string
  /** What the input's items are known by, where they are known by other ids than they say: those of a conversation. */
  readonly inputIds?: readonly string[]
  readonly answerJson: string
}

export function isActive(status: ResponseStatus): boolean {
  return status === 'queued' || status === 'in_progress'
}
