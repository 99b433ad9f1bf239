import { createServer } from 'node:http'
import { apiKey } from '@better-auth/api-key'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { Pool } from 'pg'

// better-auth's API keys behind node:http: 200 to a bearer that is a valid key. It is run from the folder that its
// packages are installed in. Makes a key and prints it. SETTINGS is what the plugin is told; DATABASE_URL and PORT.
const { DATABASE_URL, PORT, SETTINGS } = process.env
const settings = JSON.parse(SETTINGS)

const memory = new Map()
const secondaryStorage = {
  get: (key) => memory.get(key) ?? null,
  set: (key, value) => void memory.set(key, value),
  delete: (key) => void memory.delete(key),
}

const options = {
  baseURL: `http://127.0.0.1:${PORT}`,
  secret: 'a secret for a bench that stores nothing worth hiding',
  database: new Pool({ connectionString: DATABASE_URL, max: 10 }),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  logger: { level: 'error' },
  plugins: [apiKey(settings)],
  ...(settings.storage === 'secondary-storage' ? { secondaryStorage } : {}),
}

const { runMigrations } = await getMigrations(options)
await runMigrations()
const auth = betterAuth(options)
const email = `${PORT}@example.com`
const { user } = await auth.api.signUpEmail({
  body: { email, password: 'long enough to bench', name: 'Bench' },
})
const made = await auth.api.createApiKey({ body: { userId: user.id, name: 'bench' } })

console.log(JSON.stringify({ key: made.key }))

const server = createServer(async (request, response) => {
  const key = request.headers.authorization?.slice('Bearer '.length) ?? ''
  try {
    const { valid } = await auth.api.verifyApiKey({ body: { key } })
    response.statusCode = valid ? 200 : 401
    response.end(JSON.stringify({ valid }))
  } catch (error) {
    response.statusCode = 500
    response.end(String(error))
  }
})
server.listen(Number(PORT), '127.0.0.1')
