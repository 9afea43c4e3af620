import type { PGlite } from '@electric-sql/pglite'
import { packCalls } from './call-rows.ts'
import type { LoadJob } from './protocol.ts'

/**
 * Loads calls by COPY, which costs half of what any INSERT does, and adds their sums by the hour and by who pays, counted here
 * instead of by SQL. Measured in this thread, in batches of 500: 22 µs a row, against 63 by `unnest` and 78 by `json_to_recordset`.
 * @returns the number of rows, null when nothing was done because a row is there already or isn't as it should be
 */
export async function loadCalls(pg: PGlite, job: LoadJob): Promise<number | null> {
  const packed = packCalls(job.callsJson)
  if (packed === null) return null
  if (packed.rows === 0) return 0
  if (!isPrepared) {
    await pg.exec(`prepare add_sums (json) as ${job.addSums}; prepare post_usage (json) as ${job.postUsage}`)
    isPrepared = true
  }
  try {
    // Its own file system, in memory. (`/dev/blob`, meant for this, copies byte by byte: 2 µs a row.)
    pg.Module.FS.writeFile(COPY_FILE, packed.bytes)
    // One message, and so one transaction: each message to the engine costs some 200 µs.
    const post = packed.chargedJson === null ? '' : `; execute post_usage (${literal(packed.chargedJson)})`
    await pg.exec(
      `${job.copy} from '${COPY_FILE}' (format binary); execute add_sums (${literal(packed.sumsJson)})${post}`,
    )
    return packed.rows
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (typeof code === 'string' && /^2[23]/.test(code)) return null
    throw error
  }
}

const COPY_FILE = '/watchllm-calls'

/** This thread has one session, and every job the same statements. */
let isPrepared = false

/** EXECUTE takes no parameters of the protocol. Backslashes mean themselves: standard_conforming_strings is on. */
function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
