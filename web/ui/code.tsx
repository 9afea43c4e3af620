import { createUniqueId, For } from 'solid-js'
import { CopyButton } from './copy.tsx'
import { highlight } from './highlight.ts'
import { Tabs } from './tabs.tsx'

export interface CodeSample {
  readonly code: string
  /** What the copy button takes, where the code shows less (a masked key). */
  readonly copied: string
}

export interface CodeTabsProps<Name extends string> {
  label: string
  samples: Readonly<Record<Name, CodeSample>>
  selected: Name
  onSelect: (name: Name) => void
}

/** One thing in several languages, with a button that copies the one in view. */
export function CodeTabs<Name extends string>(props: CodeTabsProps<Name>) {
  const panelId = createUniqueId()
  const sample = () => props.samples[props.selected]
  return (
    <div class="code">
      <header>
        <Tabs
          label={props.label}
          names={Object.keys(props.samples) as Name[]}
          selected={props.selected}
          onSelect={props.onSelect}
          panelId={panelId}
        />
        <CopyButton what={`the ${props.selected} code`} text={sample().copied} bare />
      </header>
      {/* It scrolls sideways: without a tab stop the keyboard could not */}
      <pre id={panelId} role="tabpanel" aria-labelledby={`${panelId}-tab-${props.selected}`} tabindex="0">
        <For each={highlight(sample().code)}>
          {(run) => (run.mark ? <span class={run.mark}>{run.text}</span> : run.text)}
        </For>
      </pre>
    </div>
  )
}
