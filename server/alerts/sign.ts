import { Buffer } from 'node:buffer'
import { createHmac } from 'node:crypto'
import type { Random } from '../deps.ts'

/** Of the specification's 24 to 64. */
const SECRET_BYTES = 32
const PREFIX = 'whsec_'

/** A new secret of a webhook endpoint: `whsec_` and base64, as libraries for Standard Webhooks read it. */
export function newWebhookSecret(random: Random): string {
  return PREFIX + Buffer.from(random.bytes(SECRET_BYTES)).toString('base64')
}

export interface Signed {
  readonly id: string
  readonly body: string
  readonly atMs: number
  /** One signature each: while a secret is replaced, both are known to some receiver. */
  readonly secrets: readonly string[]
}

/**
 * The three headers that prove where a message comes from and when: name, value, name, value.
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signatureHeaders({ id, body, atMs, secrets }: Signed): readonly string[] {
  const seconds = Math.floor(atMs / 1000)
  const content = `${id}.${seconds}.${body}`
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64')
    return `v1,${createHmac('sha256', key).update(content).digest('base64')}`
  })
  return ['webhook-id', id, 'webhook-timestamp', String(seconds), 'webhook-signature', signatures.join(' ')]
}
