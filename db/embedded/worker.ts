import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { loadCalls } from './load-calls.ts'
import type { Failure, QueryAnswer, Report, Request, WorkerData } from './protocol.ts'
import { placeFolder } from './template.ts'
import { START_PARAMS, upkeep } from './upkeep.ts'

/** The database's thread: PGlite and nothing else, so that no query ever holds up the gateway's event loop. */

if (parentPort === null) throw new Error('The embedded database runs in a worker thread; open it with openDatabase')
const port = parentPort
const data = workerData as WorkerData

const PARSERS = { 20: readInt8 }

function report(message: Report): void {
  port.postMessage(message)
}

function readInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new RangeError(`A bigint of ${text} is more than a number holds; read it as text`)
  return value
}

function failureOf(error: unknown): Failure {
  const from = error instanceof Error ? (error as Error & Partial<Record<keyof Failure, string>>) : null
  return {
    message: from?.message ?? String(error),
    code: from?.code ?? null,
    detail: from?.detail ?? null,
    constraint: from?.constraint ?? null,
  }
}

async function query(pg: PGlite, sql: string, parameters: readonly unknown[]): Promise<QueryAnswer> {
  const result = await pg.query(sql, [...parameters], { parsers: PARSERS })
  return { rows: result.rows, command: result.command ?? null, affected: result.rowCount ?? null }
}

async function answer(pg: PGlite, request: Request): Promise<unknown> {
  switch (request.do) {
    case 'query':
      return query(pg, request.sql, request.parameters)
    case 'loadCalls':
      return loadCalls(pg, request)
    case 'listen':
      await pg.listen(request.channel, (payload) => report({ is: 'notification', channel: request.channel, payload }))
      return null
    case 'upkeep':
      return upkeep(pg)
    case 'close':
      return pg.close()
  }
}

async function start(): Promise<void> {
  await placeFolder(data.folder, { templatePath: data.templatePath, migrations: data.migrations })
  const pg = await PGlite.create({ dataDir: data.folder, startParams: START_PARAMS })
  port.on('message', (request: Request) => {
    answer(pg, request).then(
      (value) => report({ is: 'answer', answer: value }),
      (error: unknown) => report({ is: 'failure', failure: failureOf(error) }),
    )
  })
  report({ is: 'ready' })
}

start().catch((error: unknown) => report({ is: 'failure', failure: failureOf(error) }))
