import type { JSX } from 'solid-js'

/** Nothing here yet: a dashed line with one empty stop, and one sentence that says how that changes. */
export function Empty(props: { title: string; class?: string | undefined; children: JSX.Element }) {
  return (
    <div class={`empty ${props.class ?? ''}`}>
      <svg class="mark" viewBox="0 0 120 20" aria-hidden="true">
        <path d="M0 10h120" stroke="currentColor" stroke-dasharray="3 4" />
        <circle cx="60" cy="10" r="4" fill="var(--paper)" stroke="currentColor" stroke-width="1.5" />
      </svg>
      <b>{props.title}</b>
      <p>{props.children}</p>
    </div>
  )
}
