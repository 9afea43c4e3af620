import { createSignal } from 'solid-js'
import { Button } from './button.tsx'
import type { ControlAttributes } from './field.tsx'
import { Icon } from './icon.tsx'
import styles from './secret-input.module.css'

export interface SecretInputProps {
  control: ControlAttributes
  value: string
  placeholder: string
  onInput: (text: string) => void
  onLeave: () => void
}

/** A text that is masked until asked for. Not a password field: browsers would offer to keep it. */
export function SecretInput(props: SecretInputProps) {
  const [isShown, setShown] = createSignal(false)
  return (
    <div class={`secret ${styles.secret}`}>
      <input
        {...props.control}
        class={isShown() ? undefined : styles.masked}
        value={props.value}
        placeholder={props.placeholder}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        onInput={(event) => props.onInput(event.currentTarget.value)}
        onBlur={props.onLeave}
      />
      <Button tone="ghost" small aria-pressed={isShown()} onClick={() => setShown(!isShown())}>
        <Icon name={isShown() ? 'hide' : 'eye'} />
        {isShown() ? 'Hide' : 'Show'}
      </Button>
    </div>
  )
}
