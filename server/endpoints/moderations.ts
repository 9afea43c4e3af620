import { passThrough } from './pass-through.ts'

/** `POST /v1/moderations` */
export const moderations = passThrough({
  name: 'moderations',
  wire: 'openai-moderations',
  model: 'omni-moderation-latest',
})
