import { runtimeSuite } from './suite.ts'

runtimeSuite('bun')
