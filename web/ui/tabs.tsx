import { For } from 'solid-js'

export interface TabsProps<Name extends string> {
  label: string
  names: readonly Name[]
  selected: Name
  onSelect: (name: Name) => void
  /** The id of the panel that shows the selected tab; tabs are named `${panelId}-tab-${name}`. */
  panelId: string
}

/** One tab stop: arrows, Home and End move the selection, as the ARIA practice for tabs asks. */
export function Tabs<Name extends string>(props: TabsProps<Name>) {
  let list: HTMLDivElement | undefined
  function onKeyDown(event: KeyboardEvent): void {
    const at = props.names.indexOf(props.selected)
    const last = props.names.length - 1
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[
      event.key
    ]
    const name = to === undefined ? undefined : props.names[to]
    if (to === undefined || name === undefined) return
    event.preventDefault()
    props.onSelect(name)
    list?.querySelectorAll('button')[to]?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label={props.label} ref={list} onKeyDown={onKeyDown}>
      <For each={props.names}>
        {(name) => (
          <button
            type="button"
            role="tab"
            id={`${props.panelId}-tab-${name}`}
            aria-controls={props.panelId}
            aria-selected={props.selected === name}
            tabindex={props.selected === name ? 0 : -1}
            onClick={() => props.onSelect(name)}
          >
            {name}
          </button>
        )}
      </For>
    </div>
  )
}
