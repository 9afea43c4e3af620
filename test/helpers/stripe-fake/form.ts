/** What a form says: `a[b][0][c]=v` is `{ a: { b: [{ c: 'v' }] } }`. Everything is text, as Stripe gets it. */
export type Form = { readonly [name: string]: FormValue }
export type FormValue = string | Form | readonly FormValue[]

type Open = { [name: string]: string | Open }

export function parseForm(text: string): Form {
  const form: Open = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const path = [name.replace(/\[.*$/, ''), ...Array.from(name.matchAll(/\[([^\]]*)\]/g), (found) => found[1]!)]
    put(form, path, value)
  }
  return listed(form) as Form
}

function put(into: Open, path: readonly string[], value: string): void {
  const [first = '', ...rest] = path
  const key = first === '' ? String(Object.keys(into).length) : first
  if (rest.length === 0) {
    into[key] = value
    return
  }
  const inner = into[key]
  const open = typeof inner === 'object' ? inner : {}
  into[key] = open
  put(open, rest, value)
}

/** What is named by numbers from 0 on is a list. */
function listed(value: string | Open): FormValue {
  if (typeof value === 'string') return value
  const keys = Object.keys(value)
  const isList = keys.length > 0 && keys.every((key, at) => key === String(at))
  if (isList) return keys.map((key) => listed(value[key]!))
  return Object.fromEntries(keys.map((key) => [key, listed(value[key]!)]))
}

/** The text at a path such as `line_items.0.price`; null: there is none. */
export function textAt(form: FormValue, path: string): string | null {
  let at: FormValue | undefined = form
  for (const step of path.split('.')) {
    if (typeof at !== 'object') return null
    at = (at as Form)[step]
  }
  return typeof at === 'string' ? at : null
}

export function formAt(form: FormValue, path: string): Form {
  let at: FormValue | undefined = form
  for (const step of path.split('.')) at = typeof at === 'object' ? (at as Form)[step] : undefined
  return typeof at === 'object' && !Array.isArray(at) ? (at as Form) : {}
}
