/** Our books held against what providers say that they have charged: the parts that others use. */
export { MAX_DAYS } from './reconcile/adapter.ts'
export { DEFAULT_TOLERANCE_PPM, percentOf, variance } from './reconcile/compare.ts'
export { reconcileJob } from './reconcile/job.ts'
export { ADAPTERS, adapterFor, openAdminKey, reconcile, testAdminKey } from './reconcile/reconcile.ts'
