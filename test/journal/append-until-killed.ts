import { Buffer } from 'node:buffer'
import { appendFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openJournal, type Sink } from '../../server/journal.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { call, memoryLog, price } from './kit.ts'

// Run by kill.test.ts: <folder> <sink: away | slow> <until: killed | closed>
const [folder, sinkName, until] = process.argv.slice(2) as [string, string, string]

/** A database that survives this process: one id a line. */
const slow: Sink = async ({ callsJson }) => {
  await new Promise((resolve) => setTimeout(resolve, 2))
  const ids = JSON.parse(callsJson).map(({ id }: { id: string }) => `${id}\n`)
  appendFileSync(join(folder, 'database.txt'), ids.join(''))
}
const away: Sink = async () => {
  throw new Error('connection refused')
}

/** Straight into the pipe, however full it is: nothing of it waits in this process when it dies. */
function tell(id: string): void {
  let rest = Buffer.from(`${id}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

const log = memoryLog()
const journal = await openJournal({
  folder,
  sink: sinkName === 'slow' ? slow : away,
  log,
  clock: systemClock,
  fsync: 'interval',
  segmentBytes: 200_000,
  memoryBytes: 400_000,
  flushMs: 5,
  batch: 50,
})
const cost = price('price_1')
for (let n = 0; until === 'killed' || n < 2_000; ) {
  for (let i = 0; i < 8; i++, n++) {
    const record = call(n)
    journal.append(record, cost, () => tell(record.id))
  }
  await new Promise<void>((resolve) => setImmediate(resolve))
}
await journal.close(50)
if (log.count('error', '') > 0) throw new Error(JSON.stringify(log.lines))
