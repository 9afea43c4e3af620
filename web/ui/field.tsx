import { createUniqueId, type JSX, Show } from 'solid-js'

/** What the control inside a field must carry. */
export interface ControlAttributes {
  readonly id: string
  readonly 'aria-describedby': string | undefined
  readonly 'aria-invalid': 'true' | undefined
}

export interface FieldProps {
  label: string
  help?: JSX.Element
  /** Says what is accepted; shown in place of the help. */
  error?: string | undefined
  class?: string | undefined
  children: (control: ControlAttributes) => JSX.Element
}

/** A label, a control, and one line below it that a screen reader reads with the control. */
export function Field(props: FieldProps) {
  const id = createUniqueId()
  const noteId = `${id}-note`
  const control: ControlAttributes = {
    id,
    get 'aria-describedby'() {
      return props.error || props.help ? noteId : undefined
    },
    get 'aria-invalid'() {
      return props.error ? ('true' as const) : undefined
    },
  }
  return (
    <div class={`field ${props.class ?? ''}`}>
      <label for={id}>{props.label}</label>
      {props.children(control)}
      <Show
        when={props.error}
        fallback={
          <Show when={props.help}>
            <span class="help" id={noteId}>
              {props.help}
            </span>
          </Show>
        }
      >
        <span class="err" id={noteId}>
          {props.error}
        </span>
      </Show>
    </div>
  )
}
