import { mkdirSync } from 'node:fs'
export class FolderLockedError extends Error {}
export function lockFolder(dir: string): { release(): void } {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return { release() {} }
}
