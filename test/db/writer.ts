import { openDatabase } from '../../db/open.ts'
import { createStores } from '../../db/stores/index.ts'
import { sampleCall } from './samples.ts'

/** Writes calls until it is killed, and tells the ids of each batch once it is stored. */
const [, , dataDir, templatePath] = process.argv
const { calls } = createStores(await openDatabase({ dataDir: dataDir!, templatePath: templatePath! }))
let previous = sampleCall()
for (let n = 0; ; n++) {
  const batch = Array.from({ length: 20 }, (_, i) => sampleCall({ keyId: `key_${(n + i) % 3}` }))
  // Every other batch holds a call that is stored already and goes in the slower way.
  if (n % 2 === 1) batch.push(previous)
  previous = batch[0]!
  await calls.insertBatch(JSON.stringify(batch))
  process.stdout.write(`${batch.map((call) => call.id).join(' ')}\n`)
}
