import { type Admitted, grow, type Routed, type Target } from '../call.ts'
import { counter } from '../counter.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { choicesOf } from '../routing/alternatives.ts'
import { type Choice, choose } from '../routing/choices.ts'
import { countHere, targetsOf } from '../routing/target.ts'

/** No call is tried more often. */
const MOST_TARGETS = 8

/**
 * Model -> targets, in the order in which they are asked: the first, and what may answer in its place.
 * @throws GatewayError `invalid_model`, `model_not_allowed`, `no_provider_key`, `provider_paused`, `invalid_request`
 */
export function route(call: Admitted, deps: Deps): Routed {
  const targets = allOf(call, deps)
  return grow(call, { target: targets[0]!, targets })
}

function allOf(call: Admitted, deps: Deps): readonly Target[] {
  // Nobody is asked: the model may be any, or none.
  if (call.service.wire.id === 'openai-input-tokens') {
    return [countHere(call, { provider: counter.id, model: call.ask.model, rule: 'counter' })]
  }
  const choices = choicesOf(call, choose(call, deps), deps)
  if (choices.length === 1) return restingLast(targetsOf(call, choices[0]!, deps), deps)
  return restingLast(reachable(call, choices, deps).slice(0, MOST_TARGETS), deps)
}

/** Choices that can't be asked are passed over. @throws GatewayError why the first can't, when none can */
function reachable(call: Admitted, choices: readonly Choice[], deps: Deps): Target[] {
  const targets: Target[] = []
  let error: GatewayError | null = null
  for (const choice of choices) {
    try {
      targets.push(...targetsOf(call, choice, deps))
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown
      error ??= thrown
    }
  }
  if (targets.length === 0) throw error
  return targets
}

/** Accounts that failed too often come behind those that didn't. */
function restingLast(targets: readonly Target[], { breaker }: Deps): readonly Target[] {
  if (breaker === undefined || targets.length === 1) return targets
  const rests = ({ provider, account }: Target): boolean => breaker.isOpen(provider.id, account.id)
  if (!targets.some(rests)) return targets
  return [...targets.filter((target) => !rests(target)), ...targets.filter(rests)]
}
