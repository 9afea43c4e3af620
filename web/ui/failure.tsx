import { Show } from 'solid-js'
import { CopyButton } from './copy.tsx'
import styles from './failure.module.css'
import { wordsOf } from './failure-words.ts'
import { Icon } from './icon.tsx'

export interface FailureProps {
  /** HTTP status, 0 when no answer came. */
  status: number
  /** A code of the contract's table, or `network`, `stream_cut`, `unreadable`. */
  code: string
  /** What the server said. */
  message: string
  requestId: string | null
  retryAfterSeconds: number | null
}

/** A flat band in place of the part that failed: what, what to do, and an id to copy. */
export function Failure(props: FailureProps) {
  const words = () => wordsOf(props)
  return (
    <div class={`note b ${styles.failure}`} role="alert">
      <Icon name="alert" />
      <div class="grow stack">
        <p>
          <b>{words().what}</b> {words().todo}
        </p>
        <p class="small">
          <Show when={props.status >= 400}>{props.status} </Show>
          <code>{props.code}</code> {props.message}
        </p>
        <Show when={props.requestId}>
          {(id) => (
            <p class="row small">
              <code class="trunc">{id()}</code>
              <CopyButton what="the request id" text={id()} bare />
            </p>
          )}
        </Show>
      </div>
    </div>
  )
}
