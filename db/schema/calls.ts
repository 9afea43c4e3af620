import type { Outcome } from '../model/calls.ts'
import type { UsageSource } from '../model/usage.ts'

/** A CallRecord, field by field (see db/model/call-columns.ts). */
export interface CallsTable {
  created_at: Date
  cost_pico: number | null
  charged_pico: number | null
  latency_us: number
  overhead_us: number
  first_byte_us: number | null
  status: number
  attempts: number
  stream: boolean
  usage_input: number
  usage_cache_read: number
  usage_cache_write_5m: number
  usage_cache_write_1h: number
  usage_output: number
  usage_reasoning: number
  usage_audio_input: number
  usage_audio_output: number
  usage_image_input: number
  usage_image_output: number
  id: string
  organization_id: string
  project_id: string
  key_id: string
  endpoint: string
  model_requested: string
  model: string | null
  provider: string | null
  outcome: Outcome
  error_code: string | null
  usage_source: UsageSource
  price_id: string | null
  route: string | null
  adapted: string | null
  upstream_id: string | null
  client_request_id: string | null
  end_user: string | null
  metadata: string | null
  charge: string | null
  /** A JSON array of Try (see model/tries.ts); null: the first target answered. */
  tries: string | null
}
