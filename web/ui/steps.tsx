import type { JSX } from 'solid-js'
import styles from './steps.module.css'

/** `todo`: the line has not come here yet. `live`: something is under way at this stop. */
export type StepState = 'done' | 'now' | 'todo' | 'live' | 'failed'

const SAID: Record<StepState, string> = {
  done: 'done',
  now: 'next',
  todo: 'not yet',
  live: 'under way',
  failed: 'failed',
}

/** The line: stops from top to bottom, petrol as far as it has come. */
export function Steps(props: { children: JSX.Element }) {
  return <ol class={styles.steps}>{props.children}</ol>
}

export function Step(props: { title: string; state: StepState; children: JSX.Element }) {
  return (
    <li class={styles[props.state]} aria-current={props.state === 'now' || props.state === 'live' ? 'step' : undefined}>
      <h2>
        {props.title}
        <span class="vh">, {SAID[props.state]}</span>
      </h2>
      {props.children}
    </li>
  )
}
