import { type Admitted, type Ending, grow, type Sharing } from '../call.ts'
import { CallerGone } from '../failure.ts'
import type { Incoming, Reply, Sink } from '../http.ts'
import { Broadcast, type Holding } from './broadcast.ts'
import { SharedCaller } from './shared-caller.ts'
import { type Parts, retell, type Told } from './told.ts'

interface Result {
  readonly promise: Promise<Told>
  resolve(told: Told): void
  reject(error: unknown): void
}

/** One call for several requests: its own, and all that ask for the same while it runs. */
export class Run implements Sharing {
  readonly call: Admitted
  /** Of all that wait for it. */
  readonly caller: SharedCaller
  /** As it was sent: what the call asks of a provider grows. */
  readonly body: Uint8Array
  readonly #first: Incoming
  readonly #parts: Parts
  #ending: Ending | null = null
  #told: Told | null = null
  #result: Result | null = null

  constructor(call: Admitted, parts: Parts) {
    this.body = call.ask.body
    this.#first = call.incoming
    this.#parts = parts
    this.caller = new SharedCaller(call.incoming)
    this.call = grow(call, { incoming: this.caller })
  }

  get ending(): Ending | null {
    return this.#ending
  }

  /** Somebody but its own request waits for it. */
  get isJoined(): boolean {
    return this.#result !== null
  }

  /** Wants to know how its stream ends. */
  watch(): void {
    grow(this.call, { sharing: this })
  }

  ended(ending: Ending): void {
    this.#ending = ending
  }

  /** Another request gets its answer, as soon as it is there. @throws what the call has failed with, or CallerGone */
  async follow(call: Admitted): Promise<Reply> {
    this.caller.join(call.incoming)
    if (this.#told !== null) return retell(call, this.#told, this.#parts)
    this.#result ??= resultOf()
    this.watch()
    const gone = new Promise<never>((_, reject) => call.incoming.onGone(() => reject(new CallerGone())))
    gone.catch(() => {})
    return retell(call, await Promise.race([this.#result.promise, gone]), this.#parts)
  }

  tell(told: Told): void {
    this.#told = told
    this.#result?.resolve(told)
  }

  fail(error: unknown): void {
    this.#result?.reject(error)
  }

  /** Where the stream of the call's own reply goes, for everybody. @param holding null: it counts nowhere */
  broadcast(holding: Holding | null): Broadcast {
    return new Broadcast(holding, () => this.#ending)
  }

  /** The reply of the call's own request, which is one of the stream's followers. */
  ownReply(reply: Reply, stream: Broadcast): Reply {
    const follow = (sink: Sink) => {
      this.#first.onGone(() => stream.leave(sink))
      stream.follow(sink)
    }
    return { ...reply, body: follow }
  }
}

/** Node 20 has no Promise.withResolvers. */
function resultOf(): Result {
  let made: Pick<Result, 'resolve' | 'reject'>
  const promise = new Promise<Told>((resolve, reject) => {
    made = { resolve, reject }
  })
  // Who waited may all have left.
  promise.catch(() => {})
  return { promise, ...made! }
}
