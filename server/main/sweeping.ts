import type { Job } from '../jobs.ts'

const SWEEP_MS = 3_600_000

interface Swept {
  sweep(nowMs: number): Promise<unknown>
}

/** Jobs that delete what has expired, every hour: one a store, so that none waits for another's trouble. */
export function sweepJobs(stores: Readonly<Record<string, Swept>>): readonly Job[] {
  return Object.entries(stores).map(([name, store]) => ({
    name: `sweep.${name}`,
    everyMs: SWEEP_MS,
    run: (nowMs) => store.sweep(nowMs),
  }))
}
