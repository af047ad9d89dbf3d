'use strict'

const path = require('node:path')

/** Row fields that make the folder `slow` a file system of its own, mounted with these options. */
const mounted = (options) => ({
  needs: ['linux', 'root', 'unshare'],
  under: (folder) => [
    'unshare', '-m', 'sh', '-c', `mount -t tmpfs -o ${options} none "$0" && exec "$@"`, path.join(folder, 'slow')
  ]
})

module.exports = { mounted }
