// Runs as a classic script in the head, before the first paint: no import, no export. ui/theme-switch.tsx writes what
// it reads.
try {
  const theme = localStorage.getItem('watchllm.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be forbidden: the system's theme holds
}
