import { type Command, Option } from 'commander'
import { parseCount, parseInterval, parseList, parseObject } from '../../parse.ts'

/** What is chosen about a key on the command line, when it is made or changed. */
export interface KeyOptions {
  readonly permission?: string[]
  readonly permissions?: string[]
  readonly metadata?: object
  readonly allowIp?: string[]
  readonly allowSubdomain?: string[]
  readonly remaining?: number
  readonly refillAmount?: number
  readonly refillInterval?: number
  readonly rateLimitMax?: number
  readonly rateLimitWindow?: number
}

/** Adds the options that a key is made and changed with. */
export const withKeyOptions = (command: Command): Command =>
  command
    .option(
      '-p, --permission <scope>',
      'what it may do: tunnels:read, "analytics:*"; several times',
      parseList,
    )
    .addOption(new Option('--permissions <list>').argParser(parseList).hideHelp())
    .option('--metadata <json>', 'a JSON object of yours, or @ and the path of a file with one', parseObject)
    .option('--allow-ip <network>', 'where from it may be used: 203.0.113.0/24; several times', parseList)
    .option(
      '--allow-subdomain <pattern>',
      'whose tunnels it may see, change and connect: "docs-*"; several times',
      parseList,
    )
    .option('--remaining <count>', 'how many calls it admits (needs admin:write)', parseCount)
    .option('--refill-amount <count>', 'what that is set to at each refill (needs admin:write)', parseCount)
    .option('--refill-interval <time>', 'from one refill to the next: 30d (needs admin:write)', parseInterval)
    .option(
      '--rate-limit-max <count>',
      'how many calls its own window admits (needs admin:write)',
      parseCount,
    )
    .option('--rate-limit-window <time>', 'how long that window is: 60s (needs admin:write)', parseInterval)

/** The fields of the API that these options set; those that were not given are undefined. */
export const fieldsOf = (options: KeyOptions) => ({
  permissions: joined(options.permission, options.permissions),
  metadata: options.metadata,
  allowed_ips: options.allowIp,
  allowed_subdomains: options.allowSubdomain,
  remaining: options.remaining,
  refill_amount: options.refillAmount,
  refill_interval: options.refillInterval,
  rate_limit_max: options.rateLimitMax,
  rate_limit_time_window: options.rateLimitWindow,
})

const joined = (...lists: (readonly string[] | undefined)[]) =>
  lists.every((list) => list === undefined) ? undefined : lists.flatMap((list) => list ?? [])
