import type { Through } from './pass-through.ts'
import { contentOfObject, createObject, deleteObject, type Kind, listObjects, useObject } from './provider-objects.ts'

const FILE: Kind = { noun: 'file', page: { most: 10_000, usual: 10_000 }, others: () => [] }

const FILES = { wire: 'openai-files', model: '' } as const

/** `POST /v1/files`: a form with the file */
export const createFile = createObject({ ...FILES, name: 'files.create' }, FILE)

/** `GET /v1/files[?purpose&limit&order&after]` */
export const files = listObjects({ ...FILES, name: 'files.list', method: 'GET' }, FILE)

/** `GET /v1/files/{id}` */
export const file = useObject(byId('files.retrieve', 'GET'), FILE)

/** `GET /v1/files/{id}/content` */
export const fileContent = contentOfObject(
  { ...byId('files.content', 'GET'), givesBytes: true, tail: (id) => `/${id}/content` },
  FILE,
)

/** `DELETE /v1/files/{id}` */
export const deleteFile = deleteObject(byId('files.delete', 'DELETE'), FILE)

function byId(name: string, method: 'GET' | 'DELETE'): Through {
  return { ...FILES, name, method, tail: (id) => `/${id}` }
}
