/** What is said in turns, kept by us until it is deleted, so that calls to any provider can go on from it. */
export interface Conversation {
  /** `conv_…` */
  readonly id: string
  readonly projectId: string
  readonly organizationId: string
  /** JSON object: what its maker noted of it. */
  readonly metadataJson: string
  readonly createdAtMs: number
}

/** One item of a conversation, under the id by which it is known there. */
export interface ConversationItem {
  readonly id: string
  /** JSON object as it was said; it may name no id, or another. */
  readonly itemJson: string
}

/** What a conversation holds at one moment. */
export interface ConversationPast {
  /** All of it, oldest first; null when that is more than the reader takes. */
  readonly items: readonly ConversationItem[] | null
  /** What its items take as JSON. */
  readonly bytes: number
  /** Items before that position are all of these: what is added later has a higher one. */
  readonly upTo: number
}

/** What a response has read of the conversation that it belongs to. */
export interface ConversationPlace {
  readonly id: string
  /** The position up to which it has read, exclusive. */
  readonly upTo: number
}

/** Items that go into a conversation together. */
export interface ConversationTurn {
  readonly projectId: string
  readonly conversationId: string
  /** The response that brings them: giving the same turn again changes nothing. Null: none. */
  readonly addedBy: string | null
  readonly items: readonly ConversationItem[]
  readonly nowMs: number
}
