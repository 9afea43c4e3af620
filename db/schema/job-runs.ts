/** A periodic job: when it ran last, and who may run it next. */
export interface JobRunsTable {
  name: string
  /** Of who took it last. */
  token: string
  ran_at: Date
  /** Nobody else takes it before: it runs, or who ran it died. */
  until: Date
  next_at: Date
  /** In a row. */
  failures: number
  /** Of the last run, null: it went well. */
  error: string | null
}
