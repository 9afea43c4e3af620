import { z } from 'zod'
import { displayPrefix, type KeyKind, makeId } from '../../db/model/ids.ts'
import type { StoredKey } from '../../db/stores/keys.ts'
import type { Random } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { cut, idSchema, isoOf, lineSchema, pageInput, pageOf, timeSchema } from './page.ts'
import { newSecret } from './secret.ts'
import { keySettings, keySettingsInput, readKeySettings, shownKeySettings } from './settings.ts'
import { type Context, personOf, router, scoped, type Within } from './trpc.ts'

const KINDS = ['project', 'test'] as const
const MONTH_S = 2_592_000

const keySchema = z.object({
  id: z.string(),
  project_id: z.string(),
  name: z.string(),
  kind: z.enum(KINDS).describe('`test`: answered by the sandbox, free'),
  display_prefix: z.string().describe('What may be shown of the secret'),
  settings: keySettings,
  created_by: z.string().nullable().describe('A user’s id; null: made at the start'),
  created_at: timeSchema,
  expires_at: timeSchema.nullable(),
  revoked_at: timeSchema.nullable(),
  last_used_at: timeSchema.nullable().describe('To about a quarter of a minute'),
  previous_valid_until: timeSchema
    .nullable()
    .describe('Until when a secret from before a rotation works; null: none does'),
})

const nameSchema = lineSchema.pipe(z.string().max(100))
const expirySchema = z.iso.datetime({ offset: true }).nullable().describe('Null: never')
const placeInput = { id: idSchema.describe('The project’s'), key_id: idSchema }

const secretSchema = z.object({
  id: z.string(),
  name: z.string(),
  key: z.string().describe('The secret, shown here only'),
  created_at: timeSchema,
})

const tags = ['API keys']

/** API keys of the data plane. */
export const keys = router({
  list: scoped
    .meta({
      openapi: {
        method: 'GET',
        path: '/projects/{id}/keys',
        tags,
        summary: 'List the keys of a project',
        description: 'In the order of their making, revoked and expired ones too.',
        protect: true,
      },
    })
    .input(z.object({ id: idSchema, ...pageInput }))
    .output(pageOf(keySchema))
    .query(async ({ ctx, input: { id, limit, cursor = null } }) => {
      await requireProject(ctx, id)
      const rows = await ctx.control.stores.keys.list(ctx.scope, id, { after: cursor, limit: limit + 1 })
      const { data, next } = cut(rows, limit, (row) => row.id)
      const nowMs = ctx.deps.clock.now()
      return { data: data.map((key) => shown(key, nowMs)), next_cursor: next }
    }),

  create: scoped
    .meta({ openapi: { method: 'POST', path: '/projects/{id}/keys', tags, summary: 'Make a key', protect: true } })
    .input(
      z.object({
        id: idSchema.describe('The project’s'),
        name: nameSchema,
        kind: z.enum(KINDS).default('project').describe('`test`: answered by the sandbox, free'),
        expires_at: expirySchema.default(null),
        settings: keySettingsInput.default({}),
      }),
    )
    .output(secretSchema)
    .mutation(async ({ ctx, input: { id: projectId, name, kind, expires_at, settings } }) => {
      const { change, control, deps } = ctx
      const { archivedAtMs } = await requireProject(ctx, projectId)
      if (archivedAtMs !== null) {
        throw new GatewayError('invalid_request', 'This project is archived: revive it before you make keys for it')
      }
      const { secret, ...stored } = secretOf(kind, deps.random)
      const made = await control.stores.keys.create(change, {
        id: makeId('key', change.atMs, deps.random.bytes(16)),
        projectId,
        name,
        kind,
        ...stored,
        expiresAtMs: readExpiry(expires_at, change.atMs),
        settings: readKeySettings(settings, deps),
        createdBy: personOf(ctx).id,
        nowMs: change.atMs,
      })
      if (made === null) throw noProject()
      return { id: made.id, name, key: secret, created_at: isoOf(made.createdAtMs) }
    }),

  update: scoped
    .meta({
      openapi: {
        method: 'PATCH',
        path: '/projects/{id}/keys/{key_id}',
        tags,
        summary: 'Change a key',
        description: 'What is left out stays as it is, within the settings too. It holds everywhere within a second.',
        protect: true,
      },
    })
    .input(
      z.object({
        ...placeInput,
        name: nameSchema.optional(),
        expires_at: expirySchema.optional(),
        settings: keySettingsInput.optional(),
      }),
    )
    .output(keySchema)
    .mutation(async ({ ctx, input: { id: projectId, key_id: keyId, name, expires_at, settings } }) => {
      const { change, control, deps } = ctx
      const changes = {
        ...(name === undefined ? {} : { name }),
        ...(expires_at === undefined ? {} : { expiresAtMs: readExpiry(expires_at, change.atMs) }),
        ...(settings === undefined ? {} : { settings: readKeySettings(settings, deps) }),
      }
      const changed = await control.stores.keys.update(change, { projectId, keyId }, changes)
      if (changed === null) throw noKey()
      return shown(changed, change.atMs)
    }),

  rotate: scoped
    .meta({
      openapi: {
        method: 'POST',
        path: '/projects/{id}/keys/{key_id}/rotate',
        tags,
        summary: 'Give a key another secret',
        description:
          'The present secret works until the grace is over, those from before until theirs is. Without a grace, it and all from before stop at once.',
        protect: true,
      },
    })
    .input(z.object({ ...placeInput, grace_seconds: z.number().int().min(0).max(MONTH_S).default(0) }))
    .output(secretSchema.extend({ previous_valid_until: timeSchema.nullable() }))
    .mutation(async ({ ctx, input: { id: projectId, key_id: keyId, grace_seconds } }) => {
      const { change, control, deps, scope } = ctx
      const place = { projectId, keyId }
      const old = await control.stores.keys.find(scope, place)
      if (old === null) throw noKey()
      const { secret, ...next } = secretOf(old.kind, deps.random)
      const done = await control.stores.keys.rotate(change, place, { ...next, graceMs: grace_seconds * 1000 })
      if (done === null) throw noKey()
      const { key, rotated } = done
      if (!rotated) throw new GatewayError('invalid_request', 'This key is revoked or has expired: make another one')
      const { id, name, created_at, previous_valid_until } = shown(key, change.atMs)
      return { id, name, key: secret, created_at, previous_valid_until }
    }),

  revoke: scoped
    .meta({
      openapi: {
        method: 'DELETE',
        path: '/projects/{id}/keys/{key_id}',
        tags,
        summary: 'Revoke a key',
        description: 'It stops for good, with all its secrets, everywhere within a second.',
        protect: true,
      },
    })
    .input(z.object(placeInput))
    .output(z.object({ ok: z.literal(true) }))
    .mutation(async ({ ctx, input: { id: projectId, key_id: keyId } }) => {
      const ended = await ctx.control.stores.keys.revoke(ctx.change, { projectId, keyId })
      if (ended === null) throw noKey()
      return { ok: true }
    }),
})

function noProject(): GatewayError {
  return new GatewayError('not_found', 'There is no such project')
}

function noKey(): GatewayError {
  return new GatewayError('not_found', 'There is no such key in this project')
}

async function requireProject({ control, scope }: Context & Within, id: string) {
  const project = await control.stores.projects.find(scope, id)
  if (project === null) throw noProject()
  return project
}

function secretOf(kind: KeyKind, random: Random) {
  const { secret, sha256 } = newSecret(random, kind === 'test' ? 'lgw_test_' : 'lgw_proj_')
  return { secret, secretSha256: sha256, displayPrefix: displayPrefix(secret) }
}

/** @throws GatewayError `invalid_request` for a time that is past */
function readExpiry(text: string | null, nowMs: number): number | null {
  if (text === null) return null
  const atMs = Date.parse(text)
  if (atMs > nowMs) return atMs
  throw new GatewayError('invalid_request', 'This time is past: revoke the key to end it now', { param: 'expires_at' })
}

function shown(key: StoredKey, nowMs: number): z.output<typeof keySchema> {
  const { graceUntilMs } = key
  return {
    id: key.id,
    project_id: key.projectId,
    name: key.name,
    kind: key.kind,
    display_prefix: key.displayPrefix,
    settings: shownKeySettings(key.settings),
    created_by: key.createdBy,
    created_at: isoOf(key.createdAtMs),
    expires_at: isoOf(key.expiresAtMs),
    revoked_at: isoOf(key.revokedAtMs),
    last_used_at: isoOf(key.lastUsedAtMs),
    previous_valid_until: isoOf(graceUntilMs !== null && graceUntilMs > nowMs ? graceUntilMs : null),
  }
}
