import { fallbacksOf } from '../../db/model/key-rules.ts'
import { lockedKeys } from '../accounts.ts'
import type { Admitted } from '../call.ts'
import { autoModels, modelOf, resolveModel } from '../catalog/catalog.ts'
import { equivalentsOf } from '../catalog/equivalents.ts'
import type { Deps } from '../deps.ts'
import { fallbackModelsIn } from '../fallbacks.ts'
import { orderChoices } from '../order.ts'
import { type Choice, type Chosen, isAllowed } from './choices.ts'
import { accountOf, canAnswer, isOpen } from './target.ts'

/** More than this are never asked for one call. */
const MOST_CHOICES = 6
/** Of the auto router's models, behind the first. */
const MOST_PICKS = 2

/**
 * All that a call may be answered by, in the order in which it is asked: the first choice, the same model elsewhere, then
 * what the request and the project name to fall back on.
 * @throws GatewayError `invalid_request` for a bad list of models
 */
export function choicesOf(call: Admitted, chosen: Chosen, deps: Deps): readonly Choice[] {
  const { first, others } = chosen
  const named = namedOf(call, chosen)
  if (others === 'none' || call.service.wire.pass !== undefined) return [first]
  const same = others === 'any' ? elsewhere(call, chosen, deps) : []
  if (named.length === 0 && same.length === 0) return [first]
  const usable = (one: Choice): boolean => mayBeAsked(call, one, deps)
  const all = [...inOrder(call, [first, ...same.filter(usable)], deps), ...named.filter(usable)]
  const isNew = (one: Choice, at: number): boolean =>
    all.findIndex(({ provider, model }) => provider === one.provider && model === one.model) === at
  return all.filter(isNew).slice(0, MOST_CHOICES)
}

function mayBeAsked(call: Admitted, choice: Choice, deps: Deps): boolean {
  const { rules = null } = call.principal
  return (rules === null || isAllowed(call, rules, choice)) && canAnswer(call, choice, deps)
}

/** What the request names itself, then what the project names for the model. */
function namedOf({ ask, principal }: Admitted, { first, found, task }: Chosen): Choice[] {
  // OpenRouter's own list is OpenRouter's to read: its names aren't ours.
  const said = first.provider === 'openrouter' ? [] : fallbackModelsIn(ask)
  const project = task === null ? fallbacksOf(principal.rules?.routing ?? null, ask.model, found) : []
  const choice = (name: string, rule: string): Choice[] => {
    const model = resolveModel(name)
    return model === null ? [] : [{ provider: model.provider, model: model.model, rule }]
  }
  return [...said.flatMap((name) => choice(name, 'models')), ...project.flatMap((name) => choice(name, 'fallback'))]
}

/** The same model at other providers, those of the project's chain first; of the auto router, its next best. */
function elsewhere(call: Admitted, { first, task }: Chosen, deps: Deps): Choice[] {
  const routing = call.principal.rules?.routing ?? null
  if (task !== null) {
    const picks = autoModels(task, (id) => isOpen(accountOf(call, id, deps), id, deps))
    const rest = picks.filter(({ provider, configured }) => configured && provider !== first.provider)
    return rest.slice(0, MOST_PICKS).map(({ provider, model }) => ({ provider, model, rule: first.rule }))
  }
  const same = equivalentsOf(first.provider, first.model)
  const chain = (routing?.chain ?? []).flatMap((provider): Choice[] => {
    if (provider === first.provider) return []
    const model = same.find((one) => one.provider === provider)?.model ?? modelOf(`${provider}/${first.model}`)?.id
    return model === undefined ? [] : [{ provider, model, rule: 'chain' }]
  })
  if (routing?.equivalents === false) return chain
  // Whoever has brought a key of its own isn't moved to the platform's without having said so.
  const locked = lockedKeys(call.principal, first.provider, deps)
  const isOwn = locked === 'own' || accountOf(call, first.provider, deps)?.own === true
  const others = same.filter(({ provider }) => !isOwn || accountOf(call, provider, deps)?.own === true)
  return [...chain, ...others.map(({ provider, model }) => ({ provider, model, rule: 'equivalent' }))]
}

/** By the project's policy, unless a provider is preferred or the auto router has chosen. */
function inOrder(call: Admitted, choices: readonly Choice[], deps: Deps): readonly Choice[] {
  const policy = call.principal.rules?.routing?.policy ?? 'order'
  if (policy === 'order' || call.principal.rules?.prefers != null) return choices
  const ordered = orderChoices(choices, {
    policy,
    priceOf: ({ provider, model }) => deps.prices.priceOf(provider, model, call.receivedAtMs),
    speedOf: ({ provider, model }) => deps.speeds?.firstByteMs(provider, model) ?? null,
  })
  const first = ordered[0]!
  return first === choices[0] ? ordered : [{ ...first, rule: policy }, ...ordered.slice(1)]
}
