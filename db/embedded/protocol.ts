/** What the gateway's thread asks of the database's thread. One request at a time, each answered once. */
export type Request =
  | { readonly do: 'query'; readonly sql: string; readonly parameters: readonly unknown[] }
  | ({ readonly do: 'loadCalls' } & LoadJob)
  | { readonly do: 'listen'; readonly channel: string }
  | { readonly do: 'upkeep' }
  | { readonly do: 'close' }

export interface LoadJob {
  readonly callsJson: string
  readonly copy: string
  readonly addSums: string
  readonly postUsage: string
}

export interface QueryAnswer {
  readonly rows: unknown[]
  readonly command: string | null
  readonly affected: number | null
}

/** An error as it crosses threads; `code` is the SQLSTATE. */
export interface Failure {
  readonly message: string
  readonly code: string | null
  readonly detail: string | null
  readonly constraint: string | null
}

export type Report =
  | { readonly is: 'ready' }
  | { readonly is: 'answer'; readonly answer: unknown }
  | { readonly is: 'failure'; readonly failure: Failure }
  | { readonly is: 'notification'; readonly channel: string; readonly payload: string }

/** What the worker is started with. */
export interface WorkerData {
  /** Folder of the cluster; made when it isn't there. */
  readonly folder: string
  readonly templatePath: string | null
  /** Names of the migrations that this version knows, in order. */
  readonly migrations: readonly string[]
}
