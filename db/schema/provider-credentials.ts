/** A key at a provider; the platform's own where it belongs to no project. */
export interface ProviderCredentialsTable {
  id: string
  organization_id: string | null
  project_id: string | null
  provider: string
  name: string
  /** Envelope of the vault. */
  sealed: string
  /** The key's last characters. */
  hint: string
  base_url: string | null
  /** Of the provider's API, where it has dated ones. */
  version: string | null
  /** Share of the calls among those of the same provider; 0: none. */
  weight: number
  checked_at: Date | null
  /** Null: not checked; else `ok` or what the provider said. */
  check_result: string | null
  created_at: Date
  updated_at: Date
}
