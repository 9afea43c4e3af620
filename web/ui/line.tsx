import { For } from 'solid-js'
import { formatMs } from './format.ts'
import styles from './line.module.css'

export interface LineStop {
  readonly name: string
  /** When the call came by, in milliseconds since it was sent; null when it has not. */
  readonly atMs: number | null
  /** The call ended here without an answer. */
  readonly failed?: boolean
}

/** One call drawn as one line, stop by stop; while it is `live`, the stop it is on its way to glows. */
export function Line(props: { stops: readonly LineStop[]; live: boolean }) {
  const next = () => (props.live ? props.stops.findIndex((stop) => stop.atMs === null) : -1)
  return (
    <ol class={styles.line} style={{ '--n': Math.max(5, props.stops.length) }}>
      <For each={props.stops}>
        {(stop, at) => (
          <li
            classList={{
              [styles.past as string]: stop.atMs !== null,
              [styles.through as string]: (props.stops[at() + 1]?.atMs ?? null) !== null,
              [styles.live as string]: at() === next(),
              [styles.failed as string]: stop.failed === true,
            }}
          >
            <span>{stop.name}</span>
            <b>{stop.atMs === null ? '–' : formatMs(stop.atMs)}</b>
          </li>
        )}
      </For>
    </ol>
  )
}
