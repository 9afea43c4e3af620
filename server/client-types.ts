import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'

/**
 * Writes the declarations of `watchllm/client` and of all that they refer to into a folder. The router is declared with
 * its inputs, outputs and errors only: what a procedure works on is the server's own affair, and its types would bring
 * half of the server with them.
 *
 * Usage: client-types.ts FOLDER
 */
const ROOT = join(import.meta.dirname, '..')
const ENTRY = 'server/client.d.ts'
/** Types that stay behind: a caller sees nothing of them. */
const INNER = /import\("(?:[./]+\/trpc\.ts"\)\.Context|trpc-to-openapi"\)\.OpenApiMeta)/g
/** All that the declarations may need beside each other. */
const PACKAGES = new Set(['@trpc/client', '@trpc/server', '@trpc/server/rpc'])

const OPTIONS = {
  extends: join(ROOT, 'tsconfig.json'),
  compilerOptions: {
    ...{ noEmit: false, emitDeclarationOnly: true, declaration: true, noEmitOnError: true },
    ...{ rootDir: ROOT, typeRoots: [join(ROOT, 'node_modules/@types')] },
  },
  include: [],
  files: [join(ROOT, 'server/client.ts')],
}

export function writeClientTypes(folder: string): void {
  const work = mkdtempSync(join(tmpdir(), 'watchllm-types-'))
  try {
    const config = join(work, 'tsconfig.json')
    const outDir = join(work, 'out')
    writeFileSync(config, JSON.stringify({ ...OPTIONS, compilerOptions: { ...OPTIONS.compilerOptions, outDir } }))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`The client's types can not be written:\n${stdout}${stderr}`)
    rmSync(folder, { recursive: true, force: true })
    copy(ENTRY, { from: outDir, to: folder, done: new Set() })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

interface Copying {
  readonly from: string
  readonly to: string
  readonly done: Set<string>
}

function copy(path: string, copying: Copying): void {
  if (copying.done.has(path)) return
  copying.done.add(path)
  const text = readFileSync(join(copying.from, path), 'utf8').replace(INNER, 'object')
  const specifier = /(from |import\()(['"])([^'"]+)\2/g
  for (const [, , , name] of text.matchAll(specifier)) {
    if (name!.startsWith('.')) copy(declarationOf(path, name!, copying), copying)
    else if (!PACKAGES.has(name!)) throw new Error(`${path} needs ${name}: the client's types may not`)
  }
  const target = join(copying.to, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(
    target,
    text.replace(specifier, (whole) => whole.replace(/\.ts(['"])$/, '.js$1')),
  )
}

function declarationOf(path: string, name: string, { from }: Copying): string {
  return relative(from, resolve(from, dirname(path), name)).replace(/\.ts$/, '.d.ts')
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2]
  if (folder === undefined) throw new Error('Say into which folder the types are to go')
  writeClientTypes(resolve(folder))
}
