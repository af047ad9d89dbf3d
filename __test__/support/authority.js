'use strict'

// Certificates of one's own making, for as long as the tests of a file run. Nothing of it is kept.

const { execFileSync } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const CONFIG = `
[req]
prompt = no
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = keyCertSign
[ca]
default_ca = own
[own]
database = $dir/index.txt
unique_subject = no
new_certs_dir = $dir
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
`

/** A certificate authority; `cert` is the path of its own certificate. */
class Authority {
  static #authorities = 0
  #folder
  #count = 0

  constructor(after) {
    this.#folder = mkdtempSync(path.join(os.tmpdir(), 'speaker-session-'))
    after(() => rmSync(this.#folder, { recursive: true }))
    writeFileSync(this.#file('index.txt'), '')
    writeFileSync(this.#file('openssl.cnf'), CONFIG.replaceAll('$dir', this.#folder))
    const name = `authority ${++Authority.#authorities}`
    this.#openssl('req', '-x509', ...this.#newKey('ca.key', name), '-days', '2', '-extensions', 'authority', '-out', 'ca.pem')
  }

  get cert() {
    return this.#file('ca.pem')
  }

  /** Issues a key and a certificate for a host, as Node's TLS servers take them, and their files; `expired` yesterday. */
  issue(host, { expired = false } = {}) {
    const [key, request, cert, names] = ['key', 'csr', 'pem', 'cnf'].map((kind) => `${this.#count}.${kind}`)
    this.#count++
    const day = (n) => new Date(Date.now() + n * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '')
    const [from, to] = expired ? [-3, -1] : [-1, 1]
    writeFileSync(this.#file(names), `subjectAltName = DNS:${host}\n`)
    this.#openssl('req', ...this.#newKey(key, host), '-out', request)
    this.#openssl('ca', '-batch', '-notext', '-config', 'openssl.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-extfile', names,
      '-startdate', day(from), '-enddate', day(to), '-in', request, '-out', cert)
    const [keyFile, certFile] = [this.#file(key), this.#file(cert)]
    return { key: readFileSync(keyFile), cert: readFileSync(certFile), keyFile, certFile }
  }

  #newKey(file, name) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file]
    return [...key, '-config', 'openssl.cnf', '-subj', `/CN=${name}`]
  }

  #openssl(...args) {
    try {
      execFileSync('openssl', args, { cwd: this.#folder, stdio: 'pipe' })
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
      throw new Error('The tests of TLS make certificates: install openssl')
    }
  }

  #file(name) {
    return path.join(this.#folder, name)
  }
}

module.exports = { Authority }
