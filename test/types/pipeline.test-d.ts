import type { Admitted, Answered, Asked, Known, Received, Routed, StreamSource } from '../../server/call.ts'
import type { Deps } from '../../server/deps.ts'
import { admit } from '../../server/stages/admit.ts'
import { authenticate } from '../../server/stages/authenticate.ts'
import { dispatch } from '../../server/stages/dispatch.ts'
import { settle } from '../../server/stages/meter.ts'
import { prepare } from '../../server/stages/prepare.ts'
import { read } from '../../server/stages/read.ts'
import { type Metering, relay } from '../../server/stages/relay.ts'
import { respondError, respondStream, respondWhole } from '../../server/stages/respond.ts'
import { route } from '../../server/stages/route.ts'

/**
 * The order of the stages is held by the compiler. Nothing here runs: `tsc` checks that the right order compiles, and
 * that every line under `@ts-expect-error` does not.
 */

declare const deps: Deps
declare const received: Received
declare const known: Known
declare const asked: Asked
declare const admitted: Admitted
declare const routed: Routed
declare const answered: Answered
declare const streaming: Answered & { readonly answer: StreamSource }
declare const metering: Metering

/** The one order there is. */
export async function inOrder(): Promise<Answered> {
  const admitted = await admit(await read(await authenticate(received, deps), deps), deps)
  return dispatch(prepare(route(admitted, deps), deps), deps)
}

/** A call that has come further may go where it could have gone before. */
export const again: Promise<Known> = authenticate(answered, deps)

export function outOfOrder(): unknown[] {
  return [
    // @ts-expect-error no body is read before the key is known
    read(received, deps),
    // @ts-expect-error nothing is admitted before its key is known
    admit(received, deps),
    // @ts-expect-error a body that can't be read takes nothing from the limit
    admit(known, deps),
    // @ts-expect-error no target is chosen for a stranger
    route(received, deps),
    // @ts-expect-error no target is chosen before the body is read
    route(known, deps),
    // @ts-expect-error no target is chosen before the limit is asked
    route(asked, deps),
    // @ts-expect-error no provider is called for a stranger
    dispatch(received, deps),
    // @ts-expect-error no provider is called without a body
    dispatch(known, deps),
    // @ts-expect-error no provider is called past the limit
    dispatch(asked, deps),
    // @ts-expect-error no provider is called without a target
    dispatch(admitted, deps),
    // @ts-expect-error no provider is called with a request that was not made for it
    dispatch(routed, deps),
    // @ts-expect-error no request is made without a target
    prepare(admitted, deps),
    // @ts-expect-error there is no stream to pass on before the provider has answered
    relay(routed, deps, metering),
    // @ts-expect-error a whole answer is no stream
    relay(answered, deps, metering),
    // @ts-expect-error no stream is opened before the provider has answered
    respondStream(routed, () => {}, deps),
    // @ts-expect-error no answer leaves before it is settled
    respondWhole(answered, null, ''),
  ]
}

/** Errors and settling take a call from anywhere on the line. */
export function fromAnywhere(): unknown[] {
  const found = null
  const error = new Error('not ours') as never
  const ending = { outcome: 'done', status: 200, errorCode: null, metered: null, providerEndedAt: null } as const
  const calls = [received, known, asked, admitted, routed, answered]
  return [
    ...calls.map((call) => respondError(call, error, found)),
    ...calls.map((call) => settle(call, ending, deps)),
    relay(streaming, deps, metering),
  ]
}

export function onlyGrows(): void {
  // @ts-expect-error nobody takes back whose call it is
  known.principal = null
  // @ts-expect-error nobody swaps the target under way
  routed.target = answered.target
  // @ts-expect-error nobody changes what was asked
  asked.ask.model = 'another'
}
