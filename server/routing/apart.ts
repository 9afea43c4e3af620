import type { Prepared } from '../call.ts'
import { BodyBroken, type Incoming } from '../http.ts'

export interface Group {
  readonly isOver: boolean
  /** Gives up everything that is on its way for it. */
  end(): void
}

/** A caller as some of its call sees it: gone when it is gone, and as soon as the group is ended. */
export function partIncoming(incoming: Incoming): { incoming: Incoming; group: Group } {
  const callbacks: (() => void)[] = []
  let isOver = false
  const end = () => {
    isOver = true
    for (const callback of callbacks.splice(0)) callback()
  }
  incoming.onGone(end)
  return {
    group: {
      get isOver() {
        return isOver
      },
      end,
    },
    incoming: {
      method: incoming.method,
      path: incoming.path,
      query: incoming.query,
      remoteAddress: incoming.remoteAddress,
      header: (name) => incoming.header(name),
      body: () => Promise.reject(new BodyBroken()),
      onGone: (callback) => (isOver ? callback() : void callbacks.push(callback)),
    },
  }
}

/** A copy of a call that can be given up by itself: what happens to it doesn't happen to the call. */
export function apart<C extends Prepared>(call: C): { readonly call: C; leave(): void } {
  const { incoming, group } = partIncoming(call.incoming)
  return { call: { ...call, incoming }, leave: () => group.end() }
}
