import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openJournal } from '../../server/journal.ts'
import { systemClock } from '../../server/runtime/system.ts'
import { Books, emptyFolder, memoryLog } from './kit.ts'

interface Ended {
  readonly written: string[]
  readonly code: number | null
  readonly signal: string | null
}

/** Runs the program until it has told of `kill` written calls, or to its end. */
function run(args: readonly string[], kill: number): Promise<Ended> {
  const program = join(import.meta.dirname, 'append-until-killed.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const told: string[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    told.push(...lines)
    if (told.length >= kill) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ written: told, code, signal }))
  })
}

/** Ids in the database after the journal was opened again and emptied. */
async function recover(folder: string): Promise<{ stored: string[]; log: ReturnType<typeof memoryLog> }> {
  const database = join(folder, 'database.txt')
  const before = existsSync(database) ? readFileSync(database, 'utf8').trimEnd().split('\n') : []
  const books = new Books()
  const log = memoryLog()
  const journal = await openJournal({ folder, sink: books.sink, log, clock: systemClock, fsync: 'interval' })
  await journal.drained(10_000)
  await journal.close()
  expect(books.repeated).toBe(0)
  return { stored: [...new Set([...before, ...books.calls.keys()])].sort(), log }
}

describe('After kill -9 in the middle of writing', () => {
  it.each([
    ['away', 3_000],
    ['slow', 5_000],
  ])(
    'every call that was told as written is in the database, once, in order (sink %s, %i calls)',
    async (sink, kill) => {
      const folder = emptyFolder()
      const { written, signal } = await run([folder, sink, 'killed'], kill)
      expect(signal).toBe('SIGKILL')
      expect(written.length).toBeGreaterThanOrEqual(kill)
      // The kernel finishes a write that it has begun: a torn line takes a power cut, so here is one.
      const last = readdirSync(folder)
        .filter((name) => name.startsWith('calls-'))
        .sort()
        .at(-1)!
      appendFileSync(join(folder, last), '{"id":"req_torn","createdAtMs":18000')
      const { stored, log } = await recover(folder)
      const missing = written.filter((id) => !stored.includes(id))
      expect(missing).toEqual([])
      // What was in the file but not yet told may be there too; nothing has a gap.
      expect(stored.length).toBeGreaterThanOrEqual(written.length)
      expect(Number(stored.at(-1)!.slice(4))).toBe(stored.length - 1)
      expect(log.count('warn', 'cut off')).toBe(1)
      expect(readdirSync(folder).filter((name) => name !== 'database.txt')).toEqual([])
    },
  )
})

describe('After close', () => {
  it('the process ends by itself, and what the database did not take comes at the next start', async () => {
    const folder = emptyFolder()
    const { written, code } = await run([folder, 'away', 'closed'], Number.POSITIVE_INFINITY)
    expect(code).toBe(0)
    expect(written.length).toBe(2_000)
    const { stored } = await recover(folder)
    expect(stored).toEqual(written)
  })
})
