import { z } from 'zod'

/** A key at a provider as it may be shown: the key itself never is. */
export interface Credential {
  /** `crd_…` */
  readonly id: string
  /** Null: the platform's. */
  readonly projectId: string | null
  readonly provider: string
  readonly name: string
  /** The key's last characters. */
  readonly hint: string
  readonly baseUrl: string | null
  readonly version: string | null
  readonly weight: number
  readonly checkedAtMs: number | null
  readonly checkResult: string | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A credential as the line loads it. */
export interface SealedCredential {
  readonly id: string
  readonly provider: string
  /** Envelope of the vault, in the context of the credential. */
  readonly sealed: string
  readonly baseUrl: string | null
  readonly version: string | null
  readonly weight: number
}

/** Share of the calls among those of the same provider; 0: none, it is switched off. */
export const MAX_WEIGHT = 1000
export const DEFAULT_WEIGHT = 100
/** What one project, and what the platform, may have. */
export const MAX_CREDENTIALS = 100

export const credentialNameSchema = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^\P{Cc}*$/u, 'must be one line')
export const weightSchema = z.int().min(0).max(MAX_WEIGHT)
/** Visible ASCII: it goes into a header. */
export const providerKeySchema = z
  .string()
  .trim()
  .min(1)
  .max(8192)
  .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters without spaces')
export const apiVersionSchema = z.string().regex(/^[\w.-]{1,40}$/, 'must be letters, digits, dots and hyphens')

/** What the vault binds a credential's envelope to. */
export function credentialContext(id: string): string {
  return `credential:${id}`
}

/** What may be shown of a key: its last four characters, nothing of one that is too short to lose them. */
export function hintOf(key: string): string {
  return key.length < 12 ? '' : key.slice(-4)
}
