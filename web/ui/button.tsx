import { type JSX, splitProps } from 'solid-js'

export interface ButtonProps extends JSX.ButtonHTMLAttributes<HTMLButtonElement> {
  /** `go`: the one filled button of a view. `ghost`: no frame. `stop`: ends or takes away something. */
  tone?: 'go' | 'ghost' | 'stop' | undefined
  small?: boolean | undefined
  /** As wide as high, for one icon: give it an `aria-label`. */
  square?: boolean | undefined
}

/** A button that submits nothing unless asked to. */
export function Button(props: ButtonProps) {
  const [own, rest] = splitProps(props, ['tone', 'small', 'square', 'class'])
  const classes = () =>
    ['btn', own.tone, own.small && 's', own.square && 'sq', own.class].filter((name) => name).join(' ')
  return <button type="button" {...rest} class={classes()} />
}
