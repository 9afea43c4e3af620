import { createSignal, onCleanup } from 'solid-js'
import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

/** The clipboard API exists only on https and localhost: a plain-http address in a local network takes the old way. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    const focused = document.activeElement
    area.value = text
    area.className = 'vh'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    if (focused instanceof HTMLElement) focused.focus()
    return done
  }
}

export interface CopyProps {
  /** What is copied, as an object: “base URL”. */
  what: string
  text: string
  /** Only the icon, the words for screen readers. */
  bare?: boolean
}

const SHOWN_MS = 1600

/** Copies a text and says for a moment whether it worked. */
export function CopyButton(props: CopyProps) {
  const [outcome, setOutcome] = createSignal<'' | 'Copied' | 'Not copied'>('')
  let timer: ReturnType<typeof setTimeout> | undefined
  onCleanup(() => clearTimeout(timer))

  async function onClick(): Promise<void> {
    setOutcome((await copy(props.text)) ? 'Copied' : 'Not copied')
    clearTimeout(timer)
    timer = setTimeout(() => setOutcome(''), SHOWN_MS)
  }

  return (
    <Button
      tone={props.bare ? 'ghost' : undefined}
      small
      square={props.bare}
      class="copy"
      onClick={onClick}
      aria-label={`Copy ${props.what}`}
      title={props.bare ? `Copy ${props.what}` : undefined}
    >
      <Icon name={outcome() === 'Copied' ? 'check' : 'copy'} />
      {props.bare ? null : outcome() || 'Copy'}
      <span class="vh" role="status">
        {outcome()}
      </span>
    </Button>
  )
}
