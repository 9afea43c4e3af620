/** Files and batches that a project has made at a provider, whose account it shares with others. */
export interface ProviderObjectsTable {
  provider: string
  /** The provider's own. */
  id: string
  project_id: string
  created_at: Date
}
