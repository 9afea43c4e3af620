import { Buffer } from 'node:buffer'
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Keeps secrets of others at rest, such as provider keys. */
export interface Vault {
  /**
   * Seals with the newest secret. The same text sealed twice gives two envelopes.
   * @param context what the text belongs to, such as `provider:prj_…:openai`: it can't be opened as anything else's
   */
  seal(text: string, context: string): string
  /** @throws VaultError when no secret fits, or when envelope or context were changed */
  open(envelope: string, context: string): string
  /** The envelope was sealed with an older secret: seal its text again. */
  isStale(envelope: string): boolean
  /** What every envelope of the newest secret begins with, and no other. */
  readonly newestPrefix: string
}

/** Its message never holds anything of a secret or of a sealed text. */
export class VaultError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'VaultError'
  }
}

interface SealingKey {
  readonly id: string
  readonly key: Buffer
}

/** `v1.<key id>.<base64url of nonce, ciphertext and tag>` */
const VERSION = 'v1'
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const MIN_SECRET_CHARS = 16
const SECRET_FILE = 'secret'

/**
 * AES-256-GCM with keys derived by HKDF-SHA-256.
 * @param secrets master secrets, the newest first: it seals, all open
 * @throws VaultError when there is none or one is too short
 */
export function createVault(secrets: readonly string[]): Vault {
  const keys = secrets.map(deriveKey)
  const newest = keys[0]
  if (newest === undefined) throw new VaultError('The vault needs at least one master secret')

  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, newest.key, nonce).setAAD(Buffer.from(`${newest.id}:${context}`))
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${VERSION}.${newest.id}.${sealed.toString('base64url')}`
    },

    open(envelope, context) {
      const { keyId, sealed } = readEnvelope(envelope)
      const found = keys.find((one) => one.id === keyId)
      if (found === undefined) {
        throw new VaultError(`No master secret fits the key ${keyId}; add the secret that was used before`)
      }
      const end = sealed.length - TAG_BYTES
      try {
        const decipher = createDecipheriv(CIPHER, found.key, sealed.subarray(0, NONCE_BYTES))
          .setAAD(Buffer.from(`${keyId}:${context}`))
          .setAuthTag(sealed.subarray(end))
        return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8')
      } catch {
        throw new VaultError('The envelope or its context was changed since it was sealed')
      }
    },

    isStale: (envelope) => readEnvelope(envelope).keyId !== newest.id,
    newestPrefix: `${VERSION}.${newest.id}.`,
  }
}

function deriveKey(secret: string): SealingKey {
  if (secret.length < MIN_SECRET_CHARS) {
    throw new VaultError(`A master secret must have at least ${MIN_SECRET_CHARS} characters`)
  }
  const derive = (info: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, 'watchllm', `vault ${VERSION} ${info}`, bytes))
  return { id: derive('key id', 6).toString('base64url'), key: derive('key', 32) }
}

function readEnvelope(envelope: string): { readonly keyId: string; readonly sealed: Buffer } {
  const match = /^v1\.([\w-]{8})\.([\w-]+)$/.exec(envelope)
  const sealed = Buffer.from(match?.[2] ?? '', 'base64url')
  if (match === null || sealed.length < NONCE_BYTES + TAG_BYTES) throw new VaultError('This is not a sealed envelope')
  return { keyId: match[1]!, sealed }
}

/**
 * The master secrets of a data folder, the newest first: one a line in a file for its owner only, made with one of 43
 * random characters on the first call. Of several processes that make it at once all get the same.
 * @throws VaultError when the file holds no usable secret, or the system's error
 */
export function readOrMakeSecrets(dataDir: string): readonly string[] {
  const path = join(dataDir, SECRET_FILE)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const known = readSecrets(path)
  if (known !== null) return known
  const unfinished = writeBeside(path, [newSecret()])
  try {
    linkSync(unfinished, path)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    unlinkSync(unfinished)
  }
  const made = readSecrets(path)
  if (made === null) throw new VaultError(`The master secret ${path} disappeared while it was made; try again`)
  return made
}

/**
 * Puts a new secret before those of a data folder, which only its holder may do (lockFolder). After a crash there are
 * either the old ones or all.
 * @returns all of them, the new one first
 */
export function addSecret(dataDir: string): readonly string[] {
  const secrets = [newSecret(), ...readOrMakeSecrets(dataDir)]
  replaceSecrets(dataDir, secrets)
  return secrets
}

/** Forgets all secrets of a data folder but the newest: for when nothing is sealed with the others any more. */
export function dropOldSecrets(dataDir: string): void {
  replaceSecrets(dataDir, readOrMakeSecrets(dataDir).slice(0, 1))
}

function replaceSecrets(dataDir: string, secrets: readonly string[]): void {
  const path = join(dataDir, SECRET_FILE)
  renameSync(writeBeside(path, secrets), path)
}

/** Written whole under another name first, so that nobody ever reads a part of it. @returns that name */
function writeBeside(path: string, secrets: readonly string[]): string {
  const unfinished = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.new`
  writeFileSync(unfinished, `${secrets.join('\n')}\n`, { mode: 0o600, flag: 'wx', flush: true })
  return unfinished
}

function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

function readSecrets(path: string): readonly string[] | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
  const secrets = text.split('\n').map((line) => line.trim())
  const kept = secrets.filter((secret) => secret !== '')
  if (kept.length === 0 || kept.some((secret) => secret.length < MIN_SECRET_CHARS)) {
    throw new VaultError(`The file ${path} holds no master secret; put back the one that was there`)
  }
  return kept
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
