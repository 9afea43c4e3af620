import { Buffer } from 'node:buffer'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addSecret, createVault, dropOldSecrets, readOrMakeSecrets, VaultError } from '../../db/vault.ts'
import { temporaryFolder } from './engines.ts'

const OLD = 'an old secret of some length'
const NEW = 'a new secret of some length'

describe('vault', () => {
  it.each(['', 'sk-abc', 'ключ 🗝', 'x'.repeat(100_000)])('open() gives back what seal() was given', (text) => {
    const vault = createVault([NEW])
    expect(vault.open(vault.seal(text, 'a'), 'a')).toBe(text)
  })

  it('an envelope shows nothing of the text, and two of the same text differ', () => {
    const vault = createVault([NEW])
    const one = vault.seal('sk-secret-key', 'a')
    expect(one).not.toContain('sk-secret')
    expect(Buffer.from(one.split('.')[2] ?? '', 'base64url').toString('latin1')).not.toContain('sk-secret')
    expect(vault.seal('sk-secret-key', 'a')).not.toBe(one)
  })

  it('the newest secret seals and all open, so that secrets can be changed without a gap', () => {
    const before = createVault([OLD]).seal('text', 'a')
    const both = createVault([NEW, OLD])
    expect(both.open(before, 'a')).toBe('text')
    expect(both.isStale(before)).toBe(true)
    const after = both.seal('text', 'a')
    expect(both.isStale(after)).toBe(false)
    expect(createVault([NEW]).open(after, 'a')).toBe('text')
    expect(() => createVault([OLD]).open(after, 'a')).toThrow('add the secret that was used before')
  })

  it('opens only in the context it was sealed in', () => {
    const vault = createVault([NEW])
    expect(() => vault.open(vault.seal('text', 'project:a'), 'project:b')).toThrow(VaultError)
  })

  it('refuses an envelope of which any character was changed, and never shows the text', () => {
    const vault = createVault([NEW])
    const envelope = vault.seal('sk-secret', 'a')
    for (let i = 0; i < envelope.length; i++) {
      const changed = `${envelope.slice(0, i)}${envelope[i] === 'A' ? 'B' : 'A'}${envelope.slice(i + 1)}`
      // The last character's lowest bits are padding: another one may stand for the same bytes.
      const bytes = (text: string): string =>
        `${text.split('.')[1]}${Buffer.from(text.split('.')[2] ?? '', 'base64url').toString('hex')}`
      if (changed.startsWith('v1.') && bytes(changed) === bytes(envelope)) continue
      expect(() => vault.open(changed, 'a')).toThrow(VaultError)
    }
    for (const text of ['', 'v1', 'v1..', 'sk-secret', 'v2.aaaaaaaa.AAAA'])
      expect(() => vault.open(text, 'a')).toThrow(VaultError)
    for (let end = 0; end < envelope.length - 1; end++)
      expect(() => vault.open(envelope.slice(0, end), 'a')).toThrow(VaultError)
  })

  it('needs a secret, and a long one, which it never repeats', () => {
    expect(() => createVault([])).toThrow(VaultError)
    expect(() => createVault([NEW, 'short-one'])).toThrow(/at least 16/)
    expect(() => createVault(['short-one'])).not.toThrow(/short-one/)
  })
})

describe('readOrMakeSecrets()', () => {
  let folder: string
  beforeEach(() => {
    folder = temporaryFolder()
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('makes a random secret for its owner only, once', () => {
    const [secret = ''] = readOrMakeSecrets(folder)
    expect(secret).toMatch(/^[\w-]{43}$/)
    expect(readOrMakeSecrets(folder)).toEqual([secret])
    expect(statSync(join(folder, 'secret')).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['secret'])
    createVault([secret])
  })

  it('makes the folder too, and another secret in each', () => {
    expect(readOrMakeSecrets(join(folder, 'a'))).not.toEqual(readOrMakeSecrets(join(folder, 'b')))
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700)
  })

  it('refuses a file that holds none instead of replacing what may be needed', () => {
    writeFileSync(join(folder, 'secret'), '\n')
    expect(() => readOrMakeSecrets(folder)).toThrow('put back the one that was there')
    expect(readFileSync(join(folder, 'secret'), 'utf8')).toBe('\n')
  })

  it('takes a new secret before the others, and forgets those when told to', () => {
    const [old = ''] = readOrMakeSecrets(folder)
    const both = addSecret(folder)
    expect([both.length, both[1], both[0] === old]).toEqual([2, old, false])
    expect(readOrMakeSecrets(folder)).toEqual(both)
    expect(statSync(join(folder, 'secret')).mode & 0o777).toBe(0o600)
    dropOldSecrets(folder)
    expect(readOrMakeSecrets(folder)).toEqual([both[0]])
    expect(readdirSync(folder)).toEqual(['secret'])
  })
})
