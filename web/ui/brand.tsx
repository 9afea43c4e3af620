/** The mark, a half dial with its pivot on a line that goes through, and the name. */
export function Brand() {
  return (
    <a class="brand" href="/">
      <svg viewBox="0 0 30 18" height="17" fill="none" aria-hidden="true">
        <path d="M6 12.5a9 9 0 0 1 18 0" stroke="currentColor" stroke-width="2" />
        <path d="M0 12.5h10.6M19.4 12.5H30" stroke="currentColor" stroke-width="2" />
        <circle cx="15" cy="12.5" r="2.9" fill="currentColor" />
      </svg>
      <strong>WatchLLM</strong>
    </a>
  )
}
