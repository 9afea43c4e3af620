import type { ResponseStatus } from '../model/responses.ts'

/** A KeptResponse. What the caller and the model said is sealed: `input` and `answer` are envelopes of the vault. */
export interface ResponsesTable {
  id: string
  project_id: string
  organization_id: string
  key_id: string
  conversation: string | null
  /** The position in the conversation up to which it has read, exclusive; null: it belongs to none. */
  conversation_up_to: number | null
  previous_id: string | null
  model: string
  status: ResponseStatus
  input: string
  answer: string
  item_ids: string[]
  created_at: Date
  expires_at: Date
  alive_at: Date | null
}
