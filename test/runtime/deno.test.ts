import { runtimeSuite } from './suite.ts'

runtimeSuite('deno')
