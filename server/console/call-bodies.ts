import { z } from 'zod'
import { type BodySide, callBodyContext, type KeptBody, type KeptCall } from '../../db/model/call-bodies.ts'
import type { Control } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { idSchema, isoOf, timeSchema } from './page.ts'
import { router, scoped } from './trpc.ts'

const tags = ['Usage']

const bodySchema = z.object({
  text: z.string().nullable().describe('Null: there was nothing, or nothing that is text'),
  content_type: z.string().nullable(),
  bytes: z.number().int().min(0).describe('Of all that was sent, kept or not'),
  truncated: z.boolean().describe('The text is only the beginning'),
  redacted: z.boolean().describe('Something was taken out of the text'),
})

const callSchema = z.object({
  id: z.string(),
  endpoint: z.string(),
  model: z.string().describe('As the request named it'),
  stream: z.boolean(),
  request: bodySchema,
  answer: bodySchema,
  created_at: timeSchema,
  expires_at: timeSchema.describe('Then it is deleted'),
})

const input = z.object({ id: idSchema, call_id: idSchema })

/** What was said in calls, of projects that have it kept. */
export const callBodies = router({
  get: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/projects/{id}/usage/{call_id}/bodies',
        tags,
        summary: 'Read what was said in a call',
        description: 'Each reading is in the audit log. What was said is here within a second of the end of its call.',
        protect: true,
      },
    })
    .input(input)
    .output(callSchema)
    .query(async ({ ctx, input: { id, call_id } }) => {
      const { stores, vault } = ctx.control
      const kept = await stores.callBodies.read(ctx.change, { projectId: id, callId: call_id })
      if (kept === null) throw notKept()
      return shown(kept, vault)
    }),

  delete: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/projects/{id}/usage/{call_id}/bodies',
        tags,
        summary: 'Delete what was said in a call',
        description: 'For good. The call itself stays in the log.',
        protect: true,
      },
    })
    .input(input)
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input: { id, call_id } }) => {
      const done = await ctx.control.stores.callBodies.delete(ctx.change, { projectId: id, callId: call_id })
      if (!done) throw notKept()
      return { ok: true }
    }),
})

function notKept(): GatewayError {
  return new GatewayError('not_found', 'Nothing that was said in this call is kept')
}

function shown(kept: KeptCall, vault: Control['vault']): z.output<typeof callSchema> {
  return {
    id: kept.callId,
    endpoint: kept.endpoint,
    model: kept.model,
    stream: kept.stream,
    request: body(kept, 'request', vault),
    answer: body(kept, 'answer', vault),
    created_at: isoOf(kept.createdAtMs),
    expires_at: isoOf(kept.expiresAtMs),
  }
}

/** @throws GatewayError `service_unavailable` where no master secret of this process opens it */
function body(
  { projectId, callId, ...sides }: KeptCall,
  side: BodySide,
  vault: Control['vault'],
): z.output<typeof bodySchema> {
  const { text, contentType, ...rest }: KeptBody = sides[side]
  try {
    const opened = text === null ? null : vault.open(text, callBodyContext(projectId, callId, side))
    return { text: opened, content_type: contentType, ...rest }
  } catch (cause) {
    const says = 'What was said can not be opened: whoever runs this gateway must add the secret it was sealed with'
    throw new GatewayError('service_unavailable', says, { cause })
  }
}
