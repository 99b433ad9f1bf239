import { createLog } from '@instatunnel/kit/log'
import { runUntilSignal } from '@instatunnel/kit/main'
import { readConfig } from './config.ts'
import { start } from './start.ts'

const config = readConfig(process.env)
const log = createLog('relay', config.LOG_LEVEL)
await runUntilSignal(() => start(config, log), log)
