import { z } from 'zod'
import type { Change, Scope } from '../../db/model/access.ts'
import {
  createCredential,
  deleteCredential,
  type Held,
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
import { idSchema } from './page.ts'
import { type Context, router, scoped } from './trpc.ts'

const tags = ['Provider credentials']
const id = idSchema.describe('Of the project')
const path = '/projects/{id}/providers'

function meta(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  below: '' | '/{provider}' | '/{provider}/test',
  summary: string,
) {
  return { openapi: { method, path: `${path}${below}` as const, tags, summary, protect: true } }
}

/** A project's own keys at providers: calls of the project go with them, and nothing is charged for those. */
export const credentials = router({
  list: scoped
    .meta(meta('GET', '', 'List the provider keys of a project'))
    .input(z.object({ id }))
    .output(credentialListSchema)
    .query(({ ctx, input }) => listCredentials(of(ctx, input))),

  create: scoped
    .meta(meta('POST', '', 'Add a provider key to a project, after a test call with it'))
    .input(z.object({ id, ...newCredentialInput }))
    .output(credentialSchema)
    .mutation(({ ctx, input }) => createCredential(of(ctx, input), input)),

  update: scoped
    .meta(meta('PATCH', '/{provider}', 'Change a provider key of a project'))
    .input(z.object({ id, provider: givenCredential, ...credentialEditInput }))
    .output(credentialSchema)
    .mutation(({ ctx, input }) => updateCredential(of(ctx, input), input.provider, input)),

  test: scoped
    .meta(meta('POST', '/{provider}/test', 'Make a test call with a provider key of a project'))
    .input(z.object({ id, provider: givenCredential }))
    .output(testedSchema)
    .mutation(({ ctx, input }) => testCredential(of(ctx, input), input.provider)),

  delete: scoped
    .meta(meta('DELETE', '/{provider}', 'Delete a provider key of a project, or all of a provider'))
    .input(z.object({ id, provider: givenCredential }))
    .output(deletedSchema)
    .mutation(({ ctx, input }) => deleteCredential(of(ctx, input), input.provider)),
})

function of(ctx: Context & { readonly scope: Scope; readonly change: Change }, input: { readonly id: string }): Held {
  return { ctx, holder: { scope: ctx.scope, projectId: input.id } }
}
