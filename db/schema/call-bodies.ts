/** What was said in a call. `request` and `answer` are envelopes of the vault; null: nothing that is text. */
export interface CallBodiesTable {
  call_id: string
  project_id: string
  organization_id: string
  created_at: Date
  expires_at: Date
  endpoint: string
  /** As the request named it. */
  model: string
  /** The provider that the path named; null: none. */
  pinned: string | null
  stream: boolean
  request: string | null
  request_type: string | null
  /** Of all that was sent, kept or not. */
  request_bytes: number
  request_truncated: boolean
  request_redacted: boolean
  answer: string | null
  answer_type: string | null
  answer_bytes: number
  answer_truncated: boolean
  answer_redacted: boolean
}
