import { chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresBinaries } from './postgres-binaries.ts'
import { postgresUser, type SystemUser } from './postgres-user.ts'
import { describeExit, startProcess } from './process.ts'

/** How to run PostgreSQL's programs on one cluster: the command, the folder and who runs it. */
export interface Cluster {
  /** The folder that holds the data. */
  folder: string
  bin: string
  logFile: string
  /** What goes to startProcess beside the program and its arguments. */
  run: { cwd: string; uid?: number; gid?: number; env: Record<string, string> }
  /** What PostgreSQL is told the data folder is. */
  dataPath: string
}

/** Opens the cluster in the data folder; the first time it is made, with that administrator's password. */
export async function openCluster(dataDir: string, password: string): Promise<Cluster> {
  const folder = join(dataDir, 'postgres')
  const user = await postgresUser(folder)
  const { bin } = await postgresBinaries({ forAnyUser: user !== undefined })
  const version = await readFile(join(folder, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version === undefined) await initialise({ folder, bin, user, password })
  else if (version.trim() !== '18') {
    throw new Error(`${folder} was made by PostgreSQL ${version.trim()}; this is PostgreSQL 18`)
  }
  return { folder, bin, logFile: join(dataDir, 'logs/postgres.log'), ...place(folder, user) }
}

/**
 * Another user may not be allowed to enter the folders above (a checkout under root's home): the process is
 * then started inside, while still root, and finds the folder through its own link in /proc.
 */
function place(folder: string, user: SystemUser | undefined): Pick<Cluster, 'run' | 'dataPath'> {
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
  const throughProc = user !== undefined && process.platform === 'linux'
  return { run: { cwd: folder, ...user, env }, dataPath: throughProc ? '/proc/self/cwd' : folder }
}

async function initialise(made: {
  folder: string
  bin: string
  user: SystemUser | undefined
  password: string
}): Promise<void> {
  const { folder, bin, user, password } = made
  // Made under another name first: one that was cut short is never taken for a cluster.
  const draft = `${folder}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { recursive: true, mode: 0o700 })
  const passwordFolder = await mkdtemp(join(tmpdir(), 'instatunnel-initdb-'))
  const passwordFile = join(passwordFolder, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (user) {
    for (const path of [draft, passwordFolder, passwordFile]) await chown(path, user.uid, user.gid)
  }
  const { run, dataPath } = place(draft, user)
  try {
    const initdb = await startProcess({
      name: 'initdb',
      command: join(bin, 'initdb'),
      args: [
        `--pgdata=${dataPath}`,
        '--username=postgres',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
        '--no-instructions',
      ],
      ...run,
    })
    const exit = await initdb.exited
    if (exit.code !== 0) throw new Error(`initdb ${describeExit(exit)}:\n${initdb.lines().join('\n')}`)
  } finally {
    await rm(passwordFolder, { recursive: true, force: true })
  }
  await rename(draft, folder)
}
