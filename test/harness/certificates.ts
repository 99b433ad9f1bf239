import 'reflect-metadata' // what @peculiar/x509 asks of whoever loads it
import { webcrypto } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  type GeneralNameType,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** PEM files of one certificate, and of who signs those that its holder trusts. */
export interface CertificateFiles {
  certFile: string
  keyFile: string
  caFile: string
}

/** A certificate authority of one's own, for a day, in a temporary folder. */
export interface Authority {
  caFile: string
  /**
   * Signs a certificate with these names, e.g. "DNS:keys" or "DNS:keys,IP:127.0.0.1"; none where it is empty. Signed
   * again under the same id, it takes the place of the first.
   */
  sign(id: string, names: string, commonName?: string): Promise<CertificateFiles>
  remove(): Promise<void>
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } // Envoy takes ECDSA and RSA
const DAY_MS = 24 * 60 * 60 * 1000

export async function makeAuthority(): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'instatunnel-ca-'))
  const file = (name: string) => join(folder, name)
  const write = async (name: string, certificate: string, key: CryptoKey) => {
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
    await writeFile(file(`${name}.crt`), certificate)
    const pem = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
    await writeFile(file(`${name}.key`), pem, { mode: 0o600 })
  }
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) }
  const own = await newKeys()
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=ca',
    keys: own,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
    ...validity,
  })
  await write('ca', root.toString('pem'), own.privateKey)

  return {
    caFile: file('ca.crt'),
    async sign(id, names, commonName = id) {
      const keys = await newKeys()
      const certificate = await X509CertificateGenerator.create({
        subject: `CN=${commonName}`,
        issuer: root.subject,
        publicKey: keys.publicKey,
        signingKey: own.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions:
          names === '' ? [] : [new SubjectAlternativeNameExtension(names.split(',').map(generalName))],
        ...validity,
      })
      await write(id, certificate.toString('pem'), keys.privateKey)
      return { certFile: file(`${id}.crt`), keyFile: file(`${id}.key`), caFile: file('ca.crt') }
    },
    remove: () => rm(folder, { recursive: true }),
  }
}

type CryptoKey = webcrypto.CryptoKey

const newKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

const TYPES: Readonly<Record<string, GeneralNameType>> = { DNS: 'dns', IP: 'ip', URI: 'url', email: 'email' }

function generalName(name: string) {
  const [kind = '', ...rest] = name.split(':')
  const type = TYPES[kind]
  if (!type) throw new Error(`a name is written DNS:…, IP:…, URI:… or email:…, not ${name}`)
  return { type, value: rest.join(':') }
}
