import type { ColumnType } from 'kysely'

/** A Conversation. `metadata` is an envelope of the vault. */
export interface ConversationsTable {
  id: string
  project_id: string
  organization_id: string
  metadata: string
  /** Where the next item goes; positions are never given twice. */
  next_position: ColumnType<number, number | undefined, number>
  /** What its items take, unsealed. */
  bytes: ColumnType<number, number | undefined, number>
  created_at: Date
}

/** One item of a conversation. `item` is an envelope of the vault. */
export interface ConversationItemsTable {
  conversation_id: string
  position: number
  /** Unique in its conversation. */
  id: string
  /** The response that brought it, null: none. */
  added_by: string | null
  item: string
  bytes: number
  created_at: Date
}
