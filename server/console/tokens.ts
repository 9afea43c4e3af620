import { z } from 'zod'
import { isAtLeast, type Role } from '../../db/model/access.ts'
import { displayPrefix, makeId } from '../../db/model/ids.ts'
import type { Token } from '../../db/stores/tokens.ts'
import type { Person } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { ACCESS, type Rule, TOKEN_SCOPES, type TokenScope } from './access.ts'
import { cut, idSchema, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { newSecret } from './secret.ts'
import { personOf, router, scoped } from './trpc.ts'

const DAY_MS = 24 * 3_600_000

const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  user_id: z.string(),
  email: z.string().describe('Of whom it is'),
  display_prefix: z.string(),
  scopes: z.array(z.string()),
  created_at: timeSchema,
  expires_at: timeSchema.nullable(),
  last_used_at: timeSchema.nullable(),
  revoked_at: timeSchema.nullable(),
})

const tags = ['Access tokens']

/** Personal access tokens: a person's rights in one organization, cut down to scopes, for tools. */
export const tokens = router({
  list: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/tokens',
        tags,
        summary: 'List access tokens',
        description: 'Your own; for admins and owners all of the organization.',
        protect: true,
      },
    })
    .input(z.object(pageInput))
    .output(pageOf(tokenSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const page = { limit: limit + 1, after: cursor, userId: ownOnly(ctx.role, personOf(ctx)) }
      const rows = await ctx.control.stores.tokens.list(ctx.scope, page)
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map(shown), next_cursor: next }
    }),

  create: scoped
    .meta({ openapi: { method: 'POST', path: '/tokens', tags, summary: 'Make an access token', protect: true } })
    .input(
      z.object({
        name: lineSchema.pipe(z.string().max(100)),
        scopes: z.array(z.enum(TOKEN_SCOPES)).min(1).max(TOKEN_SCOPES.length).describe('`write` includes `read`'),
        expires_in_days: z.number().int().min(1).max(365).default(90),
      }),
    )
    .output(
      z.object({
        id: z.string(),
        name: z.string(),
        token: z.string().describe('Shown here only'),
        scopes: z.array(z.string()),
        created_at: timeSchema,
        expires_at: timeSchema,
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { change, control, deps } = ctx
      const person = personOf(ctx)
      const scopes = [...new Set(input.scopes)]
      const beyond = scopes.filter((scope) => !reaches(scope, ctx.role, person))
      if (beyond.length > 0) {
        const message = `Your role does not reach these scopes: ${beyond.join(', ')}`
        throw new GatewayError('insufficient_permissions', message, { param: 'scopes' })
      }
      const { secret, sha256 } = newSecret(deps.random, 'lgw_pat_')
      const id = makeId('tok', change.atMs, deps.random.bytes(16))
      const expiresAtMs = change.atMs + input.expires_in_days * DAY_MS
      const made = await control.stores.tokens.create(change, {
        id,
        userId: person.id,
        name: input.name,
        scopes,
        secretSha256: sha256,
        displayPrefix: displayPrefix(secret),
        expiresAtMs,
      })
      if (!made) throw new GatewayError('insufficient_permissions', 'You are no member of this organization')
      const times = { created_at: isoOf(change.atMs), expires_at: isoOf(expiresAtMs) }
      return { id, name: input.name, token: secret, scopes, ...times }
    }),

  revoke: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/tokens/{id}',
        tags,
        summary: 'Revoke an access token',
        description: 'Your own; admins and owners can revoke any of the organization. It ends at once, everywhere.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema }))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      const which = { id: input.id, userId: ownOnly(ctx.role, personOf(ctx)) }
      const done = await ctx.control.stores.tokens.revoke(ctx.change, which)
      if (!done) throw new GatewayError('not_found', 'There is no such live token')
      return { ok: true }
    }),
})

/** Whose tokens somebody may see to; null: everybody's. */
function ownOnly(role: Role | null, person: Person): string | null {
  return role !== null && isAtLeast(role, 'admin') ? null : person.id
}

/** Whether a person with this role may call anything that a token needs the scope for. */
function reaches(scope: TokenScope, role: Role | null, person: Person): boolean {
  const rules: readonly Rule[] = Object.values(ACCESS)
  return rules.some(({ who, scope: needed }) => {
    if (needed !== scope) return false
    if (who === 'operator') return person.operator
    return who === 'user' || who === 'anyone' || (role !== null && isAtLeast(role, who))
  })
}

function shown(token: Token): z.output<typeof tokenSchema> {
  return {
    id: token.id,
    name: token.name,
    user_id: token.userId,
    email: token.email,
    display_prefix: token.displayPrefix,
    scopes: [...token.scopes],
    created_at: isoOf(token.createdAtMs),
    expires_at: isoOf(token.expiresAtMs),
    last_used_at: isoOf(token.lastUsedAtMs),
    revoked_at: isoOf(token.revokedAtMs),
  }
}
