import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { Place } from '../wrk.ts'
import { asked, smallBody, type Target } from './target.ts'

/** A tunnel that stands answers at once. */
const timeoutMs = 20_000

/** Whether small and bulk bodies arrive as they were sent, down and up; throws where one does not. */
export async function checkBodies(place: Place, target: Target): Promise<void> {
  const upload = randomBytes(asked.digest.uploadBytes)
  const expected = {
    small: smallBody,
    download: target.bulkDigest,
    upload: createHash('sha256').update(upload).digest('hex'),
  }
  const met = {
    small: (await ask(place, asked.small.path)).toString(),
    download: createHash('sha256')
      .update(await ask(place, asked.download.path))
      .digest('hex'),
    upload: (await ask(place, asked.digest.path, upload)).toString(),
  }
  for (const [what, body] of Object.entries(expected)) {
    if (met[what as keyof typeof met] !== body) throw new Error(`${place.host} changes the body of a ${what}`)
  }
}

/** One request on a connection of its own; throws unless it is answered with 200. */
export function ask({ port, host }: Place, path: string, body?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: '127.0.0.1', port, path, agent: false, timeout: timeoutMs },
      method: body ? 'POST' : 'GET',
      headers: { host, connection: 'close', ...(body && { 'content-length': body.length }) },
    })
    sent.once('timeout', () => sent.destroy(new Error(`${host}${path} does not answer`)))
    sent.once('error', reject).once('response', (response) => {
      const parts: Buffer[] = []
      response.on('data', (part) => parts.push(part)).once('error', reject)
      response.once('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts))
        else reject(new Error(`${host}${path} answered ${response.statusCode}: ${Buffer.concat(parts)}`))
      })
    })
    sent.end(body)
  })
}
