import { type Answered, grow, type Prepared, type Routed, type WholeAnswer } from '../call.ts'
import type { Deps } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import { nonsense } from '../failure.ts'
import { partIncoming } from '../routing/apart.ts'
import { sumOf } from '../wire/metered.ts'
import { type Answer, AnswerError, type Ask, type Batches, type PartAnswer, WireError } from '../wire/wire.ts'

/** So many parts of one call are on their way at a time. */
const AT_ONCE = 4

/** The two stages that each part goes through, handed in by the pipeline. */
export interface Exchange {
  prepare(call: Routed): Prepared
  dispatch(call: Prepared): Promise<Answered>
}

/**
 * The request in parts, where the provider takes no more inputs at a time; null: it goes as it is.
 * @throws GatewayError `invalid_request` when there would be too many
 */
export function partsOf({ target, ask }: Routed): readonly Ask[] | null {
  const limit = target.provider.quirks?.maxEmbeddingInputs
  if (limit === undefined || target.wire.batches === undefined) return null
  try {
    return target.wire.batches.split(ask, limit.most)
  } catch (error) {
    if (error instanceof WireError) throw new GatewayError('invalid_request', error.message, { param: error.param })
    throw error
  }
}

/**
 * One call whose parts go to the provider one by one, a few at a time, and come back as one answer. When one fails the
 * call fails: what is on its way is given up, no more is asked, and what was answered by then is on the call as `spent`,
 * since the provider has charged for it.
 */
export async function gather(
  call: Routed,
  { parts, exchange }: { readonly parts: readonly Ask[]; readonly exchange: Exchange },
  deps: Deps,
): Promise<Answered> {
  const { incoming, group } = partIncoming(call.incoming)
  const { prepare, dispatch } = exchange
  const done: (PartDone | undefined)[] = parts.map(() => undefined)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < parts.length && !group.isOver) {
      const at = next++
      const ask = parts[at]!
      // A part is a call of its own: the whole one must not grow by what happens to it.
      const answered = await dispatch(prepare({ ...call, ask, incoming }))
      done[at] = { ask, answered, answer: (answered.answer as WholeAnswer).read! }
    }
  }
  try {
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, parts.length) }, () =>
        work().catch((error) => {
          group.end()
          throw error
        }),
      ),
    )
    return whole(call, done as PartDone[], deps)
  } catch (error) {
    const spent = done.filter((part) => part !== undefined).map(({ answer }) => answer)
    if (spent.length > 0) grow(call, { spent: sumOf(spent) })
    throw error
  }
}

interface PartDone extends PartAnswer {
  readonly answered: Answered
}

function whole(call: Routed, done: readonly PartDone[], deps: Deps): Answered {
  const { request, adapted } = done[0]!.answered
  const first = done.map(({ answered }) => answered.timing).sort((a, b) => a.firstByteAt - b.firstByteAt)[0]!
  const sentAt = Math.min(...done.map(({ answered }) => answered.timing.sentAt))
  const read = join(call.target.wire.batches!, done, call.target.provider.name)
  const answer = { kind: 'whole', bytes: new Uint8Array(0), endedAt: deps.clock.monotonic(), contentType: null, read }
  return grow(call, { request, adapted, timing: { ...first, sentAt }, answer: answer as WholeAnswer })
}

function join(batches: Batches, parts: readonly PartAnswer[], provider: string): Answer {
  try {
    return batches.join(parts)
  } catch (error) {
    if (error instanceof AnswerError) throw nonsense(provider, error.message)
    throw error
  }
}
