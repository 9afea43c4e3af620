import { z } from 'zod'
import { isAtLeast, type Role } from '../../db/model/access.ts'
import type { BodyRules, ProjectSettings } from '../../db/model/settings.ts'
import { GatewayError } from '../errors.ts'

const KIBIBYTE = 1024

/** How a project has what is said in its calls kept, as the API says it. */
export const bodyLogging = z
  .strictObject({
    days: z.number().int().min(1).max(90).describe('Then they are deleted for good'),
    redact: z
      .boolean()
      .describe(
        'Keys, tokens, e-mail addresses, phone, card and account numbers, and media are taken out before anything is stored; what was changed by it can’t be replayed',
      ),
    max_bytes: z
      .number()
      .int()
      .min(KIBIBYTE)
      .max(KIBIBYTE * KIBIBYTE)
      .describe('Of each request and each answer; what is longer is cut, and can’t be replayed'),
  })
  .nullable()
  .describe(
    'What callers send and get is kept, sealed, for so long; null: it is not. Only admins turn it on or change it, and what is there when it is turned off stays for its time',
  )

export function readBodyLogging(said: z.output<typeof bodyLogging>): BodyRules | null {
  return said === null ? null : { days: said.days, redact: said.redact, maxBytes: said.max_bytes }
}

export function shownBodyLogging(rules: BodyRules | null): z.output<typeof bodyLogging> {
  return rules === null ? null : { days: rules.days, redact: rules.redact, max_bytes: rules.maxBytes }
}

/**
 * Whether prompts are kept is no setting like the others: members may change those.
 * @param before as it is stored; null: of a project that isn't there yet
 * @throws GatewayError `insufficient_permissions`
 */
export function requireBodyLogging(
  role: Role | null,
  before: Partial<ProjectSettings> | null,
  wanted: BodyRules | null | undefined,
): void {
  if (wanted === undefined || (role !== null && isAtLeast(role, 'admin'))) return
  const { bodyLogging: is = null } = before ?? {}
  if (JSON.stringify(shownBodyLogging(is)) === JSON.stringify(shownBodyLogging(wanted))) return
  throw new GatewayError('insufficient_permissions', 'Whether bodies are logged is for admins to say', {
    param: 'settings.body_logging',
  })
}
