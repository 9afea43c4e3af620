import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Where the checkout is. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Beside the packages, so that what is built finds them; `npm ci` throws it away. */
const CACHE = join(ROOT, 'node_modules/.cache/watchllm-tests')
const BUNDLE_INPUTS = ['server', 'db', 'vite.config.ts', 'package.json', 'package-lock.json']
const TEMPLATE_INPUTS = ['db', 'package-lock.json']
/** Builds of sources that have changed since are thrown away when nobody has used them for this long. */
const UNUSED_MS = 24 * 3600 * 1000

const run = promisify(execFile)

/**
 * Builds the server as `npm run build` does and names the command's file. A build is named by a hash of all that goes
 * into it, so it is never stale and is made once, whichever test file needs it first; the database's template, which
 * takes seconds, is kept for as long as db/ stays the same.
 */
export async function builtServer(): Promise<string> {
  const folder = join(CACHE, `bundle-${hashOf(BUNDLE_INPUTS)}`)
  await once(folder, async (unfinished) => {
    const server = join(unfinished, 'server')
    const vite = join(ROOT, 'node_modules/vite/bin/vite.js')
    await run(process.execPath, [vite, 'build', '--ssr', '--logLevel', 'warn', '--outDir', server], { cwd: ROOT })
    fs.linkSync(await template(server), join(server, 'database-template.gz'))
  })
  const now = new Date()
  fs.utimesSync(folder, now, now)
  sweep(now.getTime())
  return join(folder, 'server/watchllm.js')
}

async function template(server: string): Promise<string> {
  const path = join(CACHE, `template-${hashOf(TEMPLATE_INPUTS)}.gz`)
  await once(path, async (unfinished) => {
    // By its real path: only then does the file know itself as the program.
    await run(process.execPath, [join(fs.realpathSync(server), 'make-template.js'), unfinished], { cwd: ROOT })
  })
  return path
}

/** Makes a file or folder under another name first: whoever looks finds nothing or all of it. */
async function once(path: string, make: (unfinished: string) => Promise<void>): Promise<void> {
  if (fs.existsSync(path)) return
  fs.mkdirSync(CACHE, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  try {
    await make(unfinished)
    fs.renameSync(unfinished, path)
  } catch (error) {
    // Another test file has been quicker: its result is the same.
    if (!fs.existsSync(path)) throw error
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true })
  }
}

function hashOf(inputs: readonly string[]): string {
  const hash = createHash('sha256')
  for (const input of inputs) {
    const path = join(ROOT, input)
    const isFolder = fs.statSync(path).isDirectory()
    const names = isFolder ? fs.readdirSync(path, { recursive: true, withFileTypes: true }) : []
    const files = isFolder
      ? names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
      : [path]
    for (const file of files.sort()) hash.update(`${file}\0`).update(fs.readFileSync(file)).update('\0')
  }
  return hash.digest('hex').slice(0, 16)
}

function sweep(nowMs: number): void {
  for (const name of fs.readdirSync(CACHE)) {
    const path = join(CACHE, name)
    const used = fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs
    if (name.startsWith('bundle-') && nowMs - used > UNUSED_MS) fs.rmSync(path, { recursive: true, force: true })
  }
}
