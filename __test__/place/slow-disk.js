'use strict'

// A disk that is slow or hangs, for a row's process: see slow-disk.c.

const { renameSync, writeFileSync } = require('node:fs')
const path = require('node:path')

const { library } = require('./preload')

/** Row fields that make the folder `slow` such a disk. */
const onSlowDisk = {
  needs: ['linux', 'cc'],
  env: (folder) => ({ LD_PRELOAD: library('slow-disk'), SLOW_DISK: path.join(folder, 'slow') })
}

/** Sets how long each call to a file in the row's folder `slow` takes from now on, in ms; -1 means until it is set again. */
function setDelay(folder, ms) {
  // Renamed into place, so that nobody reads half of it.
  writeFileSync(path.join(folder, 'ms'), String(ms))
  renameSync(path.join(folder, 'ms'), path.join(folder, 'slow', '.ms'))
}

module.exports = { onSlowDisk, setDelay }
