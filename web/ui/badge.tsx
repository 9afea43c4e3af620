import type { JSX } from 'solid-js'

/** `live` only for what is under way or arrived this moment. */
export type BadgeTone = 'ok' | 'mid' | 'no' | 'live' | 'off'

/** A state: the dot carries the colour, the word the meaning. */
export function Badge(props: { tone: BadgeTone; children: JSX.Element }) {
  return <span class={`badge ${props.tone}`}>{props.children}</span>
}
