import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Worker } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { START_PARAMS, upkeep } from '../../db/embedded/upkeep.ts'
import { type Database, databaseFolder, openDatabase } from '../../db/open.ts'
import { createStores } from '../../db/stores/index.ts'
import { sharedTemplate, temporaryFolder } from './engines.ts'
import { rollupAndRecount, sampleCall } from './samples.ts'

describe('the embedded database', () => {
  let templatePath: string
  let dataDir: string
  let database: Database | null = null
  beforeAll(async () => {
    templatePath = await sharedTemplate()
  }, 120_000)
  beforeEach(() => {
    dataDir = temporaryFolder()
  })
  afterEach(async () => {
    await database?.close()
    database = null
    rmSync(dataDir, { recursive: true, force: true })
  })

  const open = async (options: { dataDir: string; templatePath?: string | null }): Promise<Database> => {
    database = await openDatabase(options)
    return database
  }

  /** Everything that makes a schema, in words. */
  async function describeSchema({ db }: Database): Promise<unknown> {
    const columns = await sql`select table_name, column_name, data_type, is_nullable, column_default, collation_name
      from information_schema.columns where table_schema = 'public' order by 1, ordinal_position`.execute(db)
    const indexes =
      await sql`select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1`.execute(db)
    const constraints = await sql`select conname, pg_get_constraintdef(oid) as definition from pg_constraint
      where connamespace = 'public'::regnamespace order by 1`.execute(db)
    const migrations = await sql`select name from migrations order by 1`.execute(db)
    return [columns.rows, indexes.rows, constraints.rows, migrations.rows]
  }

  it('one from the template is the same as one made from nothing, as it is when the template can’t be used', async () => {
    const damaged = join(dataDir, 'damaged.gz')
    writeFileSync(damaged, 'not a template')
    const fresh = await open({ dataDir: join(dataDir, 'fresh'), templatePath: damaged })
    const made = await describeSchema(fresh)
    await fresh.close()
    const fromTemplate = await open({ dataDir: join(dataDir, 'copied'), templatePath })
    expect(await describeSchema(fromTemplate)).toEqual(made)
    expect((made as unknown[][]).map((part) => part.length > 0)).toEqual([true, true, true, true])
  }, 60_000)

  it('the folder is for its owner only, and a half-made one from before a crash is made anew', async () => {
    const unfinished = `${databaseFolder(dataDir)}.new`
    mkdirSync(unfinished, { recursive: true })
    writeFileSync(join(unfinished, 'PG_VERSION'), '')
    await open({ dataDir, templatePath })
    expect(statSync(databaseFolder(dataDir)).mode & 0o777).toBe(0o700)
    expect(existsSync(unfinished)).toBe(false)
  })

  it('what was written is there after closing and opening again; a closed one refuses use', async () => {
    const first = await open({ dataDir, templatePath })
    await createStores(first).settings.set('default_project', 'prj_kept')
    await first.close()
    await first.close()
    await expect(first.ping()).rejects.toThrow('The embedded database is closed')
    await expect(createStores(first).settings.get('default_project')).rejects.toThrow('is closed')
    // No template needed any more.
    const second = await open({ dataDir })
    expect(await createStores(second).settings.get('default_project')).toBe('prj_kept')
  })

  it('close() lets what was asked before end', async () => {
    const first = await open({ dataDir, templatePath })
    const { calls } = createStores(first)
    const inserts = Array.from({ length: 5 }, () => calls.insertBatch(JSON.stringify([sampleCall(), sampleCall()])))
    await first.close()
    expect(await Promise.all(inserts)).toEqual([2, 2, 2, 2, 2])
  })

  it('when its thread dies, what is under way fails and the next use starts it again with all that was committed', async () => {
    const workers: Worker[] = []
    const note = (worker: Worker): number => workers.push(worker)
    process.on('worker', note)
    const opened = await open({ dataDir, templatePath })
    const { settings, calls } = createStores(opened)
    const notified = vi.fn()
    await opened.listen('news', notified)
    const kept = sampleCall()
    await calls.insertBatch(JSON.stringify([kept]))
    const lost = opened.db.transaction().execute(async (trx) => {
      await trx.insertInto('settings').values({ name: 'lost', value: '1' }).execute()
      await workers[0]?.terminate()
      await trx.insertInto('settings').values({ name: 'lost too', value: '1' }).execute()
    })
    await expect(lost).rejects.toThrow("The database's thread ended in the middle of a transaction")
    expect(await settings.get('default_project')).toBeNull()
    expect(workers).toHaveLength(2)
    process.off('worker', note)
    expect((await calls.find('prj_a', kept.id))?.call).toEqual(kept)
    expect(await opened.db.selectFrom('settings').selectAll().execute()).toEqual([])
    // Notices may have been missed, and come again from now on.
    expect(notified.mock.calls).toEqual([['']])
    await sql`select pg_notify('news', 'fresh')`.execute(opened.db)
    await vi.waitFor(() => expect(notified).toHaveBeenCalledWith('fresh'))
  })

  it('kill -9 in the middle of writing loses no batch that was acknowledged and keeps the sums right', async () => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(import.meta.dirname, 'writer.ts'), dataDir, templatePath],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const acknowledged: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(...line.split(' '))
      if (acknowledged.length >= 1_000) break
    }
    await kill(child)
    const reopened = await open({ dataDir })
    const ids = new Set((await reopened.db.selectFrom('calls').select('id').execute()).map((row) => row.id))
    expect(acknowledged.filter((id) => !ids.has(id))).toEqual([])
    const { rollup, recount } = await rollupAndRecount(reopened)
    expect(rollup).toEqual(recount)
    // What is given again after a crash, as the journal does, is not counted again.
    const again = acknowledged.slice(0, 100).map((id) => sampleCall({ id }))
    expect(await createStores(reopened).calls.insertBatch(JSON.stringify(again))).toBe(0)
  }, 60_000)

  it('upkeep() keeps the write-ahead log short, and does nothing when it is', async () => {
    await (await open({ dataDir, templatePath })).close()
    const folder = databaseFolder(dataDir)
    const copy = join(dataDir, 'copy')
    cpSync(folder, copy, { recursive: true })
    const pg = await PGlite.create({ dataDir: copy, startParams: START_PARAMS })
    expect(await upkeep(pg)).toBe(false)
    const segments = (): number =>
      readdirSync(join(copy, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name)).length
    for (let round = 0; round < 2; round++) {
      await pg.exec(
        `insert into settings select '${round} ' || n, repeat('x', 1900) from generate_series(1, 40000) as n`,
      )
      const before = segments()
      expect(await upkeep(pg)).toBe(true)
      expect(await upkeep(pg)).toBe(false)
      expect(segments()).toBeLessThan(before)
      expect(segments()).toBeLessThanOrEqual(4)
    }
    await pg.close()
  }, 60_000)
})

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
