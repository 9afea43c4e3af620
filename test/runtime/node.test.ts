import { runtimeSuite } from './suite.ts'

runtimeSuite('node')
