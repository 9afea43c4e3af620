import type { Admitted } from '../call.ts'
import type { Reply } from '../http.ts'
import { asBuffer } from '../wire/bytes.ts'
import { askedBeside } from './fingerprint.ts'
import { Run } from './run.ts'
import { type Running, runningOf } from './running.ts'
import { type Parts, toldBy } from './told.ts'

/** The attempt of an SDK, from 0 on: those of Stainless say it, OpenAI's and Anthropic's among them. */
export const RETRY_HEADER = 'x-stainless-retry-count'

/** Bodies that are compared with that of a retry, in bytes: of more calls under way it joins none. */
const COMPARED_BYTES = 16 * 1024 * 1024

/**
 * A call of an SDK that tells its retries. One that comes while the attempt before it still runs in this process, and
 * nobody has had a byte of that one's answer, joins it instead of calling again. Nothing is hashed: until a retry comes a
 * call costs an entry in a table, and then bodies of the same length are compared.
 * @throws whatever the call fails with
 */
export function retried(call: Admitted, count: string, parts: Parts): Promise<Reply> {
  const { open } = runningOf(parts.deps)
  const before = count === '0' ? null : find(call, open)
  return before === null ? lead(call, open, parts) : before.follow(call)
}

function find(call: Admitted, open: Running['open']): Run | null {
  const body = asBuffer(call.ask.body)
  let left = COMPARED_BYTES
  const same = open.get(body.length) ?? []
  for (const run of same instanceof Run ? [same] : same) {
    if (run.call.principal.keyId !== call.principal.keyId || run.caller.isGone) continue
    if (left <= 0) return null
    left -= body.length
    if (body.equals(run.body) && askedBeside(run.call) === askedBeside(call)) return run
  }
  return null
}

async function lead(call: Admitted, open: Running['open'], parts: Parts): Promise<Reply> {
  const run = new Run(call, parts)
  enter(open, run)
  try {
    const reply = await parts.steps.carryOn(run.call, parts.deps)
    leave(open, run)
    if (!run.isJoined) return reply
    if (typeof reply.body !== 'function') {
      run.tell(toldBy(run.call, reply, null))
      return reply
    }
    const stream = run.broadcast(null)
    run.tell(toldBy(run.call, reply, stream))
    reply.body(stream)
    return run.ownReply(reply, stream)
  } catch (error) {
    leave(open, run)
    run.fail(error)
    throw error
  }
}

function enter(open: Running['open'], run: Run): void {
  const { length } = run.body
  const same = open.get(length)
  if (same === undefined) open.set(length, run)
  else if (same instanceof Set) same.add(run)
  else open.set(length, new Set([same, run]))
}

function leave(open: Running['open'], run: Run): void {
  const { length } = run.body
  const same = open.get(length)
  if (same === run) open.delete(length)
  else if (same instanceof Set && same.delete(run) && same.size === 0) open.delete(length)
}
