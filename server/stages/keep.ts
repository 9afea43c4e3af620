import type { KeptResponse, KeptTurn, ResponseStatus } from '../../db/model/responses.ts'
import type { Admitted, Answered, Keeping, Prepared } from '../call.ts'
import type { Deps, Timer } from '../deps.ts'
import { GatewayError } from '../errors.ts'
import type { Sink, StreamBody } from '../http.ts'
import { asBuffer, fromLatin1, fromText, latin1, toByteText } from '../wire/bytes.ts'
import { itemsOfTurn } from '../wire/openai-responses/conversation.ts'
import { type KeptFace, KeptStream, withFace } from '../wire/openai-responses/kept-answer.ts'
import { type BackgroundState, backgroundText } from '../wire/openai-responses/kept-background.ts'
import { idsOf, inputOf, saidIn } from '../wire/openai-responses/kept-items.ts'
import type { ByteText } from '../wire/wire.ts'

/** How long OpenAI keeps them, too. */
const LIFE_MS = 30 * 24 * 3_600_000
/** A database that takes longer is taken for away. */
const SAVE_MS = 2000
/** Between tries to store what ran in the background: doubled each time, nine minutes in all. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 256_000

const BROKEN = new GatewayError('provider_error', 'The stream broke off before its end')

type Keeps = Answered & { readonly keeping: Keeping }

/**
 * A whole answer, kept before it leaves: whoever has it can go on from it at once, on any instance. Should that not be
 * possible the answer is given all the same, and says `"store": false`.
 */
export async function keepWhole(call: Keeps, body: ByteText, deps: Deps): Promise<ByteText> {
  const bytes = fromLatin1(body)
  const face = await keep(call, withFace(bytes, faceOf(call.keeping)), deps)
  return latin1(withFace(bytes, face))
}

/** The same for a stream: its last event waits until it is kept. One that breaks off leaves nothing to go on from. */
export function keepStream(call: Keeps, body: StreamBody, deps: Deps): StreamBody {
  return (sink) => body(new KeepingSink(call, sink, deps))
}

class KeepingSink implements Sink {
  readonly #call: Keeps
  readonly #sink: Sink
  readonly #deps: Deps
  readonly #stream: KeptStream

  constructor(call: Keeps, sink: Sink, deps: Deps) {
    this.#call = call
    this.#sink = sink
    this.#deps = deps
    this.#stream = new KeptStream(faceOf(call.keeping))
  }

  write(chunk: Uint8Array): boolean {
    const out = this.#stream.push(chunk)
    return out === null || this.#sink.write(out)
  }

  onDrain(callback: () => void): void {
    this.#sink.onDrain(callback)
  }

  end(last?: Uint8Array): void {
    const before = last === undefined ? null : this.#stream.push(last)
    if (before !== null) this.#sink.write(before)
    const { response } = this.#stream
    const face = faceOf(this.#call.keeping)
    if (response === null) {
      if (face.background) void failedInBackground(this.#call, BROKEN, this.#deps)
      return this.#sink.end(this.#stream.last(face))
    }
    void keep(this.#call, response, this.#deps).then((known) => this.#sink.end(this.#stream.last(known)))
  }
}

/** @returns what the answer may say of itself. Never rejects */
async function keep(call: Keeps, answer: Uint8Array, deps: Deps): Promise<KeptFace> {
  const { keeping } = call
  const said: KeptTurn = { id: keeping.id, inputJson: keeping.inputJson, answerJson: asBuffer(answer).toString() }
  // From a failed one nobody goes on: what it went on from may be to blame.
  const { status } = JSON.parse(said.answerJson) as { readonly status?: unknown }
  const isGood = statusOf(status) !== 'failed' && statusOf(status) !== 'cancelled'
  // First, so that whoever reads the stored response finds its items in the conversation.
  const isIn = keeping.conversation === null || !isGood || (await join(call, said, deps))
  const face = isIn ? faceOf(keeping) : { ...faceOf(keeping), conversation: null }
  const turn = isIn ? said : { ...said, answerJson: asBuffer(withFace(answer, face)).toString() }
  const stored = keeping.store && (await store(call, turn, deps))
  if (statusOf(status) !== 'failed') remember(call, turn, stored)
  return keeping.store && !stored ? { ...face, store: false } : face
}

/** Adds what was said to the conversation. @returns false when it is not in it, and will not be */
async function join(call: Keeps, turn: KeptTurn, deps: Deps): Promise<boolean> {
  const { keeping, principal, id } = call
  const { projectId } = principal
  const conversationId = keeping.conversation!.id
  const items = itemsOfTurn(turn)
  const add = () =>
    deps.conversations.append({ projectId, conversationId, addedBy: keeping.id, items, nowMs: deps.clock.now() })
  const adding = keeping.background ? again(add, deps) : add()
  try {
    return (await (keeping.background ? adding : inTime(adding, deps))) !== null
  } catch (cause) {
    deps.log.warn('A turn could not be added to its conversation', { request: id, cause })
    if (!keeping.background) {
      adding.then(() => deps.conversations.removeTurn(projectId, conversationId, keeping.id)).catch(() => {})
    }
    return false
  }
}

async function store(call: Background, turn: KeptTurn, deps: Deps): Promise<boolean> {
  const { keeping, principal } = call
  const kept = keptOf(call, turn, deps)
  const saved: Promise<unknown> = keeping.background
    ? again(() => deps.responses.finish(kept), deps)
    : deps.responses.save(kept)
  try {
    await (keeping.background ? saved : inTime(saved, deps))
  } catch (cause) {
    deps.log.warn('A response could not be stored', { request: call.id, cause })
    // Who was told that it isn't kept must not be contradicted later.
    if (!keeping.background) saved.then(() => deps.responses.delete(principal.projectId, kept.id)).catch(() => {})
    return false
  }
  prolong(call, deps)
  return true
}

/** Nobody waits for it, and its answer is nowhere else: tried again for as long as the database may be away. */
async function again<T>(write: () => Promise<T>, deps: Deps): Promise<T> {
  for (let afterMs = FIRST_RETRY_MS; ; afterMs *= 2) {
    try {
      return await inTime(write(), deps)
    } catch (cause) {
      if (afterMs > LAST_RETRY_MS) throw cause
      await new Promise<void>((resolve) => deps.clock.timer(afterMs, resolve))
    }
  }
}

async function inTime<T>(saved: Promise<T>, deps: Deps): Promise<T> {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = deps.clock.timer(SAVE_MS, () => reject(new Error(`Not stored within ${SAVE_MS} ms`)))
  })
  try {
    return await Promise.race([saved, late])
  } finally {
    timer?.cancel()
  }
}

function prolong({ id, keeping, principal }: Background, deps: Deps): void {
  // Conversations don't expire.
  if (keeping.conversation !== null) return
  const ids = keeping.before.slice(0, keeping.storedBefore).map((turn) => turn.id)
  if (ids.length === 0) return
  deps.responses
    .prolong(principal.projectId, ids, deps.clock.now() + LIFE_MS)
    .catch((cause: unknown) => deps.log.warn('Responses could not be kept for longer', { request: id, cause }))
}

/**
 * The response of a call that goes on without its caller, stored before it begins.
 * @throws GatewayError `service_unavailable` when it can't be: nobody could ever read its answer
 */
export async function startedInBackground(call: Background, deps: Deps): Promise<ByteText> {
  const answerJson = textOf(call, { status: 'in_progress' })
  const turn = { id: call.keeping.id, inputJson: call.keeping.inputJson, answerJson }
  try {
    await inTime(deps.responses.save(keptOf(call, turn, deps)), deps)
  } catch (cause) {
    throw new GatewayError('service_unavailable', 'Responses can not be stored right now; try again shortly', {
      retryAfter: 2,
      cause,
    })
  }
  return toByteText(textOf(call, { status: 'queued' }))
}

/** A response without output: what it says is remembered, and no provider has been asked. */
export function warmedUp(call: Admitted & { readonly keeping: Keeping }): StreamBody {
  const { id, ask, keeping } = call
  const createdAtS = Math.floor(call.receivedAtMs / 1000)
  const text = (status: 'in_progress' | 'completed') =>
    backgroundText({ id, ask, createdAtS }, { ...faceOf(keeping), store: false }, { status })
  const turn = { id: keeping.id, inputJson: keeping.inputJson, answerJson: text('completed') }
  remember(call, turn, false)
  return (sink) => {
    sink.write(fromText(frameOf('response.created', text('in_progress'), 0)))
    sink.end(fromText(frameOf('response.completed', turn.answerJson, 1)))
  }
}

function frameOf(type: string, response: string, sequence: number): string {
  return `event: ${type}\ndata: {"type":"${type}","sequence_number":${sequence},"response":${response}}\n\n`
}

function remember(
  { memory, keeping }: Admitted & { readonly keeping: Keeping },
  turn: KeptTurn,
  stored: boolean,
): void {
  const { before, storedBefore } = keeping
  const isChained = stored && storedBefore === before.length
  memory?.remember(keeping.id, { before: [...before, turn], storedBefore: isChained ? storedBefore + 1 : storedBefore })
}

/** Whoever asks for it is told why there is no answer. */
export async function failedInBackground(call: Background, error: GatewayError, deps: Deps): Promise<void> {
  const { code, message } = error
  const answerJson = textOf(call, { status: 'failed', error: { code, message } })
  await store(call, { id: call.keeping.id, inputJson: call.keeping.inputJson, answerJson }, deps)
}

type Background = Prepared & { readonly keeping: Keeping }

function textOf(call: Background, state: BackgroundState): string {
  const createdAtS = Math.floor(call.receivedAtMs / 1000)
  return backgroundText({ id: call.id, ask: call.ask, createdAtS }, faceOf(call.keeping), state)
}

/** A response as it is stored. */
function keptOf(call: Background, turn: KeptTurn, deps: Deps): KeptResponse {
  const { keeping, principal, target } = call
  const nowMs = deps.clock.now()
  const isChained = keeping.storedBefore === keeping.before.length
  // What is in the connection's memory only goes in with it: others could not find it.
  const whole = () => JSON.stringify([...saidIn(keeping.before), ...inputOf(turn)])
  const { id, inputJson, answerJson } = isChained ? turn : { ...turn, inputJson: whole() }
  const answer = JSON.parse(answerJson) as { readonly status?: unknown }
  return {
    id,
    projectId: principal.projectId,
    organizationId: principal.organizationId,
    keyId: principal.keyId,
    conversation: keeping.conversation,
    previousId: isChained ? keeping.previousId : null,
    model: target.model,
    status: statusOf(answer.status),
    inputJson,
    answerJson,
    itemIds: idsOf({ id, inputJson, answerJson }),
    createdAtMs: call.receivedAtMs,
    expiresAtMs: call.receivedAtMs + LIFE_MS,
    aliveAtMs: keeping.background ? nowMs : null,
  }
}

const STATUSES: ReadonlySet<unknown> = new Set(['queued', 'in_progress', 'incomplete', 'failed', 'cancelled'])

/** Providers that say nothing have answered. */
function statusOf(said: unknown): ResponseStatus {
  return STATUSES.has(said) ? (said as ResponseStatus) : 'completed'
}

function faceOf({ id, previousId, conversation, store, background }: Keeping): KeptFace {
  return {
    id,
    previousId,
    ...(conversation === null ? {} : { conversation: { id: conversation.id } }),
    store,
    background,
  }
}
