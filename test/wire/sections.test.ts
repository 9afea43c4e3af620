import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

/** All wires look alike: the same file names, and in them the same members in the same order. */

const ROOT = join(import.meta.dirname, '../../server/wire')
const WIRE = ['id', 'face', 'readAsk', 'edit', 'readAnswer', 'tap', 'batches', 'mended']
const DIALECT = ['id', 'readPrompt', 'writeAnswer', 'writeStream', 'writePrompt', 'readAnswer', 'readStream']

const folders = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
const having = (file: string) => folders.filter((folder) => existsSync(join(ROOT, folder, file)))

/** The members of the object that a file exports as a `Wire` or a dialect; null when it exports none. */
function membersOf(folder: string, file: string): string[] | null {
  const text = readFileSync(join(ROOT, folder, file), 'utf8')
  const found = /^export const \w+: [\w& ]*(?:Wire|Dialect) = \{\n([\s\S]*?)^\}/m.exec(text)
  return found === null ? null : Array.from(found[1]!.matchAll(/^ {2}(\w+)/gm), (member) => member[1]!)
}

describe('every wire has', () => {
  it('its folder, for each that speaks text or vectors', () => {
    expect(having('wire.ts')).toEqual(
      expect.arrayContaining(['anthropic-messages', 'gemini', 'openai-chat', 'openai-completions', 'openai-responses']),
    )
    expect(having('dialect.ts')).toEqual([
      'anthropic-messages',
      'gemini',
      'openai-chat',
      'openai-completions',
      'openai-responses',
    ])
  })

  it.each(having('wire.ts').filter((folder) => folder !== 'pass'))('%s: a Wire in the order of wire.ts', (folder) => {
    const members = membersOf(folder, 'wire.ts')!
    expect(members).toEqual(WIRE.filter((name) => members.includes(name)))
    expect(members).toEqual(expect.arrayContaining(['id', 'face', 'readAnswer', 'tap']))
  })

  it.each(having('dialect.ts'))('%s: a dialect in the order of dialect.ts', (folder) => {
    const members = membersOf(folder, 'dialect.ts')!
    expect(members).toEqual(DIALECT.filter((name) => members.includes(name)))
    expect(members[0]).toBe('id')
  })
})
