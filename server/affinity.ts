import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Admitted } from './call.ts'
import type { Random, Weighted } from './deps.ts'
import { asBuffer, latin1 } from './wire/bytes.ts'
import type { Ask, Span } from './wire/wire.ts'

/** Which of several accounts takes a call: providers keep what they have read of a prompt, for its account alone. */

export interface Turn {
  /** Whole numbers below 2^32, at random: see `drawerOf`. */
  readonly draw: () => number
  /** What the calls of one conversation have in common, null: nothing. Asked only where there is a choice. */
  readonly affinity: () => string | null
}

/**
 * The accounts in the order in which they are tried. Without affinity the first is one at random by the weights, and so
 * is each of those behind it. With it, each name has an order of its own, the same on every instance without a word
 * between them, the first ones again by the weights; an account that goes takes away only the names it was first for.
 * A single account is given back as it came, and nothing is asked.
 */
export function accountsInOrder(pool: readonly Weighted[], { draw, affinity }: Turn): readonly Weighted[] {
  if (pool.length < 2) return pool
  const name = affinity()
  const seed = name === null ? 0 : mixed(name, START)
  const ranked = pool.map((one) => {
    const number = name === null ? draw() : spread(mixed(one.account.id, seed))
    // The least of such ranks falls on each by its weight (Efraimidis and Spirakis), drawn or hashed.
    return { one, rank: -Math.log((number + 0.5) / 2 ** 32) / one.weight }
  })
  return ranked.sort((a, b) => a.rank - b.rank).map(({ one }) => one)
}

const START = 0x811c9dc5

/** FNV-1a, going on from another hash. */
function mixed(text: string, from: number): number {
  let hash = from
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash
}

/** Every bit of the hash counts in every bit of the result, which is at least 0: MurmurHash3's last step. */
function spread(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Random bytes drawn at a time. */
const DRAWN_BYTES = 1024

const drawers = new WeakMap<Random, () => number>()

/** Whole numbers below 2^32, drawn many at a time: a choice allocates nothing. The same for the same source. */
export function drawerOf(random: Random): () => number {
  let draw = drawers.get(random)
  if (draw === undefined) {
    draw = drawer(random)
    drawers.set(random, draw)
  }
  return draw
}

function drawer(random: Random): () => number {
  let bytes = new DataView(new ArrayBuffer(0))
  let at = 0
  return () => {
    if (at >= bytes.byteLength) {
      bytes = new DataView(random.bytes(DRAWN_BYTES).slice().buffer)
      at = 0
    }
    at += 4
    return bytes.getUint32(at - 4)
  }
}

/** Providers keep prompts of 1 024 tokens and more. */
const LEAST_BYTES = 4096
const LONGEST_NAME = 256

/**
 * What a call has in common with the others of its conversation: the name that its caller gives it, else a hash of what
 * stays the same from turn to turn, which is how it begins. Null for what is too short to be kept by a provider. To be
 * asked once what a call goes on from is in its body: `previous_response_id` is another one every turn.
 */
export function affinityOf(call: Pick<Admitted, 'ask' | 'incoming' | 'principal' | 'keeping'>): string | null {
  const name = nameOf(call)
  if (name !== null) return `${name.slice(0, LONGEST_NAME)} ${call.principal.projectId}`
  return call.ask.body.length < LEAST_BYTES ? null : beginningOf(call.ask, call.principal.projectId)
}

function nameOf({ ask, incoming, keeping }: Parameters<typeof affinityOf>[0]): string | null {
  const key = textOf(ask, 'prompt_cache_key')
  if (key?.startsWith('"') && key !== '""') return `key ${key}`
  const memory = incoming.header('x-watchllm-memory') ?? incoming.header('x-waddleai-memory')
  if (memory !== null && memory !== '') return `memory ${memory}`
  const conversation = keeping?.conversation ?? null
  if (conversation !== null) return `conversation ${conversation.id}`
  const session = SESSION.exec(textOf(ask, 'metadata') ?? '')
  return session === null ? null : `session ${session[1]}`
}

/** Claude Code's, in `metadata.user_id`: its prompts differ in their first words from turn to turn. */
const SESSION = /session[_a-z"\\: ]{1,16}([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/

/** Longer ones are no names. */
const LONGEST_MEMBER = 2048

/** A short member's JSON as byte text, null where there is none. */
function textOf({ body, members }: Ask, name: string): string | null {
  const span = members.get(name)
  return span === undefined || span.end - span.start > LONGEST_MEMBER ? null : latin1(body, span.start, span.end)
}

/** What stands before all messages, in the words of the wires. */
const STANDING = ['tools', 'functions', 'system', 'instructions', 'systemInstruction', 'system_instruction']
const MESSAGES = ['messages', 'input', 'contents', 'prompt']

/** Bytes of a long part that are looked at: of its beginning, and as many of its end. */
const LOOKED_AT = 256
/** Bytes of the text: longer ones are told apart by so much. */
const MOST_TEXT = 512

/** Where what is hashed is put together: there is one thread, and nothing waits in between. */
const scratch = Buffer.allocUnsafe(16_384)

/**
 * A hash of how a request begins: its model, tools and instructions, all before its first user's message, and the text of
 * that, whatever is around it: marks for the cache move on from turn to turn, and a text may become a list of parts.
 */
function beginningOf({ body, members, model }: Ask, projectId: string): string {
  let at = scratch.write(`${projectId}\n${model}`, 0, 2048)
  const add = (start: number, end: number) => {
    at = added(body, { start, end }, at)
  }
  for (const name of STANDING) {
    const span = members.get(name)
    if (span !== undefined) add(span.start, span.end)
  }
  const messages = MESSAGES.map((name) => members.get(name)).find((span) => span !== undefined)
  if (messages !== undefined) addMessages(body, messages, add)
  return createHash('sha256').update(scratch.subarray(0, at)).digest('base64url').slice(0, 22)
}

/** @returns the place behind it */
function added(body: Uint8Array, { start, end }: Pick<Span, 'start' | 'end'>, at: number): number {
  const length = end - start
  const from = scratch.writeUInt32LE(length, at)
  const source = asBuffer(body)
  if (length <= MOST_TEXT) return from + source.copy(scratch, from, start, end)
  const half = from + source.copy(scratch, from, start, start + LOOKED_AT)
  return half + source.copy(scratch, half, end - LOOKED_AT, end)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const CLOSE_BRACE = 0x7d
const SPACE = 0x20

/** A whole JSON string: within another one its quotes would be escaped. */
const USER = Buffer.from('"user"')
const CONTENT = Buffer.from('"content":')
const TEXT = Buffer.from('"text":')
/** How far the first message of a user is looked for. */
const SEARCHED = 32_768
/** How far behind its role its text begins. */
const NEAR = 512
/** Less than this before it is only what every message begins with. */
const HEAD = 64

function addMessages(body: Uint8Array, { start, end }: Span, add: (start: number, end: number) => void): void {
  if (body[start] === QUOTE) return add(start + 1, Math.min(end - 1, start + 1 + MOST_TEXT))
  const view = asBuffer(body.subarray(start, Math.min(end, start + SEARCHED)))
  const role = view.indexOf(USER)
  if (role < 0) return add(start, Math.min(end, start + MOST_TEXT))
  const behind = skipSpaces(view, role + USER.length)
  const text = view[behind] === CLOSE_BRACE ? -1 : textAfter(view, behind)
  // A text may stand before its role.
  if (text < 0 || role > HEAD) add(start, start + role)
  if (text >= 0) add(start + text, start + textEnd(view, text))
}

/** Where the text of a message begins, within its quotes; -1 where there is none near. */
function textAfter(view: Buffer, from: number): number {
  const near = view.subarray(from, from + NEAR)
  for (const name of [CONTENT, TEXT]) {
    const at = near.indexOf(name)
    if (at < 0) continue
    const value = skipSpaces(near, at + name.length)
    if (near[value] === QUOTE) return from + value + 1
  }
  return -1
}

/** Index of the closing quote, or where so much was seen that the rest doesn't matter. */
function textEnd(view: Buffer, from: number): number {
  const most = Math.min(view.length, from + MOST_TEXT)
  for (let at = from; at < most; at++) {
    const byte = view[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return most
}

function skipSpaces(view: Buffer, from: number): number {
  let at = from
  while (view[at]! <= SPACE) at++
  return at
}
