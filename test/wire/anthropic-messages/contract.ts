import type { StreamReader } from '../../../server/wire/dialect.ts'
import type { StreamEvent } from '../../../server/wire/model.ts'
import { eventsOf } from '../../helpers/wire.ts'

/** Reads a whole stream of one byte a character as `translated` does. */
export function readAll(reader: StreamReader, byteText: string): StreamEvent[] {
  const events: StreamEvent[] = []
  for (const { event, data } of eventsOf(byteText)) {
    events.push(...reader.read(event === '' ? null : event, data))
    if (events.some(({ type }) => type === 'end' || type === 'error')) return events
  }
  return [...events, ...reader.close()]
}

/** What of the canonical event contract (server/wire/model.ts) a stream breaks; empty when it keeps it. */
export function broken(events: readonly StreamEvent[], isComplete: boolean): string[] {
  const found: string[] = []
  const expect = (fits: boolean, what: string) => fits || found.push(what)
  let open = -1
  let next = 0
  let isFinished = false
  for (const [at, event] of events.entries()) {
    const { type } = event
    expect((type === 'start') === (at === 0) || type === 'error', `${at}: start is first and only once`)
    const isLast = at === events.length - 1
    if (type === 'end' || type === 'error') expect(isLast, `${at}: ${type} is last`)
    if (type === 'finish') {
      expect(open < 0 && !isFinished, `${at}: finish comes once, after the parts`)
      isFinished = true
    }
    if (type !== 'part' && type !== 'delta' && type !== 'part-end') continue
    expect(!isFinished && event.choice === 0, `${at}: no part after finish`)
    if (type === 'part') {
      expect(open < 0 && event.index === next, `${at}: parts are numbered, one after the other`)
      open = event.index
    } else expect(event.index === open, `${at}: ${type} is of the open part`)
    if (type === 'part-end') {
      open = -1
      next++
    }
  }
  if (isComplete) {
    expect(open < 0, 'every part is ended')
    expect(isFinished, 'there is a finish')
    expect(events.at(-1)?.type === 'end', 'the end is told')
  }
  return found
}
