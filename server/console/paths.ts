/** What a path leads to, by its methods. */
export interface Place<Route> {
  readonly methods: ReadonlyMap<string, Matched<Route>>
}

interface Matched<Route> {
  readonly route: Route
  /** Names of the path's `{…}`, in order. */
  readonly names: readonly string[]
}

interface Node<Route> {
  readonly words: Map<string, Node<Route>>
  any: Node<Route> | null
  readonly methods: Map<string, Matched<Route>>
}

export interface Paths<Route> {
  /** What stands at a path, words before `{…}`, and what its `{…}` took, decoded; null: nothing. */
  find(path: string): { readonly methods: Place<Route>['methods']; readonly values: readonly string[] } | null
}

/** A tree of paths such as `/projects/{id}/keys`, built once. @throws when two routes are the same */
export function createPaths<Route extends { readonly method: string; readonly path: string }>(
  routes: readonly Route[],
): Paths<Route> {
  const root = emptyNode<Route>()
  for (const route of routes) add(root, route)
  return {
    find(path) {
      const segments = segmentsOf(path)
      const decoded = segments.map(decode)
      return decoded.includes(null) ? null : walk(root, segments as string[], { at: 0, values: [] })
    },
  }
}

function emptyNode<Route>(): Node<Route> {
  return { words: new Map(), any: null, methods: new Map() }
}

function add<Route extends { readonly method: string; readonly path: string }>(root: Node<Route>, route: Route): void {
  let node = root
  const names: string[] = []
  for (const segment of segmentsOf(route.path)) {
    if (segment.startsWith('{')) {
      names.push(segment.slice(1, -1))
      node.any ??= emptyNode()
      node = node.any
      continue
    }
    let next = node.words.get(segment)
    if (next === undefined) {
      next = emptyNode()
      node.words.set(segment, next)
    }
    node = next
  }
  if (node.methods.has(route.method)) throw new Error(`Two procedures are at ${route.method} ${route.path}`)
  node.methods.set(route.method, { route, names })
}

interface Step {
  readonly at: number
  readonly values: readonly string[]
}

function walk<Route>(node: Node<Route>, segments: readonly string[], step: Step): ReturnType<Paths<Route>['find']> {
  const segment = segments[step.at]
  if (segment === undefined) return node.methods.size === 0 ? null : { methods: node.methods, values: step.values }
  const word = node.words.get(segment)
  const found = word === undefined ? null : walk(word, segments, { at: step.at + 1, values: step.values })
  if (found !== null || node.any === null) return found
  return walk(node.any, segments, { at: step.at + 1, values: [...step.values, decode(segment)!] })
}

/** Doubled and trailing slashes mean nothing. */
function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}

function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}
