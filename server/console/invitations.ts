import { z } from 'zod'
import { makeId } from '../../db/model/ids.ts'
import type { AcceptRefusal, Invitation } from '../../db/stores/invitations.ts'
import type { Control, Log, Mail } from '../deps.ts'
import { type ErrorCode, GatewayError } from '../errors.ts'
import { refused, roleSchema } from './members.ts'
import { cut, idSchema, isoOf, pageInput, pageOf, timeSchema } from './page.ts'
import { newSecret, sha256Of } from './secret.ts'
import { open, personal, personOf, router, scoped } from './trpc.ts'

const VALID_MS = 7 * 24 * 3_600_000

const email = z.string().trim().toLowerCase().max(254).pipe(z.email())
const secret = z.string().regex(/^[A-Za-z0-9_-]{20,128}$/, 'This is not the secret of an invitation')
const statusSchema = z.enum(['open', 'expired', 'revoked', 'used'])
const offer = { email: z.string(), role: roleSchema, expires_at: timeSchema, status: statusSchema }

const invitationSchema = z.object({
  id: z.string(),
  ...offer,
  invited_by: z.object({ user_id: z.string(), email: z.string().nullable() }),
  created_at: timeSchema,
})

const tags = ['Invitations']

/** How people come into an organization: a secret link that works once, for seven days, for one e-mail address. */
export const invitations = router({
  list: scoped
    .meta({ openapi: { method: 'GET', path: '/invitations', tags, summary: 'List invitations', protect: true } })
    .input(z.object(pageInput))
    .output(pageOf(invitationSchema))
    .query(async ({ ctx, input: { limit, cursor = null } }) => {
      const nowMs = ctx.deps.clock.now()
      const rows = await ctx.control.stores.invitations.list(ctx.scope, { limit: limit + 1, after: cursor })
      const { data, next } = cut(rows, limit, (row) => row.id)
      return { data: data.map((row) => shown(row, nowMs)), next_cursor: next }
    }),

  create: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/invitations',
        tags,
        summary: 'Invite somebody',
        description: 'An open invitation of the same address is replaced. The link is shown here only, and mailed.',
        protect: true,
      },
    })
    .input(z.object({ email, role: roleSchema }))
    .output(
      z.object({
        id: z.string(),
        email: z.string(),
        role: roleSchema,
        expires_at: timeSchema,
        link: z.string().describe('Secret: who has it and this e-mail address can become a member'),
        mailed: z.boolean().describe('The link was taken by the mail server'),
      }),
    )
    .mutation(async ({ ctx, input }) => {
      const { change, control, deps, scope } = ctx
      const { secret, sha256 } = newSecret(deps.random)
      const id = makeId('inv', change.atMs, deps.random.bytes(16))
      const person = personOf(ctx)
      const expiresAtMs = change.atMs + VALID_MS
      const invitation = { ...input, id, secretSha256: sha256, byUserId: person.id, expiresAtMs }
      const refusal = await control.stores.invitations.create(change, invitation)
      if (refusal === 'already_member') throw new GatewayError(...ALREADY_MEMBER, { param: 'email' })
      if (refusal !== null) throw refused(refusal)
      const link = `${control.publicUrl()}/invitation?secret=${secret}`
      const organization = await control.stores.organizations.find(scope)
      const mail = mailOf({ to: input.email, link, by: person.email, organization: organization?.name ?? '' })
      return { id, ...input, expires_at: isoOf(expiresAtMs), link, mailed: await send(control, deps.log, mail) }
    }),

  revoke: scoped
    .meta({
      openapi: { method: 'DELETE', path: '/invitations/{id}', tags, summary: 'Revoke an invitation', protect: true },
    })
    .input(z.object({ id: idSchema }))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input }) => {
      const done = await ctx.control.stores.invitations.revoke(ctx.change, input.id)
      if (!done) throw new GatewayError('not_found', 'There is no such open invitation')
      return { ok: true }
    }),

  // A mutation for its method only: a secret in a body stays out of the logs that URLs are written to.
  preview: open
    .meta({
      openapi: {
        method: 'POST',
        path: '/invitations/preview',
        tags,
        summary: 'What an invitation is for',
        protect: false,
      },
    })
    .input(z.object({ secret }))
    .output(z.object({ organization_name: z.string(), ...offer }))
    .mutation(async ({ ctx, input }) => {
      const found = await ctx.control.stores.invitations.findBySecretHash(sha256Of(input.secret))
      if (found === null) throw new GatewayError(...REFUSALS.not_found)
      const { email, role, expires_at, status } = shown(found, ctx.deps.clock.now())
      return { organization_name: found.organizationName, email, role, expires_at, status }
    }),

  accept: personal
    .meta({
      openapi: { method: 'POST', path: '/invitations/accept', tags, summary: 'Accept an invitation', protect: true },
    })
    .input(z.object({ secret }))
    .output(z.object({ organization_id: z.string(), role: roleSchema }))
    .mutation(async ({ ctx, input }) => {
      const { change, control, person } = ctx
      // Without mail nobody can prove an address: then the link is all the proof there is.
      if (control.mail !== null && !person.emailVerified) {
        throw new GatewayError('insufficient_permissions', 'Confirm your e-mail address first; a mail tells you how')
      }
      const acceptance = { secretSha256: sha256Of(input.secret), userId: person.id, email: person.email }
      const answer = await control.stores.invitations.accept(change, acceptance)
      if (typeof answer === 'string') throw new GatewayError(...REFUSALS[answer])
      return { organization_id: answer.organizationId, role: answer.role }
    }),
})

const ALREADY_MEMBER = ['invalid_request', 'Whoever has this e-mail address is a member already'] as const

const REFUSALS: Readonly<Record<AcceptRefusal, readonly [code: ErrorCode, message: string]>> = {
  not_found: ['not_found', 'There is no such invitation; ask for a new one'],
  wrong_email: ['insufficient_permissions', 'This invitation is for another e-mail address: sign in with that one'],
  used: ['invalid_request', 'This invitation was used already; ask for a new one'],
  revoked: ['invalid_request', 'This invitation was revoked or replaced by a newer one'],
  expired: ['invalid_request', 'This invitation has expired; ask for a new one'],
  already_member: ['invalid_request', 'You are a member of this organization already'],
  inviter_gone: ['invalid_request', 'Who invited you can no longer give this role; ask for a new invitation'],
}

/** @returns false when there is no mail server, or it doesn't take the mail: the link can still be given by hand */
async function send({ mail }: Control, log: Log, content: Parameters<Mail['send']>[0]): Promise<boolean> {
  if (mail === null) return false
  try {
    await mail.send(content)
    return true
  } catch (cause) {
    log.warn('An invitation could not be mailed', { cause })
    return false
  }
}

function mailOf(facts: { to: string; link: string; by: string; organization: string }): Parameters<Mail['send']>[0] {
  const { to, link, by, organization } = facts
  const text = `${by} invites you to ${organization} on WatchLLM.

To accept, open this link and sign in, or sign up, with ${to}:

${link}

It works once, for seven days. If you don't know what this is about, do nothing.
`
  return { to, subject: `Invitation to ${organization}`, text }
}

function shown(row: Invitation, nowMs: number): z.output<typeof invitationSchema> {
  return {
    id: row.id,
    email: row.email,
    role: row.role,
    expires_at: isoOf(row.expiresAtMs),
    status: statusOf(row, nowMs),
    invited_by: { user_id: row.invitedBy, email: row.inviterEmail },
    created_at: isoOf(row.createdAtMs),
  }
}

function statusOf(row: Invitation, nowMs: number): z.output<typeof statusSchema> {
  if (row.acceptedAtMs !== null) return 'used'
  if (row.revokedAtMs !== null) return 'revoked'
  return row.expiresAtMs <= nowMs ? 'expired' : 'open'
}
