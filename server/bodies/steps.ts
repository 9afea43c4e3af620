/** Work that can be left and taken up again: it tells how many characters it has worked through since it last did. */
export type Steps<T> = Generator<number, T>

/** About a millisecond's work. */
const SLICE = 8 * 1024

/** All at once. */
export function finished<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** A slice at a time, so that nobody waits for all of it. @param pause lets others work */
export async function inSlices<T>(steps: Steps<T>, pause: () => Promise<void>): Promise<T> {
  let worked = 0
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    worked += step.value
    if (worked < SLICE) continue
    worked = 0
    await pause()
  }
}
