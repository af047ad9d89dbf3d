'use strict'

const path = require('node:path')

/** What a row adds to itself, so that its folder `slow` is a file system of its own, mounted with these options. */
const mounted = (options) => ({
  needs: ['linux', 'root', 'unshare'],
  under: (folder) => [
    'unshare', '-m', 'sh', '-c', `mount -t tmpfs -o ${options} none "$0" && exec "$@"`, path.join(folder, 'slow')
  ]
})

module.exports = { mounted }
