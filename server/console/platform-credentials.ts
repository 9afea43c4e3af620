import { z } from 'zod'
import {
  createCredential,
  deleteCredential,
  listCredentials,
  testCredential,
  updateCredential,
} from './credential-actions.ts'
import {
  credentialEditInput,
  credentialListSchema,
  credentialSchema,
  deletedSchema,
  givenCredential,
  newCredentialInput,
  testedSchema,
} from './credential-shapes.ts'
import { operating } from './trpc.ts'

const tags = ['Platform']
const path = '/platform/providers'
const holder = 'platform'

function meta(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  below: '' | '/{provider}' | '/{provider}/test',
  summary: string,
) {
  return { openapi: { method, path: `${path}${below}` as const, tags, summary, protect: true } }
}

/** The keys that calls of all projects go with which have none of their own, beside those of the environment. */
export const platformCredentialProcedures = {
  credentials: operating
    .meta(meta('GET', '', 'List the provider keys of the platform'))
    .input(z.object({}))
    .output(credentialListSchema)
    .query(({ ctx }) => listCredentials({ ctx, holder })),

  createCredential: operating
    .meta(meta('POST', '', 'Add a provider key to the platform, after a test call with it'))
    .input(z.object(newCredentialInput))
    .output(credentialSchema)
    .mutation(({ ctx, input }) => createCredential({ ctx, holder }, input)),

  updateCredential: operating
    .meta(meta('PATCH', '/{provider}', 'Change a provider key of the platform'))
    .input(z.object({ provider: givenCredential, ...credentialEditInput }))
    .output(credentialSchema)
    .mutation(({ ctx, input }) => updateCredential({ ctx, holder }, input.provider, input)),

  testCredential: operating
    .meta(meta('POST', '/{provider}/test', 'Make a test call with a provider key of the platform'))
    .input(z.object({ provider: givenCredential }))
    .output(testedSchema)
    .mutation(({ ctx, input }) => testCredential({ ctx, holder }, input.provider)),

  deleteCredential: operating
    .meta(meta('DELETE', '/{provider}', 'Delete a provider key of the platform, or all of a provider'))
    .input(z.object({ provider: givenCredential }))
    .output(deletedSchema)
    .mutation(({ ctx, input }) => deleteCredential({ ctx, holder }, input.provider)),

  resealSecrets: operating
    .meta({
      openapi: {
        method: 'POST',
        path: '/platform/reseal',
        tags,
        summary: 'Seal again with the newest master secret what an older one has sealed',
        protect: true,
      },
    })
    .input(
      z.object({
        limit: z.number().int().min(1).max(100_000).default(10_000).describe('Envelopes; call again until "done"'),
      }),
    )
    .output(
      z.object({
        columns: z.array(
          z.object({
            table: z.string(),
            column: z.string(),
            resealed: z.number().int(),
            unreadable: z.number().int().describe('No master secret opens these: they stay as they are'),
          }),
        ),
        done: z.boolean().describe('All has been looked at: once nothing is unreadable, older secrets can go'),
      }),
    )
    .mutation(async ({ ctx, input: { limit } }) => {
      const { stores, vault } = ctx.control
      const { columns, done } = await stores.sealed.reseal(ctx.change, vault, limit)
      return { columns: columns.map((one) => ({ ...one })), done }
    }),
}
