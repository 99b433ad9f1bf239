import { type NatsUser, natsUsers, permissionsOf } from './nats-users.ts'

/** The most that JetStream may put on disk; the streams' own bounds are below it. */
const storeBytesMax = '4GB'

/** What nats.conf is written from. */
export interface NatsConfigOptions {
  port: number
  storeDir: string
  publicKeys: Record<NatsUser, string>
}

/** The text of nats.conf: loopback, JetStream, one nkey user per service with its own subjects. */
export function natsConfig({ port, storeDir, publicKeys }: NatsConfigOptions): string {
  const users = natsUsers.map((user) => {
    const { publish, denyPublish, subscribe, responds } = permissionsOf(user)
    const answers = responds ? ', allow_responses: true' : ''
    return `    # ${user}
    { nkey: ${publicKeys[user]}, permissions: { publish: { allow: ${list(publish)}, deny: ${list(denyPublish)} }, subscribe: ${list(subscribe)}${answers} } }`
  })
  return `# Written by deploy/local at every start.
server_name: instatunnel
listen: "127.0.0.1:${port}"
max_payload: 1MB
jetstream {
  store_dir: ${JSON.stringify(storeDir)}
  max_memory_store: 64MB
  max_file_store: ${storeBytesMax}
}
authorization {
  users: [
${users.join('\n')}
  ]
}
`
}

function list(subjects: string[]): string {
  return `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`
}
