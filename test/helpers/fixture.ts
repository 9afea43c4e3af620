import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../fixtures/', import.meta.url)

/** Bytes of one fixture, such as `openai-chat/text.sse`. */
export function fixture(name: string): Uint8Array {
  return readFileSync(new URL(name, ROOT))
}

/** Names of all fixtures of a wire with an extension, such as `openai-chat/text.sse`, sorted. */
export function fixtures(wire: string, extension: '.sse' | '.json'): string[] {
  const names = readdirSync(fileURLToPath(new URL(wire, ROOT)))
  return names
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => `${wire}/${name}`)
}
