'use strict'

// A registry of packages on loopback, as npm's clients ask for them: a description of each package, and its tarball.

const { createHash } = require('node:crypto')
const { once } = require('node:events')
const { createServer } = require('node:http')

/** Long ago, for clients that take no package which is new. */
const PUBLISHED = '2020-01-01T00:00:00.000Z'

/** Serves packages, each `{ described, tarball }`: its package.json and bytes. Resolves with `{ url, asked, close() }`; `asked` lists the paths that were asked for. */
async function openRegistry(packages) {
  const byName = new Map(packages.map((each) => [each.described.name, each]))
  const asked = []
  const server = createServer((request, response) => {
    const [, name, isTarball] = /^\/((?:@[^/]+\/)?[^/]+)(\/-\/.*)?$/.exec(decodeURIComponent(request.url)) ?? []
    asked.push(decodeURIComponent(request.url))
    const found = byName.get(name)
    if (!found) response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}')
    else if (isTarball) response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(found.tarball)
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(describe(found, url())))
  })
  const url = () => `http://127.0.0.1:${server.address().port}/`
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: url(),
    asked,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

function describe({ described, tarball }, url) {
  const { name, version } = described
  const dist = {
    tarball: `${url}${name}/-/${name.split('/').at(-1)}-${version}.tgz`,
    shasum: createHash('sha1').update(tarball).digest('hex'),
    integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  }
  return {
    name, 'dist-tags': { latest: version }, time: { created: PUBLISHED, modified: PUBLISHED, [version]: PUBLISHED },
    versions: { [version]: { ...described, _id: `${name}@${version}`, dist } }
  }
}

module.exports = { openRegistry }
