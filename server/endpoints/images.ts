import { passThrough } from './pass-through.ts'

/** What OpenAI draws with when nobody says. */
const DEFAULT_MODEL = 'dall-e-2'

/** `POST /v1/images/generations`: JSON, or a stream of partial images */
export const imageGenerations = passThrough({
  name: 'images.generations',
  wire: 'openai-images',
  model: DEFAULT_MODEL,
})

/** `POST /v1/images/edits`: a form with the images */
export const imageEdits = passThrough({ name: 'images.edits', wire: 'openai-image-edits', model: DEFAULT_MODEL })

/** `POST /v1/images/variations` */
export const imageVariations = passThrough({
  name: 'images.variations',
  wire: 'openai-image-variations',
  model: DEFAULT_MODEL,
})
