import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The command-line clients that people point at a gateway, as they are published. A gigabyte: not for `npm install`. */
const PACKAGES = {
  '@openai/codex': '0.169.0',
  '@anthropic-ai/claude-code': '2.1.329',
  'opencode-ai': '1.18.33',
}

/** npm runs no scripts of packages here; these two fetch nothing, they put the program of this platform in its place. */
const SCRIPTS = ['@anthropic-ai/claude-code/install.cjs', 'opencode-ai/postinstall.mjs']

const ROOT = join(import.meta.dirname, '..', '..')

/** `npm run test:clients`: installs the clients beside the project's packages, once, and runs their suite. */
function main(): void {
  const folder = join(ROOT, 'node_modules', '.cache', 'watchllm-clients')
  install(folder)
  const env = { ...process.env, WATCHLLM_CLIENTS: join(folder, 'node_modules', '.bin') }
  run('npx', ['vitest', 'run', 'test/clients', ...process.argv.slice(2)], { cwd: ROOT, env })
}

function install(folder: string): void {
  const wanted = JSON.stringify({ private: true, dependencies: PACKAGES }, null, 2)
  const done = join(folder, `installed-${Object.values(PACKAGES).join('-')}`)
  if (existsSync(done)) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), wanted)
  run('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: folder, env: process.env })
  for (const script of SCRIPTS) {
    run(process.execPath, [join(folder, 'node_modules', script)], { cwd: folder, env: process.env })
  }
  writeFileSync(done, '')
}

function run(command: string, args: readonly string[], options: { cwd: string; env: NodeJS.ProcessEnv }): void {
  const { status, error } = spawnSync(command, args, { ...options, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

main()
