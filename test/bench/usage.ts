import { parseArgs } from 'node:util'
import { scopeOf } from '../../db/model/access.ts'
import type { Database } from '../../db/open.ts'
import type { Stores } from '../../db/stores/index.ts'
import { usageCsv } from '../../server/console/usage-csv.ts'
import type { Control } from '../../server/deps.ts'
import { ENGINES } from '../db/engines.ts'
import { HISTORY, makeHistory } from './usage-history.ts'
import { questions } from './usage-questions.ts'

const HELP = `tsx test/bench/usage.ts [--rows 1000000] [--runs 3] [--times 20] [--only 'regular expression'] [--show 15]

How long the usage pages take with many calls: on the embedded database, and on PostgreSQL where DATABASE_URL names one.
Each question is asked so many times in each run; what is shown is the smallest of the runs' 95th percentiles, which is
what the machine can do when nothing else runs on it. Then the whole of the history goes through the CSV export.`

const LIMIT_MS = 200

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    times: { type: 'string', default: '20' },
    only: { type: 'string', default: '' },
    show: { type: 'string', default: '15' },
    help: { type: 'boolean', default: false },
  },
})

async function p95(ask: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < Number(values.times); i++) {
    const began = performance.now()
    await ask()
    times.push(performance.now() - began)
  }
  return times.sort((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1]!
}

async function askAll({ usage }: Stores): Promise<void> {
  const asked = questions().filter(({ name }) => new RegExp(values.only).test(name))
  const best = new Map<string, number>()
  for (let run = 0; run < Number(values.runs); run++) {
    for (const { name, ask } of asked) {
      best.set(name, Math.min(best.get(name) ?? Infinity, await p95(() => ask(usage))))
    }
  }
  const slowest = [...best].sort(([, a], [, b]) => b - a)
  const late = slowest.filter(([, ms]) => ms > LIMIT_MS).length
  process.stdout.write(`${asked.length} questions, ${late} of them above ${LIMIT_MS} ms; the slowest:\n`)
  for (const [name, ms] of slowest.slice(0, Number(values.show)))
    process.stdout.write(`${ms.toFixed(1).padStart(9)} ms  ${name}\n`)
}

/** Reads the export of the greatest project as a slow client would: chunk by chunk, keeping nothing. */
async function exportAll(stores: Stores): Promise<void> {
  const scope = scopeOf(HISTORY.organizationId)
  const control = { stores } as unknown as Control
  const began = performance.now()
  const before = process.memoryUsage.rss()
  let [lines, bytes, most] = [0, 0, before]
  for (const project of ['a', 'b', 'c', 'd', 'e']) {
    const query = { projectId: `prj_bench0000000000000000000${project}0`, filter: {} }
    for await (const chunk of usageCsv(control, scope, query)) {
      bytes += chunk.length
      lines += chunk.split('\r\n').length - 1
      most = Math.max(most, process.memoryUsage.rss())
    }
  }
  const seconds = (performance.now() - began) / 1000
  const mb = (n: number): string => (n / 2 ** 20).toFixed(0)
  process.stdout.write(
    `CSV: ${lines} lines, ${mb(bytes)} MB in ${seconds.toFixed(1)} s; memory grew by ${mb(most - before)} MB at most\n`,
  )
}

async function measure(database: Database, stores: Stores): Promise<void> {
  const began = performance.now()
  await makeHistory(database, Number(values.rows))
  process.stdout.write(
    `\n${database.kind}: ${values.rows} calls made in ${((performance.now() - began) / 1000).toFixed(0)} s\n`,
  )
  await askAll(stores)
  await exportAll(stores)
}

if (values.help) process.stdout.write(`${HELP}\n`)
else {
  for (const engine of ENGINES) {
    const on = await engine.open()
    try {
      await measure(on.database, on.stores)
    } finally {
      await on.dispose()
    }
  }
}
