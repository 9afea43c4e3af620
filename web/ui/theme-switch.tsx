import { createSignal, onCleanup, onMount } from 'solid-js'
import { Button } from './button.tsx'
import { Icon } from './icon.tsx'

type Theme = 'light' | 'dark'

/** Read by ui/theme-first.ts, under the same name. */
const STORED = 'watchllm.theme'

function remember(theme: Theme | null): void {
  try {
    if (theme === null) localStorage.removeItem(STORED)
    else localStorage.setItem(STORED, theme)
  } catch {
    // Storage may be forbidden: the choice then holds for this page only
  }
}

/** True for a key press that belongs to a text the user is writing. */
function isWriting(event: KeyboardEvent): boolean {
  return event.target instanceof Element && event.target.matches('input, textarea, select, [contenteditable]')
}

/** Light or dark, by button or by the key “.”. A choice equal to the system's is forgotten, so that it follows again. */
export function ThemeSwitch() {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const chosen = document.documentElement.dataset.theme
  const [choice, setChoice] = createSignal<Theme | null>(chosen === 'light' || chosen === 'dark' ? chosen : null)
  const [isSystemDark, setSystemDark] = createSignal(system.matches)
  const current = (): Theme => choice() ?? (isSystemDark() ? 'dark' : 'light')
  const other = (): Theme => (current() === 'dark' ? 'light' : 'dark')

  function flip(): void {
    const next = other()
    const isSystems = (next === 'dark') === isSystemDark()
    setChoice(isSystems ? null : next)
    remember(isSystems ? null : next)
    if (isSystems) delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = next
  }

  const onSystem = () => setSystemDark(system.matches)
  const onKey = (event: KeyboardEvent) => {
    if (event.key === '.' && !event.ctrlKey && !event.metaKey && !event.altKey && !isWriting(event)) flip()
  }
  onMount(() => {
    system.addEventListener('change', onSystem)
    document.addEventListener('keydown', onKey)
  })
  onCleanup(() => {
    system.removeEventListener('change', onSystem)
    document.removeEventListener('keydown', onKey)
  })

  return (
    <Button tone="ghost" square onClick={flip} aria-label={`Switch to the ${other()} theme`} title="Switch theme ( . )">
      <Icon name={current() === 'dark' ? 'sun' : 'moon'} />
    </Button>
  )
}
