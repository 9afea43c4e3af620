import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MIGRATIONS } from '../migrations/index.ts'
import { databaseFolder, openDatabase } from '../open.ts'
import { packTemplate } from './template.ts'

/**
 * Creates and migrates a database in a temporary folder and packs it into `outPath`: 4 to 8 s. Run as a program, it takes
 * the path as its argument; the build puts `database-template.gz` beside the bundle.
 */
export async function makeTemplate(outPath: string): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'watchllm-template-'))
  try {
    const database = await openDatabase({ dataDir, templatePath: null })
    await database.close()
    packTemplate(
      databaseFolder(dataDir),
      outPath,
      MIGRATIONS.map((one) => one.name),
    )
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

const started = process.argv[1]
// By its real path: npm and containers start programs through links.
const isProgram = started !== undefined && realpathSync(started) === fileURLToPath(import.meta.url)
if (isProgram) {
  const outPath = process.argv[2]
  if (outPath === undefined) throw new Error('Give the path of the template to write')
  await makeTemplate(outPath)
}
