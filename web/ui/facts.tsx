import { For, type JSX } from 'solid-js'
import styles from './facts.module.css'

/** A strip of small facts; those whose value is null are left out. */
export function Facts(props: { facts: readonly (readonly [name: string, value: JSX.Element | null])[] }) {
  return (
    <dl class={styles.facts}>
      <For each={props.facts.filter(([, value]) => value !== null)}>
        {([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        )}
      </For>
    </dl>
  )
}
