'use strict'

// A name server of a row's own, and the resolver settings that lead to it.

const dgram = require('node:dgram')
const { once } = require('node:events')
const { writeFileSync } = require('node:fs')
const path = require('node:path')

/** Row fields for its own network: `resolv.conf` is a file in its folder, and these addresses exist beside loopback. */
const withResolvConf = (text, addresses = []) => ({
  needs: ['linux', 'root', 'unshare', 'ip'],
  under(folder) {
    const file = resolvConf(folder)
    writeFileSync(file, text)
    const add = addresses.map((address) => `ip addr add ${address} dev lo && `).join('')
    const enter = `ip link set lo up && ${add}mount --bind ${file} /etc/resolv.conf && exec "$0" "$@"`
    return ['unshare', '--mount', '--net', 'sh', '-c', enter]
  }
})

/** Returns the file that stands for `/etc/resolv.conf`; write it in place. */
const resolvConf = (folder) => path.join(folder, 'resolv.conf')

/**
 * Starts a name server that resolves `names` to 127.0.0.1 with a TTL of one second and ignores others; or a function returns the IPv4
 * addresses of a name for each query. Returns an object that counts the queries.
 */
async function startNameServer(address, names) {
  const server = dgram.createSocket('udp4')
  const asked = { count: 0 }
  server.on('message', (query, from) => {
    asked.count++
    const labels = []
    let at = 12
    while (query[at] > 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + query[at]))
      at += query[at] + 1
    }
    const name = labels.join('.')
    const isA = query.readUInt16BE(at + 1) === 1
    const known = Array.isArray(names) ? names.includes(name) && ['127.0.0.1'] : names(name, isA)
    if (!known) return
    // RFC 1035 §4.1: the header and the question again, and the answers.
    const addresses = isA ? known : []
    const answer = Buffer.from(query.subarray(0, at + 5))
    answer.writeUInt16BE(0x8180, 2)
    answer.writeUInt16BE(addresses.length, 6)
    answer.fill(0, 8, 12)
    const records = addresses.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.')]))
    server.send(Buffer.concat([answer, ...records]), from.port, from.address)
  })
  server.bind(53, address)
  await once(server, 'listening')
  server.unref()
  return asked
}

module.exports = { resolvConf, startNameServer, withResolvConf }
