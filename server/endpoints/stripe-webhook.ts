import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { BodyBroken, BodyTooLarge, type Incoming, type Reply } from '../http.ts'
import { json } from './reply.ts'

const MAX_BODY_BYTES = 1024 * 1024

/** `POST /api/webhooks/stripe`: 200 once the event is kept. The signature is all that says who sends it. */
export async function stripeWebhook(incoming: Incoming, deps: Deps): Promise<Reply> {
  const billing = deps.control?.billing ?? null
  if (billing === null) throw new GatewayError('service_unavailable', 'Billing is not configured on this gateway')
  await billing.receive(await bodyOf(incoming), incoming.header('stripe-signature'))
  return json(deps, { received: true })
}

async function bodyOf(incoming: Incoming): Promise<Uint8Array> {
  try {
    return await incoming.body(MAX_BODY_BYTES)
  } catch (thrown) {
    if (thrown instanceof BodyTooLarge) {
      throw new GatewayError('request_too_large', `The body exceeds ${MAX_BODY_BYTES} bytes`)
    }
    if (thrown instanceof BodyBroken) throw new GatewayError('invalid_request', 'The body broke off')
    throw thrown
  }
}
