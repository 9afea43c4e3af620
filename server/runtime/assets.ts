import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { Asset, Deps } from '../deps.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
}

/** The built console, read once at start: no request ever reaches the file system. Empty when it isn't built. */
export function readAssets(folder: string): Deps['assets'] {
  const assets = new Map<string, Asset>()
  for (const path of filesOf(folder)) {
    const type = TYPES[extname(path)]
    if (type === undefined) continue
    const immutable = path.startsWith('/assets/')
    assets.set(path, { bytes: readFileSync(join(folder, path)), type, immutable })
  }
  return (path) => assets.get(path) ?? null
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true }).map((path) => `/${String(path).replaceAll('\\', '/')}`)
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return []
    throw error
  }
}
