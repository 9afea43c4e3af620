import type { CallRecord, Outcome } from '../db/model/calls.ts'
import type { ConversationPlace } from '../db/model/conversations.ts'
import type { Price } from '../db/model/money.ts'
import type { KeptTurn } from '../db/model/responses.ts'
import type { Try } from '../db/model/tries.ts'
import type { Account, Principal, Ticket } from './deps.ts'
import type { GatewayError } from './errors.ts'
import type { Incoming } from './http.ts'
import type { Holding } from './limits/held.ts'
import type { Windows } from './limits/standing.ts'
import type { Provider } from './providers/provider.ts'
import type { UpstreamRequest } from './upstream.ts'
import type { PromptCache } from './wire/dialect.ts'
import type { Additions, Answer, Ask, ByteText, Metered, SaidInPath, StreamTap, Wire, WireId } from './wire/wire.ts'

/**
 * What is known of a call after each room of the line; each type is the one before and one thing more, so that a stage
 * can't run before what it needs.
 */

/** A public endpoint that calls a model. */
export interface Service {
  /** As in the log, such as `chat.completions`. */
  readonly name: string
  readonly wire: Wire
  /** Its answers are kept for calls that go on from them (Responses). */
  readonly keeps?: boolean
  /** Makes the request that a model gets of the one that came, once all it refers to is in it. */
  readonly rewrite?: (body: Uint8Array) => Uint8Array
  /** Makes the answer that its caller gets of the model's. */
  readonly finish?: (answer: ByteText, callId: string) => ByteText
}

/** What one connection remembers of what was said on it, stored or not. */
export interface Memory {
  /** All that was said up to that response; null when it isn't remembered. */
  turns(responseId: string): Past | null
  remember(responseId: string, past: Past): void
}

/** What a call goes on from. */
export interface Past {
  /** Oldest first. */
  readonly before: readonly KeptTurn[]
  /** How many of these, the first, are stored: the others are in a connection's memory only. */
  readonly storedBefore: number
}

export interface Received {
  /** Ours: `req_…`. */
  readonly id: string
  readonly receivedAtMs: number
  /** Monotonic milliseconds. */
  readonly startedAt: number
  readonly incoming: Incoming
  readonly service: Service
  /** The provider that the path names; null: none. */
  readonly pinned: string | null
  /** What the path says of the request, in dialects that say it there. */
  readonly said: SaidInPath | null
  /** Of a connection that carries many calls. */
  readonly memory?: Memory
}

export interface Known extends Received {
  readonly principal: Principal
  /** Among the calls in flight: given back when the call is settled. Absent: nobody counts. */
  readonly place?: Ticket
  /** The body as its caller sent it, where what is said in calls is kept: what is asked of a provider may be another. */
  readonly sent?: Uint8Array
}

export interface Asked extends Known {
  readonly ask: Ask
  readonly options: CallOptions
}

/** What the caller's headers ask of us (CONTRACT 5). */
export interface CallOptions {
  /** Members are added to the answer's body. */
  readonly additions: boolean
  /** A JSON object in text. */
  readonly metadata: string | null
  /** A provider's name. */
  readonly provider: string | null
  /** A parameter that the provider can't take is refused instead of adapted. */
  readonly strict: boolean
  readonly promptCache: PromptCache
}

export interface Admitted extends Asked {
  readonly rate: Rate | null
  /** Absent or null: no tokens of a minute or day are limited. */
  readonly quota?: Quota | null
  /** The limits that it was admitted to; absent: none hold. */
  readonly windows?: Windows
  /** Set by `recall` where something is to be kept of the answer. */
  readonly keeping?: Keeping
  /** Set by `once` where others may get its answer, too. */
  readonly sharing?: Sharing
}

/** Whoever gives a call's answer to others as well. */
export interface Sharing {
  /** How its stream ends: told before the last bytes come. */
  ended(ending: Ending): void
}

/** What is kept of a call, so that another can go on from it. */
export interface Keeping extends Past {
  /** `resp_…`: what its caller knows the answer by. */
  readonly id: string
  /** It may be asked for later, by whoever has the project's key. */
  readonly store: boolean
  /** It goes on when its caller has left. */
  readonly background: boolean
  /** No model is asked yet: it is only said what a later call goes on from. */
  readonly warmUp: boolean
  readonly previousId: string | null
  /** The conversation that it goes on from and adds to, null: none. */
  readonly conversation: ConversationPlace | null
  /** JSON array: the items that this call adds. */
  readonly inputJson: string
}

/** Where the caller stands in its tightest window of requests; null when its plan has no limit. */
export interface Rate {
  readonly limit: number
  readonly remaining: number
  /** Epoch milliseconds. */
  readonly resetMs: number
}

/** Where the caller stands in its tightest windows of tokens, null where there are none. */
export interface Quota {
  readonly minute: Rate | null
  readonly day: Rate | null
}

export interface Routed extends Admitted {
  /** The one that is asked, or has answered. */
  readonly target: Target
  /** All that may be asked, in their order. */
  readonly targets: readonly Target[]
  /** Those that were asked and didn't answer, in their order; absent: none. */
  readonly tries?: readonly Try[]
  /** Set by `reserve` where anything that the call uses is counted. */
  readonly holding?: Holding
  /** Tokens of one answer: more is not paid for. Absent: as the request says. */
  readonly maxOutput?: number
}

export interface Target {
  readonly provider: Provider
  readonly account: Account
  /** The provider's own id of the model. */
  readonly model: string
  /** How the call is put to the provider and its answer to the caller: the caller's own wire, or one across wires. */
  readonly wire: Wire
  /** The provider's own end of it. */
  readonly wireId: WireId
  /** Where that lives at the provider, query included. */
  readonly path: string
  /** The rule that chose it. */
  readonly rule: string
}

export interface Prepared extends Routed {
  readonly request: UpstreamRequest
  /** What the provider could not be told as the caller said it, as in `x-watchllm-adapted`; null: nothing. */
  readonly adapted: string | null
}

export interface Answered extends Prepared {
  readonly answer: WholeAnswer | StreamSource
  readonly timing: Timing
}

export interface WholeAnswer {
  readonly kind: 'whole'
  readonly bytes: Uint8Array
  /** When the last byte came, monotonic milliseconds. */
  readonly endedAt: number
  /** What the provider calls the bytes, where the line passes them as they are; else null. */
  readonly contentType?: string | null
  /** The bytes as read. */
  readonly read?: Answer
}

/** A provider's answer that comes piece by piece; its first byte is there. */
export interface StreamSource {
  readonly kind: 'stream'
  /** Set where it isn't events but bytes that nobody reads. */
  readonly raw?: RawAnswer | null
  /** Hands everything over from the first byte on; what has come by now is given at once. Called once. */
  attach(reader: StreamReader): void
  /** Gives the answer up: the way to the provider is closed at once, and the reader hears nothing more. */
  abort(): void
  pause(): void
  resume(): void
}

export interface RawAnswer {
  /** As the provider calls it. */
  readonly contentType: string
  /** In bytes, where the provider has said it. */
  readonly length: number | null
  readonly tap: StreamTap
}

export interface StreamReader {
  onData(chunk: Uint8Array): void
  /** The provider closed the stream in order. */
  onEnd(): void
  /** It broke or took too long. */
  onBroken(error: GatewayError): void
  /** The caller went away; the way to the provider is closed already. */
  onGone(): void
}

/** Monotonic milliseconds, and what the provider said of the call. */
export interface Timing {
  readonly sentAt: number
  readonly firstByteAt: number
  readonly upstreamId: string | null
}

/** What a call has used by the time it fails: parts of it were answered. */
export interface Spent {
  readonly spent: Metered
}

/** How a call ended, as its exit saw it. */
export interface Ending {
  readonly outcome: Outcome
  /** What the caller was sent; 499 when it went away before that. */
  readonly status: number
  readonly errorCode: string | null
  /** Null when nothing was produced: then it costs nothing. */
  readonly metered: Metered | null
  /** Monotonic milliseconds of the provider's last byte; null when none came. */
  readonly providerEndedAt: number | null
}

/** What everybody is told of a call: log, headers, body and bill say the same. */
export interface Settled {
  readonly record: CallRecord
  readonly price: Price | null
  readonly additions: Additions
}

/**
 * The same call, one room further. It is one object from end to end: copying it at each room would cost as much as the
 * rooms do, and whoever ends the call early finds on it what was known by then.
 */
export function grow<C extends Received, More extends object>(call: C, more: More): C & More {
  return Object.assign(call, more)
}

/** Targets that were asked. */
export function attemptsOf({ target, tries, answer }: Call): number {
  if (target === undefined) return 0
  return tries === undefined ? 1 : tries.length + (answer === undefined ? 0 : 1)
}

/** What was answered was no answer. */
export function dropAnswer(call: Prepared): void {
  delete (call as { answer?: Answered['answer'] }).answer
}

/** The call as it was before its target was asked, for another target. */
export function retarget(call: Routed, target: Target): Routed {
  const bare = call as { -readonly [M in keyof Prepared]?: Prepared[M] } & Partial<Pick<Answered, 'timing' | 'answer'>>
  for (const member of ['holding', 'maxOutput', 'adapted', 'request', 'timing', 'answer'] as const) delete bare[member]
  return grow(call, { target })
}

/** Any of them, for what can happen anywhere on the line. */
export type Call = Received &
  Partial<Omit<Known & Asked & Admitted & Routed & Prepared & Answered & Spent, keyof Received>>
