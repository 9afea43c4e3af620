import { type JSX, Show } from 'solid-js'
import styles from './arrival.module.css'
import { Badge, type BadgeTone } from './badge.tsx'
import { formatMs, formatTime } from './format.ts'
import { Line, type LineStop } from './line.tsx'

/** `waiting`: sent, no text yet. `writing`: text is arriving. */
export type ArrivalState = 'waiting' | 'writing' | 'done' | 'stopped' | 'failed'

const BADGES: Record<ArrivalState, readonly [BadgeTone, string]> = {
  waiting: ['live', 'On its way'],
  writing: ['live', 'Writing'],
  done: ['ok', 'Arrived'],
  stopped: ['off', 'Stopped'],
  failed: ['no', 'Failed'],
}

export interface ArrivalProps {
  state: ArrivalState
  sentAt: Date
  /** From sending to the last byte, null while it is under way. */
  tookMs: number | null
  stops: readonly LineStop[]
  text: string
  /** Shown between the line and the answer: what went wrong. */
  failure: JSX.Element
  /** Below the answer: facts and receipt. */
  children: JSX.Element
}

/** One call as it comes in: its line, its text as it is written, then what is known of it. */
export function Arrival(props: ArrivalProps) {
  const isLive = () => props.state === 'waiting' || props.state === 'writing'
  const badge = () => BADGES[props.state]
  return (
    <div class={styles.box}>
      <div class="row small">
        <Badge tone={badge()[0]}>{badge()[1]}</Badge>
        <span class="faint">
          sent {formatTime(props.sentAt)}
          <Show when={props.tookMs}>{(ms) => `, took ${formatMs(ms())}`}</Show>
        </span>
      </div>
      <Line stops={props.stops} live={isLive()} />
      {props.failure}
      <Show when={props.text !== '' || isLive()}>
        {/* Busy while it grows: a screen reader then reads it once, whole */}
        <p class={styles.text} aria-live="polite" aria-busy={isLive()}>
          {props.text}
          <Show when={isLive()}>
            <span class={styles.cursor} />
          </Show>
        </p>
      </Show>
      {props.children}
    </div>
  )
}
