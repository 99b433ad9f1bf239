import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** PEM files of one certificate, and of who signs those that its holder trusts. */
export interface CertificateFiles {
  certFile: string
  keyFile: string
  caFile: string
}

/** A certificate authority of one's own, for a day, in a temporary folder. */
export interface Authority {
  caFile: string
  /** Signs a certificate with these names, e.g. "DNS:keys"; signed again, it takes the place of the first. */
  sign(id: string, names: string): CertificateFiles
  remove(): void
}

export function makeAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-ca-'))
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] // Envoy takes ECDSA and RSA
  openssl('req', '-x509', ...key, '-days', '1', '-subj', '/CN=ca', '-keyout', 'ca.key', '-out', 'ca.crt')
  return {
    caFile: file('ca.crt'),
    sign(id, names) {
      openssl('req', ...key, '-subj', `/CN=${id}`, '-keyout', `${id}.key`, '-out', `${id}.csr`)
      writeFileSync(file('names'), `subjectAltName=${names}\n`)
      openssl(
        ...['x509', '-req', '-in', `${id}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
        ...['-days', '1', '-extfile', 'names', '-out', `${id}.crt`],
      )
      return { certFile: file(`${id}.crt`), keyFile: file(`${id}.key`), caFile: file('ca.crt') }
    },
    remove: () => rmSync(folder, { recursive: true }),
  }
}
