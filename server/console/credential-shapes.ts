import { z } from 'zod'
import {
  apiVersionSchema,
  type Credential,
  credentialNameSchema,
  DEFAULT_WEIGHT,
  providerKeySchema,
  weightSchema,
} from '../../db/model/credentials.ts'
import { isoOf, pageOf, timeSchema } from './page.ts'

/** How provider credentials come in and go out, a project's and the platform's alike. */

export const credentialSchema = z.object({
  id: z.string(),
  project_id: z.string().nullable().describe("Null: the platform's"),
  provider: z.string(),
  name: z.string(),
  hint: z.string().describe("The key's last characters; the key itself is never shown"),
  base_url: z.string().nullable().describe("Null: where this gateway has the provider's API for everybody"),
  version: z.string().nullable(),
  weight: z.number().int().describe('Share of the calls among those of the same provider; 0: switched off'),
  checked_at: timeSchema.nullable(),
  check_result: z.string().nullable().describe('"ok", or what the last test call was told; null: it was not tested'),
  created_at: timeSchema,
  updated_at: timeSchema,
})
export type ShownCredential = z.infer<typeof credentialSchema>

export const credentialListSchema = pageOf(credentialSchema)

const saveUnchecked = z.boolean().default(false).describe('Save it even if the test call fails')
const key = providerKeySchema.describe('As the provider gave it out; sealed at rest and never returned')
const baseUrl = z
  .string()
  .trim()
  .max(2048)
  .describe('Where its API lives, version path included, when that is elsewhere; a change needs the key again')
const version = apiVersionSchema.describe('Of an API in dated versions')
const weight = weightSchema.describe('Share of the calls among those of the same provider; 0 switches it off')

export const newCredentialInput = {
  provider: z.string().min(1).max(64).describe('Id of the provider, such as "openai"'),
  name: credentialNameSchema.optional().describe("Default: the provider's name"),
  key: key.optional(),
  base_url: baseUrl.optional(),
  version: version.optional(),
  weight: weight.default(DEFAULT_WEIGHT),
  save_unchecked: saveUnchecked,
}
export type NewCredentialInput = z.infer<z.ZodObject<typeof newCredentialInput>>

export const credentialEditInput = {
  name: credentialNameSchema.optional(),
  key: key.optional(),
  base_url: baseUrl.nullable().optional(),
  version: version.nullable().optional(),
  weight: weight.optional(),
  save_unchecked: saveUnchecked,
}
export type CredentialEditInput = z.infer<z.ZodObject<typeof credentialEditInput>>

export const testedSchema = z.object({
  ok: z.boolean().describe('The provider takes the key'),
  verdict: z.enum(['ok', 'refused', 'unreachable', 'unchecked']),
  message: z.string(),
  credential: credentialSchema,
})

export const deletedSchema = z.object({ deleted: z.array(z.string()).describe('Ids') })

export const givenCredential = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'This is neither a provider nor an id')
  .describe("A credential's id, or a provider's name")

export function shownCredential(credential: Credential): ShownCredential {
  const { id, provider, name, hint, weight: share } = credential
  return {
    id,
    project_id: credential.projectId,
    provider,
    name,
    hint,
    base_url: credential.baseUrl,
    version: credential.version,
    weight: share,
    checked_at: isoOf(credential.checkedAtMs),
    check_result: credential.checkResult,
    created_at: isoOf(credential.createdAtMs),
    updated_at: isoOf(credential.updatedAtMs),
  }
}
