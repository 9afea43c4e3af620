import { type OpenDirectory, openDirectory } from '../directory.ts'
import { type EntryParts, entryFinder } from './entry.ts'

/** Keys in memory, each with all that the line needs to know of it. */
export function directoryOf(parts: EntryParts): OpenDirectory {
  const { stores, clock, log } = parts
  return openDirectory({
    ...{ clock, log, find: entryFinder(parts) },
    touch: (keyIds, nowMs) => stores.keys.touch(keyIds, nowMs),
  })
}
