import { Welcome } from './pages/welcome.tsx'

/** The console. One page for now; the router and the shell with its navigation come with the second. */
export function App() {
  return <Welcome />
}
